//! Where the answers of `gpunn predict` go: lines, JSON, a CSV file, folders of copies.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::inference::Prediction;
use crate::{Error, Result};

use super::inputs::Source;
use crate::cli::outputs::csv_row;

/// The class of an image whose confidence is below --min-confidence.
const UNKNOWN: &str = "unknown";

/// The result for one image.
#[derive(Debug, serde::Serialize)]
pub struct Answer {
    pub image: String,
    /// The most probable class, or `unknown`.
    pub class: String,
    /// The class's index; none for `unknown`.
    pub index: Option<usize>,
    /// The probability of the most probable class.
    pub confidence: f64,
    /// The most probable classes, if --top is above 1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub likeliest: Vec<Prediction>,
}

impl Answer {
    /// The answer for a prediction. A class below `min_confidence` becomes `unknown`.
    pub fn new(image: String, prediction: &Prediction, likeliest: Vec<Prediction>, min_confidence: f64) -> Self {
        let known = prediction.confidence >= min_confidence;
        Self {
            image,
            class: if known { prediction.class.clone() } else { UNKNOWN.into() },
            index: known.then_some(prediction.index),
            confidence: prediction.confidence,
            likeliest,
        }
    }
}

impl Answer {
    /// The head of a CSV file: image, class and confidence, and the further classes of --top.
    pub fn head(top: usize) -> Vec<String> {
        let further = (2..=top).flat_map(|number| [format!("class_{number}"), format!("confidence_{number}")]);
        ["image", "class", "confidence"].map(String::from).into_iter().chain(further).collect()
    }

    /// Writes a row.
    pub fn write(&self, csv: &mut Sheet) -> Result<()> {
        let mut fields = vec![self.image.clone(), self.class.clone(), format!("{:.6}", self.confidence)];
        for class in self.likeliest.iter().skip(1) {
            fields.extend([class.class.clone(), format!("{:.6}", class.confidence)]);
        }
        csv.write(&fields)
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let one = |class: &str, confidence| format!("{class} ({})", crate::cli::percent(confidence));
        let likeliest: Vec<_> = self.likeliest.iter().map(|class| one(&class.class, class.confidence)).collect();
        let unknown = if self.index.is_none() { format!("{UNKNOWN}; ") } else { String::new() };
        match likeliest.is_empty() {
            true => write!(f, "{}: {}", self.image, one(&self.class, self.confidence)),
            false => write!(f, "{}: {unknown}{}", self.image, likeliest.join(", ")),
        }
    }
}

/// A CSV file (RFC 4180) that is written row by row.
pub struct Sheet {
    file: BufWriter<File>,
    path: PathBuf,
}

impl Sheet {
    /// Creates the file, with its head.
    pub fn create(path: &Path, head: &[String]) -> Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Error::file("cannot make the folder", folder))?;
        }
        let file = File::create(path).map_err(Error::file("cannot write", path))?;
        let mut sheet = Self { file: BufWriter::new(file), path: path.to_owned() };
        sheet.write(head)?;
        Ok(sheet)
    }

    /// Writes a row, so that it is in the file even if the program stops after it.
    pub fn write(&mut self, fields: &[String]) -> Result<()> {
        let written = self.file.write_all(csv_row(fields).as_bytes()).and_then(|()| self.file.flush());
        written.map_err(Error::file("cannot write", &self.path))
    }
}

/// A folder with a folder for each class, into which images are copied.
pub struct Sorted {
    folder: PathBuf,
}

impl Sorted {
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Copies the image into the folder of its class. If a file of that name is there, the copy gets a number.
    pub fn copy(&self, source: &Source, answer: &Answer) -> Result<()> {
        let Source::File(path) = source else {
            return Err(Error::usage("An image from standard input has no file that --sort-into can copy."));
        };
        let folder = self.folder.join(folder_name(&answer.class));
        std::fs::create_dir_all(&folder).map_err(Error::file("cannot make the folder", &folder))?;
        let to = unused(&folder, path);
        std::fs::copy(path, &to).map_err(Error::file("cannot write", &to))?;
        Ok(())
    }
}

/// The name of a class's folder: without the letters that no file system allows in a name, and never the folder above. The names of the
/// classes come from a file.
fn folder_name(class: &str) -> String {
    let refused = |letter: char| r#"/\:*?"<>|"#.contains(letter) || letter.is_control();
    let name: String = class.chars().map(|letter| if refused(letter) { '_' } else { letter }).collect();
    match name.trim_end_matches(['.', ' ']) {
        "" => "_".repeat(name.len().max(1)),
        _ => name,
    }
}

/// A path in `folder` with the file's name, or with a number added if that is in use.
fn unused(folder: &Path, file: &Path) -> PathBuf {
    let part = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let (stem, extension) = (part(file.file_stem()), part(file.extension()));
    let numbered = (2..).map(|number: u32| folder.join(format!("{stem}-{number}.{extension}")));
    std::iter::once(folder.join(format!("{stem}.{extension}")))
        .chain(numbered)
        .find(|path| !path.exists())
        .unwrap_or_else(|| folder.join(part(file.file_name())))
}

/// The number of images of each class.
#[derive(Default)]
pub struct Counts(BTreeMap<String, usize>);

impl Counts {
    pub fn add(&mut self, class: &str) {
        *self.0.entry(class.to_owned()).or_default() += 1;
    }
}

impl std::fmt::Display for Counts {
    /// The classes with their numbers of images, the most frequent first.
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let mut classes: Vec<(&String, &usize)> = self.0.iter().collect();
        classes.sort_by_key(|&(_, &count)| std::cmp::Reverse(count));
        let parts: Vec<String> = classes.iter().map(|(class, count)| format!("{class} {count}")).collect();
        write!(f, "{}", parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_equal_names_get_numbers() {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::write(root.path().join("a.jpg"), b"").expect("written");
        assert_eq!(unused(root.path(), Path::new("x/a.jpg")), root.path().join("a-2.jpg"));
        assert_eq!(unused(root.path(), Path::new("x/b.jpg")), root.path().join("b.jpg"));
        assert_eq!(folder_name("tench/fish"), "tench_fish");
    }

    #[test]
    fn no_class_has_a_folder_elsewhere() {
        let classes = ["..", ".", "", "../..", "/etc", r"..\..", "C:x", "a\0\u{1b}b", ". .", "..a"];
        let folders = ["__", "_", "_", ".._..", "_etc", ".._..", "C_x", "a__b", "___", "..a"];
        assert_eq!(classes.map(folder_name), folders);
    }
}
