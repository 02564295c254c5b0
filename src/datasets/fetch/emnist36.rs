//! Makes `emnist36` from the letters of EMNIST (G. Cohen, S. Afshar, J. Tapson, A. van Schaik, 2017) and the digits of MNIST,
//! in the layout of NIST36. The classes of EMNIST combine capitals and small letters.

use std::path::Path;

use super::{FetchOutcome, Progress};

use image::{GrayImage, imageops};
use rayon::prelude::*;

use crate::data::Split;
use crate::data::glyphs::SIDE;
use crate::datasets::idx_sets;
use crate::datasets::sources;
use crate::error::all_or_first;
use crate::files::write_atomic;
use crate::formats::mat::{self, MatArray};
use crate::images::grey::{INK_MARGIN, bounds_above, centred};
use crate::random::{CounterRng, Purpose};
use crate::{Error, Result};

/// The dataset.
const NAME: &str = "emnist36";
/// The files that are needed.
const FILES: [&str; 8] = [
    "emnist-letters-train-images-idx3-ubyte.gz",
    "emnist-letters-train-labels-idx1-ubyte.gz",
    "emnist-letters-test-images-idx3-ubyte.gz",
    "emnist-letters-test-labels-idx1-ubyte.gz",
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
];
const LETTERS: usize = 26;
const DIGITS: usize = 10;
/// The side of an image in these files.
const PUBLISHED_SIDE: u32 = 28;
/// Images of each class: `TRAIN` and then `VALID` from the published training files, `TEST` from the test files. The writers
/// of test images did not write training images.
const TRAIN: usize = 300;
const VALID: usize = 100;
const TEST: usize = 50;
/// The seed of the random order in which images are chosen.
const SEED: u64 = 36;

/// Makes the dataset in the data directory `directory` from EMNIST's archive and from MNIST, which is downloaded unless it is there.
///
/// # Errors
/// As [`get_from`](super::get_from); [`Error::Data`] when the archive lacks a file.
pub(super) fn make(archive: &Path, directory: &Path, progress: Progress) -> Result<()> {
    let mnist = sources::source("mnist").ok_or_else(|| Error::usage("MNIST has no address."))?;
    let (FetchOutcome::AlreadyPresent(digits) | FetchOutcome::Fetched(digits)) =
        super::get_from(mnist, directory, progress)?;
    let from = tempfile::tempdir_in(directory).map_err(Error::file("cannot make a folder in", directory))?;
    unpack(archive, from.path())?;
    for name in FILES.iter().filter(|name| !is_of_letters(name)) {
        let there = digits.join(name);
        std::fs::copy(&there, from.path().join(name)).map_err(Error::file("cannot copy", &there))?;
    }
    match super::lay_out(NAME, from.path(), Some(directory))? {
        FetchOutcome::Fetched(_) => Ok(()),
        FetchOutcome::AlreadyPresent(folder) => {
            Err(Error::usage(format!("{} lacks files of the dataset; move it away.", folder.display())))
        }
    }
}

fn is_of_letters(name: &str) -> bool {
    name.starts_with("emnist-")
}

/// Extracts the files of letters from EMNIST's archive.
fn unpack(archive: &Path, to: &Path) -> Result<()> {
    let wrong = |reason: &dyn std::fmt::Display| {
        Error::data(format!("{} is not the published archive of EMNIST: {reason}.", archive.display()))
    };
    let file = std::fs::File::open(archive).map_err(Error::file("cannot open", archive))?;
    let mut zip = zip::ZipArchive::new(file).map_err(|error| wrong(&error))?;
    for name in FILES.iter().filter(|name| is_of_letters(name)) {
        let mut content = zip.by_name(&format!("gzip/{name}")).map_err(|error| wrong(&error))?;
        let path = to.join(name);
        let mut file = std::fs::File::create(&path).map_err(Error::file("cannot write", &path))?;
        std::io::copy(&mut content, &mut file).map_err(|error| wrong(&error))?;
    }
    Ok(())
}

/// Makes the three files of the dataset in `to` from the eight files of EMNIST and MNIST in `from`.
///
/// # Errors
/// [`Error::Usage`] for missing files, [`Error::Data`] for wrong files and too few images of a class.
pub(super) fn build(from: &Path, to: &Path) -> Result<()> {
    let training = PublishedCharacters::read(from, "emnist-letters-train", "train", 0)?.glyphs(TRAIN + VALID)?;
    let test = PublishedCharacters::read(from, "emnist-letters-test", "t10k", 1)?.glyphs(TEST)?;
    let (train, valid): (Vec<_>, Vec<_>) = training.iter().map(|class| class.split_at(TRAIN)).unzip();
    let test: Vec<&[Vec<f32>]> = test.iter().map(Vec::as_slice).collect();
    for (name, classes) in [("train", train), ("valid", valid), ("test", test)] {
        let arrays = matrices(name, &classes);
        write_atomic(&to.join(format!("emnist36_{name}.mat")), &mat::write(&arrays)?)?;
    }
    Ok(())
}

/// The letters and the digits of a published split.
struct PublishedCharacters {
    letters: Split,
    digits: Split,
    /// The random number stream of this split.
    stream: u32,
}

impl PublishedCharacters {
    fn read(from: &Path, letters: &str, digits: &str, stream: u32) -> Result<Self> {
        let side = PUBLISHED_SIDE as usize;
        let read = |name: &str, classes: usize| idx_sets::split((NAME, &FILES), from, name, [1, side, side], classes);
        // The labels of EMNIST begin at 1.
        Ok(Self { letters: read(letters, LETTERS + 1)?, digits: read(digits, DIGITS)?, stream })
    }

    /// Converts `count` images of each class, A to Z and 0 to 9.
    fn glyphs(&self, count: usize) -> Result<Vec<Vec<Vec<f32>>>> {
        let of = |class: usize| {
            let (split, label, letter) = match class.checked_sub(LETTERS) {
                None => (&self.letters, class + 1, true),
                Some(digit) => (&self.digits, digit, false),
            };
            let own: Vec<usize> = (0..split.len()).filter(|&i| split.labels[i] as usize == label).collect();
            let order = CounterRng::new(SEED, Purpose::Split, self.stream, class as u32).permutation(own.len() as u32);
            let images = order.into_iter().filter_map(|number| split.image(own[number as usize]));
            let glyphs: Vec<Vec<f32>> = images.filter_map(|image| glyph(&ink(&image, letter))).take(count).collect();
            if glyphs.len() < count {
                let of = if letter { "EMNIST's letters" } else { "MNIST" };
                let name = char::from(if letter { b'A' + class as u8 } else { b'0' + label as u8 });
                return Err(Error::data(format!(
                    "The files of {of} have {} images of {name}, but emnist36 needs {count}.",
                    glyphs.len()
                )));
            }
            Ok(glyphs)
        };
        all_or_first((0..LETTERS + DIGITS).into_par_iter().map(of).collect())
    }
}

/// The ink of a published image in row-major order. EMNIST stores images in column-major order.
fn ink(image: &[f32], by_columns: bool) -> GrayImage {
    GrayImage::from_fn(PUBLISHED_SIDE, PUBLISHED_SIDE, |x, y| {
        let (row, column) = if by_columns { (x, y) } else { (y, x) };
        image::Luma([(255.0 * image[(row * PUBLISHED_SIDE + column) as usize]).round() as u8])
    })
}

/// Converts a character: the box of its ink is centred in a square of [`INK_MARGIN`] times its longer side and resized. Ink is
/// 0 and paper is 1. `None` without ink.
fn glyph(ink: &GrayImage) -> Option<Vec<f32>> {
    let bounds @ [left, top, right, bottom] = bounds_above(ink, 0.0)?;
    let side = (INK_MARGIN * (right - left).max(bottom - top) as f32) as u32;
    let square = centred(ink, bounds, side);
    let small = imageops::resize(&square, SIDE as u32, SIDE as u32, imageops::FilterType::CatmullRom);
    Some(small.into_raw().into_iter().map(|value| 1.0 - f32::from(value) / 255.0).collect())
}

/// The two arrays of a file. Each row of `data` is an image in column-major order, each row of `labels` a one-hot vector of 36
/// values. The arrays themselves are in column-major order, as in MATLAB.
fn matrices(name: &str, classes: &[&[Vec<f32>]]) -> [MatArray; 2] {
    let glyphs: Vec<(usize, &Vec<f32>)> =
        classes.iter().enumerate().flat_map(|(class, glyphs)| glyphs.iter().map(move |glyph| (class, glyph))).collect();
    let pixel = |column: usize| {
        let (x, y) = (column / SIDE, column % SIDE);
        glyphs.iter().map(move |(_, glyph)| glyph[y * SIDE + x])
    };
    let label = |column: usize| glyphs.iter().map(move |(class, _)| f32::from(u8::from(*class == column)));
    let matrix = |what: &str, columns: usize, values: Vec<f32>| MatArray {
        name: format!("{name}_{what}"),
        dims: vec![glyphs.len(), columns],
        values,
    };
    [
        matrix("data", SIDE * SIDE, (0..SIDE * SIDE).flat_map(pixel).collect()),
        matrix("labels", classes.len(), (0..classes.len()).flat_map(label).collect()),
    ]
}
