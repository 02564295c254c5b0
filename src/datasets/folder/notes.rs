//! The short check of a folder of images at the start of training. It decodes nothing: equal files are found by the hashes that
//! the dataset has.

use std::collections::BTreeMap;
use std::path::Path;

use super::inspect::{LeftOut, UNNAMED, left_out};
use super::labels::find;
use super::listing::Listing;
use crate::Result;
use crate::data::{Dataset, SplitName};
use crate::datasets::Labels;

/// An image file: its path, split and class.
type Known<'a> = (&'a str, SplitName, u32);

/// Files that are left out, and equal files in several classes or splits, in sentences.
///
/// # Errors
/// As [`Listing::of`].
pub fn notes(folder: &Path, dataset: &Dataset, labels: Option<&Labels>) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    let file = labels.map(|labels| find(labels, folder)).transpose()?;
    let out = left_out(folder, &Listing::of(folder, labels)?)?;
    // Systems put hidden files into folders, which nobody means to be images. The labels themselves may be in the folder, too.
    let is_meant =
        |out: &LeftOut| out.reason == "hidden" || file.as_ref().is_some_and(|file| folder.join(&out.path) == *file);
    let out: Vec<_> = out.iter().filter(|out| !is_meant(out)).collect();
    let (unnamed, out): (Vec<_>, Vec<_>) = out.into_iter().partition(|out| out.reason == UNNAMED);
    if let Some(first) = unnamed.first() {
        let count = counted(unnamed.len(), "image is", "images are");
        notes.push(format!("{count} left out, because the file of labels does not name them, such as {}", first.path));
    }
    if let Some(first) = out.first() {
        notes.push(format!(
            "{} left out, such as {} ({})",
            counted(out.len(), "file is", "files are"),
            first.path,
            first.reason
        ));
    }
    let groups = equal_files(dataset);
    let mut add = |differ: &dyn Fn(&Known, &Known) -> bool, which: &str| {
        let found: Vec<_> = groups.iter().filter(|group| group.iter().any(|file| differ(file, &group[0]))).collect();
        let Some((first, other)) =
            found.first().and_then(|group| Some((group[0], group.iter().find(|file| differ(file, &group[0]))?)))
        else {
            return;
        };
        let count = counted(found.len(), "image is", "images are");
        notes.push(format!("{count} {which}, such as {} = {}", first.0, other.0));
    };
    let which = match dataset.sets {
        None => "in two classes, so one label is wrong",
        Some(_) => "there twice with different labels",
    };
    add(&|a, b| a.2 != b.2, which);
    add(&|a, b| a.1 != b.1, "in two splits, so it is trained on and measured");
    if !notes.is_empty() {
        let given = labels.map_or_else(String::new, |labels| format!(" --labels {}", labels.file.display()));
        notes.push(format!(
            "`gpunn data check {}{given}` lists them, and images that look almost the same",
            dataset.name
        ));
    }
    Ok(notes)
}

/// Groups of files with equal bytes.
fn equal_files(dataset: &Dataset) -> Vec<Vec<Known<'_>>> {
    let mut groups: BTreeMap<(u64, u64), Vec<Known>> = BTreeMap::new();
    for name in [SplitName::Train, SplitName::Val, SplitName::Test] {
        let Ok(split) = dataset.split(name) else { continue };
        for (file, &label) in split.files.iter().zip(&split.labels) {
            groups.entry((file.hash, file.bytes)).or_default().push((&file.path, name, label));
        }
    }
    let mut groups: Vec<_> = groups.into_values().filter(|group| group.len() > 1).collect();
    groups.sort_by_key(|group| group[0].0);
    groups
}

fn counted(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}
