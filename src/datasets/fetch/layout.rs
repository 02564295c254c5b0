//! Sets of images whose makers hand them out in another shape than a folder a class: laid out from their files.

use super::{Got, characters, directory_for, make};
use crate::datasets::catalogue;
use crate::files::Whole;
use crate::formats::{mat, tar_gz};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// The flowers' kinds in the order of the photos' numbers, 80 of each, by the names of their folders here.
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
/// Photos of each kind.
const EACH: usize = 80;
/// The flowers' archive, the folder in it, and the file that says which photo is of which split.
const FLOWERS_ARCHIVE: &str = "17flowers.tgz";
const FLOWERS_FOLDER: &str = "jpg";
const FLOWERS_SPLITS: &str = "datasplits.mat";
/// The first of the three splits that the flowers' makers publish: its variables, and what they are here.
const FLOWERS_PARTS: [(&str, &str); 3] = [("trn1", "train"), ("val1", "val"), ("tst1", "test")];
/// The scenes' lists, a path a line, and what they are here.
const SCENES_LISTS: [(&str, &str); 2] = [("train_files.txt", "train"), ("test_files.txt", "test")];

/// Where each image goes within the set's folder, by its path in what the makers hand out.
type Places = BTreeMap<String, PathBuf>;

/// Lays a set out in the data directory, as [`super::get`] would choose it, from the files in the folder `from` that its
/// makers hand out: of `flowers17` the photos (`17flowers.tgz`, or the folder `jpg` in it) and `datasplits.mat`, whose first
/// split is taken; of `sun8` the folders of its classes with `train_files.txt` and `test_files.txt`; of `emnist36` the letters of
/// EMNIST and MNIST, as `characters.rs` says. The set's folder is whole or absent.
///
/// # Errors
/// [`Error::Usage`] for other sets, [`Error::Data`] for files that are not as published, [`Error::File`] for those that are not
/// there and where the system refuses.
pub fn lay_out(name: &str, from: &Path, data_dir: Option<&Path>) -> Result<Got> {
    let info = catalogue::find(name)?;
    let lay: fn(&Path, &Path) -> Result<()> = match info.name {
        "flowers17" => flowers,
        "sun8" => scenes,
        "emnist36" => characters::build,
        other => {
            return Err(Error::usage(format!(
                "--from lays out emnist36, flowers17 and sun8; {other} is read as its makers publish it: put its files into a data \
                 directory. {}",
                info.where_from
            )));
        }
    };
    let directory = directory_for(data_dir)?;
    let folder = directory.join(info.folder);
    if folder.exists() {
        return Ok(Got::Already(folder));
    }
    let part = directory.join(format!("{}.part", info.folder));
    remove(&part)?;
    make(&part)?;
    let laid = lay(from, &part)
        .and_then(|()| std::fs::rename(&part, &folder).map_err(Error::file("cannot make the folder", &folder)));
    if laid.is_err() {
        remove(&part)?;
    }
    laid.map(|()| Got::Fetched(folder))
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
        file.keep()
    })?;
    match taken == places.len() {
        true => Ok(()),
        false => Err(Error::data(format!(
            "{} holds {taken} of the {} photos that {FLOWERS_SPLITS} names; it is not the published archive.",
            archive.display(),
            places.len()
        ))),
    }
}

/// Where the photos of the first split go.
fn flowers_places(splits: &Path) -> Result<Places> {
    let matrices = mat::read(splits)?;
    let mut places = Places::new();
    for (variable, part) in FLOWERS_PARTS {
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
    let mut places = Places::new();
    for (list, part) in SCENES_LISTS {
        let path = from.join(list);
        let text = std::fs::read_to_string(&path).map_err(Error::file("cannot read the list", &path))?;
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let name = line.trim();
            let inside: Vec<Component> = Path::new(name).components().collect();
            let ([Component::Normal(_), Component::Normal(_)], None) = (&inside[..], places.get(name)) else {
                return Err(Error::data(format!(
                    "{}, line {number}: `{name}` is no image of its own, as in aquarium/sun_1.jpg.",
                    path.display()
                )));
            };
            places.insert(name.into(), Path::new(part).join(name));
        }
    }
    copy_all(from, &places, to)
}

/// Copies files from a folder to their places in another.
fn copy_all(from: &Path, places: &Places, to: &Path) -> Result<()> {
    for (name, place) in places {
        let source = from.join(name);
        let mut image = std::fs::File::open(&source).map_err(Error::file("cannot read the image", &source))?;
        let place = to.join(place);
        let mut file = created(&place)?;
        std::io::copy(&mut image, &mut file).map_err(Error::file("cannot copy to", &place))?;
        file.keep()?;
    }
    Ok(())
}

/// A file to be written, in a folder that is made where it is not there.
fn created(path: &Path) -> Result<Whole> {
    path.parent().map_or(Ok(()), make)?;
    Whole::create(path)
}
