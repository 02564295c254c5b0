//! Words in images: names of classes, as they are written.

use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};
use image::{Rgb, RgbImage};

/// The height of the letters in pixels, from the lowest to the highest.
pub const LETTER_HEIGHT: u32 = 16;
/// Stands for what is left out of a long name.
const ELLIPSIS: char = '…';

/// Letters of Latin, Greek and Cyrillic. Other letters are drawn as the font's box.
fn font() -> Option<FontRef<'static>> {
    FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT).ok()
}

/// The glyphs of a text that starts at `(0, 0)`, and its width in pixels.
fn glyphs(font: &FontRef, text: &str) -> (Vec<Glyph>, f32) {
    let scaled = font.as_scaled(PxScale::from(LETTER_HEIGHT as f32));
    let (mut glyphs, mut right) = (Vec::new(), 0.0);
    for letter in text.chars() {
        let id = scaled.glyph_id(letter);
        glyphs.push(id.with_scale_and_position(scaled.scale(), point(right, scaled.ascent())));
        right += scaled.h_advance(id);
    }
    (glyphs, right)
}

/// The width of a text in pixels.
pub fn width(text: &str) -> u32 {
    font().map_or(0, |font| glyphs(&font, text).1.ceil() as u32)
}

/// A text of at most `most` pixels: a longer one loses letters in its middle.
pub fn shortened(text: &str, most: u32) -> String {
    let letters: Vec<char> = text.chars().collect();
    let without = |left_out: usize| -> String {
        let kept = letters.len() - left_out;
        let (head, tail) = (kept.div_ceil(2), kept / 2);
        let ends = letters[..head].iter().chain(&[ELLIPSIS]).chain(&letters[letters.len() - tail..]);
        ends.collect()
    };
    if width(text) <= most {
        return text.to_owned();
    }
    (1..=letters.len()).map(without).find(|short| width(short) <= most).unwrap_or_default()
}

/// Draws a text with its upper left corner at `(left, top)`.
pub fn draw(image: &mut RgbImage, text: &str, (left, top): (u32, u32), colour: Rgb<u8>) {
    let Some(font) = font() else { return };
    for glyph in glyphs(&font, text).0 {
        let Some(outline) = font.outline_glyph(glyph) else { continue };
        let bounds = outline.px_bounds();
        outline.draw(|x, y, share| {
            let (x, y) = (bounds.min.x as i64 + i64::from(x + left), bounds.min.y as i64 + i64::from(y + top));
            let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return };
            if let Some(pixel) = image.get_pixel_mut_checked(x, y) {
                for (under, over) in pixel.0.iter_mut().zip(colour.0) {
                    *under = (f32::from(*under) * (1.0 - share) + f32::from(over) * share).round() as u8;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(text: &str) -> RgbImage {
        let mut image = RgbImage::new(100, 20);
        draw(&mut image, text, (2, 2), Rgb([255; 3]));
        image
    }

    #[test]
    fn letters_are_drawn_as_written_in_any_case_and_with_accents() {
        let texts = ["küche", "kuche", "KÜCHE", "Ελλάδα", "Київ"];
        for (number, text) in texts.iter().enumerate() {
            assert!(drawn(text).pixels().any(|pixel| pixel.0[0] > 200), "{text}");
            assert!(texts[..number].iter().all(|other| drawn(other) != drawn(text)), "{text}");
        }
    }

    #[test]
    fn long_names_are_shortened_in_their_middle() {
        assert_eq!(shortened("daisy", 100), "daisy");
        let short = shortened("a very long name of a class 12", 90);
        assert!(short.starts_with("a very") && short.ends_with("12") && short.contains('…'), "{short}");
        assert!(width(&short) <= 90 && width(&short) > 70, "{}", width(&short));
    }
}
