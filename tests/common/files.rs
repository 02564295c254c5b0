//! Builds files in the formats of datasets, in memory.

use flate2::{Compression, write::GzEncoder};
use gpunn::formats::tensors::{self, TensorValues};
use gpunn::nn::models::ModelConfig;
use std::collections::BTreeMap;
use std::io::Write;

/// An IDX file of bytes.
pub fn idx(dims: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dims.len() as u8];
    file.extend(dims.iter().flat_map(|dim| dim.to_be_bytes()));
    file.extend(bytes);
    file
}

/// Compresses with gzip.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(bytes).and_then(|()| gz.finish()).expect("writing to memory")
}

/// A tar archive of files with these names, compressed with gzip.
pub fn tar_gz(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, &bytes[..]).expect("writing to memory");
    }
    tar.into_inner().and_then(GzEncoder::finish).expect("writing to memory")
}

/// A folder `pics` with images of 28 pixels: class `bright` is bright, class `dark` is dark.
pub fn pictures(of_class: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (class, base) in [("bright", 150), ("dark", 10)] {
        let path = folder.path().join("pics").join(class);
        std::fs::create_dir_all(&path).expect("a class");
        for number in 0..of_class {
            let pixel = |x: u32, y: u32| image::Luma([base + ((x * 7 + y * 3 + number as u32 * 11) % 90) as u8]);
            image::GrayImage::from_fn(28, 28, pixel).save(path.join(format!("{number}.png"))).expect("an image");
        }
    }
    folder
}

/// A file with the initial weights of a model for ImageNet images.
pub fn weights_of(name: &str, classes: usize) -> Vec<u8> {
    let model = ModelConfig::named(name).build([3, 224, 224], classes).expect("a model");
    let parameters = model.parameters();
    let kept = parameters.initial_weights(3);
    let mut all = BTreeMap::new();
    for (layout, flat) in [(&**parameters, &kept.learned), (parameters.statistics(), &kept.statistics)] {
        for parameter in layout.iter() {
            let values = TensorValues::F32(flat[parameter.range()].to_vec());
            all.insert(parameter.name.clone(), (parameter.shape.dims().to_vec(), values));
        }
    }
    tensors::bytes(&all, None).expect("bytes")
}
