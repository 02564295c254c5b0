//! Datasets: images N x C x H x W, row-major and upright, with a class number for each image. One dataset is embedded.
//!
//! ```
//! use gpunn::data::{Dataset, SplitName};
//!
//! let pixels: Vec<u8> = (0..40).collect();
//! let labels = vec![0, 1, 0, 1, 0, 1, 0, 1, 0, 1];
//! let dataset = Dataset::from_images(pixels, [1, 2, 2], labels, ["even", "odd"])?.hold_out(SplitName::Val, 0.2, 1)?;
//! assert_eq!((dataset.train.len(), dataset.split(SplitName::Val)?.len()), (8, 2));
//! # Ok::<(), gpunn::Error>(())
//! ```

pub mod batches;
mod fold;
mod from_images;
pub mod glyphs;
mod hold_out;
mod image_options;
pub mod imagenet;
mod label_sets;
mod stored;
mod stratify;

pub use batches::{epoch_order, limit, limit_labelled, limited};
pub use fold::Fold;
pub use hold_out::{folds, split_fold, split_off};
pub use image_options::{Fit, ImageOptions, Size};
pub use label_sets::LabelSets;
pub use stored::{ImageStore, Stored};

use crate::hash::Fnv1a;
use crate::{Error, Result};
use std::path::PathBuf;

/// Images, N x C x H x W, row-major and upright.
#[derive(Clone, Debug, PartialEq)]
pub enum Pixels {
    /// Bytes. The value of a byte is divided by 255.
    U8(Vec<u8>),
    /// Floats, usually from 0 to 1. Some published datasets slightly exceed this range.
    F32(Vec<f32>),
    /// Bytes on the disk.
    Stored(Stored),
}

impl Pixels {
    /// The number of values of all images together.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::Stored(stored) => stored.len(),
        }
    }
    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The number of bytes of a value: 1 or 4.
    pub fn value_bytes(&self) -> usize {
        if matches!(self, Self::F32(_)) { size_of::<f32>() } else { 1 }
    }

    /// All values as floats, from 0 to 1 for bytes.
    fn into_floats(self) -> Result<Vec<f32>> {
        let floats = |bytes: &[u8]| bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        Ok(match self {
            Self::U8(values) => floats(&values),
            Self::F32(values) => values,
            Self::Stored(stored) => floats(&stored.to_bytes()?),
        })
    }

    /// Reads the images with the given numbers, of `width` values each, and concatenates their bytes in `to`, which has their
    /// total length.
    ///
    /// # Errors
    /// [`Error::Usage`] when an image does not exist. [`Error::File`] when an image on the disk cannot be read.
    pub fn read(&self, width: usize, numbers: &[u32], to: &mut [u8]) -> Result<()> {
        let values: &[u8] = match self {
            Self::U8(values) => values,
            Self::F32(values) => bytemuck::cast_slice(values),
            Self::Stored(stored) => return stored.read(numbers.iter().copied(), to),
        };
        let width = width * self.value_bytes();
        for (&number, to) in numbers.iter().zip(to.chunks_mut(width.max(1))) {
            let from = values.get(number as usize * width..(number as usize + 1) * width);
            to.copy_from_slice(from.ok_or_else(|| {
                let count = values.len() / width.max(1);
                Error::usage(format!("Image {number} does not exist; there are {count} images, numbered from 0."))
            })?);
        }
        Ok(())
    }
}

/// The file of an image.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct ImageFile {
    /// The path in the dataset's folder, with `/` between names.
    pub path: String,
    /// The length in bytes.
    pub bytes: u64,
    /// A hash of the bytes.
    pub hash: u64,
}

/// Images with their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// The N images.
    pub pixels: Pixels,
    /// The N labels: the class number of each image, from 0. In a dataset with several labels an image, the number of its set of classes
    /// in [`Dataset::sets`].
    pub labels: Vec<u32>,
    /// The N files of the images. Empty if the images are not in files of their own.
    pub files: Vec<ImageFile>,
}

impl Split {
    /// A split of images that are not in files of their own.
    pub fn new(pixels: Pixels, labels: Vec<u32>) -> Self {
        Self { pixels, labels, files: Vec::new() }
    }
    /// A split without images.
    pub fn empty() -> Self {
        Self::new(Pixels::U8(Vec::new()), Vec::new())
    }
    /// The path of image `i` in the dataset's folder, if it is in a file of its own.
    pub fn file(&self, i: usize) -> Option<&str> {
        self.files.get(i).map(|file| file.path.as_str())
    }
    /// The number of images, N.
    pub fn len(&self) -> usize {
        self.labels.len()
    }
    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
    /// Image `i` as C x H x W values. Bytes are divided by 255. `None` if the image does not exist, or is on the disk and
    /// cannot be read.
    pub fn image(&self, i: usize) -> Option<Vec<f32>> {
        if i >= self.len() {
            return None;
        }
        let size = self.pixels.len() / self.len();
        Some(match &self.pixels {
            Pixels::U8(values) => values[i * size..(i + 1) * size].iter().map(|&v| f32::from(v) / 255.0).collect(),
            Pixels::F32(values) => values[i * size..(i + 1) * size].to_vec(),
            Pixels::Stored(stored) => {
                let mut bytes = vec![0; size];
                stored.read([i as u32], &mut bytes).ok()?;
                bytes.into_iter().map(|value| f32::from(value) / 255.0).collect()
            }
        })
    }
    /// The images with the given numbers and their labels, in this order.
    ///
    /// # Panics
    /// When a number is not below [`Split::len`].
    pub fn select(&self, numbers: &[u32]) -> Self {
        fn gather<T: Copy>(values: &[T], size: usize, numbers: &[u32]) -> Vec<T> {
            numbers.iter().flat_map(|&i| &values[i as usize * size..(i as usize + 1) * size]).copied().collect()
        }
        let size = self.pixels.len() / self.len().max(1);
        let pixels = match &self.pixels {
            Pixels::U8(values) => Pixels::U8(gather(values, size, numbers)),
            Pixels::F32(values) => Pixels::F32(gather(values, size, numbers)),
            Pixels::Stored(stored) => Pixels::Stored(stored.select(numbers)),
        };
        let files = match self.files.is_empty() {
            true => Vec::new(),
            false => numbers.iter().map(|&i| self.files[i as usize].clone()).collect(),
        };
        Self { pixels, labels: gather(&self.labels, 1, numbers), files }
    }
    /// These images followed by those of `other`, which have the same shape.
    ///
    /// # Errors
    /// [`Error::File`] when images have to be read from the disk and cannot be.
    pub fn followed_by(mut self, other: Self) -> Result<Self> {
        if self.is_empty() {
            return Ok(other);
        }
        let appended = match (&mut self.pixels, &other.pixels) {
            (Pixels::U8(values), Pixels::U8(others)) => {
                values.extend(others);
                true
            }
            (Pixels::F32(values), Pixels::F32(others)) => {
                values.extend(others);
                true
            }
            (Pixels::Stored(stored), Pixels::Stored(others)) => stored.append(others),
            _ => false,
        };
        if !appended {
            let mut values = self.pixels.into_floats()?;
            values.extend(other.pixels.into_floats()?);
            self.pixels = Pixels::F32(values);
        }
        let files = self.files.len() == self.labels.len() && other.files.len() == other.labels.len();
        self.labels.extend(other.labels);
        self.files = if files { [self.files, other.files].concat() } else { Vec::new() };
        Ok(self)
    }
    /// The numbers of the first `count` images of each class, in ascending order.
    pub fn first_of_each(&self, count: usize) -> Vec<u32> {
        let mut seen = std::collections::BTreeMap::new();
        let first = |&number: &u32| {
            let seen = seen.entry(self.labels[number as usize]).or_insert(0_usize);
            *seen += 1;
            *seen <= count
        };
        (0..self.len() as u32).filter(first).collect()
    }
    /// The same split with its images in memory. Images on the disk are read.
    ///
    /// # Errors
    /// [`Error::File`] when an image cannot be read.
    pub fn in_memory(mut self) -> Result<Self> {
        if let Pixels::Stored(stored) = &self.pixels {
            self.pixels = Pixels::U8(stored.to_bytes()?);
        }
        Ok(self)
    }
}

/// A split of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitName {
    /// The images for training.
    Train,
    /// The images for choosing between epochs and between runs.
    Val,
    /// The images for the final evaluation.
    Test,
}

impl std::str::FromStr for SplitName {
    type Err = Error;
    /// Reads `train` (or `training`), `val` (or `valid`, `validation`, `dev`, `eval`) or `test` (or `testing`), in any case.
    /// Other words give an [`Error::Usage`].
    fn from_str(word: &str) -> Result<Self> {
        match word.to_lowercase().as_str() {
            "train" | "training" => Ok(Self::Train),
            "val" | "valid" | "validation" | "dev" | "eval" => Ok(Self::Val),
            "test" | "testing" => Ok(Self::Test),
            _ => Err(Error::usage(format!("There is no split `{word}`; the splits are train, val and test."))),
        }
    }
}

impl SplitName {
    /// Its place in a list of the splits train, val and test.
    #[cfg(feature = "files")]
    pub(crate) fn slot(self) -> usize {
        match self {
            Self::Train => 0,
            Self::Val => 1,
            Self::Test => 2,
        }
    }

    /// `train`, `val` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

impl std::fmt::Display for SplitName {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Holds out a fraction of images: by [`split_off`], or if their labels are numbers of sets by iterative stratification
/// ([`LabelSets`]).
///
/// # Errors
/// When images on the disk cannot be read.
pub fn split_off_labelled(train: Split, sets: Option<&LabelSets>, fraction: f64, seed: u64) -> Result<(Split, Split)> {
    match sets {
        Some(sets) => stratify::split_off_sets(train, sets, fraction, seed),
        None => split_off(train, fraction, seed),
    }
}

/// A dataset. Its images are in memory, except those of a large folder of images, which stay on the disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// The name that loads it.
    pub name: String,
    /// An image's channels, height and width.
    pub input: [usize; 3],
    /// The class names in index order.
    pub classes: Vec<String>,
    /// The sets of classes that images have, if each has any number of classes. Then the labels of the splits are indices of sets.
    pub sets: Option<LabelSets>,
    /// The training split. It is empty if it is missing: see [`Dataset::split`].
    pub train: Split,
    /// The validation split, if there is one.
    pub val: Option<Split>,
    /// The test split, if there is one.
    pub test: Option<Split>,
    /// The canonical path of the data directory that contains the dataset's folder. `None` for the embedded dataset, and for a
    /// folder of images whose name is its path.
    pub folder: Option<PathBuf>,
    /// One sentence for each image that was skipped because it could not be decoded.
    pub skipped: Vec<String>,
    /// A sentence about each missing split, for error messages.
    pub absent: Vec<(SplitName, String)>,
}

/// The number of values in memory that [`Dataset::hash_of_images`] looks at.
const HASHED: usize = 1 << 18;

impl Dataset {
    /// A hash of what tells these images from others: their shape, the classes, and of each split the labels, the hashes of files, and the
    /// first values if they are in memory.
    pub(crate) fn hash_of_images(&self) -> u64 {
        let mut hash = Fnv1a::new();
        self.input.iter().for_each(|size| hash.add(&(*size as u64).to_le_bytes()));
        self.classes.iter().for_each(|class| hash.add(class.as_bytes()));
        for split in [Some(&self.train), self.val.as_ref(), self.test.as_ref()] {
            hash.add(&split.map_or(u64::MAX, |split| split.len() as u64).to_le_bytes());
            let Some(split) = split else { continue };
            hash.add(bytemuck::cast_slice(&split.labels));
            split.files.iter().for_each(|file| hash.add(&file.hash.to_le_bytes()));
            match &split.pixels {
                Pixels::U8(values) => hash.add(&values[..values.len().min(HASHED)]),
                Pixels::F32(values) => hash.add(bytemuck::cast_slice(&values[..values.len().min(HASHED)])),
                Pixels::Stored(_) => {}
            }
        }
        hash.value()
    }
}

impl Dataset {
    /// A dataset with the same name and classes, for images of another shape and without images.
    #[must_use]
    pub fn without_images(&self, input: [usize; 3]) -> Self {
        let (name, classes, folder) = (self.name.clone(), self.classes.clone(), self.folder.clone());
        let (sets, skipped, absent) = (self.sets.clone(), Vec::new(), Vec::new());
        Self { name, input, classes, sets, train: Split::empty(), val: None, test: None, folder, skipped, absent }
    }

    /// The dataset with all its images in the training split: those of the training split, then validation, then test.
    ///
    /// # Errors
    /// [`Error::File`] when images have to be read from the disk and cannot be.
    pub fn in_one_split(mut self) -> Result<Self> {
        for split in [self.val.take(), self.test.take()].into_iter().flatten() {
            self.train = self.train.followed_by(split)?;
        }
        Ok(self)
    }

    /// A split of the dataset.
    ///
    /// # Errors
    /// [`Error::Usage`] when the dataset does not have the split. The message names its splits, and the missing file if it is
    /// known.
    pub fn split(&self, part: SplitName) -> Result<&Split> {
        let get = |part| match part {
            SplitName::Train => Some(&self.train).filter(|split| !split.is_empty()),
            SplitName::Val => self.val.as_ref().filter(|split| !split.is_empty()),
            SplitName::Test => self.test.as_ref().filter(|split| !split.is_empty()),
        };
        if let Some(split) = get(part) {
            return Ok(split);
        }
        let there = [SplitName::Train, SplitName::Val, SplitName::Test].into_iter().filter(|&part| get(part).is_some());
        let there = there.map(|p| p.to_string()).collect::<Vec<_>>().join(" and ");
        let said = self.absent.iter().find(|(absent, _)| *absent == part).map(|(_, sentence)| format!(" {sentence}"));
        let said = said.unwrap_or_else(|| match part {
            SplitName::Val => " Hold part of the training split out with --val-fraction.".into(),
            _ => String::new(),
        });
        Err(Error::usage(format!("The dataset {} has no {part} split, only {there}.{said}", self.name)))
    }
}

/// The classes of the datasets of handwritten characters: A to Z, then 0 to 9.
pub(crate) fn letters_and_digits() -> Vec<String> {
    ('A'..='Z').chain('0'..='9').map(String::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Dataset {
        let split = |n: u32| Split::new(Pixels::U8((0..n as u8 * 4).collect()), (0..n).collect());
        Dataset {
            name: "nist26".into(),
            input: [1, 2, 2],
            classes: letters_and_digits(),
            sets: None,
            train: Split::empty(),
            val: Some(split(3)),
            test: None,
            folder: Some("/data".into()),
            skipped: Vec::new(),
            absent: vec![(SplitName::Train, "It would be nist26_train.mat, which is not there.".into())],
        }
    }

    #[test]
    fn a_missing_split_is_named_with_its_file() {
        let set = small();
        assert_eq!(set.split(SplitName::Val).expect("there").len(), 3);
        let sentence = set.split(SplitName::Train).expect_err("missing").to_string();
        assert!(sentence.contains("nist26_train.mat") && sentence.contains("only val"), "{sentence}");
        assert!("tset".parse::<SplitName>().expect_err("unknown").to_string().contains("train, val and test"));
    }

    #[test]
    fn splits_are_joined_in_their_order() {
        let mut set = small();
        (set.train, set.test) = (Split::new(Pixels::F32(vec![0.5; 4]), vec![7]), set.val.clone());
        let all = set.in_one_split().expect("in memory");
        assert_eq!((&all.train.labels, all.val, all.test), (&vec![7, 0, 1, 2, 0, 1, 2], None, None));
        assert_eq!(all.train.image(0), Some(vec![0.5; 4]));
        assert_eq!(all.train.image(4), Some(vec![0.0, 1.0 / 255.0, 2.0 / 255.0, 3.0 / 255.0]));
    }

    #[test]
    fn images_are_selected_whole() {
        let set = small();
        let split = set.val.as_ref().expect("there");
        let chosen = split.select(&[2, 0]);
        assert_eq!(chosen, Split::new(Pixels::U8(vec![8, 9, 10, 11, 0, 1, 2, 3]), vec![2, 0]));
        assert_eq!(chosen.image(1), Some(vec![0.0, 1.0 / 255.0, 2.0 / 255.0, 3.0 / 255.0]));
        assert_eq!(chosen.image(2), None);
        assert_eq!(Split::empty().select(&[]).len(), 0);
    }
}
