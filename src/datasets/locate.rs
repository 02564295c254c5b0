//! Where data sets lie.

use super::catalogue;
use super::folder::Place;
use super::info::{Info, Reader};
use super::sources;
use crate::data::Dataset;
use crate::images::Rule;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// A set that was found.
pub(super) enum Located {
    /// Inside the program.
    Embedded(&'static Info),
    /// Files of a format of their own, the function that reads them, and the data directory that has them.
    Files(&'static Info, fn(&Info, &Path) -> Result<Dataset>, PathBuf),
    /// A folder of images, with the rule for what is not asked otherwise.
    Images(Place, Rule),
}

/// The folder of the user's own cache that data sets are looked for in last: `gpunn` in `XDG_CACHE_HOME` or `~/.cache`,
/// in `~/Library/Caches` on macOS, in `LOCALAPPDATA` on Windows. `None` where the environment names none of them.
pub fn cache_dir() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let caches = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        variable("HOME").map(|home| home.join("Library/Caches"))
    } else {
        // A relative path there is to be ignored, says the XDG base directory specification.
        let given = variable("XDG_CACHE_HOME").filter(|path| path.is_absolute());
        given.or_else(|| variable("HOME").map(|home| home.join(".cache")))
    };
    caches.map(|caches| caches.join("gpunn"))
}

/// The data directories that are looked in, the first one first.
pub(super) fn data_directories(data_dir: Option<&Path>) -> Vec<PathBuf> {
    match data_dir {
        Some(given) => vec![given.to_owned()],
        None => {
            let named = std::env::var_os("GPUNN_DATA").filter(|value| !value.is_empty()).map(PathBuf::from);
            named.into_iter().chain(cache_dir()).collect()
        }
    }
}

/// The name of the set that `name` asks for: a known set's own name for its aliases, else `name` itself where it leads to a
/// folder.
///
/// # Errors
/// [`Error::Usage`] where it is neither.
pub fn name_of(name: &str, data_dir: Option<&Path>) -> Result<String> {
    match catalogue::lookup(name) {
        Some(info) => Ok(info.name.into()),
        None => folder_of_images(name, data_dir).map(|_| name.into()),
    }
}

/// The file that a model's weights of ImageNet are kept in: `file` in the first data directory that has it.
///
/// # Errors
/// [`Error::Usage`] where none has it, with what to do.
pub fn weights_file(model: &str, file: &str, data_dir: Option<&Path>) -> Result<PathBuf> {
    // A folder of images need not lie where weights do.
    let mut candidates = data_directories(data_dir);
    candidates
        .extend(data_directories(None).into_iter().filter(|other| !candidates.contains(other)).collect::<Vec<_>>());
    let candidates: Vec<PathBuf> = candidates.into_iter().map(|directory| directory.join(file)).collect();
    if let Some(found) = candidates.iter().find(|path| path.is_file()) {
        return Ok(found.clone());
    }
    let looked: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
    let looked = if looked.is_empty() { "no data directory is known".into() } else { looked.join(" and ") };
    Err(Error::usage(format!(
        "The weights of ImageNet for {model} were asked for, but are not there (looked for {looked}). `gpunn data get {model}` \
         says how to get them; name another file with --pretrained, or begin without by --scratch."
    )))
}

/// Finds a set by its name, or a folder of images by its path.
pub(super) fn locate(name: &str, data_dir: Option<&Path>) -> Result<Located> {
    let Some(info) = catalogue::lookup(name) else {
        return Ok(Located::Images(folder_of_images(name, data_dir)?, Rule::DEFAULT));
    };
    match info.reader {
        Reader::Embedded => Ok(Located::Embedded(info)),
        Reader::Files(read) => Ok(Located::Files(info, read, directory_of(info, data_dir)?)),
        Reader::Images(rule) => {
            let directory = directory_of(info, data_dir)?;
            let path = directory.join(info.folder);
            Ok(Located::Images(Place { name: info.name.into(), path, directory: Some(directory) }, rule))
        }
    }
}

/// The data directory that has a known set's folder, or its archive.
fn directory_of(info: &Info, data_dir: Option<&Path>) -> Result<PathBuf> {
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
    let there_is_none =
        format!("The data set {name} was asked for, but there is no such folder (looked for {looked}).");
    Err(Error::usage(match sources::source(name) {
        Some(_) => format!(
            "{there_is_none} `gpunn data get {name}` fetches it; or put {files} into the folder {folder} of a data directory \
             and name that with --data-dir or GPUNN_DATA."
        ),
        None => format!(
            "{there_is_none} Put {files} into the folder {folder} of a data directory and name that with --data-dir or \
             GPUNN_DATA; `gpunn data info {name}` says where to get them."
        ),
    }))
}

/// The folder of images that a name leads to: in the data directory given, where the program runs, in the other data
/// directories.
fn folder_of_images(name: &str, data_dir: Option<&Path>) -> Result<Place> {
    let here = PathBuf::from(name);
    let directories = data_directories(data_dir);
    let mut candidates: Vec<PathBuf> = directories.iter().map(|directory| directory.join(name)).collect();
    candidates.insert(usize::from(data_dir.is_some()), here.clone());
    if let Some(found) = candidates.iter().find(|path| !name.is_empty() && path.is_dir()) {
        let path = std::fs::canonicalize(found).map_err(Error::file("cannot open the folder", found))?;
        return Ok(place(path));
    }
    if here.exists() {
        return Err(Error::usage(format!("{name} is a file; give the folder that holds a folder of images a class.")));
    }
    if name.contains(['/', '\\']) {
        return Err(Error::usage(format!(
            "There is no folder {name}. Give the folder that holds a folder of images a class, or the name of a known set; \
             `gpunn data list` prints them."
        )));
    }
    Err(catalogue::unknown(name))
}

/// A folder's own name, and the folder that it lies in; its whole path where its name is a known set's, so that the name
/// leads back to it.
fn place(path: PathBuf) -> Place {
    let own = path.file_name().and_then(|name| name.to_str()).filter(|name| catalogue::lookup(name).is_none());
    match (own, path.parent()) {
        (Some(own), Some(parent)) => Place { name: own.into(), directory: Some(parent.to_owned()), path },
        _ => Place { name: path.display().to_string(), directory: None, path },
    }
}
