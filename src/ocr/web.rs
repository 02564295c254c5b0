//! What was read as a page for a browser, which needs nothing else: no script, no font, no image from elsewhere.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{DynamicImage, RgbImage};
use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use super::overlay::{LIKELY, SURE, overlay};
use super::page::{Character, Page};
use crate::{Error, Result};

/// The longest side of an image on the page.
const LONGEST: u32 = 1600;
/// Its quality as JPEG, of 100.
const QUALITY: u8 = 80;
const STYLE: &str =
    "body{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1f2328}
img{max-width:100%;height:auto;border:1px solid #d0d7de}pre{font:1.1rem/1.5 ui-monospace,monospace;overflow-x:auto}
table{border-collapse:collapse}th,td{text-align:left;padding:.1rem 1.2rem .1rem 0;border-bottom:1px solid #d0d7de}
.likely{background:#ffe8b8}.guess{background:#ffcdd2}.faint{color:#656d76}
@media (prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}.faint{color:#9198a1}.likely{background:#6b4a00}.guess{background:#7a1f28}}";

/// An image and what was read in it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// What it is called.
    pub name: &'a str,
    /// The image as it was given.
    pub image: &'a DynamicImage,
    /// What [`super::read`] made of it.
    pub page: &'a Page,
}

/// A page for a browser: each image with its boxes, its text with what is unsure marked, and a table of that.
///
/// # Errors
/// [`Error::Data`] when an image cannot be written as JPEG.
pub fn html(seen: &[Seen]) -> Result<String> {
    let sections = seen.iter().map(section).collect::<Result<Vec<_>>>()?;
    let page = markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "What gpunn read" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "What gpunn read" }
                p.faint {
                    "Green boxes are sure, orange ones likely, red ones guesses; so are the marked characters: "
                    span.likely { "likely" } ", " span.guess { "a guess" } "."
                }
                @for section in &sections { (section) }
            }
        }
    };
    Ok(page.into_string())
}

fn section(seen: &Seen) -> Result<Markup> {
    let Seen { name, image, page } = *seen;
    let source = source(overlay(image, page))?;
    let unsure: Vec<&Character> = page.characters().filter(|character| character.best.confidence <= SURE).collect();
    let found = match page.characters().count() {
        0 => "No writing was found.".to_owned(),
        count => format!(
            "{count} characters in {} lines, {:.1} % sure on the mean.",
            page.lines.len(),
            100.0 * page.confidence()
        ),
    };
    Ok(markup! {
        h2 { (name) }
        p { (found) @if page.turned > 0 { " It was turned clockwise by " (page.turned) " degrees." } }
        pre { @for line in &page.lines {
            @for (number, word) in line.words.iter().enumerate() {
                @if number > 0 { " " }
                @for character in &word.characters { (marked(character)) }
            }
            "\n"
        } }
        img src=(source) alt=(format!("{name} with a box around each character that was read"));
        @if !unsure.is_empty() { table {
            tr { th { "read" } th { "sure" } th { "perhaps" } th { "by its form alone" } th { "left, top" } }
            @for character in unsure { tr {
                td { (marked(character)) }
                td { (format!("{:.0} %", 100.0 * character.best.confidence)) }
                td { @if let Some(second) = character.second { (second.character) } }
                td { (character.alone) }
                td { (character.area.left) ", " (character.area.top) }
            } }
        } }
    })
}

/// A character as it is sure.
fn marked(character: &Character) -> Markup {
    let best = character.best;
    markup! {
        @if best.confidence > SURE { (best.character) }
        @else if best.confidence > LIKELY { span.likely { (best.character) } }
        @else { span.guess { (best.character) } }
    }
}

/// An image as a source that does not leave the page; a large one is shrunk.
fn source(image: RgbImage) -> Result<String> {
    let longer = image.width().max(image.height());
    let side = |side: u32| (u64::from(side) * u64::from(LONGEST) / u64::from(longer)).max(1) as u32;
    let image = match longer > LONGEST {
        true => imageops::resize(&image, side(image.width()), side(image.height()), FilterType::Triangle),
        false => image,
    };
    let mut bytes = Vec::new();
    let written = image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, QUALITY));
    written.map_err(|error| Error::data(format!("An image cannot be written: {error}.")))?;
    Ok(format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::super::page::{Area, Guess, Line, Word};
    use super::*;

    #[test]
    fn names_are_escaped_what_is_unsure_is_marked_and_large_images_shrink() {
        let area = Area { left: 10, top: 20, width: 12, height: 30 };
        let best = Guess { character: 'O', confidence: 0.6 };
        let second = Some(Guess { character: '0', confidence: 0.4 });
        let word = Word::of(vec![Character { best, second, alone: '0', area }]).expect("a character");
        let lines = vec![Line::of(vec![word]).expect("a word")];
        let page = Page { width: 3200, height: 60, lines, ..Page::default() };
        let image = DynamicImage::new_luma8(3200, 60);
        let text = html(&[Seen { name: "a<b>.png", image: &image, page: &page }]).expect("a page");
        assert!(text.contains("a&lt;b&gt;.png") && !text.contains("a<b>"), "{text}");
        assert!(text.contains("<span class=\"likely\">O</span>") && text.contains("60 %"), "{text}");
        let jpeg = text.split("base64,").nth(1).and_then(|rest| rest.split('"').next()).expect("an image");
        let shown = image::load_from_memory(&BASE64_STANDARD.decode(jpeg).expect("base64")).expect("a JPEG");
        assert_eq!((shown.width(), shown.height()), (1600, 30));
    }
}
