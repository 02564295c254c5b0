//! The training images that are most similar to the mistakes that a page shows, by the network's own features.

use maud::{Markup, html};

use super::embed::{inside, pixels};
use super::examples::{class_for, percent};
use super::predictions::{MAX_OPERATIONS, Predictions, affordable_images};
use crate::data::{Split, SplitName, limited};
use crate::inference::{Embedder, Nearest, Neighbor, normalize};
use crate::train::Checkpoint;
use crate::{Engine, Result};

/// Training images beside a mistake.
const BESIDE: usize = 3;
/// The largest number of training images that are compared.
const MOST_COMPARED: usize = 4096;
/// The smallest.
const LEAST_COMPARED: usize = 64;
/// How many times the operations of the page's evaluation are spent, if all images are evaluated.
const FACTOR: u64 = 10;
/// Images that the network computes at a time.
const AT_ONCE: usize = 32;

/// The nearest training images of some mistakes.
#[derive(Clone, Debug, Default)]
pub struct NearestImages {
    /// By the mistake's number in the evaluated split.
    mistakes: Vec<(usize, Vec<NearImage>)>,
    /// The number of training images that were compared, and of all.
    compared: [usize; 2],
}

/// A training image.
#[derive(Clone, Debug)]
struct NearImage {
    values: Vec<f32>,
    label: usize,
    file: Option<String>,
    similarity: f32,
}

impl NearestImages {
    /// Compares the mistakes with training images: on the CPU or a software adapter with as many as take about half a second, or with
    /// `all` ten times as many, but no more than 4,096. None for predictions of the training images themselves.
    ///
    /// # Errors
    /// When the plan does not fit the device, or the device is lost.
    pub async fn of(
        engine: &mut Engine,
        checkpoint: &Checkpoint,
        predictions: &Predictions,
        training: &Split,
        (mistakes, all): (&[usize], bool),
    ) -> Result<Self> {
        if mistakes.is_empty() || predictions.split_name == SplitName::Train {
            return Ok(Self::default());
        }
        let operations = if all { FACTOR * MAX_OPERATIONS } else { MAX_OPERATIONS };
        let most = affordable_images(engine, checkpoint, operations)?.clamp(LEAST_COMPARED, MOST_COMPARED);
        let compared = limited(training, most, checkpoint.recipe.seed);
        let owned = std::mem::replace(engine, Engine::cpu());
        let mut embedder = Embedder::new(owned, checkpoint, AT_ONCE)?;
        let found = search(&mut embedder, (&predictions.split, mistakes), (training, &compared)).await;
        *engine = embedder.into_engine();
        engine.forget();
        let image = |near: &Neighbor| NearImage {
            values: training.image(near.number).unwrap_or_default(),
            label: training.labels[near.number] as usize,
            file: training.file(near.number).map(str::to_owned),
            similarity: near.similarity,
        };
        let found = found?.into_iter().map(|nearest| nearest.found().iter().map(image).collect());
        Ok(Self { mistakes: mistakes.iter().copied().zip(found).collect(), compared: [compared.len(), training.len()] })
    }

    /// Each mistake beside its nearest training images. `None` if there is no mistake.
    ///
    /// # Errors
    /// When an image cannot be written.
    pub fn drawn(&self, predictions: &Predictions, checkpoint: &Checkpoint) -> Result<Option<Markup>> {
        if self.mistakes.is_empty() {
            return Ok(None);
        }
        let (classes, input) = (&checkpoint.classes, checkpoint.input);
        let mut groups = Vec::new();
        for (number, near) in &self.mistakes {
            let prediction = predictions.each[*number];
            let line = format!(
                "{}, predicted {} {}",
                classes[prediction.label],
                classes[prediction.guess],
                percent(prediction.guess_score)
            );
            let values = predictions.split.image(*number).unwrap_or_default();
            let mut figures = vec![(inside(&pixels(&values, input), &line)?, line, predictions.split.file(*number))];
            for NearImage { values, label, file, similarity } in near {
                let line = format!("{} {similarity:.3}", classes[*label]);
                figures.push((inside(&pixels(values, input), &line)?, line, file.as_deref()));
            }
            groups.push(figures);
        }
        let [compared, all] = self.compared;
        Ok(Some(html! {
            p { "The worst mistakes, each beside the " (BESIDE) " training images that the network finds most similar, with their classes. The \
                number is the cosine similarity of the features before the last layer: 1 is the same. Look here for wrong labels, for \
                classes that look alike, and for what the training images lack."
                @if compared < all { " They are from " (compared) " of the " (all) " training images." } }
            div.nearest { @for figures in groups { div class=(class_for(input)) {
                @for (image, line, file) in figures {
                    figure { (image) figcaption { (line) @if let Some(file) = file { span.file { (file) } } } }
                }
            } } }
        }))
    }
}

/// The nearest of the training images with the numbers `compared`, for each mistake.
async fn search(
    embedder: &mut Embedder,
    (split, mistakes): (&Split, &[usize]),
    (training, compared): (&Split, &[u32]),
) -> Result<Vec<Nearest>> {
    let images: Vec<Vec<f32>> = mistakes.iter().map(|&number| split.image(number).unwrap_or_default()).collect();
    let wanted = embedder.embed(&images).await?;
    let mut nearest: Vec<Nearest> = wanted.into_iter().map(|features| Nearest::new(features, BESIDE)).collect();
    for numbers in compared.chunks(AT_ONCE) {
        let images: Vec<Vec<f32>> =
            numbers.iter().map(|&number| training.image(number as usize).unwrap_or_default()).collect();
        for (&number, mut features) in numbers.iter().zip(embedder.embed(&images).await?) {
            normalize(&mut features);
            nearest.iter_mut().for_each(|nearest| nearest.offer(number as usize, &features));
        }
    }
    Ok(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocking::block_on;
    use crate::data::{Dataset, glyphs, limit};
    use crate::train::{ImagePrediction, Recipe};

    /// A new network for the embedded dataset, and predictions for two images that are training images, too.
    fn sample() -> (Checkpoint, Dataset, Predictions) {
        let mut dataset = glyphs::dataset();
        dataset.train = limit(dataset.train, 90, 1);
        let checkpoint = block_on(Recipe::new("mlp").trainer(&dataset).expect("a trainer").checkpoint());
        let split = dataset.train.select(&[70, 3]);
        let wrong = |label: &u32| ImagePrediction {
            label: *label as usize,
            guess: (*label as usize + 1) % 36,
            guess_score: 0.75,
            ..ImagePrediction::default()
        };
        let each = split.labels.iter().map(wrong).collect();
        let predictions = Predictions { split_name: SplitName::Test, split_images: 2, split, each, logits: Vec::new() };
        (checkpoint.expect("a checkpoint"), dataset, predictions)
    }

    #[test]
    fn the_same_image_in_training_is_the_nearest() {
        let (checkpoint, dataset, predictions) = sample();
        let (mut engine, shown) = (Engine::cpu(), [1, 0]);
        let found = NearestImages::of(&mut engine, &checkpoint, &predictions, &dataset.train, (&shown, false));
        let found = block_on(found).expect("found");
        assert_eq!((found.compared, found.mistakes.len()), ([90, 90], 2));
        for (number, near) in &found.mistakes {
            assert_eq!(near.len(), BESIDE);
            assert_eq!(Some(&near[0].values), predictions.split.image(*number).as_ref());
            assert!(near[0].similarity > 0.999_99 && near[1].similarity < 0.999_99, "{:?}", near[1].similarity);
            assert_eq!(near[0].label, predictions.each[*number].label);
        }
        let page = found.drawn(&predictions, &checkpoint).expect("drawn").expect("mistakes").into_string();
        // A network that was not trained finds other images almost as similar.
        let near = found.mistakes.iter().flat_map(|(_, near)| near);
        let rounded = near.filter(|near| format!("{:.3}", near.similarity) == "1.000").count();
        assert_eq!((page.matches("<figure>").count(), page.matches(" 1.000<").count()), (8, rounded));
        assert!(rounded >= 2);
        assert!(page.contains("predicted ") && !page.contains(" of the 90"), "{page}");
    }

    #[test]
    fn the_number_of_images_is_bounded_and_training_images_are_not_compared_with_themselves() {
        let (checkpoint, dataset, mut predictions) = sample();
        let of = |predictions: &Predictions, mistakes: &[usize], training: &Split| {
            let mut engine = Engine::cpu();
            let found = NearestImages::of(&mut engine, &checkpoint, predictions, training, (mistakes, true));
            block_on(found).expect("found")
        };
        let many = glyphs::dataset().train;
        let found = of(&predictions, &[0], &many);
        assert_eq!(found.compared, [MOST_COMPARED, many.len()]);
        let page = found.drawn(&predictions, &checkpoint).expect("drawn").expect("a mistake").into_string();
        assert!(page.contains("from 4096 of the "), "{page}");
        let none = |found: NearestImages| found.drawn(&predictions, &checkpoint).expect("drawn").is_none();
        assert!(none(of(&predictions, &[], &dataset.train)));
        predictions.split_name = SplitName::Train;
        assert!(of(&predictions, &[0], &dataset.train).mistakes.is_empty());
    }
}
