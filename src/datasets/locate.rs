//! Finding datasets on disk.

use super::catalogue;
use super::directories::data_directories;
use super::folder::ImageFolder;
use super::info::{DatasetInfo, LoadMethod};
use super::{pretrained, sources};
use crate::data::Dataset;
use crate::images::Preprocessing;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// A dataset that was found.
pub(super) enum Located {
    /// It is embedded in the program.
    Embedded(&'static DatasetInfo),
    /// Files in a format of their own, the function that loads them, and the data directory that has them.
    Files(&'static DatasetInfo, fn(&DatasetInfo, &Path) -> Result<Dataset>, PathBuf),
    /// A folder of images, and its default preprocessing.
    Images(ImageFolder, Preprocessing),
}

/// Resolves a dataset name: an alias of a known dataset to its name, the path of a folder of images to itself.
///
/// # Errors
/// [`Error::Usage`] when it is neither.
pub fn name_of(name: &str, data_dir: Option<&Path>) -> Result<String> {
    match catalogue::lookup(name) {
        Some(info) => Ok(info.name.into()),
        None => folder_of_images(name, data_dir).map(|_| name.into()),
    }
}

/// The path of a model's ImageNet weights: `file`, or else the file of their makers, in the first data directory that has one.
///
/// # Errors
/// [`Error::Usage`] when none has it.
pub fn weights_file(model: &str, file: &str, data_dir: Option<&Path>) -> Result<PathBuf> {
    // `data_dir` may have images only, so the default directories are searched too.
    let mut candidates = data_directories(data_dir);
    candidates
        .extend(data_directories(None).into_iter().filter(|other| !candidates.contains(other)).collect::<Vec<_>>());
    let published = pretrained::find(model).ok();
    let in_it = |directory: &PathBuf| {
        let makers = published.map(|weights| weights.path(directory));
        [directory.join(file)].into_iter().chain(makers).collect::<Vec<_>>()
    };
    let candidates: Vec<PathBuf> = candidates.iter().flat_map(in_it).collect();
    if let Some(found) = candidates.iter().find(|path| path.is_file()) {
        return Ok(found.clone());
    }
    let looked: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
    let looked = if looked.is_empty() { "no data directory is known".into() } else { looked.join(" and ") };
    Err(Error::usage(format!(
        "The ImageNet weights of {model} were not found (looked for {looked}). `gpunn weights get {model}` downloads them; name \
         another file with --pretrained. `gpunn train --scratch` trains without them."
    )))
}

/// Finds a dataset by its name, or a folder of images by its path.
pub(super) fn locate(name: &str, data_dir: Option<&Path>) -> Result<Located> {
    let Some(info) = catalogue::lookup(name) else {
        return Ok(Located::Images(folder_of_images(name, data_dir)?, Preprocessing::DEFAULT));
    };
    match info.load_method {
        LoadMethod::Embedded => Ok(Located::Embedded(info)),
        LoadMethod::Files(read) => Ok(Located::Files(info, read, directory_of(info, data_dir)?)),
        LoadMethod::Images(preprocessing) => {
            let directory = directory_of(info, data_dir)?;
            let path = directory.join(info.folder);
            Ok(Located::Images(ImageFolder { name: info.name.into(), path, directory: Some(directory) }, preprocessing))
        }
    }
}

/// The first data directory that has a known dataset's folder or archive.
fn directory_of(info: &DatasetInfo, data_dir: Option<&Path>) -> Result<PathBuf> {
    let directories = data_directories(data_dir);
    let has = |directory: &&PathBuf| {
        let archive = info.archive.is_some_and(|archive| directory.join(archive).is_file());
        archive || directory.join(info.folder).is_dir()
    };
    if let Some(found) = directories.iter().find(has) {
        return std::fs::canonicalize(found).map_err(Error::file("cannot open the data directory", found));
    }
    let looked: Vec<String> = directories.iter().map(|d| d.join(info.folder).display().to_string()).collect();
    let looked = if looked.is_empty() { "no data directory is known".into() } else { looked.join(" and ") };
    let (files, folder, name) = (info.files.join(", "), info.folder, info.name);
    let not_found = format!("The dataset {name} was requested, but there is no such folder (looked for {looked}).");
    Err(Error::usage(match sources::source(name) {
        Some(_) => format!(
            "{not_found} `gpunn data get {name}` downloads it; or put {files} into the folder {folder} of a data directory \
             and name that with --data-dir or GPUNN_DATA."
        ),
        None => format!(
            "{not_found} Put {files} into the folder {folder} of a data directory and name that with --data-dir or \
             GPUNN_DATA; `gpunn data info {name}` says where to get them."
        ),
    }))
}

/// Finds a folder of images: in `data_dir`, then in the working directory, then in the other data directories.
fn folder_of_images(name: &str, data_dir: Option<&Path>) -> Result<ImageFolder> {
    let here = PathBuf::from(name);
    let directories = data_directories(data_dir);
    let mut candidates: Vec<PathBuf> = directories.iter().map(|directory| directory.join(name)).collect();
    candidates.insert(usize::from(data_dir.is_some()), here.clone());
    if let Some(found) = candidates.iter().find(|path| !name.is_empty() && path.is_dir()) {
        let path = std::fs::canonicalize(found).map_err(Error::file("cannot open the folder", found))?;
        return Ok(image_folder(path));
    }
    if here.exists() {
        return Err(Error::usage(format!(
            "{name} is a file, not a dataset; give a folder that has one folder of images for each class."
        )));
    }
    if name.contains(['/', '\\']) {
        return Err(Error::usage(format!(
            "There is no folder {name}. Give a folder that has one folder of images for each class, or the name of a known dataset; \
             `gpunn data list` prints them."
        )));
    }
    Err(catalogue::unknown(name, ", and no folder of this name here or in a data directory"))
}

/// Names a folder of images after its last path component. A folder with the name of a known dataset gets its full path as
/// its name, so that the name finds it again.
fn image_folder(path: PathBuf) -> ImageFolder {
    let own = path.file_name().and_then(|name| name.to_str()).filter(|name| catalogue::lookup(name).is_none());
    match (own, path.parent()) {
        (Some(own), Some(parent)) => ImageFolder { name: own.into(), directory: Some(parent.to_owned()), path },
        _ => ImageFolder { name: path.display().to_string(), directory: None, path },
    }
}
