//! What is known of a data set without loading it.

use std::path::Path;

use crate::data::{Dataset, SplitName};
use crate::images::Rule;
use crate::{Error, Result};

/// How a set comes into memory.
#[derive(Clone, Copy)]
pub(super) enum Reader {
    /// The program draws it.
    Embedded,
    /// From files of a format of their own, in the data directory that holds the set.
    Files(fn(&Info, &Path) -> Result<Dataset>),
    /// From a folder of images, by this rule where no other is asked for.
    Images(Rule),
}

/// What is known of a data set without loading it.
pub struct Info {
    /// The name it is asked for by.
    pub name: &'static str,
    /// Its folder's name in a data directory, as its makers have it.
    pub folder: &'static str,
    /// The makers' archive, which is read where a data directory has it and not the folder.
    pub archive: Option<&'static str>,
    /// Other names that it answers to.
    pub aliases: &'static [&'static str],
    /// What it is, in a line.
    pub title: &'static str,
    /// The classes, for people.
    pub classes: &'static str,
    /// An image's channels, height and width.
    pub input: [usize; 3],
    /// The number of images in each split, for people.
    pub splits: &'static str,
    /// The files expected in its folder: of the train, validation and test split.
    pub files: &'static [&'static str],
    /// Who made it and where they publish it.
    pub where_from: &'static str,
    /// Under which terms, and what else to know.
    pub notes: &'static str,
    pub(super) reader: Reader,
}

impl Info {
    /// The file that holds the labels and images of a split, where the set keeps one file a split.
    pub fn file_of(&self, part: SplitName) -> Option<&'static str> {
        let ending = match part {
            SplitName::Train => "_train.mat",
            SplitName::Val => "_valid.mat",
            SplitName::Test => "_test.mat",
        };
        self.files.iter().copied().find(|file| file.ends_with(ending))
    }

    /// The number of classes.
    ///
    /// # Errors
    /// [`Error::Data`] where the line of classes does not begin with it.
    pub fn class_count(&self) -> Result<usize> {
        let count = self.classes.split(':').next().and_then(|count| count.trim().parse().ok());
        count.ok_or_else(|| Error::data(format!("{} has no known classes.", self.name)))
    }
}

impl std::fmt::Debug for Info {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Info").field("name", &self.name).finish_non_exhaustive()
    }
}
