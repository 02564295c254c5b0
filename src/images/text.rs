//! Words in images: names of classes in any script, as they are written.

use image::{Rgb, RgbImage};

use super::fonts::{FONTS, Fonts, Piece};

/// The size of the letters in sheets, in pixels an em.
pub const SIZE: f32 = 14.0;
/// The height of such letters in pixels, from the lowest to the highest, and the part of it above the line.
pub const LETTER_HEIGHT: u32 = 16;
const ABOVE_LINE: i32 = 13;
/// Stands for what is left out of a long name.
const ELLIPSIS: &str = "…";

/// The width of a text in pixels, at `size` pixels an em.
pub fn width(text: &str, size: f32) -> u32 {
    FONTS.pieces(text).iter().map(|piece| advance(piece, size)).sum::<f32>().ceil() as u32
}

/// A text of at most `most` pixels, at `size` pixels an em: a longer one loses characters in its middle.
pub fn shortened(text: &str, size: f32, most: u32) -> String {
    shortened_with(&FONTS, text, size, most)
}

fn shortened_with(fonts: &Fonts, text: &str, size: f32, most: u32) -> String {
    let pieces = fonts.pieces(text);
    let widths: Vec<f32> = pieces.iter().map(|piece| advance(piece, size)).collect();
    let most = most as f32;
    let mut rest: f32 = widths.iter().sum();
    if rest <= most {
        return text.to_owned();
    }
    rest += fonts.pieces(ELLIPSIS).iter().map(|piece| advance(piece, size)).sum::<f32>();
    // What stays at the start and at the end. The longer side loses a character next.
    let (mut head, mut tail) = (pieces.len().div_ceil(2), pieces.len() - pieces.len().div_ceil(2));
    while rest > most && head > 0 {
        let lost = if head > tail { head - 1 } else { pieces.len() - tail };
        (head, tail) = if head > tail { (head - 1, tail) } else { (head, tail - 1) };
        rest -= widths[lost];
    }
    if rest > most {
        return String::new();
    }
    let written = |pieces: &[Piece]| pieces.iter().map(|piece| piece.written.as_str()).collect::<String>();
    format!("{}{ELLIPSIS}{}", written(&pieces[..head]), written(&pieces[pieces.len() - tail..]))
}

fn advance(piece: &Piece, size: f32) -> f32 {
    piece.face.width(&piece.drawn, size)
}

/// Calls `ink` with each pixel of a text and with the part of it that is covered. The text starts at `(0, 0)` on its line, with
/// `size` pixels an em. y grows downwards.
pub fn each_pixel(text: &str, size: f32, ink: impl FnMut(i32, i32, f32)) {
    each_pixel_with(&FONTS, text, size, ink);
}

fn each_pixel_with(fonts: &Fonts, text: &str, size: f32, mut ink: impl FnMut(i32, i32, f32)) {
    let mut left = 0.0;
    for piece in fonts.pieces(text) {
        piece.face.draw(&piece.drawn, size, left, &mut ink);
        left += advance(&piece, size);
    }
}

/// Draws a text of [`SIZE`] with its upper left corner at `(left, top)`.
pub fn draw(image: &mut RgbImage, text: &str, (left, top): (u32, u32), colour: Rgb<u8>) {
    each_pixel(text, SIZE, |x, y, share| blend(image, (x + left as i32, y + top as i32 + ABOVE_LINE), colour, share));
}

/// Mixes a colour into a pixel: a share of 1 replaces it. Pixels outside the image are left out.
pub fn blend(image: &mut RgbImage, (x, y): (i32, i32), colour: Rgb<u8>, share: f32) {
    let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return };
    if let Some(pixel) = image.get_pixel_mut_checked(x, y) {
        for (under, over) in pixel.0.iter_mut().zip(colour.0) {
            *under = (f32::from(*under) * (1.0 - share) + f32::from(over) * share).round() as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fonts::{Face, LazyFace};
    use super::*;

    /// Only the fonts of the program, whatever the system has.
    fn alone() -> Fonts {
        Fonts::new(Vec::new)
    }

    /// As if the system had these fonts.
    fn with(fonts: &'static [&'static [u8]]) -> Fonts {
        let lazy = |bytes: &&'static [u8]| -> LazyFace {
            let bytes = *bytes;
            std::sync::LazyLock::new(Box::new(move || Face::new(bytes)))
        };
        Fonts::new(move || fonts.iter().map(lazy).collect())
    }

    fn drawn(fonts: &Fonts, text: &str) -> String {
        fonts.pieces(text).into_iter().map(|piece| piece.drawn).collect()
    }

    fn pixels(fonts: &Fonts, text: &str) -> RgbImage {
        let mut image = RgbImage::new(100, 20);
        each_pixel_with(fonts, text, SIZE, |x, y, share| {
            blend(&mut image, (x + 2, y + 15), Rgb([255; 3]), share);
        });
        image
    }

    #[test]
    fn letters_are_drawn_as_written_in_any_case_and_with_accents() {
        let texts = ["küche", "kuche", "KÜCHE", "Ελλάδα", "Київ", "🐱"];
        for (number, text) in texts.iter().enumerate() {
            assert_eq!(drawn(&alone(), text), *text);
            let image = pixels(&alone(), text);
            assert!(image.pixels().any(|pixel| pixel.0[0] > 200), "{text}");
            assert!(texts[..number].iter().all(|other| pixels(&alone(), other) != image), "{text}");
        }
    }

    #[test]
    fn accents_as_characters_of_their_own_join_their_letters() {
        assert_eq!(drawn(&alone(), "ku\u{308}che"), "k\u{fc}che");
        assert_eq!(pixels(&alone(), "ku\u{308}che"), pixels(&alone(), "k\u{fc}che"));
    }

    #[test]
    fn what_no_font_has_is_transliterated() {
        // Hepburn, Hanyu Pinyin and Revised Romanization without marks.
        let names = [
            ("ネコ", "neko"),
            ("北京", "Bei Jing"),
            ("北京-2", "Bei Jing-2"),
            ("고양이", "goyangi"),
            ("dog 北", "dog Bei"),
            ("मन", "mn"),
            ("กา", "kaa"),
            ("a\nb", "a b"),
            ("\u{13000}", "?"),
        ];
        for (written, latin) in names {
            assert_eq!(drawn(&alone(), written), latin);
        }
    }

    #[test]
    fn a_font_of_the_system_draws_what_it_has() {
        let hack: &[&[u8]] = &[b"no font", epaint_default_fonts::HACK_REGULAR];
        // The fonts of the program have neither Georgian letters nor arrows.
        assert_eq!(drawn(&alone(), "კატა → k"), "kata - k");
        assert_eq!(drawn(&with(hack), "კატა → k ネ"), "კატა → k ne");
        assert_ne!(pixels(&with(hack), "კ"), pixels(&alone(), "კ"));
        // What the program has looks as in other names.
        assert_eq!(pixels(&with(hack), "k"), pixels(&alone(), "k"));
    }

    #[test]
    fn long_names_are_shortened_in_their_middle() {
        let short = |text: &str, most| shortened_with(&alone(), text, SIZE, most);
        assert_eq!(short("daisy", 100), "daisy");
        let name = short("a very long name of a class 12", 90);
        assert!(name.starts_with("a very") && name.ends_with("12") && name.contains('…'), "{name}");
        assert!(width(&name, SIZE) <= 90 && width(&name, SIZE) > 70, "{}", width(&name, SIZE));
        assert_eq!((short("daisy", 1).as_str(), short("", 0).as_str()), ("", ""));
    }

    #[test]
    fn shortening_keeps_characters_of_several_parts_whole() {
        let parts = ["👩\u{200d}🍳", "👍\u{1f3fd}", "x\u{323}\u{302}"];
        for part in parts {
            let name = part.repeat(12);
            for most in 0..width(&name, SIZE) {
                let short = shortened_with(&alone(), &name, SIZE, most);
                assert!(short.split('…').all(|side| side.replace(part, "").is_empty()), "{short} of {most}");
            }
        }
    }
}
