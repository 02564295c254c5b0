//! Descriptions of the known datasets.

use std::path::Path;

use crate::data::{Dataset, Split, SplitName};
use crate::images::Preprocessing;
use crate::{Error, Result};

/// How a dataset is loaded.
#[derive(Clone, Copy)]
pub(super) enum LoadMethod {
    /// The program generates it.
    Embedded,
    /// From files in a format of their own, in the given data directory.
    Files(fn(&DatasetInfo, &Path) -> Result<Dataset>),
    /// From a folder of images, by this rule where no other is asked for.
    Images(Preprocessing),
}

/// The description of a known dataset.
pub struct DatasetInfo {
    /// The name that loads it.
    pub name: &'static str,
    /// The name of its folder in a data directory.
    pub folder: &'static str,
    /// The published archive. It is read when a data directory has the archive but not the folder.
    pub archive: Option<&'static str>,
    /// Other names that load it.
    pub aliases: &'static [&'static str],
    /// A short description.
    pub title: &'static str,
    /// The number of classes and their names, as text.
    pub classes: &'static str,
    /// An image's channels, height and width.
    pub input: [usize; 3],
    /// The number of images in each split, as text.
    pub splits: &'static str,
    /// The files in its folder, in the order train, validation, test.
    pub files: &'static [&'static str],
    /// Its authors and where they publish it.
    pub where_from: &'static str,
    /// The licence and other remarks.
    pub notes: &'static str,
    pub(super) load_method: LoadMethod,
}

impl DatasetInfo {
    /// The file of a split, for datasets with one file for each split.
    pub fn file_of(&self, split: SplitName) -> Option<&'static str> {
        let ending = match split {
            SplitName::Train => "_train.mat",
            SplitName::Val => "_valid.mat",
            SplitName::Test => "_test.mat",
        };
        self.files.iter().copied().find(|file| file.ends_with(ending))
    }

    /// The dataset of these splits, from files in `directory`.
    pub(super) fn dataset(&self, directory: &Path, classes: Vec<String>, train: Split, test: Split) -> Dataset {
        Dataset {
            name: self.name.into(),
            input: self.input,
            classes,
            sets: None,
            train,
            val: None,
            test: Some(test),
            folder: Some(directory.to_owned()),
            skipped: Vec::new(),
            absent: Vec::new(),
        }
    }

    /// The number of classes.
    ///
    /// # Errors
    /// [`Error::Data`] when `classes` does not begin with a number.
    pub fn class_count(&self) -> Result<usize> {
        let count = self.classes.split(':').next().and_then(|count| count.trim().parse().ok());
        count.ok_or_else(|| Error::data(format!("{} has no known classes.", self.name)))
    }
}

impl std::fmt::Debug for DatasetInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("DatasetInfo").field("name", &self.name).finish_non_exhaustive()
    }
}
