//! The result of reading as one HTML file without scripts, fonts or other files.

use image::{DynamicImage, RgbImage};
use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use super::overlay::{LIKELY, SURE, overlay};
use super::page::{Character, PageText};
use crate::{Result, images};

/// The maximum side of an image on the page.
const LONGEST: u32 = 1600;
/// The JPEG quality of images, from 1 to 100.
const QUALITY: u8 = 80;
const STYLE: &str =
    "body{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1f2328}
img{max-width:100%;height:auto;border:1px solid #d0d7de}pre{font:1.1rem/1.5 ui-monospace,monospace;overflow-x:auto}
table{border-collapse:collapse}th,td{text-align:left;padding:.1rem 1.2rem .1rem 0;border-bottom:1px solid #d0d7de}
.likely{background:#ffe8b8}.guess{background:#ffcdd2}.faint{color:#656d76}
@media (prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}.faint{color:#9198a1}.likely{background:#6b4a00}.guess{background:#7a1f28}}";

/// An image and its text.
#[derive(Clone, Copy, Debug)]
pub struct ReadImage<'a> {
    /// The name of the image.
    pub name: &'a str,
    /// The original image.
    pub image: &'a DynamicImage,
    /// The result of [`read`](super::read).
    pub page: &'a PageText,
}

/// Makes an HTML page: each image with boxes, its text with uncertain characters marked, and a table of these.
///
/// # Errors
/// [`Error::Data`](crate::Error::Data) when an image cannot be encoded as JPEG.
pub fn html(seen: &[ReadImage]) -> Result<String> {
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
                    "Boxes are green for sure characters, orange for likely ones and red for guesses. Marks in the text: "
                    span.likely { "likely" } ", " span.guess { "a guess" } "."
                }
                @for section in &sections { (section) }
            }
        }
    };
    Ok(page.into_string())
}

fn section(seen: &ReadImage) -> Result<Markup> {
    let ReadImage { name, image, page } = *seen;
    let source = source(&overlay(image, page))?;
    let unsure: Vec<&Character> = page.characters().filter(|character| character.best.confidence <= SURE).collect();
    let found = match (page.characters().count(), page.unreadable) {
        (0, Some(found)) => format!("This cannot be read: {found}."),
        (0, None) => "No writing was found.".to_owned(),
        (count, _) => format!(
            "{count} characters in {} lines, {:.1} % mean confidence.",
            page.lines.len(),
            100.0 * page.confidence()
        ),
    };
    Ok(markup! {
        h2 { (name) }
        p { (found) @if page.turned > 0.0 { " The image was rotated clockwise by " (page.turned.round()) " degrees." } }
        pre { @for line in &page.lines {
            @for (number, word) in line.words.iter().enumerate() {
                @if number > 0 { " " }
                @for character in &word.characters { (marked(character)) }
            }
            "\n"
        } }
        img src=(source) alt=(format!("{name} with a box around each character that was read"));
        @if !unsure.is_empty() { table {
            tr { th { "read" } th { "confidence" } th { "second guess" } th { "without context" } th { "left, top" } }
            @for character in unsure { tr {
                td { (marked(character)) }
                td { (format!("{:.0} %", 100.0 * character.best.confidence)) }
                td { @if let Some(second) = character.second { (second.character) } }
                td { (character.alone) }
                td { (character.bounds.left) ", " (character.bounds.top) }
            } }
        } }
    })
}

/// A character, marked by its confidence.
fn marked(character: &Character) -> Markup {
    let best = character.best;
    markup! {
        @if best.confidence > SURE { (best.character) }
        @else if best.confidence > LIKELY { span.likely { (best.character) } }
        @else { span.guess { (best.character) } }
    }
}

/// An image as the source of an `img` element. A large image is reduced first.
fn source(image: &RgbImage) -> Result<String> {
    let reduced = (image.width().max(image.height()) > LONGEST).then(|| images::resize_longer_side(image, LONGEST));
    Ok(images::data_uri("jpeg", &images::jpeg(reduced.as_ref().unwrap_or(image), QUALITY)?))
}

#[cfg(test)]
mod tests {
    use super::super::page::{BoundingBox, Guess, TextLine, Word};
    use super::*;
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;

    #[test]
    fn names_are_escaped_uncertain_characters_are_marked_and_large_images_are_reduced() {
        let bounds = BoundingBox { left: 10, top: 20, width: 12, height: 30 };
        let best = Guess { character: 'O', confidence: 0.6 };
        let second = Some(Guess { character: '0', confidence: 0.4 });
        let word = Word::of(vec![Character { best, second, alone: '0', bounds, corners: bounds.corners() }])
            .expect("a character");
        let lines = vec![TextLine::of(vec![word]).expect("a word")];
        let page = PageText { width: 3200, height: 60, lines, ..PageText::default() };
        let image = DynamicImage::new_luma8(3200, 60);
        let text = html(&[ReadImage { name: "a<b>.png", image: &image, page: &page }]).expect("a page");
        assert!(text.contains("a&lt;b&gt;.png") && !text.contains("a<b>"), "{text}");
        assert!(text.contains("<span class=\"likely\">O</span>") && text.contains("60 %"), "{text}");
        let jpeg = text.split("base64,").nth(1).and_then(|rest| rest.split('"').next()).expect("an image");
        let shown = image::load_from_memory(&BASE64_STANDARD.decode(jpeg).expect("base64")).expect("a JPEG");
        assert_eq!((shown.width(), shown.height()), (1600, 30));
    }
}
