//! Reading: capitals and digits that a photo shows, line by line.
//!
//! The way of an image: its `ink`, without `rules`, falls into `parts`; parts stand on `lines`; what the
//! network is surest of makes `letters` of a line's parts, each drawn (`crop`) as the network's training data are; gaps
//! make `words` of letters, and a word decides (`context`) what a letter is where its form does not.
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
mod ink;
mod letters;
mod lines;
pub mod measure;
mod orientation;
mod overlay;
mod page;
pub mod pages;
mod reader;
mod rules;
#[cfg(feature = "reports")]
mod web;
mod words;

pub use overlay::overlay;
pub use page::{Area, Character, Guess, Line, Page, Word};
pub use reader::Reader;
#[cfg(feature = "reports")]
pub use web::{Seen, html};

use image::DynamicImage;

use crate::Result;

/// The least mean confidence of a page, and of a line on it, for [`believable`]. Lines of generated pages have 0.66 and more, photos
/// of scenes mostly below 0.5.
const PAGE: f64 = 0.6;
const LINE: f64 = 0.4;
const FEW: f64 = 0.3;

/// What a caller may want otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Take every character for what the network takes it for, whatever its word.
    pub raw: bool,
}

/// Reads an image: [`read_with`], with [`ReadOptions::default`].
///
/// # Errors
/// As [`read_with`].
pub async fn read(image: &DynamicImage, reader: &mut Reader) -> Result<Page> {
    read_with(image, reader, ReadOptions::default()).await
}

/// Reads an image. One that shows no writing gives a page without lines.
///
/// The image may be of any size: above four megapixels it is reduced first. Dark writing on light paper and light writing on
/// dark are told apart, and an image that lies on its side or upside down is turned, where the network is surer of the letters then.
///
/// # Errors
/// When the reader's device is lost.
pub async fn read_with(image: &DynamicImage, reader: &mut Reader, options: ReadOptions) -> Result<Page> {
    let empty = Page { width: image.width(), height: image.height(), ..Page::default() };
    let Some(mut ink) = ink::find(image) else { return Ok(empty) };
    rules::remove(&mut ink);
    let mut components = components::find(&ink);
    let size = |ink: &ink::Ink| (ink.contrast.width(), ink.contrast.height());
    let (width, height) = size(&ink);
    let Some(usual) = lines::letter_height(&components, width, height) else { return Ok(empty) };
    let orientation = orientation::find(&components, usual, reader).await?;
    if orientation != orientation::Orientation::None {
        ink.contrast = orientation.apply(&ink.contrast);
        components = components::find(&ink);
    }
    let (width, height) = size(&ink);
    let Some(usual) = lines::letter_height(&components, width, height) else { return Ok(empty) };
    let letters = letters::find(lines::rows(components, usual), usual, reader).await?;
    let place = |area: &Area| scaled(&orientation.back(area, width, height), ink.scale, &empty);
    let lines = words::lines(&letters, reader, options.raw, place);
    let page = Page { turned: orientation.degrees(), light_ink: ink.light, lines, ..empty.clone() };
    Ok(if believable(page.characters(), PAGE) {
        let written = |line: &Line| believable(line.characters(), LINE);
        Page { lines: page.lines.into_iter().filter(written).collect(), ..page }
    } else {
        empty
    })
}

/// Whether what was read is writing: the mean of its characters' confidences is `least` and, as few may be sure by chance, by
/// [`FEW`] over their number more.
fn believable<'a>(characters: impl Iterator<Item = &'a Character>, least: f64) -> bool {
    let (sum, count) =
        characters.fold((0.0, 0.0), |(sum, count), character| (sum + character.best.confidence, count + 1.0));
    count > 0.0 && sum / count >= least + FEW / count
}

/// A box of a reduced image in the image itself.
fn scaled(area: &Area, factor: f64, page: &Page) -> Area {
    let scale = |pixels: u32, most: u32| ((f64::from(pixels) * factor).round() as u32).min(most);
    let (left, top) = (scale(area.left, page.width), scale(area.top, page.height));
    let (right, bottom) = (scale(area.right(), page.width), scale(area.bottom(), page.height));
    Area { left, top, width: right - left, height: bottom - top }
}
