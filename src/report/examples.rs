//! Which images a report shows, and how: those of each mistake, those taken worst and best, images given back.

use maud::{Markup, html};

use super::confusion::Pair;
use super::embed::{inside, pixels};
use super::predictions::{ImagePrediction, Predictions};
use crate::Result;
use crate::inference::Reconstruction;

/// Images of each mistake.
const OF_A_MISTAKE: usize = 6;
/// Classes that reconstructions are shown of, and images of each.
const CLASSES: usize = 5;
const OF_A_CLASS: usize = 2;
/// The classes that the source report shows, where a set has them.
const WANTED: [&str; CLASSES] = ["A", "E", "K", "U", "8"];

/// Images with a line under each.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Image number and line.
    pub images: Vec<(usize, String)>,
}

/// The numbers of the images that were taken for another class, the surest mistakes first.
fn mistaken(each: &[ImagePrediction], label: usize, guess: usize) -> Vec<usize> {
    let wrong = |outcome: &ImagePrediction| outcome.label == label && outcome.guess == guess;
    let mut numbers: Vec<usize> = (0..each.len()).filter(|&number| wrong(&each[number])).collect();
    numbers.sort_by(|&a, &b| each[b].of_guess.total_cmp(&each[a].of_guess));
    numbers.truncate(OF_A_MISTAKE);
    numbers
}

/// The images of a pair's mistakes: of the first class taken for the second, and the other way.
pub fn of_pair(outcomes: &Predictions, pair: Pair) -> [Shown; 2] {
    let [a, b] = pair.classes;
    [(a, b), (b, a)].map(|(label, guess)| {
        let line = |number: usize| (number, percent(outcomes.each[number].of_guess));
        Shown { images: mistaken(&outcomes.each, label, guess).into_iter().map(line).collect() }
    })
}

/// The `count` images with the lowest figure of what they show, and those with the highest: the probability of their class,
/// or decibels. Never one among both.
pub fn extremes(outcomes: &Predictions, count: usize) -> [Vec<usize>; 2] {
    let each = &outcomes.each;
    let mut numbers: Vec<usize> = (0..each.len()).collect();
    numbers.sort_by(|&a, &b| each[a].of_label.total_cmp(&each[b].of_label));
    let count = count.min(numbers.len() / 2);
    let worst = numbers[..count].to_vec();
    let best = numbers.iter().rev().take(count).copied().collect();
    [worst, best]
}

/// The images whose reconstructions are shown: two of each of five classes, as the source report has them, else of the
/// first classes.
pub fn to_reconstruct(outcomes: &Predictions, classes: &[String]) -> Vec<usize> {
    let named = WANTED.iter().filter_map(|&wanted| classes.iter().position(|class| class == wanted));
    let mut chosen: Vec<usize> = named.collect();
    let others = (0..classes.len()).filter(|class| !chosen.contains(class)).collect::<Vec<_>>();
    chosen.extend(others);
    let of_class = |class: usize| {
        let numbers = outcomes.each.iter().enumerate().filter(move |(_, outcome)| outcome.label == class);
        numbers.map(|(number, _)| number).take(OF_A_CLASS).collect::<Vec<_>>()
    };
    chosen.into_iter().map(of_class).filter(|numbers| !numbers.is_empty()).take(CLASSES).flatten().collect()
}

/// Classified images with what each shows, what it was taken for, and how surely.
///
/// # Errors
/// When an image cannot be written.
pub fn figures(outcomes: &Predictions, numbers: &[usize], (classes, input): (&[String], [usize; 3])) -> Result<Markup> {
    let line = |&number: &usize| {
        let ImagePrediction { label, guess, of_label, of_guess } = outcomes.each[number];
        let (shown, taken) = (&classes[label], &classes[guess]);
        let line = match label == guess {
            true => format!("{shown} {}", percent(of_label)),
            false => format!("{shown}, taken for {taken} {}", percent(of_guess)),
        };
        (number, line)
    };
    images(outcomes, &Shown { images: numbers.iter().map(line).collect() }, input)
}

/// Images of the measured split side by side, a line under each.
///
/// # Errors
/// When an image cannot be written.
pub fn images(outcomes: &Predictions, shown: &Shown, input: [usize; 3]) -> Result<Markup> {
    let mut all = Vec::new();
    for (number, line) in &shown.images {
        let values = outcomes.split.image(*number).unwrap_or_default();
        all.push((inside(&pixels(&values, input), line)?, line));
    }
    Ok(html! {
        div.images {
            @for (image, line) in all { figure { (image) figcaption { (line) } } }
        }
    })
}

/// Originals above what was given back, with a line for each.
///
/// # Errors
/// When an image cannot be written.
pub fn pairs(back: &Reconstruction, lines: &[String]) -> Result<Markup> {
    let mut all = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let Some((original, given_back)) = back.pair(number) else { continue };
        let original = inside(&pixels(original, back.shape), "original")?;
        all.push((original, inside(&pixels(given_back, back.shape), "given back")?, line));
    }
    Ok(html! {
        div.images {
            @for (original, back, line) in all { figure { (original) br; (back) figcaption { (line) } } }
        }
    })
}

/// A probability for people, without claiming certainty.
pub fn percent(probability: f32) -> String {
    let probability = f64::from(probability);
    match 100.0 * probability {
        percent if percent >= 99.95 && probability < 1.0 => ">99.9 %".into(),
        percent if percent < 0.05 && probability > 0.0 => "<0.1 %".into(),
        percent => format!("{percent:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Pixels, Split, SplitName};

    fn outcomes() -> Predictions {
        let each = [(0, 0, 0.9, 0.9), (0, 1, 0.2, 0.8), (1, 0, 0.4, 0.6), (0, 1, 0.05, 0.95), (1, 1, 0.7, 0.7)];
        let each: Vec<ImagePrediction> = each
            .into_iter()
            .map(|(label, guess, of_label, of_guess)| ImagePrediction { label, guess, of_label, of_guess })
            .collect();
        let labels = each.iter().map(|outcome| outcome.label as u32).collect();
        let split = Split { pixels: Pixels::U8(vec![9; 20]), labels };
        Predictions { part: SplitName::Test, split, of: 5, each }
    }

    #[test]
    fn the_surest_mistakes_of_a_pair_come_first() {
        let [first, second] = of_pair(&outcomes(), Pair { classes: [0, 1], counts: [2, 1] });
        assert_eq!(first.images, [(3, "95.0 %".to_owned()), (1, "80.0 %".to_owned())]);
        assert_eq!(second.images, [(2, "60.0 %".to_owned())]);
    }

    #[test]
    fn worst_and_best_are_apart() {
        assert_eq!(extremes(&outcomes(), 2), [vec![3, 1], vec![0, 4]]);
        assert_eq!(extremes(&outcomes(), 9), [vec![3, 1], vec![0, 4]]);
    }

    #[test]
    fn the_sources_classes_are_shown_where_there_are_such() {
        let classes = ["B".to_owned(), "A".to_owned()];
        assert_eq!(to_reconstruct(&outcomes(), &classes), [2, 4, 0, 1]);
    }

    #[test]
    fn no_probability_below_1_is_called_certain() {
        assert_eq!(
            [percent(0.99999), percent(1.0), percent(0.00001), percent(0.5)],
            [">99.9 %", "100.0 %", "<0.1 %", "50.0 %"]
        );
    }
}
