//! The files in a folder.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::has_image_extension;
use crate::{Error, Result};

/// A file or a folder in a folder.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its path.
    pub path: PathBuf,
    /// Its kind, length and times. Links are followed.
    pub metadata: Metadata,
}

impl Found {
    /// Whether it is a file with the extension of an image that is read.
    pub fn is_image(&self) -> bool {
        self.metadata.is_file() && has_image_extension(&self.path)
    }
}

/// What lies in a folder and, up to `depth` folders deep, in the folders in it, sorted by path. Hidden files and folders, the folder
/// `__MACOSX` of archives and links that lead nowhere are left out.
///
/// # Errors
/// [`Error::File`] when a folder cannot be read, [`Error::Data`] when a link leads in a circle.
pub fn walk(folder: &Path, depth: usize) -> Result<Vec<Found>> {
    let entries = WalkDir::new(folder).min_depth(1).max_depth(depth).follow_links(true).sort_by_file_name();
    let mut found = Vec::new();
    for entry in entries.into_iter().filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry)) {
        match entry.and_then(|entry| Ok(Found { metadata: entry.metadata()?, path: entry.into_path() })) {
            Ok(entry) => found.push(entry),
            Err(error) if error.depth() > 0 && is_missing(&error) => {}
            Err(error) => return Err(unreadable(folder, error)),
        }
    }
    Ok(found)
}

fn is_hidden(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    name.starts_with('.') || name == "__MACOSX"
}

fn is_missing(error: &walkdir::Error) -> bool {
    error.io_error().is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

fn unreadable(folder: &Path, error: walkdir::Error) -> Error {
    let path = error.path().unwrap_or(folder).to_owned();
    if let Some(ancestor) = error.loop_ancestor() {
        return Error::data(format!("The link {} leads back to {}; remove it.", path.display(), ancestor.display()));
    }
    let source = error.into_io_error().unwrap_or_else(|| std::io::Error::other("it cannot be listed"));
    Error::file("cannot read the folder", &path)(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path, depth: usize) -> Vec<String> {
        let found = walk(folder, depth).expect("read");
        let name = |found: &Found| found.path.strip_prefix(folder).expect("in it").display().to_string();
        found.iter().map(name).map(|name| name.replace('\\', "/")).collect()
    }

    #[test]
    fn files_are_sorted_and_hidden_ones_left_out() {
        let root = tempfile::tempdir().expect("a folder");
        for name in ["b.jpg", "a/2.png", "a/c/1.png", "a/.3.png", ".git/x.png", "__MACOSX/y.png"] {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
            std::fs::write(path, b"").expect("written");
        }
        assert_eq!(names(root.path(), 1), ["a", "b.jpg"]);
        assert_eq!(names(root.path(), usize::MAX), ["a", "a/2.png", "a/c", "a/c/1.png", "b.jpg"]);
        let missing = walk(&root.path().join("gone"), 1).expect_err("missing").to_string();
        assert!(missing.contains("cannot read the folder") && missing.contains("gone"), "{missing}");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_but_not_in_a_circle() {
        use std::os::unix::fs::symlink;
        let [root, other] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        std::fs::write(other.path().join("1.png"), b"").expect("written");
        symlink(other.path(), root.path().join("link")).expect("linked");
        symlink(root.path().join("gone"), root.path().join("broken.png")).expect("linked");
        assert_eq!(names(root.path(), 9), ["link", "link/1.png"]);
        symlink(root.path(), root.path().join("round")).expect("linked");
        let circle = walk(root.path(), usize::MAX).expect_err("refused").to_string();
        assert!(circle.contains("round leads back to"), "{circle}");
    }
}
