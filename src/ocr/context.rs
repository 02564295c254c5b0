//! Decides ambiguous characters by the other characters of their word.
//!
//! The shapes of O and 0, or of l and I, are the same. The word decides: after a letter usually comes a letter, after a Q a U.
//! A word is a hidden Markov model. Each character depends on the one before it, with transition probabilities counted in
//! English text. The probabilities of the network are the emissions. The forward-backward algorithm (L. Baum et al., 1970)
//! gives the probability of each character. Clear shapes outweigh the transitions, so unusual words are read correctly.

use std::sync::LazyLock;

/// How often each letter follows each other letter in English words, see `scripts/count_letters.py`.
const COUNTS: &str = include_str!("../../data/letters.txt");
const LETTERS: usize = 26;
const DIGITS: usize = 10;
/// The states: letters, digits, and `NONE` for the beginning and the end of a word.
const KINDS: usize = LETTERS + DIGITS;
const NONE: usize = KINDS;

/// The fraction of words that begin with a digit.
const NUMBERS: f32 = 0.12;
/// The probabilities of a digit after a digit, a letter after a digit, and a digit after a letter.
const DIGIT_AFTER_DIGIT: f32 = 0.6;
const LETTER_AFTER_DIGIT: f32 = 0.02;
const DIGIT_AFTER_LETTER: f32 = 0.003;
/// Smoothing: this many counts in a thousand are added to each pair of letters.
const UNSEEN: f32 = 2.0;
/// The exponent of the transition probabilities. It is below 1 because they count too much otherwise.
const WEIGHT: f32 = 0.9;

/// The weighted transition probabilities, by the character before and the one after.
static STEPS: LazyLock<Vec<[f32; KINDS + 1]>> = LazyLock::new(|| {
    let rows = COUNTS.lines().map(|line| line.split_whitespace().filter_map(|word| word.parse().ok()).collect());
    let counts: Vec<Vec<f32>> = rows.collect();
    let letters = |row: usize, column: usize| {
        let row = counts.get(row).map_or(&[][..], Vec::as_slice);
        let total: f32 = row.iter().sum();
        let count = row.get(column).copied().unwrap_or(0.0);
        (count + UNSEEN * total / 1000.0) / (total * (1.0 + UNSEEN * (LETTERS + 1) as f32 / 1000.0)).max(1.0)
    };
    let digits = DIGITS as f32;
    let step = |before: usize, after: usize| match (before, after) {
        // The first row of the counts is the beginning of a word, the last column its end.
        (NONE, NONE) => 0.0,
        (NONE, 0..LETTERS) => (1.0 - NUMBERS) * letters(0, after),
        (NONE, _) => NUMBERS / digits,
        (0..LETTERS, 0..LETTERS) => letters(before + 1, after),
        (0..LETTERS, NONE) => letters(before + 1, LETTERS),
        (0..LETTERS, _) => DIGIT_AFTER_LETTER / digits,
        (_, NONE) => 1.0 - DIGIT_AFTER_DIGIT - LETTER_AFTER_DIGIT,
        (_, 0..LETTERS) => LETTER_AFTER_DIGIT / LETTERS as f32,
        _ => DIGIT_AFTER_DIGIT / digits,
    };
    (0..=KINDS).map(|before| std::array::from_fn(|after| step(before, after).powf(WEIGHT))).collect()
});

/// The state of a character. `None` for other characters than letters and digits.
fn number(character: char) -> Option<usize> {
    match character.to_ascii_uppercase() {
        letter @ 'A'..='Z' => Some(letter as usize - 'A' as usize),
        digit @ '0'..='9' => Some(LETTERS + digit as usize - '0' as usize),
        _ => None,
    }
}

/// The transition probability. It is uniform before and after characters that are neither letters nor digits.
fn step(before: Option<usize>, after: Option<usize>) -> f32 {
    match (before, after) {
        (Some(before), Some(after)) => STEPS[before][after],
        _ => (1.0 / KINDS as f32).powf(WEIGHT),
    }
}

/// The probability of each of the `known` characters at each position of a word, from the probabilities of the network.
pub(super) fn decide(known: &[char], word: &[&[f32]]) -> Vec<Vec<f32>> {
    let numbers: Vec<Option<usize>> = known.iter().map(|&character| number(character)).collect();
    let mut before: Vec<Vec<f32>> = Vec::with_capacity(word.len());
    for forms in word {
        let reached = |(&after, &form): (&Option<usize>, &f32)| {
            form * match before.last() {
                Some(last) => numbers.iter().zip(last).map(|(&from, weight)| weight * step(from, after)).sum(),
                None => step(Some(NONE), after),
            }
        };
        let reached = normalised(numbers.iter().zip(*forms).map(reached).collect());
        before.push(reached);
    }
    // The backward pass.
    let mut after: Vec<f32> = numbers.iter().map(|&last| step(last, Some(NONE))).collect();
    for (place, forms) in word.iter().enumerate().rev() {
        before[place] = normalised(before[place].iter().zip(&after).map(|(a, b)| a * b).collect());
        let come = |&here: &Option<usize>| {
            numbers.iter().zip(*forms).zip(&after).map(|((&next, form), rest)| step(here, next) * form * rest).sum()
        };
        after = normalised(numbers.iter().map(come).collect());
    }
    before
}

/// Divides numbers by their sum.
fn normalised(mut shares: Vec<f32>) -> Vec<f32> {
    let sum: f32 = shares.iter().sum();
    if sum > 0.0 {
        shares.iter_mut().for_each(|share| *share /= sum);
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [char; 6] = ['O', 'N', 'L', 'I', '0', '7'];

    fn likeliest(word: &[&[f32]]) -> String {
        let largest = |shares: &Vec<f32>| {
            assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            (0..KNOWN.len()).max_by(|&a, &b| shares[a].total_cmp(&shares[b])).map(|place| KNOWN[place])
        };
        decide(&KNOWN, word).iter().filter_map(largest).collect()
    }

    #[test]
    fn the_table_holds_a_row_a_letter_and_its_steps_are_probabilities() {
        assert_eq!(COUNTS.lines().count(), LETTERS + 1);
        for (before, row) in STEPS.iter().enumerate() {
            let sum: f32 = row.iter().map(|weight| weight.powf(1.0 / WEIGHT)).sum();
            assert!((sum - 1.0).abs() < 0.01, "{before}: {sum}");
        }
    }

    #[test]
    fn neighbours_decide_between_a_letter_and_a_digit() {
        let round: &[f32] = &[0.4, 0.0, 0.0, 0.0, 0.6, 0.0];
        let letter: &[f32] = &[0.0, 0.95, 0.0, 0.0, 0.0, 0.05];
        let digit: &[f32] = &[0.0, 0.05, 0.0, 0.0, 0.0, 0.95];
        assert_eq!(likeliest(&[letter, round]), "NO");
        assert_eq!(likeliest(&[round, letter]), "ON");
        assert_eq!(likeliest(&[digit, round]), "70");
    }

    #[test]
    fn letters_decide_between_letters_unless_shapes_are_clear() {
        let stroke: &[f32] = &[0.0, 0.0, 0.5, 0.5, 0.0, 0.0];
        let round: &[f32] = &[0.6, 0.0, 0.0, 0.0, 0.4, 0.0];
        let letter: &[f32] = &[0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(likeliest(&[stroke, letter]), "IN");
        assert_eq!(likeliest(&[letter, round, stroke]), "NOL");
        let clear: &[f32] = &[0.0, 0.0, 0.001, 0.999, 0.0, 0.0];
        assert_eq!(likeliest(&[clear, clear, letter, clear]), "IINI");
    }
}
