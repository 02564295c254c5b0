//! What the trained network makes of each picture of a split.

use crate::data::{Dataset, Part, Split, limit};
use crate::gpu::kernel::Class;
use crate::nn::models::Task;
use crate::train::{Checkpoint, Evaluation, evaluate_each};
use crate::{Engine, Result};

use super::material::Material;

/// Floating-point operations that a report takes for measuring where no hardware GPU does it: about half a second on two
/// cores.
const ALLOWANCE: u64 = 20_000_000_000;
/// Pictures that are measured at least.
const LEAST: usize = 100;

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
    /// The figures together.
    pub evaluation: Evaluation,
    /// Picture by picture.
    pub each: Vec<Outcome>,
}

/// Measures the test split, else the validation split, else the training split; with `whole` all of its pictures, else as
/// many of each class as a second or two allow.
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
    let most = if whole { all.len() } else { affordable(engine, checkpoint)? };
    let split = if most < all.len() { limit(all.clone(), most, checkpoint.recipe.seed) } else { all.clone() };
    let of = all.len();
    let task = checkpoint.recipe.model.task()?;
    let small = only(dataset, part, split);
    let split = small.part(part)?;
    let mut each = Vec::with_capacity(split.len());
    let mut take = |first: usize, outputs: &[f32]| {
        let rows = rows_of(task, checkpoint, outputs.len());
        for (number, output) in (first..).zip(outputs.chunks(rows)) {
            let label = split.labels[number] as usize;
            each.push(match task {
                Task::Classify => classified(label, output),
                Task::Reconstruct => given_back(label, output, &split.picture(number).unwrap_or_default()),
            });
        }
    };
    let evaluation = evaluate_each(engine, checkpoint, &small, part, Some(&mut take)).await?;
    engine.forget();
    Ok(Outcomes { part, of, evaluation, each, split: split.clone() })
}

/// What an autoencoder makes of pictures of a measured split: those pictures and what it gave back, value by value.
///
/// # Errors
/// When the device is lost.
pub async fn reconstruct(
    engine: &mut Engine,
    checkpoint: &Checkpoint,
    dataset: &Dataset,
    (outcomes, numbers): (&Outcomes, &[usize]),
) -> Result<Vec<(Vec<f32>, Vec<f32>)>> {
    let chosen: Vec<u32> = numbers.iter().map(|&number| number as u32).collect();
    let split = outcomes.split.select(&chosen);
    let small = only(dataset, outcomes.part, split.clone());
    let mut pairs = Vec::new();
    let mut take = |first: usize, outputs: &[f32]| {
        let width = checkpoint.input.iter().product::<usize>().max(1);
        let back = outputs.chunks(width).map(<[f32]>::to_vec);
        pairs.extend((first..).zip(back).filter_map(|(number, back)| Some((split.picture(number)?, back))));
    };
    evaluate_each(engine, checkpoint, &small, outcomes.part, Some(&mut take)).await?;
    engine.forget();
    Ok(pairs)
}

/// Values that the network gives for one picture.
fn rows_of(task: Task, checkpoint: &Checkpoint, otherwise: usize) -> usize {
    let width = match task {
        Task::Classify => checkpoint.classes.len(),
        Task::Reconstruct => checkpoint.input.iter().product(),
    };
    if width == 0 { otherwise.max(1) } else { width }
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
    Ok(((ALLOWANCE / flops.max(1)) as usize).max(LEAST))
}

fn classified(label: usize, logits: &[f32]) -> Outcome {
    let highest = logits.iter().copied().fold(f32::MIN, f32::max);
    let parts: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - highest).exp()).collect();
    let sum: f64 = parts.iter().sum();
    // The first of the largest, as `eval` counts.
    let guess = (0..logits.len()).rev().fold(0, |best, index| if logits[index] >= logits[best] { index } else { best });
    Outcome { label, guess, of_label: parts[label] / sum, of_guess: parts[guess] / sum }
}

fn given_back(label: usize, back: &[f32], picture: &[f32]) -> Outcome {
    let errors = back.iter().zip(picture).map(|(&back, &value)| f64::from(back - value).powi(2));
    let decibels = -10.0 * (errors.sum::<f64>() / picture.len().max(1) as f64).max(1e-12).log10();
    Outcome { label, guess: label, of_label: decibels, of_guess: decibels }
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

    #[test]
    fn decibels_are_of_the_mean_square() {
        let outcome = given_back(0, &[0.5, 0.5], &[0.4, 0.6]);
        assert!((outcome.of_label - 20.0).abs() < 1e-4, "{outcome:?}");
    }
}
