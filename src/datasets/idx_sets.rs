//! The datasets in IDX files: MNIST and Fashion-MNIST. Files may be compressed with gzip.

use super::info::DatasetInfo;
use crate::data::{Dataset, Pixels, Split};
use crate::formats::idx::{self, Idx};
use crate::{Error, Result};
use std::path::Path;

/// Loads dataset `info` from the folder of its name in `directory`.
///
/// # Errors
/// [`Error::Usage`] for missing files, [`Error::Data`] for damaged or wrong files.
pub fn load(info: &DatasetInfo, directory: &Path) -> Result<Dataset> {
    let folder = directory.join(info.name);
    let classes: Vec<String> = match info.name {
        "fashion-mnist" => {
            ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
                .map(String::from)
                .to_vec()
        }
        _ => ('0'..='9').map(String::from).collect(),
    };
    let split = |name: &str| split((info.name, info.files), &folder, name, info.input, classes.len());
    let (train, test) = rayon::join(|| split("train"), || split("t10k"));
    Ok(info.dataset(directory, classes, train?, test?))
}

/// The content of a file, and its name for error messages.
type NamedIdx = (Idx, String);

/// Reads the file `name`, or `name.gz`.
fn open((set, files): (&str, &[&str]), folder: &Path, name: &str) -> Result<NamedIdx> {
    let candidates = [folder.join(name), folder.join(format!("{name}.gz"))];
    match candidates.iter().find(|path| path.exists()) {
        Some(path) => Ok((idx::read(path)?, path.display().to_string())),
        None => Err(Error::usage(format!(
            "The dataset {} was requested, but {} holds neither {name} nor {name}.gz; it needs {}.",
            set,
            folder.display(),
            files.join(", ")
        ))),
    }
}

/// Reads a split from the files `NAME-images-idx3-ubyte` and `NAME-labels-idx1-ubyte` in a folder. `set` is the name and the
/// files of the dataset, for error messages.
///
/// # Errors
/// As [`load`].
pub fn split(set: (&str, &[&str]), folder: &Path, name: &str, input: [usize; 3], classes: usize) -> Result<Split> {
    let (images, file) = open(set, folder, &format!("{name}-images-idx3-ubyte"))?;
    let (labels, label_file) = open(set, folder, &format!("{name}-labels-idx1-ubyte"))?;
    let [_, height, width] = input;
    let count = match *images.dims.as_slice() {
        [count, h, w] if (h, w) == (height, width) => count,
        _ => {
            return Err(Error::data(format!(
                "{file} must hold N x {height} x {width} images, but holds {:?}; it may be a file of another dataset.",
                images.dims
            )));
        }
    };
    if labels.dims != [count] {
        return Err(Error::data(format!(
            "{label_file} must hold {count} labels, one for each image of {file}, but holds {:?}.",
            labels.dims
        )));
    }
    if let Some(i) = labels.bytes.iter().position(|&label| usize::from(label) >= classes) {
        return Err(Error::data(format!(
            "{label_file}: label {} is {}, but the dataset has {classes} classes, numbered from 0.",
            i + 1,
            labels.bytes[i]
        )));
    }
    let labels = labels.bytes.iter().map(|&label| u32::from(label)).collect();
    Ok(Split::new(Pixels::U8(images.bytes), labels))
}
