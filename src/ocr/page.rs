//! What was read: a page of lines of words of characters, each with its place in the image.

use std::fmt;

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Area {
    /// The leftmost column.
    pub left: u32,
    /// The topmost row.
    pub top: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Area {
    /// The column after the rightmost.
    pub fn right(&self) -> u32 {
        self.left + self.width
    }
    /// The row after the lowest.
    pub fn bottom(&self) -> u32 {
        self.top + self.height
    }
    /// The smallest rectangle that holds both.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let (left, top) = (self.left.min(other.left), self.top.min(other.top));
        let (right, bottom) = (self.right().max(other.right()), self.bottom().max(other.bottom()));
        Self { left, top, width: right - left, height: bottom - top }
    }
    /// The smallest rectangle that holds all; none of none.
    pub fn around<'a>(areas: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        areas.into_iter().copied().reduce(|all, next| all.with(&next))
    }
    /// What both have in common over what either has, from 0 to 1.
    pub fn overlap(&self, other: &Self) -> f64 {
        let shared = |from: u32, to: u32| f64::from(to.saturating_sub(from));
        let width = shared(self.left.max(other.left), self.right().min(other.right()));
        let height = shared(self.top.max(other.top), self.bottom().min(other.bottom()));
        let size = |area: &Self| f64::from(area.width) * f64::from(area.height);
        let common = width * height;
        if common > 0.0 { common / (size(self) + size(other) - common) } else { 0.0 }
    }
}

/// Something that a character may be, and how sure that is, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Guess {
    /// The character.
    pub character: char,
    /// Its share of all that it may be.
    pub confidence: f64,
}

/// A character that was found.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Character {
    /// What it was taken for, in its word.
    #[serde(flatten)]
    pub best: Guess,
    /// What it is else, if not that.
    pub second: Option<Guess>,
    /// What the network takes it for by its form alone.
    pub alone: char,
    /// The box around its ink, in pixels of the image as it was given.
    #[serde(rename = "box")]
    pub area: Area,
}

/// Characters without a space between them.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Word {
    /// Its characters as text.
    pub text: String,
    /// The box around all.
    #[serde(rename = "box")]
    pub area: Area,
    /// From left to right.
    pub characters: Vec<Character>,
}

/// Words on one baseline.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Line {
    /// Its words as text, a space between each two.
    pub text: String,
    /// The box around all.
    #[serde(rename = "box")]
    pub area: Area,
    /// From left to right.
    pub words: Vec<Word>,
}

/// What an image says.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Page {
    /// Columns of the image.
    pub width: u32,
    /// Its rows.
    pub height: u32,
    /// By how many degrees it had to be turned clockwise to be read: 0, 90, 180 or 270. Boxes are those of the image as it was
    /// given.
    pub turned: u32,
    /// Whether the writing is lighter than what it stands on.
    pub light_ink: bool,
    /// Its lines, from top to bottom.
    pub lines: Vec<Line>,
}

impl Word {
    /// A word of at least one character; none of none.
    pub(super) fn of(characters: Vec<Character>) -> Option<Self> {
        let area = Area::around(characters.iter().map(|character| &character.area))?;
        Some(Self { text: characters.iter().map(|character| character.best.character).collect(), area, characters })
    }
}

impl Line {
    /// A line of at least one word; none of none.
    pub(super) fn of(words: Vec<Word>) -> Option<Self> {
        let area = Area::around(words.iter().map(|word| &word.area))?;
        let text = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
        Some(Self { text, area, words })
    }
    /// Its characters from left to right.
    pub fn characters(&self) -> impl Iterator<Item = &Character> {
        self.words.iter().flat_map(|word| &word.characters)
    }
}

impl Page {
    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
    /// Its characters, line by line.
    pub fn characters(&self) -> impl Iterator<Item = &Character> {
        self.lines.iter().flat_map(Line::characters)
    }
    /// Its characters' mean confidence, from 0 to 1; 0 where there are none.
    pub fn confidence(&self) -> f64 {
        let (sum, count) = self.characters().fold((0.0, 0_u32), |(sum, n), c| (sum + c.best.confidence, n + 1));
        if count == 0 { 0.0 } else { sum / f64::from(count) }
    }
}

/// The text, a line a line, without a line's end at the end.
impl fmt::Display for Page {
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
        let a = Area { left: 2, top: 3, width: 4, height: 4 };
        let b = Area { left: 4, top: 3, width: 4, height: 4 };
        assert_eq!(a.with(&b), Area { left: 2, top: 3, width: 6, height: 4 });
        assert!((a.overlap(&b) - 8.0 / 24.0).abs() < 1e-12);
        assert_eq!(a.overlap(&Area { left: 6, ..a }), 0.0);
        assert_eq!(Area::around([]), None);
    }
}
