//! Datasets on disk: published datasets in their own formats, and folders of images.
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
mod directories;
#[cfg(feature = "download")]
pub mod fetch;
pub mod folder;
mod idx_sets;
mod info;
mod locate;
mod mat_sets;
mod options;
pub mod pretrained;
pub mod sources;

pub use catalogue::{find, known};
pub use directories::cache_dir;
pub use folder::{FolderCheck, LeftOut, Listing, Place, Store};
pub use info::DatasetInfo;
pub use locate::{name_of, weights_file};
pub use options::{Labels, LoadOptions};

use std::path::{Path, PathBuf};

use crate::data::{Dataset, ImageOptions, glyphs};
use crate::images::Preprocessing;
use crate::{Error, Result};
use info::LoadMethod;
use locate::Located;

/// Loads a dataset by its name, or a folder of images by its path, with [`LoadOptions::default`].
///
/// # Errors
/// As [`load_with`].
pub fn load(name: &str, data_dir: Option<&Path>) -> Result<Dataset> {
    load_with(name, data_dir, &LoadOptions::default())
}

/// The classes and images of a folder of images. `None` if the name is that of a known dataset.
///
/// # Errors
/// [`Error::Usage`] when there is no such folder, and as [`Listing::of`].
pub fn list_folder(name: &str, data_dir: Option<&Path>, labels: Option<&Labels>) -> Result<Option<Listing>> {
    match (catalogue::lookup(name), locate::locate(name, data_dir)?) {
        (None, Located::Images(image_folder, _)) => Listing::of(&image_folder.path, labels).map(Some),
        _ => Ok(None),
    }
}

/// Checks a folder of images, without training: see [`FolderCheck`].
///
/// # Errors
/// [`Error::Usage`] for the name of a dataset that is not a folder of images, and as [`Listing::scan`].
pub fn check_folder(name: &str, data_dir: Option<&Path>, labels: Option<&Labels>) -> Result<FolderCheck> {
    match locate::locate(name, data_dir)? {
        Located::Images(image_folder, _) => FolderCheck::of(&image_folder.path, labels),
        Located::Files(info, ..) | Located::Embedded(info) => Err(Error::usage(format!(
            "The dataset {} is not a folder of images, so there is nothing to check.",
            info.name
        ))),
    }
}

/// What is probably not meant in a folder of images, in sentences: files that are left out, and equal files in several classes or
/// splits. [`check_folder`] checks more, but decodes all images. Nothing for other datasets.
///
/// # Errors
/// As [`Listing::scan`].
pub fn folder_notes(dataset: &Dataset, labels: Option<&Labels>) -> Result<Vec<String>> {
    match locate::locate(&dataset.name, dataset.folder.as_deref())? {
        Located::Images(image_folder, _) => folder::notes(&image_folder.path, dataset, labels),
        Located::Files(..) | Located::Embedded(_) => Ok(Vec::new()),
    }
}

/// The path of the file of labels of a folder of images: as it is named, else in the folder or beside it.
///
/// # Errors
/// [`Error::Usage`] when there is no such file or folder, and for a dataset that is not a folder of images.
pub fn labels_file(name: &str, data_dir: Option<&Path>, labels: &Labels) -> Result<PathBuf> {
    match locate::locate(name, data_dir)? {
        Located::Images(image_folder, _) => folder::find_labels(labels, &image_folder.path),
        Located::Files(info, ..) | Located::Embedded(info) => Err(no_labels_from_file(info)),
    }
}

fn no_labels_from_file(info: &DatasetInfo) -> Error {
    Error::usage(format!(
        "The dataset {} has its labels as published; a file of labels (--labels) is for folders of images.",
        info.name
    ))
}

/// Loads a dataset by its name, or a folder of images by its path.
///
/// A named dataset is a folder in a data directory. With `data_dir`, only that directory is searched. Otherwise the directory
/// in the environment variable `GPUNN_DATA` is searched first, then [`cache_dir`]. A folder of images is searched in
/// `data_dir` first, then in the working directory, then in the other data directories.
///
/// # Errors
/// [`Error::Usage`] for an unknown name, for a dataset that no data directory has, and for another image size than that of a
/// dataset with a fixed one; [`Error::Data`] and [`Error::File`] for files that are damaged or cannot be read.
pub fn load_with(name: &str, data_dir: Option<&Path>, options: &LoadOptions) -> Result<Dataset> {
    options.image_options.validate()?;
    match locate::locate(name, data_dir)? {
        Located::Images(image_folder, preprocessing) => {
            folder::load(&image_folder, preprocessing.with(&options.image_options), options)
        }
        Located::Files(info, ..) | Located::Embedded(info) if options.labels.is_some() => {
            Err(no_labels_from_file(info))
        }
        Located::Files(info, read, directory) => {
            check_fixed_size(info, &options.image_options)?;
            read(info, &directory)
        }
        Located::Embedded(info) => {
            check_fixed_size(info, &options.image_options)?;
            Ok(glyphs::dataset())
        }
    }
}

/// Opens the decoded images of a folder in the cache, for datasets that do not fit into memory. The images are decoded first
/// if the cache does not have them.
///
/// # Errors
/// As [`load_with`]; [`Error::Usage`] for a dataset that is not a folder of images, and without a cache folder;
/// [`Error::File`] when the cache cannot be written.
pub fn open_store(name: &str, data_dir: Option<&Path>, options: &LoadOptions) -> Result<Store> {
    options.image_options.validate()?;
    match locate::locate(name, data_dir)? {
        Located::Images(image_folder, preprocessing) => {
            folder::store(&image_folder, preprocessing.with(&options.image_options), options)
        }
        Located::Files(info, ..) | Located::Embedded(info) => Err(Error::usage(format!(
            "The dataset {} is not a folder of images; it is always loaded into memory.",
            info.name
        ))),
    }
}

/// The preprocessing of the images of dataset `name`, with the requested options. `None` for datasets with a fixed size. An
/// unknown name means a folder of images.
pub fn preprocessing(name: &str, asked: &ImageOptions) -> Option<Preprocessing> {
    match catalogue::lookup(name).map(|info| info.load_method) {
        None => Some(Preprocessing::DEFAULT.with(asked)),
        Some(LoadMethod::Images(preprocessing)) => Some(preprocessing.with(asked)),
        Some(LoadMethod::Embedded | LoadMethod::Files(_)) => None,
    }
}

/// Whether dataset `name` shows dark characters on a light background, as the MAT files do, and not the reverse.
pub fn has_dark_ink(name: &str) -> bool {
    catalogue::lookup(name).is_some_and(|info| info.files.iter().any(|file| file.ends_with(".mat")))
}

/// The image shape and the number of classes of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// The name that loads it.
    pub name: String,
    /// An image's channels, height and width.
    pub input: [usize; 3],
    /// The number of classes.
    pub classes: usize,
}

/// The outline of a dataset, without loading it. For a known dataset no file is read; a folder is listed.
///
/// # Errors
/// As [`load_with`], except errors that only decoding can find.
pub fn outline(name: &str, data_dir: Option<&Path>, asked: &ImageOptions, labels: Option<&Labels>) -> Result<Outline> {
    asked.validate()?;
    if let (Some(info), None) = (catalogue::lookup(name), labels) {
        let input = match info.load_method {
            LoadMethod::Images(preprocessing) => preprocessing.with(asked).input(),
            LoadMethod::Embedded | LoadMethod::Files(_) => {
                check_fixed_size(info, asked)?;
                info.input
            }
        };
        return Ok(Outline { name: info.name.into(), input, classes: info.class_count()? });
    }
    match locate::locate(name, data_dir)? {
        Located::Images(image_folder, preprocessing) => {
            let listing = folder::Listing::of(&image_folder.path, labels)?;
            Ok(Outline {
                name: image_folder.name,
                input: preprocessing.with(asked).input(),
                classes: listing.classes.len(),
            })
        }
        Located::Files(info, ..) | Located::Embedded(info) => {
            Ok(Outline { name: info.name.into(), input: info.input, classes: info.class_count()? })
        }
    }
}

/// Refuses another image size for a dataset with a fixed one.
fn check_fixed_size(info: &DatasetInfo, asked: &ImageOptions) -> Result<()> {
    let [channels, height, width] = info.input;
    let other = asked.size.is_some_and(|size| size.sides() != [height, width]);
    if other || asked.channels.is_some_and(|asked| asked != channels) {
        return Err(Error::usage(format!(
            "Another size was requested, but the images of {} are {channels} x {height} x {width} as published, and only the \
             images of folders are resized. Leave out --size, --fit and --channels; if the recipe has them, choose another \
             with --recipe.",
            info.name
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ink_of_known_datasets_is_dark_or_light() {
        assert!(
            has_dark_ink("emnist36") && has_dark_ink("nist26") && !has_dark_ink("mnist") && !has_dark_ink("a/folder")
        );
    }

    #[test]
    fn a_missing_dataset_names_the_folder_and_the_files() {
        let sentence = load("mnist", Some(Path::new("/nowhere"))).expect_err("missing").to_string();
        assert!(sentence.contains("/nowhere") && sentence.contains("train-images-idx3-ubyte"), "{sentence}");
        let sentence = load("mnits", None).expect_err("unknown").to_string();
        assert!(sentence.contains("`mnist`"), "{sentence}");
    }
}
