//! The images that a report shows: mistakes, the worst and best predictions, reconstructions.

use maud::{Markup, html};

use super::confusion::ConfusedPair;
use super::embed::{EXACT, inside, pixels};
use super::heat::HeatMaps;
use super::predictions::Predictions;
use crate::Result;
use crate::inference::Reconstruction;
use crate::train::ImagePrediction;

/// Images shown of each kind of mistake.
const IMAGES_PER_MISTAKE: usize = 6;
/// Number of classes with reconstructions, and images of each.
const CLASSES: usize = 5;
const IMAGES_PER_CLASS: usize = 2;
/// Classes that are shown first when the dataset has them: those of the NIST36 assignment's report.
const PREFERRED_CLASSES: [&str; CLASSES] = ["A", "E", "K", "U", "8"];

/// Images with a caption each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CaptionedImages {
    /// Image number and caption.
    pub images: Vec<(usize, String)>,
}

/// The numbers of the images of class `label` predicted as class `guess`, the most confident first.
fn mistaken(each: &[ImagePrediction], label: usize, guess: usize) -> Vec<usize> {
    let wrong = |prediction: &ImagePrediction| prediction.label == label && prediction.guess == guess;
    let mut numbers: Vec<usize> = (0..each.len()).filter(|&number| wrong(&each[number])).collect();
    numbers.sort_by(|&a, &b| each[b].guess_score.total_cmp(&each[a].guess_score));
    numbers.truncate(IMAGES_PER_MISTAKE);
    numbers
}

/// The mistakes between two classes: images of the first predicted as the second, then the reverse.
pub fn mistakes_of_pair(predictions: &Predictions, pair: ConfusedPair) -> [CaptionedImages; 2] {
    let [a, b] = pair.classes;
    [(a, b), (b, a)].map(|(label, guess)| {
        let line = |number: usize| (number, percent(predictions.each[number].guess_score));
        CaptionedImages { images: mistaken(&predictions.each, label, guess).into_iter().map(line).collect() }
    })
}

/// The `count` images with the lowest score and the `count` images with the highest. The score is the probability of the true
/// class, or the PSNR. No image is in both lists.
pub fn worst_and_best(predictions: &Predictions, count: usize) -> [Vec<usize>; 2] {
    let each = &predictions.each;
    let mut numbers: Vec<usize> = (0..each.len()).collect();
    numbers.sort_by(|&a, &b| each[a].label_score.total_cmp(&each[b].label_score));
    let count = count.min(numbers.len() / 2);
    let worst = numbers[..count].to_vec();
    let best = numbers.iter().rev().take(count).copied().collect();
    [worst, best]
}

/// The images whose reconstructions are shown: two images of each of five classes. [`PREFERRED_CLASSES`] classes come first, then the
/// others in their order.
pub fn reconstruction_examples(predictions: &Predictions, classes: &[String]) -> Vec<usize> {
    let named = PREFERRED_CLASSES.iter().filter_map(|&wanted| classes.iter().position(|class| class == wanted));
    let mut chosen: Vec<usize> = named.collect();
    let others = (0..classes.len()).filter(|class| !chosen.contains(class)).collect::<Vec<_>>();
    chosen.extend(others);
    let of_class = |class: usize| {
        let numbers = predictions.each.iter().enumerate().filter(move |(_, prediction)| prediction.label == class);
        numbers.map(|(number, _)| number).take(IMAGES_PER_CLASS).collect::<Vec<_>>()
    };
    chosen.into_iter().map(of_class).filter(|numbers| !numbers.is_empty()).take(CLASSES).flatten().collect()
}

/// Classified images, each with its true class, its predicted class and the probability.
///
/// # Errors
/// When an image cannot be written.
pub fn classified_images(
    predictions: &Predictions,
    numbers: &[usize],
    (classes, input): (&[String], [usize; 3]),
    heat_maps: &HeatMaps,
) -> Result<Markup> {
    let line = |&number: &usize| {
        let ImagePrediction { label, guess, label_score, guess_score, .. } = predictions.each[number];
        let (shown, taken) = (&classes[label], &classes[guess]);
        let line = match label == guess {
            true => format!("{shown} {}", percent(label_score)),
            false => format!("{shown}, predicted {taken} {}", percent(guess_score)),
        };
        (number, line)
    };
    captioned_images(predictions, &CaptionedImages { images: numbers.iter().map(line).collect() }, input, heat_maps)
}

/// Images of the evaluated split side by side, each with its heat map if there is one, and its caption.
///
/// # Errors
/// When an image cannot be written.
pub fn captioned_images(
    predictions: &Predictions,
    shown: &CaptionedImages,
    input: [usize; 3],
    heat_maps: &HeatMaps,
) -> Result<Markup> {
    let mut all = Vec::new();
    for (number, line) in &shown.images {
        let values = predictions.split.image(*number).unwrap_or_default();
        let file = predictions.split.file(*number);
        let image = pixels(&values, input);
        let heat = heat_maps.over(*number, &image).map(|heat| inside(&heat, "heat map")).transpose()?;
        all.push((inside(&image, line)?, heat, line, file));
    }
    Ok(html! {
        div class=(class_for(input)) {
            @for (image, heat, line, file) in all {
                figure {
                    (image)
                    @if let Some(heat) = heat { br; (heat) }
                    figcaption { (line) @if let Some(file) = file { span.file { (file) } } }
                }
            }
        }
    })
}

/// The style of images of this shape. Photos need room to be judged; characters do not.
pub fn class_for([_, height, width]: [usize; 3]) -> &'static str {
    if height.max(width) > EXACT as usize { "images photos" } else { "images" }
}

/// Originals above their reconstructions, each pair with a caption.
///
/// # Errors
/// When an image cannot be written.
pub fn originals_and_reconstructions(reconstructions: &Reconstruction, lines: &[String]) -> Result<Markup> {
    let mut all = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let Some((original, reconstruction)) = reconstructions.pair(number) else { continue };
        let original = inside(&pixels(original, reconstructions.shape), "original")?;
        all.push((original, inside(&pixels(reconstruction, reconstructions.shape), "reconstruction")?, line));
    }
    Ok(html! {
        div class=(class_for(reconstructions.shape)) {
            @for (original, back, line) in all { figure { (original) br; (back) figcaption { (line) } } }
        }
    })
}

/// A probability in percent; one below 1 is never shown as 100 %.
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

    fn predictions() -> Predictions {
        let each = [(0, 0, 0.9, 0.9), (0, 1, 0.2, 0.8), (1, 0, 0.4, 0.6), (0, 1, 0.05, 0.95), (1, 1, 0.7, 0.7)];
        let each: Vec<ImagePrediction> = each
            .into_iter()
            .map(|(label, guess, label_score, guess_score)| ImagePrediction {
                label,
                guess,
                label_score,
                guess_score,
                ..Default::default()
            })
            .collect();
        let labels = each.iter().map(|prediction| prediction.label as u32).collect();
        let split = Split::new(Pixels::U8(vec![9; 20]), labels);
        Predictions { split_name: SplitName::Test, split, split_images: 5, each, logits: Vec::new() }
    }

    #[test]
    fn the_surest_mistakes_of_a_pair_come_first() {
        let [first, second] = mistakes_of_pair(&predictions(), ConfusedPair { classes: [0, 1], counts: [2, 1] });
        assert_eq!(first.images, [(3, "95.0 %".to_owned()), (1, "80.0 %".to_owned())]);
        assert_eq!(second.images, [(2, "60.0 %".to_owned())]);
    }

    #[test]
    fn worst_and_best_are_apart() {
        assert_eq!(worst_and_best(&predictions(), 2), [vec![3, 1], vec![0, 4]]);
        assert_eq!(worst_and_best(&predictions(), 9), [vec![3, 1], vec![0, 4]]);
    }

    #[test]
    fn the_sources_classes_are_shown_where_there_are_such() {
        let classes = ["B".to_owned(), "A".to_owned()];
        assert_eq!(reconstruction_examples(&predictions(), &classes), [2, 4, 0, 1]);
    }

    #[test]
    fn no_probability_below_1_is_called_certain() {
        assert_eq!(
            [percent(0.99999), percent(1.0), percent(0.00001), percent(0.5)],
            [">99.9 %", "100.0 %", "<0.1 %", "50.0 %"]
        );
    }
}
