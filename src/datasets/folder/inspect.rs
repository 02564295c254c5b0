//! Checking a folder of images before training: what is taken, what is left out and why, broken files, copies and near copies.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;
use std::path::Path;

use image::DynamicImage;
use rayon::prelude::*;
use walkdir::WalkDir;

use super::listing::{Image, Listing, within};
use crate::data::SplitName;
use crate::datasets::Labels;
use crate::hash::Fnv1a;
use crate::images::scale::resized;
use crate::images::{CONVERT, FileKind, decode, has_image_extension};
use crate::{Error, Result};

/// With more images, near copies are not searched: the number of pairs grows with the square.
const MOST_FOR_NEAR_COPIES: usize = 50_000;
/// The number of differing bits, of [`BITS`], up to which two images are near copies. The test has a copy that was scaled and compressed.
const NEAR: u32 = 12;
/// The side of the grid of a perceptual hash.
const GRID: u32 = 16;
/// The bits of a perceptual hash.
const BITS: usize = (GRID * GRID) as usize;

/// An image in the result of a check.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Place {
    /// The path in the folder.
    pub path: String,
    /// The split.
    pub split: String,
    /// The class, or the classes joined by `;`.
    pub class: String,
}

/// A file that is not used, and the reason.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LeftOut {
    /// The path in the folder.
    pub path: String,
    /// The reason.
    pub reason: String,
}

/// What a folder of images holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct FolderCheck {
    /// The class names.
    pub classes: Vec<String>,
    /// For each split that exists, the number of images of each class.
    pub splits: BTreeMap<String, Vec<usize>>,
    /// The number of images without a label. `None` if each image has one class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlabelled: Option<usize>,
    /// The number of images of each format.
    pub formats: BTreeMap<String, usize>,
    /// Height and width of the smallest, the median and the largest image, by area. `None` if no image can be decoded.
    pub sizes: Option<[[u32; 2]; 3]>,
    /// Files that are not images of a supported format, or are in no class folder.
    pub left_out: Vec<LeftOut>,
    /// Images that cannot be decoded.
    pub broken: Vec<LeftOut>,
    /// Groups of images with equal pixels.
    pub copies: Vec<Vec<Place>>,
    /// Pairs of images that look almost the same. `None` if there are too many images to search.
    pub near_copies: Option<Vec<[Place; 2]>>,
}

impl FolderCheck {
    /// Checks the folder at `path`. All images are decoded, in parallel.
    ///
    /// # Errors
    /// As [`Listing::of`].
    pub fn of(path: &Path, labels: Option<&Labels>) -> Result<Self> {
        let listing = Listing::of(path, labels)?;
        let mut check = Self { left_out: left_out(path, &listing)?, ..Self::default() };
        let all: Vec<(SplitName, &Image)> = [SplitName::Train, SplitName::Val, SplitName::Test]
            .into_iter()
            .zip(&listing.splits)
            .flat_map(|(split, images)| images.iter().map(move |image| (split, image)))
            .collect();
        for split in [SplitName::Train, SplitName::Val, SplitName::Test] {
            if !listing.splits[split.slot()].is_empty() {
                check.splits.insert(split.to_string(), listing.counts(split.slot()));
            }
        }
        check.unlabelled =
            listing.sets.as_ref().map(|_| all.iter().filter(|(_, image)| listing.label(image).is_empty()).count());
        let looks: Vec<Result<Look>> = all.par_iter().map(|(_, image)| Look::of(&image.path)).collect();
        let mut seen = Vec::new();
        for ((split, image), look) in all.iter().zip(looks) {
            let name = within(path, &image.path);
            match look {
                Ok(look) => {
                    *check.formats.entry(look.format.clone()).or_default() += 1;
                    seen.push((Place { path: name, split: split.to_string(), class: listing.label(image) }, look));
                }
                Err(error) => check.broken.push(LeftOut { path: name, reason: error.to_string() }),
            }
        }
        check.sizes = sizes(&seen);
        check.copies = copies(&seen);
        check.near_copies = (seen.len() <= MOST_FOR_NEAR_COPIES).then(|| near_copies(&seen));
        check.classes = listing.classes;
        Ok(check)
    }

    /// The number of images that can be decoded.
    pub fn images(&self) -> usize {
        self.formats.values().sum()
    }

    /// Groups of equal images that are in several splits, so that an image is trained on and measured.
    pub fn across_splits(&self) -> Vec<&Vec<Place>> {
        self.copies.iter().filter(|group| group.iter().any(|place| place.split != group[0].split)).collect()
    }

    /// Groups of equal images that are in several classes, so that one of the labels is wrong.
    pub fn across_classes(&self) -> Vec<&Vec<Place>> {
        self.copies.iter().filter(|group| group.iter().any(|place| place.class != group[0].class)).collect()
    }
}

/// What is compared of an image.
struct Look {
    format: String,
    /// Height and width.
    size: [u32; 2],
    /// A hash of the pixels.
    pixels: u64,
    /// A perceptual hash: for each cell of a grid, whether the cell to its right is brighter (N. Krawetz, "Kind of Like That", 2013).
    bits: [u64; BITS / 64],
    /// Whether the image has enough contrast for the perceptual hash to mean something.
    textured: bool,
}

impl Look {
    fn of(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::file("cannot read the image", path))?;
        let format = match FileKind::of(&bytes) {
            FileKind::Image(format) => format.to_owned(),
            _ => "unknown".into(),
        };
        let image = decode(bytes, &path.display().to_string())?;
        let mut hash = Fnv1a::new();
        hash.add(&image.width().to_le_bytes());
        hash.add(image.to_rgb8().as_raw());
        let (bits, textured) = perceptual_hash(&image);
        Ok(Self { format, size: [image.height(), image.width()], pixels: hash.value(), bits, textured })
    }
}

fn perceptual_hash(image: &DynamicImage) -> ([u64; BITS / 64], bool) {
    let small = resized(image, (GRID + 1, GRID)).to_luma8();
    let mut bits = [0; BITS / 64];
    let cells = (0..GRID).flat_map(|y| (0..GRID).map(move |x| (x, y)));
    for (number, (x, y)) in cells.enumerate() {
        if small.get_pixel(x + 1, y).0[0] > small.get_pixel(x, y).0[0] {
            bits[number / 64] |= 1 << (number % 64);
        }
    }
    let (low, high) = small.pixels().fold((255, 0), |(low, high), pixel| (pixel.0[0].min(low), pixel.0[0].max(high)));
    (bits, high.saturating_sub(low) >= 24)
}

/// The smallest, the median and the largest image.
fn sizes(seen: &[(Place, Look)]) -> Option<[[u32; 2]; 3]> {
    let mut sizes: Vec<[u32; 2]> = seen.iter().map(|(_, look)| look.size).collect();
    sizes.sort_by_key(|&[height, width]| u64::from(height) * u64::from(width));
    Some([*sizes.first()?, sizes[sizes.len() / 2], *sizes.last()?])
}

/// Groups of images with equal pixels, in the order of their first image.
fn copies(seen: &[(Place, Look)]) -> Vec<Vec<Place>> {
    let mut groups: HashMap<u64, Vec<usize>> = HashMap::new();
    for (number, (_, look)) in seen.iter().enumerate() {
        groups.entry(look.pixels).or_default().push(number);
    }
    let mut groups: Vec<Vec<usize>> = groups.into_values().filter(|group| group.len() > 1).collect();
    groups.sort();
    groups.into_iter().map(|group| group.into_iter().map(|number| seen[number].0.clone()).collect()).collect()
}

/// Pairs of images that differ, but look almost the same.
fn near_copies(seen: &[(Place, Look)]) -> Vec<[Place; 2]> {
    let near = |first: usize| {
        let (place, look) = &seen[first];
        let is_near = move |(_, other): &&(Place, Look)| {
            let differing: u32 = look.bits.iter().zip(&other.bits).map(|(a, b)| (a ^ b).count_ones()).sum();
            differing <= NEAR && other.pixels != look.pixels && other.textured
        };
        let others = if look.textured { &seen[first + 1..] } else { &[] };
        others.iter().filter(is_near).map(|(other, _)| [place.clone(), other.clone()]).collect::<Vec<_>>()
    };
    (0..seen.len()).into_par_iter().flat_map_iter(near).collect()
}

/// The files of a folder that are not images of the listing, with the reason.
pub(super) fn left_out(folder: &Path, listing: &Listing) -> Result<Vec<LeftOut>> {
    let taken: HashSet<&Path> = listing.splits.iter().flatten().map(|image| image.path.as_path()).collect();
    let mut out = Vec::new();
    for entry in WalkDir::new(folder).sort_by_file_name() {
        let path = match entry {
            Ok(entry) if entry.file_type().is_dir() => continue,
            Ok(entry) => entry.into_path(),
            Err(error) => {
                let path = error.path().unwrap_or(folder).to_owned();
                return Err(Error::file("cannot read the folder", &path)(error.into()));
            }
        };
        if !taken.contains(path.as_path()) {
            let name = within(folder, &path);
            out.push(LeftOut { reason: reason(&path, &name, listing.unnamed.is_some()), path: name });
        }
    }
    Ok(out)
}

/// Why an image is not taken that a file of labels does not name.
pub(super) const UNNAMED: &str = "an image that the file of labels does not name";

/// Why a file is not taken. `name` is its path in the folder. `by_file` says that a file of labels names what is taken.
fn reason(path: &Path, name: &str, by_file: bool) -> String {
    if name.split('/').any(|name| name.starts_with('.')) {
        return "hidden".into();
    }
    let mut start = Vec::new();
    // Some hundred bytes say the format.
    let read = std::fs::File::open(path).and_then(|file| file.take(4096).read_to_end(&mut start));
    match FileKind::of(&start) {
        _ if read.is_err() => "it cannot be read".into(),
        FileKind::Image(_) if has_image_extension(path) && by_file => UNNAMED.into(),
        FileKind::Image(_) if has_image_extension(path) => "an image outside the class folders".into(),
        FileKind::Image(format) => format!("a {format} image whose name does not say so: rename it"),
        FileKind::OtherImage(format) => format!("{format} is not read: {CONVERT}"),
        FileKind::Empty => "empty".into(),
        FileKind::File(_) | FileKind::Unknown => match path.extension() {
            Some(extension) => format!("no image (.{})", extension.to_string_lossy()),
            None => "no image".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};

    /// A photo-like image: soft blobs whose places depend on the number.
    fn blobs(number: u32, side: u32) -> RgbImage {
        RgbImage::from_fn(side, side, |x, y| {
            let at = |k: u32| f64::from((number * 97 + k * 61) % 89) / 89.0;
            let (x, y) = (f64::from(x) / f64::from(side), f64::from(y) / f64::from(side));
            let value: f64 =
                (0..6).map(|k| (-40.0 * ((x - at(2 * k)).powi(2) + (y - at(2 * k + 1)).powi(2))).exp()).sum();
            let byte = (value * 200.0).min(255.0) as u8;
            Rgb([byte, byte / 2, 255 - byte])
        })
    }

    #[test]
    fn copies_near_copies_and_files_that_are_not_taken_are_found() {
        let root = tempfile::tempdir().expect("a folder");
        let path = |name: &str| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
            path
        };
        for (name, number) in
            [("train/cat/1.png", 1), ("train/cat/2.png", 2), ("train/dog/3.png", 3), ("train/dog/1.png", 1)]
        {
            blobs(number, 64).save(path(name)).expect("saved");
        }
        blobs(2, 64).save(path("test/cat/2.bmp")).expect("saved");
        blobs(3, 50).save(path("test/dog/3.jpg")).expect("saved");
        std::fs::write(path("train/cat/broken.jpg"), b"no image").expect("written");
        for (name, content) in [
            ("train/cat/photo.HEIC", &b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"[..]),
            ("train/cat/photo", b"GIF89a"),
            ("notes.txt", b"a text"),
            (".hidden.png", b"x"),
        ] {
            std::fs::write(path(name), content).expect("written");
        }
        let check = FolderCheck::of(root.path(), None).expect("checked");
        assert_eq!((check.images(), &check.splits["train"], &check.splits["test"]), (6, &vec![3, 2], &vec![1, 1]));
        assert_eq!(check.sizes, Some([[50, 50], [64, 64], [64, 64]]));
        assert_eq!((check.formats["PNG"], check.formats["BMP"], check.formats["JPEG"]), (4, 1, 1));
        let paths = |group: &[Place]| group.iter().map(|place| place.path.clone()).collect::<Vec<_>>();
        assert_eq!(check.copies.len(), 2);
        assert_eq!(paths(check.across_classes()[0]), ["train/cat/1.png", "train/dog/1.png"]);
        assert_eq!(paths(check.across_splits()[0]), ["train/cat/2.png", "test/cat/2.bmp"]);
        let near = check.near_copies.expect("searched");
        assert_eq!(near.iter().map(|pair| paths(pair)).collect::<Vec<_>>(), [["train/dog/3.png", "test/dog/3.jpg"]]);
        assert_eq!(check.broken.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["train/cat/broken.jpg"]);
        let out: Vec<_> = check.left_out.iter().map(|file| (file.path.as_str(), file.reason.as_str())).collect();
        assert_eq!(out[..2], [(".hidden.png", "hidden"), ("notes.txt", "no image (.txt)")]);
        assert_eq!(out[2], ("train/cat/photo", "a GIF image whose name does not say so: rename it"));
        assert!(out[3].0 == "train/cat/photo.HEIC" && out[3].1.starts_with("HEIC is not read: convert it"), "{out:?}");
        assert_eq!(out.len(), 4);
    }
}
