//! What the trained network makes of each picture of a split.

use crate::data::{Dataset, Part, Split, limit};
use crate::gpu::kernel::Class;
use crate::nn::models::Task;
use crate::train::{Checkpoint, Evaluation, Reconstruction, Reconstructor, evaluate_each, psnr};
use crate::{Engine, Result};

use super::material::Material;

/// Floating-point operations that a report takes for measuring where no hardware GPU does it: about half a second on two
/// cores.
const ALLOWANCE: u64 = 20_000_000_000;
/// Pictures that are measured at least.
const LEAST: usize = 100;
/// Bytes that pictures and what was given back may take together.
const MOST_BYTES: usize = 0x1000_0000;

/// One picture and what was made of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// What it shows.
    pub label: usize,
    /// What it was taken for; for an autoencoder what it shows.
    pub guess: usize,
    /// The probability that the network gave what it shows; for an autoencoder the peak signal-to-noise ratio in dB.
    pub of_label: f64,
    /// The probability that it gave what it took it for; for an autoencoder as `of_label`.
    pub of_guess: f64,
}

/// A split, measured.
#[derive(Clone, Debug)]
pub struct Outcomes {
    /// Which.
    pub part: Part,
    /// The pictures that were measured.
    pub split: Split,
    /// How many the split has.
    pub of: usize,
    /// Picture by picture.
    pub each: Vec<Outcome>,
    /// The figures together.
    pub found: Found,
}

/// What was found of all pictures together.
#[derive(Clone, Debug)]
pub enum Found {
    /// How often a classifier was right.
    Classified(Evaluation),
    /// What an autoencoder gave back.
    GivenBack(Reconstruction),
}

/// Measures the test split, else the validation split, else the training split; with `whole` all of its pictures, else as
/// many of each class as a second or two allow. What an autoencoder gives back is kept, so that there memory bounds it too.
///
/// # Errors
/// When the data set is not the run's, or the device is lost.
pub async fn measure(
    engine: &mut Engine,
    checkpoint: &Checkpoint,
    dataset: &Dataset,
    (part, whole): (Option<Part>, bool),
) -> Result<Outcomes> {
    let there = |part: &Part| dataset.part(*part).is_ok();
    let part = part.or_else(|| [Part::Test, Part::Val].into_iter().find(there)).unwrap_or(Part::Train);
    let all = dataset.part(part)?;
    let task = checkpoint.recipe.model.task()?;
    let mut most = if whole { all.len() } else { affordable(engine, checkpoint)? };
    if task == Task::Reconstruct {
        let bytes = 2 * size_of::<f32>() * checkpoint.input.iter().product::<usize>().max(1);
        most = most.min((MOST_BYTES / bytes).max(LEAST));
    }
    let split = if most < all.len() { limit(all.clone(), most, checkpoint.recipe.seed) } else { all.clone() };
    let of = all.len();
    let (each, found) = match task {
        Task::Classify => classify(engine, checkpoint, &only(dataset, part, split.clone()), part).await?,
        Task::Reconstruct => give_back(engine, checkpoint, dataset, &split).await?,
    };
    engine.forget();
    Ok(Outcomes { part, split, of, each, found })
}

async fn classify(
    engine: &mut Engine,
    checkpoint: &Checkpoint,
    dataset: &Dataset,
    part: Part,
) -> Result<(Vec<Outcome>, Found)> {
    let labels = &dataset.part(part)?.labels;
    let mut each = Vec::with_capacity(labels.len());
    let mut take = |number: usize, logits: &[f32]| each.push(classified(labels[number] as usize, logits));
    let evaluation = evaluate_each(engine, checkpoint, dataset, part, &mut take).await?;
    Ok((each, Found::Classified(evaluation)))
}

async fn give_back(
    engine: &mut Engine,
    checkpoint: &Checkpoint,
    dataset: &Dataset,
    split: &Split,
) -> Result<(Vec<Outcome>, Found)> {
    checkpoint.check_data(dataset)?;
    let taken = std::mem::replace(engine, Engine::cpu());
    let mut reconstructor = Reconstructor::new(taken, checkpoint.clone(), split.len())?;
    let back = reconstructor.reconstruct(split).await;
    *engine = reconstructor.into_engine();
    let back = back?;
    let outcome = |(number, &label): (usize, &u32)| {
        let decibels = back.pair(number).map_or(0.0, |(original, back)| psnr(original, back));
        Outcome { label: label as usize, guess: label as usize, of_label: decibels, of_guess: decibels }
    };
    let each = split.labels.iter().enumerate().map(outcome).collect();
    Ok((each, Found::GivenBack(back)))
}

/// A data set that has these pictures alone.
fn only(dataset: &Dataset, part: Part, split: Split) -> Dataset {
    let mut small = dataset.without_pictures(dataset.input);
    match part {
        Part::Train => small.train = split,
        Part::Val => small.val = Some(split),
        Part::Test => small.test = Some(split),
    }
    small
}

/// How many pictures the device measures in about half a second.
fn affordable(engine: &Engine, checkpoint: &Checkpoint) -> Result<usize> {
    if engine.target().device.is_some_and(|device| device.class != Class::Software) {
        return Ok(usize::MAX);
    }
    let layers = Material::model(checkpoint)?.describe()?;
    let flops: u64 = layers.iter().filter(|layer| layer.depth == 0).map(|layer| layer.flops).sum();
    let views = checkpoint.recipe.training.tta.map_or(1, |tta| tta.views() as u64);
    Ok(((ALLOWANCE / (flops * views).max(1)) as usize).max(LEAST))
}

fn classified(label: usize, logits: &[f32]) -> Outcome {
    let highest = logits.iter().copied().fold(f32::MIN, f32::max);
    let parts: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - highest).exp()).collect();
    let sum: f64 = parts.iter().sum();
    // The first of the largest, as `eval` counts.
    let guess = (0..logits.len()).rev().fold(0, |best, index| if logits[index] >= logits[best] { index } else { best });
    Outcome { label, guess, of_label: parts[label] / sum, of_guess: parts[guess] / sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_those_of_softmax_and_ties_go_to_the_first() {
        let outcome = classified(1, &[2.0, 1.0, 2.0]);
        assert_eq!((outcome.guess, outcome.label), (0, 1));
        let whole = 2.0 * 2.0_f64.exp() + 1.0_f64.exp();
        assert!((outcome.of_label - 1.0_f64.exp() / whole).abs() < 1e-9);
        assert!((outcome.of_guess - 2.0_f64.exp() / whole).abs() < 1e-9);
    }
}
