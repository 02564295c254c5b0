//! Folders of images: any names, links, empty and damaged files, and damaged caches of decoded images.

use std::path::Path;

use gpunn::data::{ImageOptions, Size, SplitName};
use gpunn::datasets::{Labels, Listing, LoadOptions, check_folder, folder_notes, load_with, open_store, outline};

use super::images::MOST_PIXELS;
use super::{change, files};
use crate::common::fuzz::{Dice, Fuzz};

/// Names of folders and files: of splits and classes, and odd ones.
const NAMES: [&str; 24] = [
    "cat",
    "dog",
    "a",
    "b",
    "train",
    "Train",
    "training",
    "val",
    "valid",
    "test",
    "eval",
    ".hidden",
    "..x",
    "-rf",
    " ",
    "a b",
    "k\u{fc}che",
    "ku\u{308}che",
    "\u{202e}txt.exe",
    "\u{1f600}",
    "new\nline",
    "<b>&\"'",
    "con",
    "labels.csv",
];
const ENDINGS: [&str; 9] = [".png", ".jpg", ".JPEG", ".webp", ".tif", ".gif", ".bmp", ".txt", ""];

/// What is made in a folder.
#[derive(Debug)]
enum Entry {
    Folder(String, Vec<Entry>),
    File(String, Vec<u8>),
    /// A link to a path that is relative to its folder.
    Link(String, &'static str),
}

fn name(dice: &mut Dice) -> String {
    match dice.below(30) {
        0 => "long".repeat(60),
        1 => format!("n{}", dice.below(1000)),
        _ => (*dice.one_of(&NAMES)).to_owned(),
    }
}

fn entries(depth: usize, images: &[Vec<u8>], dice: &mut Dice) -> Vec<Entry> {
    let mut entry = |_| match dice.below(12) {
        0 => Entry::Link(name(dice), dice.one_of::<&str>(&[".", "..", "../..", "nowhere", "a", "/dev/null", "/"])),
        1..5 if depth > 0 => Entry::Folder(name(dice), entries(depth - 1, images, dice)),
        _ => {
            let image = dice.one_of(images);
            let bytes = match dice.below(6) {
                0 => Vec::new(),
                1 => change::bytes(image, dice),
                2 => b"no image".to_vec(),
                _ => image.clone(),
            };
            Entry::File(name(dice) + dice.one_of::<&str>(&ENDINGS), bytes)
        }
    };
    let count = *[0, 1, 2, 4].get(depth).unwrap_or(&4);
    (0..=count).map(&mut entry).collect()
}

/// Makes the entries. Those that the system refuses, such as two of one name, are left out.
fn make(folder: &Path, entries: &[Entry]) {
    for entry in entries {
        match entry {
            Entry::Folder(name, inside) => {
                let _ = std::fs::create_dir(folder.join(name));
                make(&folder.join(name), inside);
            }
            Entry::File(name, bytes) => drop(std::fs::write(folder.join(name), bytes)),
            Entry::Link(name, to) => link(to, &folder.join(name)),
        }
    }
}

#[cfg(unix)]
fn link(to: &str, at: &Path) {
    // A link to the whole disk would be read; that is what its maker asks for.
    let to = if to == "/" { "/dev/pts" } else { to };
    drop(std::os::unix::fs::symlink(to, at));
}

#[cfg(not(unix))]
fn link(_: &str, _: &Path) {}

#[test]
fn folders() {
    let Some(fuzz) = Fuzz::alone("fuzz::folders::folders") else { return };
    gpunn::images::set_most_pixels(MOST_PIXELS);
    let images = files("tests/images");
    let cache = tempfile::tempdir().expect("a folder");
    fuzz.inputs(
        |dice| {
            // Two classes at least, so that many folders are taken.
            let mut top = entries(2, &images, dice);
            top.extend(["cat", "dog"].map(|class| Entry::Folder(class.into(), entries(1, &images, dice))));
            let top = if dice.once_in(3) { vec![Entry::Folder("train".into(), top)] } else { top };
            let image_options = ImageOptions {
                size: Some(Size::Sides([1 + dice.below(40), 1 + dice.below(40)])),
                fit: None,
                channels: Some(*dice.one_of(&[1, 3])),
            };
            let (skip_bad, memory_limit) = (!dice.once_in(3), if dice.once_in(2) { 0 } else { 1 << 24 });
            let options =
                LoadOptions { image_options, labels: None, skip_bad, memory_limit, cache: Some(cache.path().into()) };
            (top, options, dice.clone())
        },
        |(entries, options, mut dice)| {
            let folder = tempfile::tempdir().expect("a folder");
            make(folder.path(), &entries);
            let name = folder.path().display().to_string();
            let _ = Listing::scan(folder.path());
            let _ = outline(&name, None, &options.image_options, None);
            let _ = check_folder(&name, None, None);
            let _ = open_store(&name, None, &options);
            // Once as it was written, and once damaged.
            for _ in 0..2 {
                if let Ok(dataset) = load_with(&name, None, &options) {
                    dataset.validate().expect("what is loaded can be used");
                    let images = [SplitName::Train, SplitName::Val, SplitName::Test];
                    images.iter().filter_map(|&split| dataset.split(split).ok()).for_each(|split| drop(split.image(0)));
                    let _ = folder_notes(&dataset, None);
                }
                for store in stores(cache.path()) {
                    let bytes = std::fs::read(&store).expect("it reads");
                    std::fs::write(&store, damaged_store(&bytes, &mut dice)).expect("written");
                }
            }
            stores(cache.path()).iter().for_each(|store| drop(std::fs::remove_file(store)));
        },
    );
}

fn stores(cache: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(cache.join("pictures")).into_iter().flatten();
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

/// Changes a cache: any bytes, or values of the index at its end.
fn damaged_store(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let start = bytes.windows(8).position(|part| part == b"{\"key\":{");
    let (Some(start), false) = (start, dice.once_in(3)) else { return change::bytes(bytes, dice) };
    let end = bytes.len() - 24;
    let index = change::text(&String::from_utf8_lossy(&bytes[start..end]), ":", dice);
    [&bytes[..start], index.as_bytes(), &(index.len() as u64).to_le_bytes(), &bytes[end + 8..]].concat()
}

/// Parts of files of labels.
const CELLS: [&str; 27] = [
    "file",
    "label",
    "tags",
    "split",
    "Path",
    "train",
    "val",
    "tset",
    "a.png",
    "b/c.png",
    "b\\c.png",
    "../a.png",
    "/a.png",
    "C:\\a.png",
    "dog",
    "cat;dog",
    ";",
    ";;",
    "k\u{fc}che",
    "\"a,b\"",
    "\"",
    "",
    " ",
    "\u{feff}",
    "\0",
    "x;x",
    ".",
];
const BETWEEN: [&str; 8] = [",", ",", ",", "\n", "\n", "\r\n", "", "\n,"];

#[test]
fn files_of_labels() {
    let Some(fuzz) = Fuzz::alone("fuzz::folders::files_of_labels") else { return };
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join("images");
    std::fs::create_dir_all(folder.join("b")).expect("made");
    for name in ["a.png", "b/c.png", "outside.png"] {
        let at = if name == "outside.png" { root.path().join(name) } else { folder.join(name) };
        image::RgbImage::from_pixel(4, 4, image::Rgb([9; 3])).save(at).expect("saved");
    }
    let file = root.path().join("labels.csv");
    fuzz.inputs(
        |dice| {
            let head = *dice.one_of(&["file,label\n", "\u{feff}Split,Tags,Filename\r\n", "image,class,split\n", ""]);
            let mut text = head.as_bytes().to_vec();
            for _ in 0..dice.below(30) {
                text.extend(dice.one_of::<&str>(&CELLS).bytes().chain(dice.one_of::<&str>(&BETWEEN).bytes()));
            }
            if dice.once_in(4) {
                text = change::bytes(&text, dice);
            }
            (text, *dice.one_of(&[None, Some(true), Some(false)]))
        },
        |(text, multi_label)| {
            std::fs::write(&file, text).expect("written");
            let labels = Labels { file: file.clone(), multi_label };
            let Ok(listing) = Listing::of(&folder, Some(&labels)) else { return };
            let images: Vec<_> = listing.splits.iter().flatten().collect();
            assert!((1..=2).contains(&images.len()), "{images:?}");
            assert!(images.iter().all(|image| image.path.starts_with(&folder)), "{images:?}");
            let options = LoadOptions { labels: Some(labels), cache: None, ..LoadOptions::default() };
            let dataset = load_with(&folder.display().to_string(), None, &options).expect("two images");
            dataset.validate().expect("what is loaded can be used");
        },
    );
}
