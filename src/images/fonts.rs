//! Which font draws which characters of a text: those inside the program, a font of the system, or Latin letters for what no font
//! has.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

/// Scripts that are written from right to left, or whose letters change form or order with their neighbours. Nothing here lays
/// them out, so they are transliterated.
const NEEDS_LAYOUT: [std::ops::RangeInclusive<char>; 9] = [
    // Hebrew, Arabic and others of the Near East; the scripts of India; Thai, Lao, Tibetan and Burmese.
    '\u{0590}'..='\u{109f}',
    // The Philippines, Khmer, Mongolian.
    '\u{1700}'..='\u{18af}',
    // Limbu to Vedic signs, without the Cyrillic and Georgian letters among them.
    '\u{1900}'..='\u{1c7f}',
    '\u{1cd0}'..='\u{1cff}',
    // Syloti Nagri to Meetei Mayek, and forms of Hebrew and Arabic letters.
    '\u{a800}'..='\u{ab2f}',
    '\u{fb1d}'..='\u{fdff}',
    '\u{fe70}'..='\u{fefc}',
    // Scripts of the past, and of Africa from right to left.
    '\u{10800}'..='\u{11fff}',
    '\u{1e800}'..='\u{1eeff}',
];

/// The fonts of the program and of the system.
pub(super) static FONTS: LazyLock<Fonts> = LazyLock::new(|| {
    #[cfg(feature = "files")]
    return Fonts::new(|| super::system_fonts::find(&super::system_fonts::folders()));
    #[cfg(not(feature = "files"))]
    Fonts::new(Vec::new)
});

/// A font.
pub(super) struct Face(FontRef<'static>);

impl Face {
    /// The font of a file, or the first one of a collection. `None` when it cannot be read.
    pub fn new(bytes: &'static [u8]) -> Option<Self> {
        let font = FontRef::try_from_slice(bytes).ok()?;
        font.units_per_em().map(|_| Self(font))
    }

    /// Whether every character has a shape. A font of coloured images has none.
    fn has(&self, text: &str) -> bool {
        text.chars().all(|character| {
            // Glyph 0 stands for all that the font lacks.
            let id = self.0.glyph_id(character);
            id.0 != 0 && (character.is_whitespace() || self.0.outline(id).is_some())
        })
    }

    /// What ab_glyph scales by, the height of a line, for `size` pixels an em.
    fn scale(&self, size: f32) -> PxScale {
        PxScale::from(size * self.0.height_unscaled() / self.0.units_per_em().unwrap_or(1.0))
    }

    /// The width of a text in pixels at `size` pixels an em.
    pub fn width(&self, text: &str, size: f32) -> f32 {
        let scaled = self.0.as_scaled(self.scale(size));
        text.chars().map(|character| scaled.h_advance(scaled.glyph_id(character))).sum()
    }

    /// Calls `ink` with each pixel of a text that starts at `left` on the line 0, and with the part of it that is covered.
    pub fn draw(&self, text: &str, size: f32, mut left: f32, ink: &mut impl FnMut(i32, i32, f32)) {
        let scaled = self.0.as_scaled(self.scale(size));
        for character in text.chars() {
            let id = scaled.glyph_id(character);
            if let Some(shape) = self.0.outline_glyph(id.with_scale_and_position(scaled.scale(), point(left, 0.0))) {
                let corner = shape.px_bounds().min;
                shape.draw(|x, y, share| ink(corner.x as i32 + x as i32, corner.y as i32 + y as i32, share));
            }
            left += scaled.h_advance(id);
        }
    }
}

/// A font that is read when it is first asked for. `None` when it cannot be read.
pub(super) type LazyFace = LazyLock<Option<Face>, Box<dyn FnOnce() -> Option<Face> + Send>>;

/// A character as readers see it, with its accents, and how it is drawn.
pub(super) struct Piece<'f> {
    /// As in the text.
    pub written: String,
    /// As drawn. It differs when it is transliterated, and may be empty.
    pub drawn: String,
    /// The font that draws it.
    pub face: &'f Face,
}

/// Fonts to choose from.
pub(super) struct Fonts {
    /// Latin, Greek and Cyrillic; emoji.
    built_in: Vec<Face>,
    /// Searched when a text needs them.
    others: LazyLock<Vec<LazyFace>, Box<dyn FnOnce() -> Vec<LazyFace> + Send>>,
}

impl Fonts {
    /// The fonts inside the program, and others for what these lack.
    pub fn new(others: impl FnOnce() -> Vec<LazyFace> + Send + 'static) -> Self {
        let built_in = [epaint_default_fonts::UBUNTU_LIGHT, epaint_default_fonts::NOTO_EMOJI_REGULAR];
        Self { built_in: built_in.into_iter().filter_map(Face::new).collect(), others: LazyLock::new(Box::new(others)) }
    }

    /// A text in pieces. Accents that are characters of their own, as in the file names of macOS, become part of their letters.
    pub fn pieces(&self, text: &str) -> Vec<Piece<'_>> {
        let Some(first) = self.built_in.first() else { return Vec::new() };
        let text: String = text.nfc().collect();
        let lacking = text.graphemes(true).map(visible).filter(|shown| self.inside(shown).is_none());
        let other = self.other(&lacking.filter(|shown| !needs_layout(shown)).collect::<Vec<_>>());
        let piece = |written: &str| {
            let shown = visible(written);
            let face = self.inside(&shown).or(other.filter(|face| !needs_layout(&shown) && face.has(&shown)));
            let drawn = if face.is_some() { shown } else { in_latin(&shown) };
            Piece { written: written.to_owned(), drawn, face: face.unwrap_or(first) }
        };
        let mut pieces: Vec<Piece> = text.graphemes(true).map(piece).collect();
        join_syllables(&mut pieces);
        pieces
    }

    fn inside(&self, text: &str) -> Option<&Face> {
        self.built_in.iter().find(|face| face.has(text))
    }

    /// The font outside the program that has most of these characters. `None` if none has any.
    fn other(&self, texts: &[String]) -> Option<&Face> {
        if texts.is_empty() {
            return None;
        }
        let mut best = (0, None);
        for face in self.others.iter().filter_map(|face| face.as_ref()) {
            let has = texts.iter().filter(|text| face.has(text)).count();
            if has > best.0 {
                best = (has, Some(face));
            }
            if has == texts.len() {
                break;
            }
        }
        best.1
    }
}

/// A grapheme without the characters that only say how others are drawn. Line ends become spaces.
fn visible(grapheme: &str) -> String {
    if grapheme.chars().all(char::is_control) {
        return " ".into();
    }
    let hidden = |character: char| match character {
        // Soft hyphens, joiners, marks of direction, byte order marks.
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => true,
        // Variation selectors, colours of skin, tags of flags.
        '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    };
    grapheme.chars().filter(|&character| !hidden(character)).collect()
}

fn needs_layout(text: &str) -> bool {
    text.chars().any(|character| NEEDS_LAYOUT.iter().any(|script| script.contains(&character)))
}

/// Removes the space after a transliterated syllable where no word follows.
fn join_syllables(pieces: &mut [Piece]) {
    for at in 0..pieces.len() {
        let word_follows = pieces.get(at + 1).is_some_and(|next| next.drawn.starts_with(char::is_alphanumeric));
        let Piece { written, drawn, .. } = &mut pieces[at];
        if !word_follows && !written.trim().is_empty() {
            drawn.truncate(drawn.trim_end().len());
        }
    }
}

/// A text in Latin letters. What has no transliteration is a question mark.
fn in_latin(text: &str) -> String {
    text.chars().map(|character| deunicode::deunicode_char(character).unwrap_or("?")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_that_need_layout_are_told_from_their_neighbours() {
        let needs = ["قط", "חתול", "मन", "แมว", "ဗမာ", "ខ្មែរ", "\u{fe8d}", "\u{1e900}"];
        assert!(needs.iter().all(|text| needs_layout(text)));
        // Also Georgian and Cyrillic capitals of late blocks, Cherokee, and a dictionary's Latin letter.
        let plain =
            ["küche", "猫", "ネコ", "고양이", "ᄀ", "კატა", "\u{1c90}", "\u{1c80}", "\u{ab70}", "\u{ab30}", "🐱"];
        assert!(plain.iter().all(|text| !needs_layout(text)));
    }

    #[test]
    fn characters_that_only_say_how_others_are_drawn_are_hidden() {
        assert_eq!(["♥\u{fe0f}", "👍\u{1f3fd}", "a\u{200b}", "\r\n", "é"].map(visible), ["♥", "👍", "a", " ", "é"]);
    }
}
