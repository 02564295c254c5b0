//! How well a page was read: letters found, letters read rightly, and the distance of the texts.

use super::page::{Area, Page};
use super::pages::WrittenLine;

/// Boxes that overlap by that much, of what either covers, are of the same letter.
const SAME: f64 = 0.5;

/// What came out of reading pages whose text is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Characters that stand there.
    pub characters: usize,
    /// Of these, those whose box was found.
    pub found: usize,
    /// Of these, those that were read rightly.
    pub right: usize,
    /// Boxes where nothing stands.
    pub extra: usize,
}

impl Measured {
    /// Compares a page with what was written on it.
    pub fn of(page: &Page, written: &[WrittenLine]) -> Self {
        let mut boxes: Vec<(char, Area)> = page.characters().map(|c| (c.best.character, c.area)).collect();
        let mut measured = Self::default();
        for (character, area) in written.iter().flat_map(|line| &line.characters) {
            measured.characters += 1;
            let overlaps = boxes.iter().map(|(_, other)| area.overlap(other)).enumerate();
            let best = overlaps.max_by(|a, b| a.1.total_cmp(&b.1)).filter(|(_, overlap)| *overlap >= SAME);
            if let Some((number, _)) = best {
                let (read, _) = boxes.swap_remove(number);
                measured.found += 1;
                measured.right += usize::from(read == *character);
            }
        }
        measured.extra = boxes.len();
        measured
    }

    /// Adds those of another page.
    pub fn add(&mut self, other: Self) {
        self.characters += other.characters;
        self.found += other.found;
        self.right += other.right;
        self.extra += other.extra;
    }
}

/// How alike two texts are: 1 less the edit distance (V. Levenshtein, 1966) over the length of the first, at least 0. Letters
/// count as capitals; what is neither a letter nor a digit counts with `spaces` where it is a space or a line's end, which are
/// one thing, and else not at all.
pub fn likeness(text: &str, read: &str, spaces: bool) -> f64 {
    let plain = |text: &str| -> String {
        let words = text.split_whitespace().map(|word| {
            let kept = word.chars().filter(char::is_ascii_alphanumeric);
            kept.map(|c| c.to_ascii_uppercase()).collect::<String>()
        });
        let words: Vec<String> = words.filter(|word| !word.is_empty()).collect();
        words.join(if spaces { " " } else { "" })
    };
    let (text, read) = (plain(text), plain(read));
    let length = text.len();
    if length == 0 {
        return if read.is_empty() { 1.0 } else { 0.0 };
    }
    (1.0 - strsim::levenshtein(&text, &read) as f64 / length as f64).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_by_letters_and_by_words() {
        assert_eq!(likeness("TO DO\nA NAP", "to do a nap!", true), 1.0);
        assert_eq!(likeness("TO DO", "TODO", false), 1.0);
        assert!((likeness("TO DO", "TODO", true) - 0.8).abs() < 1e-12);
        assert!((likeness("ABCD", "ABXD", false) - 0.75).abs() < 1e-12);
        assert_eq!((likeness("A", "BBBBB", false), likeness("", "", true), likeness("", "A", true)), (0.0, 1.0, 0.0));
    }
}
