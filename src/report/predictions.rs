//! What the trained network makes of each image of a split.

use std::path::Path;

use crate::data::{Dataset, Split, SplitName, limit};
use crate::files::write_atomic;
use crate::graph::kernel::DeviceClass;
use crate::inference::{Reconstruction, Reconstructor};
use crate::nn::models::Task;
use crate::train::{Checkpoint, evaluate_each, psnr};
use crate::{Engine, Error, Result};

use super::material::Material;

/// Floating-point operations that a report takes for measuring where no hardware GPU does it: about half a second on two
/// cores.
const ALLOWANCE: u64 = 20_000_000_000;
/// Images that are measured at least.
const LEAST: usize = 20;
/// Images that an autoencoder gives back at a time.
const AT_ONCE: usize = 1000;

/// One image and what was made of it.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(into = "Row", from = "Row")]
pub struct ImagePrediction {
    /// What it shows.
    pub label: usize,
    /// What it was taken for; for an autoencoder what it shows.
    pub guess: usize,
    /// The probability that the network gave what it shows; for an autoencoder the peak signal-to-noise ratio in dB.
    pub of_label: f32,
    /// The probability that it gave what it took it for; for an autoencoder as `of_label`.
    pub of_guess: f32,
}

/// An outcome as it is kept: its fields in their order.
type Row = (usize, usize, f32, f32);

impl From<ImagePrediction> for Row {
    fn from(ImagePrediction { label, guess, of_label, of_guess }: ImagePrediction) -> Self {
        (label, guess, of_label, of_guess)
    }
}

impl From<Row> for ImagePrediction {
    fn from((label, guess, of_label, of_guess): Row) -> Self {
        Self { label, guess, of_label, of_guess }
    }
}

/// A split, measured.
#[derive(Clone, Debug)]
pub struct Predictions {
    /// Which.
    pub part: SplitName,
    /// The images that were measured.
    pub split: Split,
    /// How many the split has.
    pub of: usize,
    /// Image by image.
    pub each: Vec<ImagePrediction>,
}

/// The outcomes of a whole split as a run keeps them, so that another report need not measure it again.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Kept {
    /// Of which weights.
    weights_hash: String,
    /// Of which split.
    split: String,
    /// Label, guess and what the network gave each.
    #[serde(rename = "pictures")]
    images: Vec<ImagePrediction>,
}

impl Predictions {
    /// How many images of each class (row) were taken for each class (column).
    pub fn counts(&self, classes: usize) -> Vec<Vec<u64>> {
        let mut counts = vec![vec![0; classes]; classes];
        for outcome in &self.each {
            counts[outcome.label][outcome.guess] += 1;
        }
        counts
    }

    /// The mean of what the network gave what each image shows: for an autoencoder its mean decibels.
    pub fn mean(&self) -> f64 {
        self.each.iter().map(|outcome| f64::from(outcome.of_label)).sum::<f64>() / self.each.len().max(1) as f64
    }
}

/// Measures the test split, else the validation split, else the training split: from `kept`, where the file has the outcomes
/// of these weights on all of these images; else with `whole` all of its images, else as many of each class as a second
/// or two allow. Where all were measured, `keep` writes the outcomes there.
///
/// # Errors
/// When the data set is not the run's, the device is lost, or the outcomes cannot be kept.
pub async fn measure(
    engine: &mut Engine,
    checkpoint: &Checkpoint,
    dataset: &Dataset,
    (part, whole): (Option<SplitName>, bool),
    (kept, keep): (&Path, bool),
) -> Result<Predictions> {
    checkpoint.check_data(dataset)?;
    let there = |part: &SplitName| dataset.split(*part).is_ok();
    let part = part.or_else(|| [SplitName::Test, SplitName::Val].into_iter().find(there)).unwrap_or(SplitName::Train);
    let all = dataset.split(part)?;
    let model = Material::model(checkpoint)?;
    let weights_hash = model.parameters().hash(&checkpoint.weights_in_use(model.parameters())?);
    if let Some(each) = read(kept, &weights_hash, part, all) {
        return Ok(Predictions { part, split: all.clone(), of: all.len(), each });
    }
    let most = if whole { all.len() } else { affordable(engine, checkpoint, ALLOWANCE)?.max(LEAST) };
    let split = if most < all.len() { limit(all.clone(), most, checkpoint.recipe.seed) } else { all.clone() };
    let each = match checkpoint.recipe.model.task()? {
        Task::Classify => classify(engine, checkpoint, &only(dataset, part, split.clone()), part).await?,
        Task::Reconstruct => compare(engine, checkpoint, &split).await?,
    };
    engine.forget();
    if keep && split.len() == all.len() {
        let images = Kept { weights_hash, split: part.to_string(), images: each.clone() };
        let text = serde_json::to_string(&images).map_err(|error| Error::data(format!("the outcomes: {error}")))?;
        write_atomic(kept, text.as_bytes())?;
    }
    Ok(Predictions { part, split, of: all.len(), each })
}

/// Kept outcomes, where they are of these weights and images. A file that is none is measured anew.
fn read(file: &Path, weights_hash: &str, part: SplitName, split: &Split) -> Option<Vec<ImagePrediction>> {
    let kept: Kept = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    let labels = split.labels.iter().map(|&label| label as usize);
    let fits = kept.weights_hash == weights_hash
        && kept.split == part.to_string()
        && labels.eq(kept.images.iter().map(|outcome| outcome.label));
    fits.then_some(kept.images)
}

async fn classify(
    engine: &mut Engine,
    checkpoint: &Checkpoint,
    dataset: &Dataset,
    part: SplitName,
) -> Result<Vec<ImagePrediction>> {
    let labels = &dataset.split(part)?.labels;
    let mut each = Vec::with_capacity(labels.len());
    let mut take = |number: usize, logits: &[f32]| each.push(classified(labels[number] as usize, logits));
    evaluate_each(engine, checkpoint, dataset, part, &mut take).await?;
    Ok(each)
}

async fn compare(engine: &mut Engine, checkpoint: &Checkpoint, split: &Split) -> Result<Vec<ImagePrediction>> {
    let numbers: Vec<u32> = (0..split.len() as u32).collect();
    let mut each = Vec::with_capacity(numbers.len());
    for numbers in numbers.chunks(AT_ONCE) {
        let split = split.select(numbers);
        let back = give_back(engine, checkpoint, &split).await?;
        for (number, &label) in split.labels.iter().enumerate() {
            let decibels = back.pair(number).map_or(0.0, |(original, back)| psnr(original, back)) as f32;
            let label = label as usize;
            each.push(ImagePrediction { label, guess: label, of_label: decibels, of_guess: decibels });
        }
    }
    Ok(each)
}

/// What an autoencoder gives back of images.
///
/// # Errors
/// When the device is lost.
pub async fn give_back(engine: &mut Engine, checkpoint: &Checkpoint, split: &Split) -> Result<Reconstruction> {
    let taken = std::mem::replace(engine, Engine::cpu());
    let mut reconstructor = Reconstructor::new(taken, checkpoint.clone(), split.len())?;
    let back = reconstructor.reconstruct(split).await;
    *engine = reconstructor.into_engine();
    engine.forget();
    back
}

/// A data set that has these images alone.
fn only(dataset: &Dataset, part: SplitName, split: Split) -> Dataset {
    let mut small = dataset.without_images(dataset.input);
    match part {
        SplitName::Train => small.train = split,
        SplitName::Val => small.val = Some(split),
        SplitName::Test => small.test = Some(split),
    }
    small
}

/// How many images the device measures with so many floating-point operations; a hardware GPU any number.
///
/// # Errors
/// When the recipe makes no network.
pub fn affordable(engine: &Engine, checkpoint: &Checkpoint, operations: u64) -> Result<usize> {
    if engine.target().device.is_some_and(|device| device.class != DeviceClass::Software) {
        return Ok(usize::MAX);
    }
    let layers = Material::model(checkpoint)?.describe()?;
    let flops: u64 = layers.iter().filter(|layer| layer.depth == 0).map(|layer| layer.flops).sum();
    let views = checkpoint.recipe.training.tta.map_or(1, |tta| tta.views() as u64);
    Ok((operations / (flops * views).max(1)) as usize)
}

fn classified(label: usize, logits: &[f32]) -> ImagePrediction {
    let highest = logits.iter().copied().fold(f32::MIN, f32::max);
    let parts: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - highest).exp()).collect();
    let sum: f64 = parts.iter().sum();
    // The first of the largest, as `eval` counts.
    let guess = (0..logits.len()).rev().fold(0, |best, index| if logits[index] >= logits[best] { index } else { best });
    let share = |class: usize| (parts[class] / sum) as f32;
    ImagePrediction { label, guess, of_label: share(label), of_guess: share(guess) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_those_of_softmax_and_ties_go_to_the_first() {
        let outcome = classified(1, &[2.0, 1.0, 2.0]);
        assert_eq!((outcome.guess, outcome.label), (0, 1));
        let whole = 2.0 * 2.0_f64.exp() + 1.0_f64.exp();
        assert!((f64::from(outcome.of_label) - 1.0_f64.exp() / whole).abs() < 1e-7);
        assert!((f64::from(outcome.of_guess) - 2.0_f64.exp() / whole).abs() < 1e-7);
    }
}
