//! `emnist36`, made from what its makers publish: letters of EMNIST (G. Cohen, S. Afshar, J. Tapson, A. van Schaik, 2017), whose
//! classes hold capitals and small letters together, and digits of MNIST, in the files and the geometry of NIST36.

use std::path::Path;

use image::{GrayImage, imageops};
use rayon::prelude::*;

use crate::data::Split;
use crate::data::glyphs::SIDE;
use crate::datasets::idx_sets;
use crate::error::all_or_first;
use crate::files::write_whole;
use crate::formats::mat::{self, Matrix};
use crate::random::{CounterRng, Purpose};
use crate::{Error, Result};

/// What is needed.
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
/// The side of an image in those files.
const PUBLISHED_SIDE: u32 = 28;
/// The side of the square that a character is centred in, over the longer side of its ink.
const MARGIN: f32 = 1.35;
/// Images of each class: of the makers' training files the first for training and the next for validation, of their test files
/// those for the test; so no test image is by a hand that wrote for training.
const TRAIN: usize = 300;
const VALID: usize = 100;
const TEST: usize = 50;
/// Which images these are: those that come first in the order that this number draws.
const SEED: u64 = 36;

/// Makes the set's three files in `to` from the eight of EMNIST and MNIST in `from`.
///
/// # Errors
/// [`Error::Usage`] for files that are not there, [`Error::Data`] for those that are not as published or hold too few
/// images of a class.
pub(super) fn build(from: &Path, to: &Path) -> Result<()> {
    let training = Published::read(from, "emnist-letters-train", "train", 0)?.glyphs(TRAIN + VALID)?;
    let test = Published::read(from, "emnist-letters-test", "t10k", 1)?.glyphs(TEST)?;
    let (train, valid): (Vec<_>, Vec<_>) = training.iter().map(|class| class.split_at(TRAIN)).unzip();
    let test: Vec<&[Vec<f32>]> = test.iter().map(Vec::as_slice).collect();
    for (name, classes) in [("train", train), ("valid", valid), ("test", test)] {
        let arrays = matrices(name, &classes);
        write_whole(&to.join(format!("emnist36_{name}.mat")), &mat::write(&arrays)?)?;
    }
    Ok(())
}

/// The letters and the digits of a published split.
struct Published {
    letters: Split,
    digits: Split,
    /// Tells the random order of this split from the other's.
    stream: u32,
}

impl Published {
    fn read(from: &Path, letters: &str, digits: &str, stream: u32) -> Result<Self> {
        let side = PUBLISHED_SIDE as usize;
        let read =
            |name: &str, classes: usize| idx_sets::split(("emnist36", &FILES), from, name, [1, side, side], classes);
        // EMNIST counts its letters from 1.
        Ok(Self { letters: read(letters, LETTERS + 1)?, digits: read(digits, DIGITS)?, stream })
    }

    /// So many images of each class, A to Z and 0 to 9, as the set has them.
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
                    "The files of {of} hold {} images of {name}, but emnist36 needs {count}.",
                    glyphs.len()
                )));
            }
            Ok(glyphs)
        };
        all_or_first((0..LETTERS + DIGITS).into_par_iter().map(of).collect())
    }
}

/// A published image's ink, upright: EMNIST keeps its images column by column.
fn ink(image: &[f32], by_columns: bool) -> GrayImage {
    GrayImage::from_fn(PUBLISHED_SIDE, PUBLISHED_SIDE, |x, y| {
        let (row, column) = if by_columns { (x, y) } else { (y, x) };
        image::Luma([(255.0 * image[(row * PUBLISHED_SIDE + column) as usize]).round() as u8])
    })
}

/// A character as the set has it: the box of its ink centred in a square of [`MARGIN`] times its longer side, brought to size, 0
/// where there is ink and 1 on paper. `None` where there is no ink.
fn glyph(ink: &GrayImage) -> Option<Vec<f32>> {
    let inked = || ink.enumerate_pixels().filter(|(_, _, value)| value.0[0] > 0).map(|(x, y, _)| (x, y));
    let (left, right) = (inked().map(|(x, _)| x).min()?, inked().map(|(x, _)| x).max()?);
    let (top, bottom) = (inked().map(|(_, y)| y).min()?, inked().map(|(_, y)| y).max()?);
    let (width, height) = (right - left + 1, bottom - top + 1);
    let side = (MARGIN * width.max(height) as f32) as u32;
    let mut square = GrayImage::new(side, side);
    let cut = imageops::crop_imm(ink, left, top, width, height).to_image();
    imageops::replace(&mut square, &cut, i64::from((side - width) / 2), i64::from((side - height) / 2));
    let small = imageops::resize(&square, SIDE as u32, SIDE as u32, imageops::FilterType::CatmullRom);
    Some(small.into_raw().into_iter().map(|value| 1.0 - f32::from(value) / 255.0).collect())
}

/// The two arrays of a file: an image a row, column by column, and a row of 36 numbers, of which the class's is 1. MATLAB keeps
/// arrays column by column, too.
fn matrices(name: &str, classes: &[&[Vec<f32>]]) -> [Matrix; 2] {
    let glyphs: Vec<(usize, &Vec<f32>)> =
        classes.iter().enumerate().flat_map(|(class, glyphs)| glyphs.iter().map(move |glyph| (class, glyph))).collect();
    let pixel = |column: usize| {
        let (x, y) = (column / SIDE, column % SIDE);
        glyphs.iter().map(move |(_, glyph)| glyph[y * SIDE + x])
    };
    let label = |column: usize| glyphs.iter().map(move |(class, _)| f32::from(u8::from(*class == column)));
    let matrix = |what: &str, columns: usize, values: Vec<f32>| Matrix {
        name: format!("{name}_{what}"),
        dims: vec![glyphs.len(), columns],
        values,
    };
    [
        matrix("data", SIDE * SIDE, (0..SIDE * SIDE).flat_map(pixel).collect()),
        matrix("labels", classes.len(), (0..classes.len()).flat_map(label).collect()),
    ]
}
