//! Decides ambiguous characters by the other characters of their word and of their line.
//!
//! The shapes of O and 0, or of l and I, are the same. The word decides: after a letter usually comes a letter, after a Q a U.
//! A word is a hidden Markov model. Each character depends on the one before it. The probabilities of the network are the
//! emissions. The forward-backward algorithm (L. Baum et al., 1970) gives the probability of each character. Clear shapes
//! outweigh the transitions, so unusual words are read correctly.
//!
//! A line has one of four [`KINDS`], each with its own transition probabilities: English text, whose letter pairs were counted;
//! any letters; digits; and codes of both, where only the shape decides. The words of the line are likelier or less likely in each
//! kind, which gives the probability of the kinds (Bayes' theorem). The characters are averaged with these probabilities.

use std::sync::LazyLock;

/// How often each letter follows each other letter in English words, see `scripts/count_letters.py`.
const COUNTS: &str = include_str!("../../data/letters.txt");
const LETTERS: usize = 26;
const DIGITS: usize = 10;
/// The states: letters, digits, and `NONE` for the beginning and the end of a word.
const STATES: usize = LETTERS + DIGITS;
const NONE: usize = STATES;

/// The fraction of words in English text that begin with a digit.
const NUMBERS: f32 = 0.12;
/// The probabilities of a digit after a digit, a letter after a digit, and a digit after a letter in English text.
const DIGIT_AFTER_DIGIT: f32 = 0.6;
const LETTER_AFTER_DIGIT: f32 = 0.02;
const DIGIT_AFTER_LETTER: f32 = 0.003;
/// Smoothing: this many counts in a thousand are added to each pair of letters.
const UNSEEN: f32 = 2.0;
/// The exponent of the transition probabilities. It is below 1 because they count too much otherwise.
const WEIGHT: f32 = 0.9;
/// The probability of the end of a word after a character, in other kinds of lines.
const END: f32 = 0.25;
/// The fraction of digits in a line of letters, and of letters in a line of digits.
const OTHERS: f32 = 0.015;

/// The weighted transition probabilities, by the character before and the one after.
type Steps = Vec<[f32; STATES + 1]>;

/// A kind of line.
struct Kind {
    /// The fraction of lines of this kind.
    share: f32,
    steps: Steps,
}

/// The shares are those with which text is read as well as without the other kinds.
static KINDS: LazyLock<[Kind; 4]> = LazyLock::new(|| {
    [
        Kind { share: 0.97, steps: text() },
        Kind { share: 0.01, steps: unordered(OTHERS) },
        Kind { share: 0.01, steps: unordered(1.0 - OTHERS) },
        Kind { share: 0.01, steps: unordered(DIGITS as f32 / STATES as f32) },
    ]
});

/// The transitions of English text.
fn text() -> Steps {
    let rows = COUNTS.lines().map(|line| line.split_whitespace().filter_map(|word| word.parse().ok()).collect());
    let counts: Vec<Vec<f32>> = rows.collect();
    let letters = |row: usize, column: usize| {
        let row = counts.get(row).map_or(&[][..], Vec::as_slice);
        let total: f32 = row.iter().sum();
        let count = row.get(column).copied().unwrap_or(0.0);
        (count + UNSEEN * total / 1000.0) / (total * (1.0 + UNSEEN * (LETTERS + 1) as f32 / 1000.0)).max(1.0)
    };
    let digits = DIGITS as f32;
    weighted(|before, after| match (before, after) {
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
    })
}

/// The transitions of characters that do not depend on one another: this fraction of digits, and letters.
fn unordered(digits: f32) -> Steps {
    weighted(|before, after| match (before, after) {
        (NONE, NONE) => 0.0,
        (_, NONE) => END,
        (_, after) => {
            let share = if after < LETTERS { (1.0 - digits) / LETTERS as f32 } else { digits / DIGITS as f32 };
            if before == NONE { share } else { (1.0 - END) * share }
        }
    })
}

fn weighted(step: impl Fn(usize, usize) -> f32) -> Steps {
    (0..=STATES).map(|before| std::array::from_fn(|after| step(before, after).powf(WEIGHT))).collect()
}

/// The state of a character. `None` for other characters than letters and digits.
fn number(character: char) -> Option<usize> {
    match character.to_ascii_uppercase() {
        letter @ 'A'..='Z' => Some(letter as usize - 'A' as usize),
        digit @ '0'..='9' => Some(LETTERS + digit as usize - '0' as usize),
        _ => None,
    }
}

/// The probability of each of the `known` characters at each position of each word of a line, from the probabilities of the
/// network.
pub(super) fn decide(known: &[char], line: &[Vec<&[f32]>]) -> Vec<Vec<Vec<f32>>> {
    let numbers: Vec<Option<usize>> = known.iter().map(|&character| number(character)).collect();
    let of_kinds = KINDS.each_ref().map(|kind| {
        let words: Vec<(Vec<Vec<f32>>, f32)> = line.iter().map(|word| kind.decide(&numbers, word)).collect();
        let likelihood = kind.share.ln() + words.iter().map(|(_, likelihood)| likelihood).sum::<f32>();
        (words, likelihood)
    });
    let largest = of_kinds.iter().map(|(_, likelihood)| *likelihood).fold(f32::MIN, f32::max);
    let shares = of_kinds.each_ref().map(|(_, likelihood)| (likelihood - largest).exp());
    let mixed = |word: usize, place: usize| {
        let mut sums = vec![0.0; known.len()];
        for ((words, _), share) in of_kinds.iter().zip(shares) {
            sums.iter_mut().zip(&words[word].0[place]).for_each(|(sum, probability)| *sum += share * probability);
        }
        normalise(&mut sums);
        sums
    };
    (0..line.len()).map(|word| (0..line[word].len()).map(|place| mixed(word, place)).collect()).collect()
}

impl Kind {
    /// The transition probability. It is uniform before and after characters that are neither letters nor digits.
    fn step(&self, before: Option<usize>, after: Option<usize>) -> f32 {
        match (before, after) {
            (Some(before), Some(after)) => self.steps[before][after],
            _ => (1.0 / STATES as f32).powf(WEIGHT),
        }
    }

    /// The probability of each character at each position of a word, and the natural logarithm of the word's likelihood.
    fn decide(&self, numbers: &[Option<usize>], word: &[&[f32]]) -> (Vec<Vec<f32>>, f32) {
        let mut likelihood = 0.0;
        let mut before: Vec<Vec<f32>> = Vec::with_capacity(word.len());
        for forms in word {
            let reached = |(&after, &form): (&Option<usize>, &f32)| {
                form * match before.last() {
                    Some(last) => numbers.iter().zip(last).map(|(&from, weight)| weight * self.step(from, after)).sum(),
                    None => self.step(Some(NONE), after),
                }
            };
            let mut reached: Vec<f32> = numbers.iter().zip(*forms).map(reached).collect();
            likelihood += normalise(&mut reached).ln();
            before.push(reached);
        }
        // The backward pass.
        let mut after: Vec<f32> = numbers.iter().map(|&last| self.step(last, Some(NONE))).collect();
        if let Some(last) = before.last() {
            likelihood += last.iter().zip(&after).map(|(a, b)| a * b).sum::<f32>().max(f32::MIN_POSITIVE).ln();
        }
        for (here, forms) in before.iter_mut().zip(word).rev() {
            here.iter_mut().zip(&after).for_each(|(here, after)| *here *= after);
            normalise(here);
            let come = |&here: &Option<usize>| {
                let next = numbers.iter().zip(*forms).zip(&after);
                next.map(|((&next, form), rest)| self.step(here, next) * form * rest).sum()
            };
            after = numbers.iter().map(come).collect();
            normalise(&mut after);
        }
        (before, likelihood)
    }
}

/// Divides numbers by their sum. Returns the sum.
fn normalise(numbers: &mut [f32]) -> f32 {
    let sum = numbers.iter().sum::<f32>().max(f32::MIN_POSITIVE);
    numbers.iter_mut().for_each(|number| *number /= sum);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [char; 8] = ['O', 'N', 'L', 'I', 'K', '0', '7', '1'];

    /// The probabilities of the network, in hundredths: each pair is a character and its probability.
    fn shape(pairs: &[(char, f32)]) -> Vec<f32> {
        let of =
            |known: &char| pairs.iter().find(|(character, _)| character == known).map_or(0.0, |pair| pair.1 / 100.0);
        KNOWN.iter().map(of).collect()
    }

    /// The likeliest text of a line of clear and ambiguous shapes: `o` may be O or 0, `i` may be 1, I or L.
    fn likeliest(text: &str) -> String {
        let shape = |character: char| match character {
            'o' => shape(&[('O', 50.0), ('0', 50.0)]),
            'i' => shape(&[('L', 33.0), ('I', 33.0), ('1', 34.0)]),
            clear => KNOWN.iter().map(|known| if *known == clear { 0.96 } else { 0.04 / 7.0 }).collect(),
        };
        let words: Vec<Vec<Vec<f32>>> = text.split(' ').map(|word| word.chars().map(shape).collect()).collect();
        let line: Vec<Vec<&[f32]>> = words.iter().map(|word| word.iter().map(Vec::as_slice).collect()).collect();
        let largest = |shares: &Vec<f32>| {
            assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            (0..KNOWN.len()).max_by(|&a, &b| shares[a].total_cmp(&shares[b])).map(|place| KNOWN[place])
        };
        let words = decide(&KNOWN, &line);
        words.iter().map(|word| word.iter().filter_map(largest).collect()).collect::<Vec<String>>().join(" ")
    }

    #[test]
    fn the_table_holds_a_row_a_letter_and_steps_are_probabilities() {
        assert_eq!(COUNTS.lines().count(), LETTERS + 1);
        for (kind, before, row) in
            (0..).zip(&*KINDS).flat_map(|(kind, of)| (0..).zip(&of.steps).map(move |(before, row)| (kind, before, row)))
        {
            let sum: f32 = row.iter().map(|weight| weight.powf(1.0 / WEIGHT)).sum();
            assert!((sum - 1.0).abs() < 0.01, "kind {kind}, after {before}: {sum}");
        }
        assert!((KINDS.iter().map(|kind| kind.share).sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn neighbours_decide_between_a_letter_and_a_digit() {
        for (text, wanted) in [("No", "NO"), ("oN", "ON"), ("7o", "70"), ("KiNo", "KINO"), ("KiLo", "KILO")] {
            assert_eq!(likeliest(text), wanted, "{text}");
        }
    }

    #[test]
    fn the_line_decides_where_no_word_does() {
        // The same shapes among letters, among digits, and in English text with a number.
        for (text, wanted) in [
            ("K N o N i K o K", "K N O N I K O K"),
            ("7 0 o 7 i 7 o 7", "7 0 0 7 1 7 0 7"),
            ("oi 77 io", "01 77 10"),
            ("LooK iN oN 7o", "LOOK IN ON 70"),
        ] {
            let read = likeliest(text);
            // Nothing decides between I and L in a line of letters.
            assert_eq!(read.replace('L', "I"), wanted.replace('L', "I"), "{text}: {read}");
        }
    }

    #[test]
    fn clear_shapes_outweigh_letters_and_lines() {
        assert_eq!(likeliest("IINI"), "IINI");
        assert_eq!(likeliest("K7 N0 L1 O7"), "K7 N0 L1 O7");
    }

    #[test]
    fn impossible_shapes_give_no_error() {
        let nothing = [0.0; 8];
        assert_eq!(decide(&KNOWN, &[vec![&nothing]]), [[[0.0; 8]]]);
        assert!(decide(&KNOWN, &[]).is_empty());
    }
}
