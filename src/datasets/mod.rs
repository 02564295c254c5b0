//! Data sets on the disk: those that others publish, each in its own format, and folders of images.
//!
//! ```
//! let dataset = gpunn::datasets::load("glyphs", None)?;
//! assert_eq!((dataset.input, dataset.classes.len()), ([1, 32, 32], 36));
//! // A folder that holds a folder of images for each class is loaded by its path.
//! assert!(gpunn::datasets::load("no/such/folder", None).is_err());
//! # Ok::<(), gpunn::Error>(())
//! ```

mod catalogue;
mod cifar_sets;
#[cfg(feature = "download")]
pub mod fetch;
pub mod folder;
mod idx_sets;
mod info;
mod locate;
mod mat_sets;
pub mod sources;

pub use catalogue::{find, known};
pub use folder::Store;
pub use info::Info;
pub use locate::{cache_dir, name_of, weights_file};

use std::path::{Path, PathBuf};

use crate::data::{Dataset, ImageOptions, glyphs};
use crate::images::Rule;
use crate::{Error, Result};
use info::Reader;
use locate::Located;

/// What a caller may want otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// How images of a folder are brought to one size.
    pub asked: ImageOptions,
    /// Go on without images that cannot be decoded.
    pub skip_bad: bool,
    /// The folder that decoded images are kept in; `None` keeps none.
    pub cache: Option<PathBuf>,
    /// The most bytes of a folder's decoded images that are held in memory. Those of a larger one stay in the cache, where
    /// there is one, and are read when they are needed.
    pub most_in_memory: usize,
}

/// A third of what small machines have.
const MOST_IN_MEMORY: usize = 1 << 31;

impl Default for LoadOptions {
    /// The set's own size, no image left out, decoded images kept in [`cache_dir`] and up to 2 GiB of them in memory.
    fn default() -> Self {
        Self { asked: ImageOptions::default(), skip_bad: false, cache: cache_dir(), most_in_memory: MOST_IN_MEMORY }
    }
}

/// Loads a data set by its name, or from a folder of images by its path, as [`LoadOptions::default`] has it.
///
/// # Errors
/// As [`load_with`].
pub fn load(name: &str, data_dir: Option<&Path>) -> Result<Dataset> {
    load_with(name, data_dir, &LoadOptions::default())
}

/// Loads a data set by its name, or from a folder of images by its path.
///
/// A set that is no code lies in a folder of its own in a data directory: `data_dir` where it is given, and then there
/// alone; else the one that the environment's `GPUNN_DATA` names, else [`cache_dir`]. A folder of images is looked for
/// in `data_dir` first, then where the program runs, then in the other data directories.
///
/// # Errors
/// [`Error::Usage`] for an unknown name, with the nearest known one, where no data directory has the set, with each folder
/// looked in and the files expected, and for a size asked of a set that has its own; [`Error::Data`] and [`Error::File`]
/// for files that are not what they have to be.
pub fn load_with(name: &str, data_dir: Option<&Path>, options: &LoadOptions) -> Result<Dataset> {
    options.asked.validate()?;
    match locate::locate(name, data_dir)? {
        Located::Images(place, rule) => folder::load(&place, rule.with(&options.asked), options),
        Located::Files(info, read, directory) => {
            own_size(info, &options.asked)?;
            read(info, &directory)
        }
        Located::Embedded(info) => {
            own_size(info, &options.asked)?;
            Ok(glyphs::dataset())
        }
    }
}

/// Opens the decoded images of a folder on the disk, to be read row by row, for sets that are too large to hold in memory:
/// what the cache has, decoded first where it has it not.
///
/// # Errors
/// As [`load_with`]; [`Error::Usage`] for a set that is no folder of images and where there is no cache folder;
/// [`Error::File`] where the cache cannot be written.
pub fn open_store(name: &str, data_dir: Option<&Path>, options: &LoadOptions) -> Result<Store> {
    options.asked.validate()?;
    match locate::locate(name, data_dir)? {
        Located::Images(place, rule) => folder::store(&place, rule.with(&options.asked), options),
        Located::Files(info, ..) | Located::Embedded(info) => Err(Error::usage(format!(
            "The data set {} is no folder of images; it is read into memory whole.",
            info.name
        ))),
    }
}

/// How images are brought to the size of the set `name`, with what is asked; `None` for the sets that have their own size.
/// A name that is not known is a folder's.
pub fn rule(name: &str, asked: &ImageOptions) -> Option<Rule> {
    match catalogue::lookup(name).map(|info| info.reader) {
        None => Some(Rule::DEFAULT.with(asked)),
        Some(Reader::Images(rule)) => Some(rule.with(asked)),
        Some(Reader::Embedded | Reader::Files(_)) => None,
    }
}

/// Whether the set `name` shows dark writing on light paper, as the MAT files of characters do, rather than the reverse.
pub fn has_dark_ink(name: &str) -> bool {
    catalogue::lookup(name).is_some_and(|info| info.files.iter().any(|file| file.ends_with(".mat")))
}

/// What a set's images and classes are, without its images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// The name it is asked for by.
    pub name: String,
    /// An image's channels, height and width.
    pub input: [usize; 3],
    /// The number of classes.
    pub classes: usize,
}

/// What is known of a set before it is loaded: of a known one without looking for it, of a folder by listing it.
///
/// # Errors
/// As [`load_with`], but for what only decoding shows.
pub fn outline(name: &str, data_dir: Option<&Path>, asked: &ImageOptions) -> Result<Outline> {
    asked.validate()?;
    if let Some(info) = catalogue::lookup(name) {
        let input = match info.reader {
            Reader::Images(rule) => rule.with(asked).input(),
            Reader::Embedded | Reader::Files(_) => {
                own_size(info, asked)?;
                info.input
            }
        };
        return Ok(Outline { name: info.name.into(), input, classes: info.class_count()? });
    }
    match locate::locate(name, data_dir)? {
        Located::Images(place, rule) => {
            let listing = folder::Listing::scan(&place.path)?;
            Ok(Outline { name: place.name, input: rule.with(asked).input(), classes: listing.classes.len() })
        }
        Located::Files(info, ..) | Located::Embedded(info) => {
            Ok(Outline { name: info.name.into(), input: info.input, classes: info.class_count()? })
        }
    }
}

/// Refuses to bring a set of one published size to another.
fn own_size(info: &Info, asked: &ImageOptions) -> Result<()> {
    let [channels, height, width] = info.input;
    let other = asked.size.is_some_and(|size| size.sides() != [height, width]);
    if other || asked.channels.is_some_and(|asked| asked != channels) {
        return Err(Error::usage(format!(
            "Another size was asked for, but the images of {} are {channels} x {height} x {width} as published; size, fit \
             and channels are for folders of images.",
            info.name
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paper_of_a_set_is_known() {
        assert!(
            has_dark_ink("emnist36") && has_dark_ink("nist26") && !has_dark_ink("mnist") && !has_dark_ink("a/folder")
        );
    }

    #[test]
    fn a_set_that_is_nowhere_names_the_folder_and_the_files() {
        let sentence = load("mnist", Some(Path::new("/nowhere"))).expect_err("missing").to_string();
        assert!(sentence.contains("/nowhere") && sentence.contains("train-images-idx3-ubyte"), "{sentence}");
        let sentence = load("mnits", None).expect_err("unknown").to_string();
        assert!(sentence.contains("`mnist`"), "{sentence}");
    }
}
