//! The images that `gpunn predict` is given: files, folders, patterns and standard input.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::images::{self, FileKind, Found, has_image_extension};
use crate::{Error, Result};
use image::DynamicImage;

/// The path that stands for standard input.
const STDIN: &str = "-";

/// An image to classify.
#[derive(Debug)]
pub enum Source {
    File(PathBuf),
    /// The bytes of an image file on standard input.
    Stdin(Vec<u8>),
}

impl Source {
    /// The name in the output.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Stdin(_) => STDIN.into(),
        }
    }

    /// Decodes the image.
    pub fn open(&self) -> Result<DynamicImage> {
        match self {
            Self::File(path) => images::open(path),
            Self::Stdin(bytes) => images::decode(bytes.clone(), "standard input"),
        }
    }
}

/// All images that the arguments name, in their order. A folder stands for all image files in it and in its folders, sorted by
/// name; in a pattern `*` stands for any text, `?` for any
/// letter, `[ab]` for one of these letters and `**` for any folders; `-` stands for standard input, which holds an image or a
/// path in each line.
pub fn sources(paths: &[PathBuf]) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for path in paths {
        if path.as_os_str() == STDIN {
            sources.extend(stdin()?);
        } else if path.is_dir() {
            sources.extend(of_folder(path)?.into_iter().map(Source::File));
        } else {
            sources.extend(expanded(path)?.into_iter().map(Source::File));
        }
    }
    Ok(sources)
}

/// The image files in a folder and its folders, sorted. Hidden files are ignored.
fn of_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let all = images::walk(folder, usize::MAX)?;
    let found: Vec<PathBuf> = all.into_iter().filter(Found::is_image).map(|found| found.path).collect();
    if found.is_empty() {
        return Err(Error::data(format!("The folder {} has no image ({}).", folder.display(), images::FORMATS)));
    }
    Ok(found)
}

/// The path, or the image files that match if it is a pattern. Shells on Windows do not expand patterns.
fn expanded(path: &Path) -> Result<Vec<PathBuf>> {
    let pattern = path.to_string_lossy();
    if path.exists() || !pattern.contains(['*', '?']) {
        // A missing file is reported before the first answer, not after many.
        std::fs::metadata(path).map_err(Error::file("cannot read the image", path))?;
        return Ok(vec![path.to_owned()]);
    }
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let matching = glob::glob_with(&pattern, options)
        .map_err(|error| Error::usage(format!("{pattern} is not a pattern of file names: {}.", error.msg)))?;
    let mut found = Vec::new();
    for path in matching {
        let path = path.map_err(|error| {
            let path = error.path().to_owned();
            Error::file("cannot read the folder", &path)(error.into())
        })?;
        if path.is_file() && has_image_extension(&path) {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(Error::usage(format!("No image file matches {pattern}.")));
    }
    Ok(found)
}

/// What standard input holds: the bytes of an image, or a path in each line.
fn stdin() -> Result<Vec<Source>> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).map_err(Error::file("cannot read", Path::new("standard input")))?;
    let text = match FileKind::of(&bytes) {
        FileKind::Unknown | FileKind::Empty => String::from_utf8(bytes),
        _ => return Ok(vec![Source::Stdin(bytes)]),
    };
    let text = text.map_err(|_| {
        Error::data(format!("Standard input holds neither an image ({}) nor a path in each line.", images::FORMATS))
    })?;
    let paths: Vec<PathBuf> = text.lines().filter(|line| !line.trim().is_empty()).map(PathBuf::from).collect();
    if paths.is_empty() {
        return Err(Error::usage("Standard input is empty; it has to hold an image or a path in each line."));
    }
    if paths.iter().any(|path| path.as_os_str() == STDIN) {
        return Err(Error::usage("Standard input names itself (`-`) as a path."));
    }
    sources(&paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_searched_in_order_without_hidden_files() {
        let root = tempfile::tempdir().expect("a folder");
        for name in ["b.jpg", "a/2.PNG", "a/1.webp", "a/.3.png", "notes.txt"] {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
            std::fs::write(path, b"").expect("written");
        }
        let names = |paths: &[PathBuf]| {
            let of =
                |source: &Source| source.name().replace('\\', "/").rsplit('/').next().unwrap_or_default().to_owned();
            sources(paths).expect("found").iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(names(&[root.path().to_owned()]), ["1.webp", "2.PNG", "b.jpg"]);
        for (pattern, found) in [
            ("?.jpg", &["b.jpg"][..]),
            ("a/*", &["1.webp", "2.PNG"]),
            ("*/?.P*", &["2.PNG"]),
            ("**/*.[jw]*", &["1.webp", "b.jpg"]),
            ("a/1.webp", &["1.webp"]),
        ] {
            assert_eq!(names(&[root.path().join(pattern)]), found, "{pattern}");
        }
        let says = |name: &str| sources(&[root.path().join(name)]).expect_err("nothing").to_string();
        assert!(says("*.bmp").contains("No image file matches"));
        assert!(says("c.jpg").contains("cannot read the image"));
    }
}
