//! Converts published datasets with another layout into the layout that is loaded here.

use super::{FetchOutcome, directory_for, emnist36, make};
use crate::datasets::catalogue;
use crate::files::AtomicFile;
use crate::formats::{mat, tar_gz};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// The class folders of `flowers17` in the order of the photos' numbers, 80 photos for each.
const FLOWERS: [&str; 17] = [
    "daffodil",
    "snowdrop",
    "lily_valley",
    "bluebell",
    "crocus",
    "iris",
    "tigerlily",
    "tulip",
    "fritillary",
    "sunflower",
    "daisy",
    "colts_foot",
    "dandelion",
    "cowslip",
    "buttercup",
    "windflower",
    "pansy",
];
/// Photos of each class.
const EACH: usize = 80;
/// The archive of `flowers17`, the folder in it, and the file of its splits.
const FLOWERS_ARCHIVE: &str = "17flowers.tgz";
const FLOWERS_FOLDER: &str = "jpg";
const FLOWERS_SPLITS: &str = "datasplits.mat";
/// The variables of the first of the three published divisions into splits, and the names of the splits here.
const FLOWERS_VARIABLES: [(&str, &str); 3] = [("trn1", "train"), ("val1", "val"), ("tst1", "test")];
/// The lists of `sun8`, with one path on each line, and the names of the splits here.
const SCENES_LISTS: [(&str, &str); 2] = [("train_files.txt", "train"), ("test_files.txt", "test")];

/// The target path of each image in the dataset's folder, by its path in the published files.
type TargetPaths = BTreeMap<String, PathBuf>;

/// Lays out a dataset in the data directory of [`get`](super::get), from the published files in the folder `from`. The
/// dataset's folder appears only when it is complete. The files are:
/// - `flowers17`: `17flowers.tgz` (or the folder `jpg` in it) and `datasplits.mat`. The first published division is used.
/// - `sun8`: the class folders, `train_files.txt` and `test_files.txt`.
/// - `emnist36`: the letters of EMNIST and the digits of MNIST.
///
/// # Errors
/// [`Error::Usage`] for other datasets, [`Error::Data`] for wrong files, [`Error::File`] for missing files and when writing
/// fails.
pub fn lay_out(name: &str, from: &Path, data_dir: Option<&Path>) -> Result<FetchOutcome> {
    let info = catalogue::find(name)?;
    let lay: fn(&Path, &Path) -> Result<()> = match info.name {
        "flowers17" => flowers,
        "sun8" => scenes,
        "emnist36" => emnist36::build,
        other => {
            return Err(Error::usage(format!(
                "--from lays out emnist36, flowers17 and sun8; {other} is loaded as published: put its files into a data \
                 directory. {}",
                info.where_from
            )));
        }
    };
    let directory = directory_for(data_dir)?;
    let folder = directory.join(info.folder);
    if folder.exists() {
        return Ok(FetchOutcome::AlreadyPresent(folder));
    }
    let part = directory.join(format!("{}.part", info.folder));
    remove(&part)?;
    make(&part)?;
    let laid = lay(from, &part)
        .and_then(|()| std::fs::rename(&part, &folder).map_err(Error::file("cannot make the folder", &folder)));
    if laid.is_err() {
        remove(&part)?;
    }
    laid.map(|()| FetchOutcome::Fetched(folder))
}

fn remove(part: &Path) -> Result<()> {
    match std::fs::remove_dir_all(part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file("cannot remove", part)(error)),
        _ => Ok(()),
    }
}

fn flowers(from: &Path, to: &Path) -> Result<()> {
    let places = flowers_places(&from.join(FLOWERS_SPLITS))?;
    let (folder, archive) = (from.join(FLOWERS_FOLDER), from.join(FLOWERS_ARCHIVE));
    if folder.is_dir() || !archive.exists() {
        return copy_all(&folder, &places, to);
    }
    let mut taken = 0;
    tar_gz::each(&archive, FLOWERS_FOLDER, |name, content| {
        let Some(place) = places.get(name) else { return Ok(()) };
        taken += 1;
        let mut file = created(&to.join(place))?;
        std::io::copy(content, &mut file).map_err(|error| tar_gz::damaged(&archive, &error))?;
        file.commit()
    })?;
    match taken == places.len() {
        true => Ok(()),
        false => Err(Error::data(format!(
            "{} has {taken} of the {} photos in {FLOWERS_SPLITS}; it is not the published archive.",
            archive.display(),
            places.len()
        ))),
    }
}

/// The target paths of the photos.
fn flowers_places(splits: &Path) -> Result<TargetPaths> {
    let matrices = mat::read(splits)?;
    let mut places = TargetPaths::new();
    for (variable, part) in FLOWERS_VARIABLES {
        let matrix = matrices.iter().find(|matrix| matrix.name == variable).ok_or_else(|| {
            Error::data(format!("{} has no variable `{variable}`; it is not the published file.", splits.display()))
        })?;
        for &value in &matrix.values {
            let number = (1..=EACH * FLOWERS.len()).find(|&number| number as f32 == value).ok_or_else(|| {
                Error::data(format!(
                    "{}: `{variable}` names photo {value}, but they are numbered from 1 to {}.",
                    splits.display(),
                    EACH * FLOWERS.len()
                ))
            })?;
            let name = format!("image_{number:04}.jpg");
            let place = Path::new(part).join(FLOWERS[(number - 1) / EACH]).join(&name);
            if places.insert(name, place).is_some() {
                return Err(Error::data(format!("{} names photo {number} twice in one split.", splits.display())));
            }
        }
    }
    Ok(places)
}

fn scenes(from: &Path, to: &Path) -> Result<()> {
    let mut places = TargetPaths::new();
    for (list, part) in SCENES_LISTS {
        let path = from.join(list);
        let text = std::fs::read_to_string(&path).map_err(Error::file("cannot read the list", &path))?;
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let name = line.trim();
            let inside: Vec<Component> = Path::new(name).components().collect();
            let ([Component::Normal(_), Component::Normal(_)], None) = (&inside[..], places.get(name)) else {
                return Err(Error::data(format!(
                    "{}, line {number}: `{name}` is not a unique path of an image, as in aquarium/sun_1.jpg.",
                    path.display()
                )));
            };
            places.insert(name.into(), Path::new(part).join(name));
        }
    }
    copy_all(from, &places, to)
}

/// Copies files from a folder to their target paths in another one.
fn copy_all(from: &Path, places: &TargetPaths, to: &Path) -> Result<()> {
    for (name, place) in places {
        let source = from.join(name);
        let mut image = std::fs::File::open(&source).map_err(Error::file("cannot read the image", &source))?;
        let place = to.join(place);
        let mut file = created(&place)?;
        std::io::copy(&mut image, &mut file).map_err(Error::file("cannot copy to", &place))?;
        file.commit()?;
    }
    Ok(())
}

/// Opens a file for writing and creates its folder.
fn created(path: &Path) -> Result<AtomicFile> {
    path.parent().map_or(Ok(()), make)?;
    AtomicFile::create(path)
}
