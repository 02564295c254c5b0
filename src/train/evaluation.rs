//! Evaluates a trained model on a split, also for each class.

use std::sync::Arc;

use super::buffers::write_weights;
use super::checkpoint::Checkpoint;
use super::device_data::DeviceData;
use super::graphs::{self, SCORES};
use super::measures::{ImagePrediction, Measures};
use super::memory;
use super::metrics::Measured;
use super::steps::evaluation_steps;
use crate::data::{Dataset, SplitName};
use crate::graph::PlanOptions;
use crate::nn::models::Task;
use crate::{Engine, Result};

/// The result of evaluating a model on a split. With `--json`, `gpunn eval` prints it.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Evaluation {
    /// `train`, `val` or `test`.
    pub split: String,
    /// The number of images.
    pub images: u64,
    /// The mean loss per image.
    pub loss: f64,
    /// The fraction of images that were classified correctly, from 0 to 1. `None` for an autoencoder.
    pub accuracy: Option<f64>,
    /// The accuracy on the images of each class, in index order; `None` for a class without images in the split. No list for an
    /// autoencoder.
    pub per_class: Option<Vec<Option<f64>>>,
    /// The confusion matrix: the number of images of each class (row) that were classified as each class (column). `None` for
    /// an autoencoder.
    pub confusion: Option<Vec<Vec<u64>>>,
    /// The mean peak signal-to-noise ratio of the images in dB. `None` for a classifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psnr: Option<f64>,
    /// Precision, recall and F1 of each class, an interval of the accuracy, and the calibration error. `None` for an autoencoder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measures: Option<Measures>,
}

/// Evaluates a checkpoint on a split of a dataset.
///
/// # Errors
/// When the dataset has another image shape or number of classes than the checkpoint, does not have the split or cannot be
/// read, or the device is lost.
pub async fn evaluate(
    engine: &mut Engine,
    checkpoint: &Checkpoint,
    dataset: &Dataset,
    part: SplitName,
) -> Result<Evaluation> {
    evaluate_each(engine, checkpoint, dataset, part, &mut |_, _| {}).await
}

/// A function that gets the number of an image and its logits, one per class.
pub type Each<'a> = &'a mut dyn FnMut(usize, &[f32]);

/// As [`evaluate`], and for a classifier calls `each` for every image.
///
/// # Errors
/// As [`evaluate`].
pub async fn evaluate_each(
    engine: &mut Engine,
    checkpoint: &Checkpoint,
    dataset: &Dataset,
    part: SplitName,
    each: Each<'_>,
) -> Result<Evaluation> {
    checkpoint.check_data(dataset)?;
    let split = dataset.split(part)?;
    dataset.validate()?;
    let model = checkpoint.model()?;
    let task = model.task();
    let weights = checkpoint.weights_in_use(model.parameters())?;
    let name = part.name();
    let (target, stream) = (engine.target(), checkpoint.recipe.data.stream);
    let (plan, data, batch) = memory::plan_evaluation(split.len(), &target, PlanOptions::default(), |batch| {
        let data = DeviceData::of(name, split, dataset.input, &target, (batch, stream));
        Ok((graphs::evaluation(&model, &checkpoint.recipe, data, batch)?, data))
    })?;
    let program = engine.load(plan)?;
    data.upload(engine, task, split)?;
    write_weights(engine, model.parameters(), &weights)?;
    engine.write(&data.buffer("sums"), 0, &[0.0_f32; 3])?;
    let steps = evaluation_steps(split.len(), batch);
    engine.schedule(program, &steps)?;
    let classes = checkpoint.classes.len();
    let mut confusion = vec![vec![0_u64; classes]; classes];
    let mut predictions = Vec::with_capacity(split.len());
    let order: Vec<u32> = (0..split.len() as u32).collect();
    let loader = match data.slots {
        Some(_) => data.loader(&Arc::new(split.pixels.clone()), order, batch, 0..steps.len())?,
        None => None,
    };
    let count = |number: usize, scores: Option<&[f32]>| {
        let Some(scores) = scores else { return true };
        let first = steps[number].first as usize;
        let labels = &split.labels[first..][..steps[number].valid as usize];
        for (image, (row, &label)) in (first..).zip(scores.chunks(classes).zip(labels)) {
            let prediction = ImagePrediction::of(label as usize, row);
            confusion[prediction.label][prediction.guess] += 1;
            predictions.push(prediction);
            each(image, row);
        }
        true
    };
    let scores = (task != Task::Reconstruct).then_some(SCORES);
    data.run_each(engine, program, loader, steps.len(), scores, count).await?;
    let sums = engine.read(&data.buffer("sums")).await?;
    let measured = Measured::from_sums(task, &sums);
    let of_class = |(class, row): (usize, &Vec<u64>)| {
        let images: u64 = row.iter().sum();
        (images > 0).then(|| row[class] as f64 / images as f64)
    };
    let per_class = confusion.iter().enumerate().map(of_class).collect();
    let classifies = task == Task::Classify;
    Ok(Evaluation {
        split: name.into(),
        images: measured.images,
        loss: measured.loss,
        accuracy: measured.accuracy,
        per_class: classifies.then_some(per_class),
        confusion: classifies.then_some(confusion),
        psnr: measured.psnr,
        measures: classifies.then(|| Measures::of(&predictions, &checkpoint.classes)),
    })
}

/// The index of the largest value. If several are equal, it is the first of them.
pub(crate) fn largest<T: PartialOrd>(row: &[T]) -> usize {
    (1..row.len()).fold(0, |best, index| if row[index] > row[best] { index } else { best })
}
