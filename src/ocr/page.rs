//! The result of reading: a page of lines, words and characters, each with its bounding box.

use std::fmt;

use crate::Error;

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BoundingBox {
    /// The leftmost column.
    pub left: u32,
    /// The topmost row.
    pub top: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl BoundingBox {
    /// The column after the last one.
    pub fn right(&self) -> u32 {
        self.left + self.width
    }
    /// The row after the last one.
    pub fn bottom(&self) -> u32 {
        self.top + self.height
    }
    /// The corners as `[x, y]`: left top, right top, right bottom and left bottom.
    pub fn corners(&self) -> [[i32; 2]; 4] {
        let [left, top, right, bottom] = [self.left, self.top, self.right(), self.bottom()].map(|side| side as i32);
        [[left, top], [right, top], [right, bottom], [left, bottom]]
    }
    /// The smallest box around both.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let (left, top) = (self.left.min(other.left), self.top.min(other.top));
        let (right, bottom) = (self.right().max(other.right()), self.bottom().max(other.bottom()));
        Self { left, top, width: right - left, height: bottom - top }
    }
    /// The smallest box around all. `None` for no boxes.
    pub fn around<'a>(boxes: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        boxes.into_iter().copied().reduce(|all, next| all.with(&next))
    }
    /// The intersection over union, from 0 to 1.
    pub fn overlap(&self, other: &Self) -> f64 {
        let shared = |from: u32, to: u32| f64::from(to.saturating_sub(from));
        let width = shared(self.left.max(other.left), self.right().min(other.right()));
        let height = shared(self.top.max(other.top), self.bottom().min(other.bottom()));
        let size = |bounds: &Self| f64::from(bounds.width) * f64::from(bounds.height);
        let common = width * height;
        if common > 0.0 { common / (size(self) + size(other) - common) } else { 0.0 }
    }
}

/// A possible reading of a character, with its confidence.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Guess {
    /// The character.
    pub character: char,
    /// The probability, from 0 to 1.
    pub confidence: f64,
}

/// A character that was read.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Character {
    /// The most likely reading, given the other characters of its line.
    #[serde(flatten)]
    pub best: Guess,
    /// The second most likely reading.
    pub second: Option<Guess>,
    /// The network's prediction without the other characters.
    pub alone: char,
    /// The box around its ink, in pixels of the original image.
    #[serde(rename = "box")]
    pub bounds: BoundingBox,
    /// The corners of the box that is parallel to its line, as `[x, y]` in pixels of the original image: left top, right top,
    /// right bottom and left bottom of the character. They may be outside of the image.
    pub corners: [[i32; 2]; 4],
}

/// A word: characters without a space between them.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Word {
    /// Its characters as text.
    pub text: String,
    /// The box around all of them.
    #[serde(rename = "box")]
    pub bounds: BoundingBox,
    /// From left to right.
    pub characters: Vec<Character>,
}

/// A line: words on one baseline.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct TextLine {
    /// Its words as text, separated by spaces.
    pub text: String,
    /// The box around all of them.
    #[serde(rename = "box")]
    pub bounds: BoundingBox,
    /// From left to right.
    pub words: Vec<Word>,
}

/// The text of an image.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct PageText {
    /// The width of the image in pixels.
    pub width: u32,
    /// The height of the image in pixels.
    pub height: u32,
    /// The clockwise rotation in degrees that makes the image upright, from 0 to 360. Boxes are always those of the original
    /// image.
    pub turned: f64,
    /// Whether the writing is lighter than its background.
    pub light_ink: bool,
    /// Its lines, from top to bottom.
    pub lines: Vec<TextLine>,
    /// What was found if there seems to be writing, but the network is too unsure of it. There are no lines then.
    pub unreadable: Option<Unreadable>,
}

/// Writing that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Unreadable {
    /// The number of possible characters.
    pub characters: usize,
    /// The mean confidence in them, from 0 to 1; 0 if there are so many that none was read.
    pub confidence: f64,
}

impl Character {
    /// Its height across the line, in pixels.
    pub(super) fn height(&self) -> f64 {
        let [[left, top], .., [bottom_left, bottom]] = self.corners;
        f64::from(left - bottom_left).hypot(f64::from(top - bottom))
    }
}

impl Word {
    /// Makes a word. `None` for no characters.
    pub(super) fn of(characters: Vec<Character>) -> Option<Self> {
        let bounds = BoundingBox::around(characters.iter().map(|character| &character.bounds))?;
        Some(Self { text: characters.iter().map(|character| character.best.character).collect(), bounds, characters })
    }
}

impl TextLine {
    /// Makes a line. `None` for no words.
    pub(super) fn of(words: Vec<Word>) -> Option<Self> {
        let bounds = BoundingBox::around(words.iter().map(|word| &word.bounds))?;
        let text = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
        Some(Self { text, bounds, words })
    }
    /// Its characters from left to right.
    pub fn characters(&self) -> impl Iterator<Item = &Character> {
        self.words.iter().flat_map(|word| &word.characters)
    }
}

impl PageText {
    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
    /// Its characters, line by line.
    pub fn characters(&self) -> impl Iterator<Item = &Character> {
        self.lines.iter().flat_map(TextLine::characters)
    }
    /// The mean confidence of its characters, from 0 to 1. It is 0 without characters.
    pub fn confidence(&self) -> f64 {
        let (sum, count) = self.characters().fold((0.0, 0_u32), |(sum, n), c| (sum + c.best.confidence, n + 1));
        if count == 0 { 0.0 } else { sum / f64::from(count) }
    }
}

/// What was found, as the end of a sentence.
impl PageText {
    /// Why the writing on an image of this name cannot be read, as an error; none if it can.
    pub fn fault(&self, name: &str) -> Option<Error> {
        self.unreadable.map(|found| {
            Error::data(format!(
                "Cannot read {name}: {found}. Only separate capitals and digits can be read; take a closer and sharper photo of \
                 them."
            ))
        })
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { characters, confidence } = self;
        let marks = if *characters == 1 { "mark that may be a character" } else { "marks that may be characters" };
        write!(f, "{characters} {marks}, with a mean confidence of only {confidence:.2}")
    }
}

/// The text, without a line break at the end.
impl fmt::Display for PageText {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (number, line) in self.lines.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&line.text)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_join_and_overlap() {
        let a = BoundingBox { left: 2, top: 3, width: 4, height: 4 };
        let b = BoundingBox { left: 4, top: 3, width: 4, height: 4 };
        assert_eq!(a.with(&b), BoundingBox { left: 2, top: 3, width: 6, height: 4 });
        assert!((a.overlap(&b) - 8.0 / 24.0).abs() < 1e-12);
        assert_eq!(a.overlap(&BoundingBox { left: 6, ..a }), 0.0);
        assert_eq!(BoundingBox::around([]), None);
    }
}
