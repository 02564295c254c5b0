//! Optical character recognition: reads handwritten capitals and digits in photos.
//!
//! The steps, each in a file of its own:
//! 1. `ink` separates ink from paper, and `ruled_lines` removes the lines of ruled paper.
//! 2. `components` finds the connected components of the ink.
//! 3. `orientation` decides which way is up.
//! 4. `lines` assigns components to lines of text.
//! 5. `letters` joins and cuts components into letters. `crop` draws each one like the training data of the network, with
//!    `distance`, and `reader` runs the network.
//! 6. `words` divides lines into words, and `context` uses the other letters of a word where a shape is ambiguous.
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
mod orientation;
mod overlay;
mod page;
mod reader;
mod ruled_lines;
pub mod synthetic;
#[cfg(feature = "reports")]
mod web;
mod words;

pub use overlay::overlay;
pub use page::{BoundingBox, Character, Guess, PageText, TextLine, Word};
pub use reader::Reader;
#[cfg(feature = "reports")]
pub use web::{ReadImage, html};

use image::DynamicImage;

use crate::Result;

/// The minimum mean confidence of a page for [`is_writing`]. Lines of synthetic pages have at least 0.66, photos of scenes
/// mostly less than 0.5.
const MIN_PAGE: f64 = 0.6;
/// The minimum mean confidence of a line.
const MIN_LINE: f64 = 0.4;
/// This value divided by the number of characters is added to the minimum, because few characters may be confident by chance.
const FEW: f64 = 0.3;

/// Options for reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Do not use the other characters of a word: each character is what the network predicts.
    pub raw: bool,
}

/// Reads an image with [`ReadOptions::default`].
///
/// # Errors
/// As [`read_with`].
pub async fn read(image: &DynamicImage, reader: &mut Reader) -> Result<PageText> {
    read_with(image, reader, ReadOptions::default()).await
}

/// Reads an image. An image without writing gives a page without lines.
///
/// The image may have any size; above four megapixels it is reduced first. The writing may be dark on light or light on
/// dark. The image may be rotated by 90, 180 or 270 degrees: the orientation with the highest confidence is used.
///
/// # Errors
/// When the device of the reader is lost.
pub async fn read_with(image: &DynamicImage, reader: &mut Reader, options: ReadOptions) -> Result<PageText> {
    let empty = PageText { width: image.width(), height: image.height(), ..PageText::default() };
    let Some(mut ink) = ink::find(image) else { return Ok(empty) };
    ruled_lines::remove(&mut ink);
    let mut components = components::find(&ink);
    let size = |ink: &ink::InkMap| (ink.contrast.width(), ink.contrast.height());
    let (width, height) = size(&ink);
    let Some(letter_height) = lines::letter_height(&components, width, height) else { return Ok(empty) };
    let orientation = orientation::find(&components, letter_height, reader).await?;
    if orientation != orientation::Orientation::Upright {
        ink.contrast = orientation.apply(&ink.contrast);
        components = components::find(&ink);
    }
    let (width, height) = size(&ink);
    let Some(letter_height) = lines::letter_height(&components, width, height) else { return Ok(empty) };
    let letters = letters::find(lines::rows(components, letter_height), letter_height, reader).await?;
    let place = |bounds: &BoundingBox| scaled(&orientation.back(bounds, width, height), ink.scale, &empty);
    let lines = words::lines(&letters, reader, options.raw, place);
    let page = PageText { turned: orientation.degrees(), light_ink: ink.light, lines, ..empty.clone() };
    Ok(if is_writing(page.characters(), MIN_PAGE) {
        let written = |line: &TextLine| is_writing(line.characters(), MIN_LINE);
        PageText { lines: page.lines.into_iter().filter(written).collect(), ..page }
    } else {
        empty
    })
}

/// Whether characters are writing and not something else: their mean confidence is at least `least`, and more if they are
/// few ([`FEW`]).
fn is_writing<'a>(characters: impl Iterator<Item = &'a Character>, least: f64) -> bool {
    let (sum, count) =
        characters.fold((0.0, 0.0), |(sum, count), character| (sum + character.best.confidence, count + 1.0));
    count > 0.0 && sum / count >= least + FEW / count
}

/// Scales a box of the reduced image to the original image.
fn scaled(bounds: &BoundingBox, factor: f64, page: &PageText) -> BoundingBox {
    let scale = |pixels: u32, most: u32| ((f64::from(pixels) * factor).round() as u32).min(most);
    let (left, top) = (scale(bounds.left, page.width), scale(bounds.top, page.height));
    let (right, bottom) = (scale(bounds.right(), page.width), scale(bounds.bottom(), page.height));
    BoundingBox { left, top, width: right - left, height: bottom - top }
}
