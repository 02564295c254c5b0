//! Optical character recognition: reads handwritten capitals and digits in photos.
//!
//! The steps are in separate files:
//! 1. `ink` separates ink from paper, `margin` finds the colour around a photo that a program has turned, and `ruled_lines` removes
//!    the lines of ruled paper.
//! 2. `components` finds the connected components of the ink.
//! 3. `skew` finds the angle of the lines, and `orientation` decides which way is up. `sheet` turns the ink by both, and `turn`
//!    maps places back to the image.
//! 4. `lines` assigns components to lines of text.
//! 5. `letters` joins and cuts components into letters. `crop` draws each one like the training data of the network, with
//!    `distance`, and `reader` runs the network.
//! 6. `words` divides lines into words, and `context` uses the other letters of a line where a shape is ambiguous.
//!
//! ```no_run
//! use gpunn::Engine;
//! use gpunn::ocr::{Reader, read};
//!
//! let mut reader = Reader::new(Engine::cpu())?;
//! let image = gpunn::images::open("photo.jpg".as_ref())?;
//! let page = gpunn::blocking::block_on(read(&image, &mut reader))?;
//! println!("{} lines", page.lines.len());
//! # Ok::<(), gpunn::Error>(())
//! ```

mod components;
mod context;
mod crop;
mod distance;
pub mod evaluate;
mod ink;
mod letters;
mod lines;
mod margin;
mod orientation;
mod overlay;
mod page;
mod reader;
mod ruled_lines;
mod sheet;
mod skew;
pub mod synthetic;
mod turn;
#[cfg(feature = "reports")]
mod web;
mod words;

pub use overlay::overlay;
pub use page::{BoundingBox, Character, Guess, PageText, TextLine, Unreadable, Word};
pub use reader::Reader;
#[cfg(feature = "reports")]
pub use web::{ReadImage, html};

use image::DynamicImage;

use crate::Result;
use letters::Found;
use sheet::Sheet;

/// The most pieces of ink of a page. A densely written one has some thousands. Noise may have a hundred thousand, and each would be drawn
/// and read several times.
const MOST_PIECES: usize = 8000;
/// The minimum mean confidence of a page for [`is_writing`]. Lines of synthetic pages have at least 0.66, photos of scenes
/// mostly less than 0.5.
const MIN_PAGE: f64 = 0.6;
/// The minimum mean confidence of a line.
const MIN_LINE: f64 = 0.4;
/// This value divided by the number of characters is added to the minimum, because few characters may be confident by chance.
const FEW: f64 = 0.3;
/// Heights are similar if their ratio is below this value.
const SIMILAR: f64 = 1.4;
/// The minimum fraction of similar heights in writing.
const MIN_SIMILAR: f64 = 0.7;

/// Options for reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Do not use the other characters of a line: each character is what the network predicts.
    pub raw: bool,
}

/// Reads an image with [`ReadOptions::default`].
///
/// # Errors
/// As [`read_with`].
pub async fn read(image: &DynamicImage, reader: &mut Reader) -> Result<PageText> {
    read_with(image, reader, ReadOptions::default()).await
}

/// Reads an image. An image without writing gives a page without lines. So does an image whose writing cannot be read: the page
/// then has [`PageText::unreadable`].
///
/// The image may have any size; above four megapixels it is reduced first. The writing may be dark on light or light on
/// dark. The page may be turned by any angle: the skew is estimated from the ink, and the orientation with the highest
/// confidence is used.
///
/// # Errors
/// When the device of the reader is lost.
pub async fn read_with(image: &DynamicImage, reader: &mut Reader, options: ReadOptions) -> Result<PageText> {
    let size = [image.width(), image.height()];
    let empty = PageText { width: size[0], height: size[1], ..PageText::default() };
    let Some(ink) = ink::find(image) else { return Ok(empty) };
    let light_ink = ink.light;
    let Some(mut sheet) = Sheet::upright(ink, reader).await? else { return Ok(empty) };
    let pieces = lines::pieces(&sheet.components, sheet.letter_height);
    if pieces > MOST_PIECES {
        return Ok(PageText { unreadable: Some(Unreadable { characters: pieces, confidence: 0.0 }), ..empty });
    }
    let rows = lines::rows(std::mem::take(&mut sheet.components), sheet.letter_height);
    let letters = match letters::find(rows, sheet.letter_height, reader).await? {
        Found::Letters(letters) => letters,
        Found::Noise(characters, confidence) => {
            return Ok(PageText { unreadable: Some(Unreadable { characters, confidence }), ..empty });
        }
    };
    let lines = words::lines(&letters, reader, options.raw, |component| sheet.place(component, size));
    let mut page = PageText { turned: sheet.degrees(), light_ink, lines, ..empty.clone() };
    let found = Unreadable { characters: page.characters().count(), confidence: page.confidence() };
    let similar = have_similar_heights(page.characters());
    let is_text = is_writing(page.characters(), MIN_PAGE);
    page.lines.retain(|line| is_text && is_writing(line.characters(), MIN_LINE));
    if page.is_empty() {
        return Ok(PageText { unreadable: similar.then_some(found), ..empty });
    }
    Ok(page)
}

/// Whether characters are writing and not something else: their mean confidence is at least `least`, and more if they are
/// few ([`FEW`]).
fn is_writing<'a>(characters: impl Iterator<Item = &'a Character>, least: f64) -> bool {
    let (sum, count) =
        characters.fold((0.0, 0.0), |(sum, count), character| (sum + character.best.confidence, count + 1.0));
    count > 0.0 && sum / count >= least + FEW / count
}

/// Whether most characters have about the same height, as in writing. The shapes in photos of scenes mostly do not. `false`
/// without characters.
fn have_similar_heights<'a>(characters: impl Iterator<Item = &'a Character>) -> bool {
    let mut heights: Vec<f64> = characters.map(Character::height).collect();
    heights.sort_by(f64::total_cmp);
    let Some(median) = heights.get(heights.len() / 2) else { return false };
    let similar = heights.iter().filter(|&height| (height / median).max(median / height) < SIMILAR);
    similar.count() as f64 >= MIN_SIMILAR * heights.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Engine;
    use image::{GrayImage, Luma};

    /// A photo of noise has more ink than a page can have letters. Reading all of it took minutes.
    #[test]
    fn noise_is_not_read_piece_by_piece() {
        let dot = |x: u32, y: u32| {
            (x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77)).wrapping_mul(0x2c1b_3c6d) >> 27 == 0
        };
        let noise = GrayImage::from_fn(1500, 1500, |x, y| Luma([if dot(x, y) { 20 } else { 250 }]));
        let mut reader = Reader::new(Engine::cpu()).expect("a reader");
        let page =
            crate::blocking::block_on(read(&DynamicImage::ImageLuma8(noise), &mut reader)).expect("no device fails");
        let unreadable = page.unreadable.expect("too many pieces");
        assert!(
            page.is_empty() && unreadable.characters > MOST_PIECES && unreadable.confidence == 0.0,
            "{unreadable:?}"
        );
    }
}
