//! From letters to words: where a line has gaps, and what a character is in its word.
//!
//! No network tells an O from a 0 by its form alone. In a word, the others decide: where they are letters it is a letter.
//! Each character's probabilities of being a letter and of being a digit are weighed against each other over the word; where the
//! word is one of letters (digits), those of the other kind count a twentieth.

use super::letters::Letter;
use super::page::{Area, Character, Guess, Line, Word};
use super::reader::{ALIKE, Reader};

/// Gaps of words are wider than those of letters, on the mean, by more than that part of the letters' height.
const LEAST_SPACE: f32 = 0.4;
/// How much more likely a word is one of letters than of digits, or the reverse, for it to be taken for one, in nats.
const OF_ONE_KIND: f32 = 1.0;
/// What one character may add to that.
const MOST: f32 = 2.0;
/// What the characters of the other kind count in a word of one kind.
const OTHER_KIND: f32 = 0.05;

/// Divides lines of letters into words and says what each letter is; `place` is where a box lies in the picture as it was
/// given. With `raw` each letter is what the network takes it for.
pub(super) fn lines(lines: &[Vec<Letter>], reader: &Reader, raw: bool, place: impl Fn(&Area) -> Area) -> Vec<Line> {
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
        Line::of(words.iter().filter_map(|word| Word::of(characters(word, reader, raw, &place))).collect())
    };
    lines.iter().filter_map(line).collect()
}

/// The gaps between a line's letters, less the usual one of the line, over the letters' height.
fn relative_gaps(letters: &[Letter]) -> Vec<f32> {
    let areas: Vec<Area> = letters.iter().map(|letter| letter.part.area).collect();
    let gaps: Vec<f32> = areas.windows(2).map(|pair| (pair[1].left as f32 - pair[0].right() as f32).max(0.0)).collect();
    let height = middle(areas.iter().map(|area| area.height as f32)).max(1.0);
    let usual = middle(gaps.iter().copied());
    gaps.iter().map(|gap| (gap - usual) / height).collect()
}

/// The middle one of some numbers, the lower one of two; 0 of none.
fn middle(numbers: impl Iterator<Item = f32>) -> f32 {
    let mut numbers: Vec<f32> = numbers.collect();
    numbers.sort_by(f32::total_cmp);
    numbers.get(numbers.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

/// From which relative gap on there is a space: the division of all lines' gaps into two groups that lie furthest apart, as
/// Otsu divides brightness; none where the groups are hardly apart.
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

/// What the letters of a word are.
fn characters(word: &[&Letter], reader: &Reader, raw: bool, place: impl Fn(&Area) -> Area) -> Vec<Character> {
    let known = reader.characters();
    let kind = if raw { 0.0 } else { kind(known, word.iter().map(|letter| &letter.probabilities[..])) };
    let character = |letter: &&Letter| {
        let (best, second) = guesses(known, &letter.probabilities, kind)?;
        Some(Character { best, second, area: place(&letter.part.area) })
    };
    word.iter().filter_map(character).collect()
}

/// How much likelier a word is one of letters than one of digits, in nats: by those characters whose form says what they are;
/// where that says little, by all.
fn kind<'a>(known: &[char], word: impl Iterator<Item = &'a [f32]> + Clone) -> f32 {
    let sum = |of_form: bool| word.clone().map(|probabilities| evidence(known, probabilities, of_form)).sum::<f32>();
    let clear = sum(true);
    if clear.abs() > OF_ONE_KIND { clear } else { sum(false) }
}

/// How much likelier a letter than a digit a character is, in nats; with `of_form` that it is one of [`ALIKE`] speaks for neither.
fn evidence(known: &[char], probabilities: &[f32], of_form: bool) -> f32 {
    let (mut letter, mut digit) = (0.02, 0.02);
    for (&character, &share) in known.iter().zip(probabilities) {
        if of_form && ALIKE.iter().any(|group| group.contains(character)) {
            letter += share / 2.0;
            digit += share / 2.0;
        } else if character.is_ascii_digit() {
            digit += share;
        } else {
            letter += share;
        }
    }
    (letter / digit).ln().clamp(-MOST, MOST)
}

/// The two likeliest characters, in a word that is of letters where `kind` is well above 0, of digits where it is well below.
fn guesses(known: &[char], probabilities: &[f32], kind: f32) -> Option<(Guess, Option<Guess>)> {
    let weight = |character: char| {
        let other = if character.is_ascii_digit() { kind > OF_ONE_KIND } else { kind < -OF_ONE_KIND };
        if other { OTHER_KIND } else { 1.0 }
    };
    let weighed = known.iter().zip(probabilities).map(|(&character, &share)| (character, share * weight(character)));
    let mut weighed: Vec<(char, f32)> = weighed.collect();
    let total: f32 = weighed.iter().map(|(_, share)| share).sum();
    weighed.sort_by(|a, b| b.1.total_cmp(&a.1));
    let guess = |&(character, share): &(char, f32)| Guess { character, confidence: f64::from(share / total) };
    Some((weighed.first().map(guess)?, weighed.get(1).map(guess)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_of_words_are_told_from_those_of_letters() {
        let mut gaps = vec![0.0, 0.1, -0.1, 0.05, 1.2, 0.9, 0.0, 0.3];
        gaps.sort_by(f32::total_cmp);
        assert!((0.3..0.9).contains(&divide(&gaps)));
        assert_eq!(divide(&[-0.1, 0.0, 0.1, 0.2]), f32::MAX);
        assert_eq!(divide(&[]), f32::MAX);
    }

    #[test]
    fn neighbours_decide_between_a_letter_and_a_digit() {
        let known = ['O', 'N', '0', '7'];
        let (unsure, letter) = ([0.4, 0.0, 0.6, 0.0], [0.0, 0.95, 0.0, 0.05]);
        let kind = kind(&known, [&unsure[..], &letter].into_iter());
        assert!(kind > OF_ONE_KIND, "{kind}");
        let best = |kind| guesses(&known, &unsure, kind).map(|(best, second)| (best.character, second.map(|s| s.character)));
        assert_eq!(best(kind), Some(('O', Some('0'))));
        assert_eq!(best(-kind), Some(('0', Some('O'))));
        assert_eq!(best(0.0), Some(('0', Some('O'))));
    }
}
