//! Data sets from the addresses at which their makers publish them.

mod characters;
mod layout;
mod transfer;

pub use layout::lay_out;
pub use transfer::Progress;

use super::catalogue;
use super::info::Info;
use super::locate::data_directories;
use super::sources::{Source, source};
use crate::files::Whole;
use crate::formats::tar_gz;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// What [`get`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Got {
    /// The set was there before.
    Already(PathBuf),
    /// It was fetched into this folder.
    Fetched(PathBuf),
}

/// Fetches a known set into the data directory `data_dir`; without one into the directory that `GPUNN_DATA` names, else
/// the user's cache folder. Each file goes into a `.part` first, is continued where an earlier try stopped, and gets its
/// name when its digest is right; an archive is unpacked and then removed.
///
/// # Errors
/// [`Error::Usage`] for an unknown set, for one without an address (it says where its makers publish it) and where no
/// directory is known; else as [`get_from`].
pub fn get(name: &str, data_dir: Option<&Path>, progress: Progress) -> Result<Got> {
    let info = catalogue::find(name)?;
    let Some(source) = source(info.name) else {
        return Err(Error::usage(format!("{} cannot be fetched from here: {}", info.name, info.where_from)));
    };
    get_from(source, &directory_for(data_dir)?, progress)
}

/// The data directory that sets go into.
fn directory_for(data_dir: Option<&Path>) -> Result<PathBuf> {
    let directory = data_directories(data_dir).into_iter().next();
    directory
        .ok_or_else(|| Error::usage("No data directory is known; name one with --data-dir or GPUNN_DATA.".to_owned()))
}

/// Fetches what `source` names, whose set has to be a known one, into `directory`: as [`get`], from other addresses or of
/// other content.
///
/// # Errors
/// [`Error::Network`] where no address has a file or the connection breaks, [`Error::Data`] for what is not as published
/// and for a damaged archive, [`Error::File`] where the system refuses.
pub fn get_from(source: &Source, directory: &Path, progress: Progress) -> Result<Got> {
    let info = catalogue::find(source.name)?;
    let folder = directory.join(info.folder);
    let archive = source.files.first().filter(|_| source.archive);
    let there = match archive {
        Some(_) => info.files.iter().all(|file| folder.join(file).is_file()),
        None => source.files.iter().all(|file| folder.join(file.name).is_file()),
    };
    if there {
        return Ok(Got::Already(folder));
    }
    match archive {
        Some(file) => {
            let path = directory.join(file.name);
            make(directory)?;
            transfer::fetch(source.addresses, file, &path, progress)?;
            // Not before: a folder that is there is taken for the set.
            make(&folder)?;
            unpack(info, &path, &folder)?;
        }
        None => {
            make(&folder)?;
            for file in source.files {
                transfer::fetch(source.addresses, file, &folder.join(file.name), progress)?;
            }
        }
    }
    Ok(Got::Fetched(folder))
}

fn make(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(Error::file("cannot make the folder", folder))
}

/// Unpacks the files of the set's folder, each whole or absent, and removes the archive.
fn unpack(info: &Info, archive: &Path, folder: &Path) -> Result<()> {
    tar_gz::each(archive, info.folder, |name, content| {
        let path = folder.join(name);
        let mut file = Whole::create(&path)?;
        std::io::copy(content, &mut file).map_err(|error| tar_gz::damaged(archive, &error))?;
        file.keep()
    })?;
    if let Some(missing) = info.files.iter().find(|file| !folder.join(file).is_file()) {
        return Err(Error::data(format!("{} holds no {missing}; it is not the published archive.", archive.display())));
    }
    std::fs::remove_file(archive).map_err(Error::file("cannot remove", archive))
}
