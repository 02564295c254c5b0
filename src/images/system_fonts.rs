//! The font files of the system.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use walkdir::{DirEntry, WalkDir};

use super::fonts::{Face, LazyFace};

/// The largest depth at which font files lie below a font folder.
const DEPTH: usize = 5;
/// Parts of the names of font files. Fonts with fewer of them are preferred: they are upright, and of regular weight.
const UNUSUAL: [&str; 11] =
    ["black", "bold", "condensed", "extra", "heavy", "italic", "light", "mono", "oblique", "serif", "thin"];
/// The font of macOS that has a box for each character.
const BOXES: &str = "lastresort";

/// The folders of fonts of Linux, macOS and Windows.
pub(super) fn folders() -> Vec<PathBuf> {
    let below = |variable: &str, folder: &str| std::env::var_os(variable).map(|base| Path::new(&base).join(folder));
    let fixed = ["/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts", "/Library/Fonts"];
    let own = [
        below("HOME", ".local/share/fonts"),
        below("HOME", ".fonts"),
        below("HOME", "Library/Fonts"),
        below("WINDIR", "Fonts"),
        below("LOCALAPPDATA", "Microsoft/Windows/Fonts"),
    ];
    fixed.map(PathBuf::from).into_iter().chain(own.into_iter().flatten()).collect()
}

/// The fonts in these folders, the most usual first. None is opened yet. Folders that do not exist are left out.
pub(super) fn find(folders: &[PathBuf]) -> Vec<LazyFace> {
    let lazy = |path: PathBuf| -> LazyFace { LazyLock::new(Box::new(move || open(&path))) };
    files(folders).into_iter().map(lazy).collect()
}

/// The font files in these folders and in the folders in them. What cannot be read is left out.
fn files(folders: &[PathBuf]) -> Vec<PathBuf> {
    let below = |folder: &PathBuf| WalkDir::new(folder).max_depth(DEPTH).follow_links(true).into_iter().flatten();
    let mut files: Vec<PathBuf> = folders.iter().flat_map(below).map(DirEntry::into_path).collect();
    files.retain(|path| is_font(path) && !name(path).contains(BOXES));
    files.sort_by_cached_key(|path| (UNUSUAL.iter().filter(|part| name(path).contains(*part)).count(), path.clone()));
    files
}

fn is_font(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default().to_lowercase();
    ["ttf", "otf", "ttc"].contains(&extension.as_str())
}

/// The name of a font file, in lower case.
fn name(path: &Path) -> String {
    path.file_stem().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// The font of a file, which stays mapped until the program ends.
fn open(path: &Path) -> Option<Face> {
    let map = crate::files::map(&std::fs::File::open(path).ok()?).ok()?;
    Face::new(Box::leak(Box::new(map)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upright_fonts_come_first_and_files_that_are_no_fonts_are_passed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("deep")).expect("made");
        let hack = epaint_default_fonts::HACK_REGULAR;
        let contents: [(&str, &[u8]); 5] = [
            ("A-BoldItalic.ttf", hack),
            ("deep/B-Regular.TTF", hack),
            ("C-Regular.otf", b"no font"),
            ("LastResort.otf", hack),
            ("notes.txt", hack),
        ];
        for (name, bytes) in contents {
            std::fs::write(folder.path().join(name), bytes).expect("written");
        }
        let folders = [folder.path().join("absent"), folder.path().to_owned()];
        let names: Vec<_> = files(&folders).iter().map(|path| name(path)).collect();
        assert_eq!(names, ["c-regular", "b-regular", "a-bolditalic"]);
        let readable: Vec<bool> = find(&folders).iter().map(|face| face.is_some()).collect();
        assert_eq!(readable, [false, true, true]);
    }
}
