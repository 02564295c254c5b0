//! The images that `gpunn predict` is given: files, folders, patterns and standard input.

use std::io::Read;
use std::path::{Path, PathBuf};

use gpunn::images::{self, has_image_extension};
use gpunn::{Error, Result};
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
/// name; `*` and `?` in a file name stand for any text and any letter; `-` stands for standard input, which holds an image or a
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
    let mut found = Vec::new();
    add_images(folder, &mut found)?;
    if found.is_empty() {
        return Err(Error::data(format!("The folder {} has no image ({}).", folder.display(), images::FORMATS)));
    }
    Ok(found)
}

fn add_images(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for path in entries(folder)? {
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        // A link to a folder may lead in a circle.
        if path.is_dir() && !path.is_symlink() {
            add_images(&path, found)?;
        } else if has_image_extension(&path) && path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

/// The entries of a folder, sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = |error| Error::file("cannot read the folder", folder)(error);
    let entries = std::fs::read_dir(folder).map_err(read)?;
    let mut paths = entries.map(|entry| Ok(entry.map_err(read)?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// The path, or the files that match if it is a pattern. Shells on Windows do not expand patterns.
fn expanded(path: &Path) -> Result<Vec<PathBuf>> {
    let pattern = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if path.exists() || !pattern.contains(['*', '?']) {
        // A missing file is reported before the first answer, not after many.
        std::fs::metadata(path).map_err(Error::file("cannot read the image", path))?;
        return Ok(vec![path.to_owned()]);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let pattern: Vec<char> = pattern.chars().collect();
    let fits = |path: &PathBuf| {
        let name: Vec<char> = path.file_name().unwrap_or_default().to_string_lossy().chars().collect();
        path.is_file() && has_image_extension(path) && matches(&pattern, &name)
    };
    let found: Vec<PathBuf> = entries(folder)?.into_iter().filter(fits).collect();
    if found.is_empty() {
        return Err(Error::usage(format!("No image file matches {}.", path.display())));
    }
    Ok(found)
}

/// Whether a name fits a pattern in which `*` stands for any letters and `?` for one.
fn matches(pattern: &[char], name: &[char]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), None) => matches(rest, name),
        (Some(('*', rest)), Some((_, later))) => matches(rest, name) || matches(pattern, later),
        (Some((wanted, rest)), Some((letter, later))) => (*wanted == '?' || wanted == letter) && matches(rest, later),
        _ => false,
    }
}

/// What standard input holds: the bytes of an image, or a path in each line.
fn stdin() -> Result<Vec<Source>> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).map_err(Error::file("cannot read", Path::new("standard input")))?;
    if image::guess_format(&bytes).is_ok() {
        return Ok(vec![Source::Stdin(bytes)]);
    }
    let text = String::from_utf8(bytes).map_err(|_| {
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
    fn patterns_match_as_in_a_shell() {
        let fits = |pattern: &str, name: &str| {
            matches(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>())
        };
        for (pattern, name) in [("*.jpg", "a.jpg"), ("*", "x"), ("IMG_??.*", "IMG_07.png"), ("a*b*c", "aXbbYc")] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("*.jpg", "a.png"), ("?", ""), ("IMG_??.png", "IMG_7.png"), ("a*b", "abc")] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

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
        assert_eq!(names(&[root.path().join("?.jpg"), root.path().join("a/1.webp")]), ["b.jpg", "1.webp"]);
        let says = |name: &str| sources(&[root.path().join(name)]).expect_err("nothing").to_string();
        assert!(says("*.bmp").contains("No image file matches"));
        assert!(says("c.jpg").contains("cannot read the image"));
    }
}
