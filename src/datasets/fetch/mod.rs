//! Downloads datasets, and pretrained weights, from their published addresses.

mod emnist36;
mod layout;
mod pretrained;
mod transfer;

pub use layout::lay_out;
pub use pretrained::{get_weights, get_weights_from};
pub use transfer::Progress;

use super::catalogue;
use super::directories::data_directories;
use super::info::DatasetInfo;
use super::sources::{Content, Source, source};
use crate::files::AtomicFile;
use crate::formats::tar_gz;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// The result of [`get`] and [`get_weights`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchOutcome {
    /// The dataset already exists in this folder, or the weights in this file.
    AlreadyPresent(PathBuf),
    /// The dataset was downloaded or laid out in this folder, or the weights in this file.
    Fetched(PathBuf),
}

/// Downloads a known dataset into the data directory `data_dir`. The default is the directory in `GPUNN_DATA`, or else the
/// user's cache folder. Each file is written with the suffix `.part` first. An interrupted download is continued. The file
/// gets its name when its digest is correct. An archive is extracted and then removed.
///
/// # Errors
/// [`Error::Usage`] for an unknown dataset, for one that cannot be downloaded, and without a data directory; else as
/// [`get_from`].
pub fn get(name: &str, data_dir: Option<&Path>, progress: Progress) -> Result<FetchOutcome> {
    let info = catalogue::find(name)?;
    let Some(source) = source(info.name) else {
        return Err(Error::usage(format!("{} cannot be downloaded automatically: {}", info.name, info.where_from)));
    };
    get_from(source, &directory_for(data_dir)?, progress)
}

/// The data directory for new datasets.
fn directory_for(data_dir: Option<&Path>) -> Result<PathBuf> {
    let directory = data_directories(data_dir).into_iter().next();
    directory
        .ok_or_else(|| Error::usage("No data directory is known; name one with --data-dir or GPUNN_DATA.".to_owned()))
}

/// Downloads a known dataset from another `source` into `directory`, like [`get`].
///
/// # Errors
/// [`Error::Network`] when no address has a file or the connection breaks, [`Error::Data`] for a wrong digest or a damaged
/// archive, [`Error::File`] when a file cannot be written.
pub fn get_from(source: &Source, directory: &Path, progress: Progress) -> Result<FetchOutcome> {
    let info = catalogue::find(source.name)?;
    let folder = directory.join(info.folder);
    let there = match source.content {
        Content::Files => source.files.iter().all(|file| folder.join(file.name).is_file()),
        Content::Folder | Content::Letters => info.files.iter().all(|file| folder.join(file).is_file()),
    };
    if there {
        return Ok(FetchOutcome::AlreadyPresent(folder));
    }
    make(directory)?;
    if source.content == Content::Files {
        make(&folder)?;
        for file in source.files {
            transfer::fetch(source.addresses, &file.into(), &folder.join(file.name), progress)?;
        }
        return Ok(FetchOutcome::Fetched(folder));
    }
    let [file] = source.files else { return Err(Error::usage(format!("{} has to be one archive.", source.name))) };
    let archive = directory.join(file.name);
    transfer::fetch(source.addresses, &file.into(), &archive, progress)?;
    if source.content == Content::Letters {
        emnist36::make(&archive, directory, progress)?;
    } else {
        // Not earlier, because an existing folder counts as the dataset.
        make(&folder)?;
        unpack(info, &archive, &folder)?;
    }
    std::fs::remove_file(&archive).map_err(Error::file("cannot remove", &archive))?;
    Ok(FetchOutcome::Fetched(folder))
}

fn make(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(Error::file("cannot make the folder", folder))
}

/// Extracts the files of the dataset, each as an atomic write. Other files of the archive are left out.
fn unpack(info: &DatasetInfo, archive: &Path, folder: &Path) -> Result<()> {
    tar_gz::each(archive, info.folder, |name, content| {
        if !info.files.contains(&name) {
            return Ok(());
        }
        let path = folder.join(name);
        let mut file = AtomicFile::create(&path)?;
        std::io::copy(content, &mut file).map_err(|error| tar_gz::damaged(archive, &error))?;
        file.commit()
    })?;
    if let Some(missing) = info.files.iter().find(|file| !folder.join(file).is_file()) {
        return Err(Error::data(format!("{} has no {missing}; it is not the published archive.", archive.display())));
    }
    Ok(())
}
