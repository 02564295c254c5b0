//! CIFAR-10 and CIFAR-100 in their binary version, from the extracted folder or from the archive.

use super::info::DatasetInfo;
use crate::data::{Dataset, Pixels, Split};
use crate::error::all_or_first;
use crate::formats::{cifar, read_up_to, tar_gz};
use crate::{Error, Result};
use rayon::prelude::*;
use std::collections::HashMap;
use std::path::Path;

/// The names and layouts of a dataset's files.
struct Files {
    train: &'static [&'static str],
    test: &'static str,
    names: &'static str,
    train_layout: cifar::CifarLayout,
    test_layout: cifar::CifarLayout,
}

const CIFAR10: Files = Files {
    train: &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"],
    test: "test_batch.bin",
    names: "batches.meta.txt",
    train_layout: cifar::CifarLayout { records: 10_000, labels: 1, classes: 10 },
    test_layout: cifar::CifarLayout { records: 10_000, labels: 1, classes: 10 },
};
const CIFAR100: Files = Files {
    train: &["train.bin"],
    test: "test.bin",
    names: "fine_label_names.txt",
    train_layout: cifar::CifarLayout { records: 50_000, labels: 2, classes: 100 },
    test_layout: cifar::CifarLayout { records: 10_000, labels: 2, classes: 100 },
};

/// The content of a file, and its name for error messages.
type NamedBytes = (Vec<u8>, String);

/// Loads dataset `info` from its folder in `directory`, or from its archive.
///
/// # Errors
/// [`Error::Usage`] for missing files, [`Error::Data`] for damaged or wrong files.
pub fn load(info: &DatasetInfo, directory: &Path) -> Result<Dataset> {
    let files = if info.name == "cifar100" { CIFAR100 } else { CIFAR10 };
    let mut contents = read(info, &files, directory)?;
    let mut take = |name: &str| {
        contents.remove(name).ok_or_else(|| {
            Error::usage(format!(
                "The dataset {} was requested, but {} is not in {}; it needs {}. `gpunn data get {}` downloads it.",
                info.name,
                name,
                directory.join(info.folder).display(),
                info.files.join(", "),
                info.name
            ))
        })
    };
    let classes = class_names(&take(files.names)?, files.test_layout.classes)?;
    let train: Vec<NamedBytes> = files.train.iter().map(|name| take(name)).collect::<Result<_>>()?;
    let test = take(files.test)?;
    let (train, test) = rayon::join(|| split(train, files.train_layout), || split(vec![test], files.test_layout));
    Ok(info.dataset(directory, classes, train?, test?))
}

/// Reads the dataset's files that exist, by name.
fn read(info: &DatasetInfo, files: &Files, directory: &Path) -> Result<HashMap<String, NamedBytes>> {
    let wanted: Vec<&str> = files.train.iter().copied().chain([files.test, files.names]).collect();
    let folder = directory.join(info.folder);
    if folder.is_dir() {
        let there: Vec<&&str> = wanted.iter().filter(|name| folder.join(name).exists()).collect();
        let content = |name: &&&str| {
            let path = folder.join(name);
            let bytes = std::fs::read(&path).map_err(Error::file("cannot read", &path))?;
            Ok(((**name).to_owned(), (bytes, path.display().to_string())))
        };
        return all_or_first(there.par_iter().map(content).collect());
    }
    let archive = directory.join(info.archive.unwrap_or_default());
    let mut contents = HashMap::new();
    // One more byte than the longest file shows a file that is too long.
    let limit = files.train_layout.bytes().max(files.test_layout.bytes()) as u64 + 1;
    tar_gz::each(&archive, info.folder, |name, content| {
        if wanted.contains(&name) {
            let mut bytes = Vec::new();
            read_up_to(content, limit, &mut bytes).map_err(|error| tar_gz::damaged(&archive, &error))?;
            contents.insert(name.to_owned(), (bytes, format!("{name} in {}", archive.display())));
        }
        Ok(())
    })?;
    Ok(contents)
}

fn split(files: Vec<NamedBytes>, layout: cifar::CifarLayout) -> Result<Split> {
    let mut pixels = Vec::with_capacity(files.len() * layout.records * cifar::PIXELS);
    let mut labels = Vec::with_capacity(files.len() * layout.records);
    for (bytes, name) in files {
        cifar::parse(&bytes, layout, &name, &mut pixels, &mut labels)?;
    }
    Ok(Split::new(Pixels::U8(pixels), labels))
}

/// Parses the class names: one on each line, ignoring blank lines.
fn class_names((bytes, file): &NamedBytes, classes: u8) -> Result<Vec<String>> {
    let text = String::from_utf8_lossy(bytes);
    let names: Vec<String> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect();
    if names.len() != usize::from(classes) {
        return Err(Error::data(format!(
            "{file} must name {classes} classes, one on each line, but names {}; download it again.",
            names.len()
        )));
    }
    Ok(names)
}
