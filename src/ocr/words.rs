//! Divides lines into words at wide gaps. [`context`] then decides ambiguous characters.

use super::components::Component;
use super::context;
use super::letters::Letter;
use super::page::{BoundingBox, Character, Guess, TextLine, Word};
use super::reader::Reader;

/// The minimum difference between the mean gap of words and that of letters, relative to the letter height.
const LEAST_SPACE: f32 = 0.4;

/// Divides lines of letters into words and decides the character of each letter. `place` gives the box and the corners of a
/// component in the original image.
/// With `raw`, each character is the network's prediction.
pub(super) fn lines(
    lines: &[Vec<Letter>],
    reader: &Reader,
    raw: bool,
    place: impl Fn(&Component) -> (BoundingBox, [[i32; 2]; 4]),
) -> Vec<TextLine> {
    let space = space(lines);
    let line = |letters: &Vec<Letter>| {
        let mut words: Vec<Vec<&Letter>> = Vec::new();
        let gaps = relative_gaps(letters);
        for (number, letter) in letters.iter().enumerate() {
            let apart = number.checked_sub(1).and_then(|gap| gaps.get(gap)).is_none_or(|&gap| gap > space);
            match words.last_mut().filter(|_| !apart) {
                Some(word) => word.push(letter),
                None => words.push(vec![letter]),
            }
        }
        TextLine::of(characters(&words, reader, raw, &place).into_iter().filter_map(Word::of).collect())
    };
    lines.iter().filter_map(line).collect()
}

/// The gaps between the letters of a line, minus their median, relative to the letter height.
fn relative_gaps(letters: &[Letter]) -> Vec<f32> {
    let boxes: Vec<BoundingBox> = letters.iter().map(|letter| letter.component.bounds).collect();
    let gaps: Vec<f32> = boxes.windows(2).map(|pair| (pair[1].left as f32 - pair[0].right() as f32).max(0.0)).collect();
    let height = median(boxes.iter().map(|bounds| bounds.height as f32)).max(1.0);
    let usual = median(gaps.iter().copied());
    gaps.iter().map(|gap| (gap - usual) / height).collect()
}

/// The median, rounded down to an element of the list; 0 for an empty list.
fn median(numbers: impl Iterator<Item = f32>) -> f32 {
    let mut numbers: Vec<f32> = numbers.collect();
    numbers.sort_by(f32::total_cmp);
    numbers.get(numbers.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

/// The relative gap above which there is a space. It divides the gaps of all lines into two groups with the largest variance
/// between them, as in Otsu's method. `f32::MAX` (no spaces) when the groups are too close.
fn space(lines: &[Vec<Letter>]) -> f32 {
    let mut gaps: Vec<f32> = lines.iter().flat_map(|letters| relative_gaps(letters)).collect();
    gaps.sort_by(f32::total_cmp);
    divide(&gaps)
}

fn divide(sorted: &[f32]) -> f32 {
    let total: f32 = sorted.iter().sum();
    let mut below = 0.0;
    let mut best = (0.0, f32::MAX);
    for (count, pair) in (1..).zip(sorted.windows(2)) {
        below += pair[0];
        let (lower, upper) = (count as f32, (sorted.len() - count) as f32);
        let apart = (total - below) / upper - below / lower;
        let between = lower * upper * apart * apart;
        if apart > LEAST_SPACE && between > best.0 {
            best = (between, (pair[0] + pair[1]) / 2.0);
        }
    }
    best.1
}

/// Decides the characters of each word of a line.
fn characters(
    line: &[Vec<&Letter>],
    reader: &Reader,
    raw: bool,
    place: impl Fn(&Component) -> (BoundingBox, [[i32; 2]; 4]),
) -> Vec<Vec<Character>> {
    let known = reader.characters();
    let forms: Vec<Vec<&[f32]>> =
        line.iter().map(|word| word.iter().map(|letter| &letter.probabilities[..]).collect()).collect();
    let in_line = (!raw).then(|| context::decide(known, &forms));
    let character = |word: usize, number: usize| {
        let form = forms[word][number];
        let [best, second] = guesses(known, in_line.as_ref().map_or(form, |line| &line[word][number]));
        let [alone, _] = guesses(known, form);
        let (bounds, corners) = place(&line[word][number].component);
        Some(Character { best: best?, second, alone: alone?.character, bounds, corners })
    };
    let of_word = |word: usize| (0..line[word].len()).filter_map(|number| character(word, number)).collect();
    (0..line.len()).map(of_word).collect()
}

/// The two most likely characters.
fn guesses(known: &[char], probabilities: &[f32]) -> [Option<Guess>; 2] {
    let mut sorted: Vec<(char, f32)> = known.iter().copied().zip(probabilities.iter().copied()).collect();
    sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
    [0, 1].map(|place| sorted.get(place).map(|&(character, share)| Guess { character, confidence: f64::from(share) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_of_words_and_of_letters_are_separated() {
        let mut gaps = vec![0.0, 0.1, -0.1, 0.05, 1.2, 0.9, 0.0, 0.3];
        gaps.sort_by(f32::total_cmp);
        assert!((0.3..0.9).contains(&divide(&gaps)));
        assert_eq!(divide(&[-0.1, 0.0, 0.1, 0.2]), f32::MAX);
        assert_eq!(divide(&[]), f32::MAX);
    }

    #[test]
    fn guesses_are_sorted() {
        let guesses = guesses(&['A', 'B', 'C'], &[0.1, 0.3, 0.6]).map(|guess| guess.map(|guess| guess.character));
        assert_eq!(guesses, [Some('C'), Some('B')]);
    }
}
