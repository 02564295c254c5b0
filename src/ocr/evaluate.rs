//! Evaluates reading: characters found, characters read correctly, and the similarity of texts.

use super::page::{BoundingBox, PageText};
use super::synthetic::SyntheticLine;

/// The minimum intersection over union of two boxes of the same character.
const MIN_OVERLAP: f64 = 0.5;

/// Counts from reading pages whose text is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadingCounts {
    /// Characters on the pages.
    pub characters: usize,
    /// Characters whose box was found.
    pub found: usize,
    /// Characters that were found and read correctly.
    pub right: usize,
    /// Boxes where there is no character.
    pub extra: usize,
}

impl ReadingCounts {
    /// Compares the text that was read with the true text.
    pub fn of(page: &PageText, written: &[SyntheticLine]) -> Self {
        let mut boxes: Vec<(char, BoundingBox)> = page.characters().map(|c| (c.best.character, c.bounds)).collect();
        let mut counts = Self::default();
        for (character, bounds) in written.iter().flat_map(|line| &line.characters) {
            counts.characters += 1;
            let overlaps = boxes.iter().map(|(_, other)| bounds.overlap(other)).enumerate();
            let best = overlaps.max_by(|a, b| a.1.total_cmp(&b.1)).filter(|(_, overlap)| *overlap >= MIN_OVERLAP);
            if let Some((number, _)) = best {
                let (read, _) = boxes.swap_remove(number);
                counts.found += 1;
                counts.right += usize::from(read == *character);
            }
        }
        counts.extra = boxes.len();
        counts
    }

    /// Adds the counts of another page.
    pub fn add(&mut self, other: Self) {
        self.characters += other.characters;
        self.found += other.found;
        self.right += other.right;
        self.extra += other.extra;
    }
}

/// The similarity of two texts: 1 minus the edit distance (V. Levenshtein, 1966) divided by the length of the first, at least
/// 0. Case is ignored, and so are characters other than letters and digits. With `spaces`, spaces and line breaks count as
/// a space.
pub fn similarity(text: &str, read: &str, spaces: bool) -> f64 {
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
        assert_eq!(similarity("TO DO\nA NAP", "to do a nap!", true), 1.0);
        assert_eq!(similarity("TO DO", "TODO", false), 1.0);
        assert!((similarity("TO DO", "TODO", true) - 0.8).abs() < 1e-12);
        assert!((similarity("ABCD", "ABXD", false) - 0.75).abs() < 1e-12);
        assert_eq!(
            (similarity("A", "BBBBB", false), similarity("", "", true), similarity("", "A", true)),
            (0.0, 1.0, 0.0)
        );
    }
}
