//! The sets that come as IDX files: MNIST and Fashion-MNIST, each file plain or gzip-packed.

use super::info::Info;
use crate::data::{Dataset, Pixels, Split};
use crate::formats::idx::{self, Idx};
use crate::{Error, Result};
use std::path::Path;

/// Loads the set `info` from the folder of its name in `directory`.
///
/// # Errors
/// [`Error::Usage`] for files that are not there, [`Error::Data`] for files that are not what they have to be.
pub fn load(info: &Info, directory: &Path) -> Result<Dataset> {
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
    Ok(Dataset {
        name: info.name.into(),
        input: info.input,
        train: train?,
        val: None,
        test: Some(test?),
        folder: Some(directory.to_owned()),
        skipped: Vec::new(),
        absent: Vec::new(),
        classes,
    })
}

/// A file that was read, with what errors call it.
type Named = (Idx, String);

/// Reads the file of a name, or of that name with `.gz`.
fn open((set, files): (&str, &[&str]), folder: &Path, name: &str) -> Result<Named> {
    let candidates = [folder.join(name), folder.join(format!("{name}.gz"))];
    match candidates.iter().find(|path| path.exists()) {
        Some(path) => Ok((idx::read(path)?, path.display().to_string())),
        None => Err(Error::usage(format!(
            "The data set {} was asked for, but {} holds neither {name} nor {name}.gz; it needs {}.",
            set,
            folder.display(),
            files.join(", ")
        ))),
    }
}

/// The labelled images of the files `NAME-images-idx3-ubyte` and `NAME-labels-idx1-ubyte` in a folder, of which a set of that
/// name needs all the `files`.
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
                "{file} has to hold N x {height} x {width} images, but holds {:?}; is it the file of another set or kind?",
                images.dims
            )));
        }
    };
    if labels.dims != [count] {
        return Err(Error::data(format!(
            "{label_file} has to hold {count} labels, one for each image of {file}, but holds {:?}.",
            labels.dims
        )));
    }
    if let Some(i) = labels.bytes.iter().position(|&label| usize::from(label) >= classes) {
        return Err(Error::data(format!(
            "{label_file}: label {} is {}, but the set has {classes} classes, numbered from 0.",
            i + 1,
            labels.bytes[i]
        )));
    }
    let labels = labels.bytes.iter().map(|&label| u32::from(label)).collect();
    Ok(Split { pixels: Pixels::U8(images.bytes), labels })
}
