//! Evaluates a trained model on a split, also for each class.

use std::sync::Arc;

use super::buffers::write_weights;
use super::checkpoint::Checkpoint;
use super::device_data::DeviceData;
use super::graphs::{self, SCORES};
use super::measures::{ImagePrediction, Measures};
use super::memory;
use super::metrics::{Measured, softmax};
use super::steps::evaluation_steps;
use super::tag_measures::{TagMeasures, Tagged, sigmoid};
use crate::data::{Dataset, LabelSets, Split, SplitName};
use crate::graph::PlanOptions;
use crate::nn::models::Task;
use crate::{Engine, Error, Result};

/// The result of evaluating a model on a split. With `--json`, `gpunn eval` prints it.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Evaluation {
    /// `train`, `val` or `test`.
    pub split: String,
    /// The number of images.
    pub images: u64,
    /// The mean loss per image.
    pub loss: f64,
    /// The fraction of images that were classified correctly, from 0 to 1. `None` for an autoencoder, and with several labels an image.
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
    /// Average precisions, and measures at a probability of one half. `None` if an image has one label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<TagMeasures>,
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
    let task = checkpoint.recipe.task_of(&model);
    let weights = checkpoint.weights_in_use(model.parameters())?;
    let name = part.name();
    let (target, stream) = (engine.target(), checkpoint.recipe.data.stream);
    let (plan, data, batch) = memory::plan_evaluation(split.len(), &target, PlanOptions::default(), |batch| {
        let data = DeviceData::of(name, split, dataset.input, &target, (batch, stream));
        Ok((graphs::evaluation(&model, &checkpoint.recipe, data, batch)?, data))
    })?;
    let program = engine.load(plan)?;
    data.upload(engine, (task, checkpoint.classes.len()), split, dataset.sets.as_ref())?;
    write_weights(engine, model.parameters(), &weights)?;
    engine.write(&data.buffer("sums"), 0, &[0.0_f32; 3])?;
    let steps = evaluation_steps(split.len(), batch);
    engine.schedule(program, &steps)?;
    let mut tally = Tally::new(&checkpoint.classes, split, dataset.sets.as_ref());
    let order: Vec<u32> = (0..split.len() as u32).collect();
    let loader = match data.slots {
        Some(_) => data.loader(&Arc::new(split.pixels.clone()), order, batch, 0..steps.len())?,
        None => None,
    };
    let count = |number: usize, scores: Option<&[f32]>| {
        let Some(scores) = scores else { return true };
        let first = steps[number].first as usize;
        let rows = scores.chunks(checkpoint.classes.len()).take(steps[number].valid as usize);
        for (image, row) in (first..).zip(rows) {
            tally.add(image, row);
            each(image, row);
        }
        true
    };
    let scores = (task != Task::Reconstruct).then_some(SCORES);
    data.run_each(engine, program, loader, steps.len(), scores, count).await?;
    let sums = engine.read(&data.buffer("sums")).await?;
    let measured = Measured::from_sums(task, &sums);
    Ok(tally.evaluation(name, task, measured))
}

/// Evaluates the mean of the probabilities of several checkpoints, as [`evaluate_each`] does. `each` gets the logarithms of the means.
/// The networks are evaluated one after another.
///
/// # Errors
/// As [`evaluate`]; [`Error::Usage`] for no checkpoint, and when their images or classes differ, or one is an autoencoder.
pub async fn evaluate_ensemble(
    engine: &mut Engine,
    checkpoints: &[Checkpoint],
    dataset: &Dataset,
    part: SplitName,
    each: Each<'_>,
) -> Result<Evaluation> {
    let [first, others @ ..] = checkpoints else { return Err(Error::usage("An ensemble needs a network.")) };
    if others.is_empty() {
        return evaluate_each(engine, first, dataset, part, each).await;
    }
    if let Some(difference) = others.iter().find_map(|other| first.difference(other)) {
        return Err(Error::usage(format!("A network cannot be averaged with the first one: {difference}.")));
    }
    let (split, classes) = (dataset.split(part)?, first.classes.len());
    let task = first.recipe.task()?;
    let probabilities = |logits: &[f32]| match task {
        Task::Tag => logits.iter().map(|&logit| sigmoid(logit)).collect(),
        _ => softmax(logits),
    };
    let mut sums = vec![0.0_f32; split.len() * classes];
    for checkpoint in checkpoints {
        if task == Task::Reconstruct {
            return Err(Error::usage("The answers of an autoencoder are images, which are not averaged."));
        }
        let mut add = |image: usize, logits: &[f32]| {
            let row = &mut sums[image * classes..][..classes];
            row.iter_mut().zip(probabilities(logits)).for_each(|(sum, value)| *sum += value as f32);
        };
        evaluate_each(engine, checkpoint, dataset, part, &mut add).await?;
        engine.forget();
    }
    let mut tally = Tally::new(&first.classes, split, dataset.sets.as_ref());
    let mut loss = 0.0;
    for (image, row) in sums.chunks_mut(classes.max(1)).enumerate() {
        row.iter_mut().for_each(|sum| *sum = logit_of_mean(task, *sum / checkpoints.len() as f32));
        loss -= if task == Task::Classify { f64::from(row[split.labels[image] as usize]) } else { 0.0 };
        tally.add(image, row);
        each(image, row);
    }
    let images = split.len().max(1) as f64;
    let right = (task == Task::Classify).then(|| tally.right() as f64 / images);
    let loss = tally.tagged().map_or(loss / images, |tagged| tagged.loss(classes));
    let measured = Measured { images: split.len() as u64, loss, accuracy: right, ..Measured::default() };
    Ok(tally.evaluation(part.name(), task, measured))
}

/// What takes the place of a logit for a mean of probabilities: its logarithm, or the logit of a class that does not exclude others.
fn logit_of_mean(task: Task, mean: f32) -> f32 {
    // The logarithm of 0 would make the loss infinite.
    let log = |probability: f32| probability.max(f32::MIN_POSITIVE).ln();
    if task == Task::Tag { log(mean) - log(1.0 - mean) } else { log(mean) }
}

/// The predictions for the images of a split so far.
struct Tally<'a> {
    classes: &'a [String],
    labels: &'a [u32],
    sets: Option<&'a LabelSets>,
    confusion: Vec<Vec<u64>>,
    predictions: Vec<ImagePrediction>,
    /// With several labels an image: the logits of all images.
    logits: Vec<f32>,
}

impl<'a> Tally<'a> {
    fn new(classes: &'a [String], split: &'a Split, sets: Option<&'a LabelSets>) -> Self {
        let confusion = vec![vec![0; classes.len()]; classes.len()];
        Self { classes, labels: &split.labels, sets, confusion, predictions: Vec::new(), logits: Vec::new() }
    }

    /// Adds the image with this number, the next one, by its logits.
    fn add(&mut self, image: usize, logits: &[f32]) {
        if self.sets.is_some() {
            self.logits.extend_from_slice(logits);
            return;
        }
        let prediction = ImagePrediction::of(self.labels[image] as usize, logits);
        self.confusion[prediction.label][prediction.guess] += 1;
        self.predictions.push(prediction);
    }

    /// The number of images that were classified correctly.
    fn right(&self) -> u64 {
        self.confusion.iter().enumerate().map(|(class, row)| row[class]).sum()
    }

    /// The logits of the images, if they have several labels.
    fn tagged(&self) -> Option<Tagged<'_>> {
        self.sets.map(|sets| Tagged { logits: &self.logits, labels: self.labels, sets })
    }

    fn evaluation(self, split: &str, task: Task, measured: Measured) -> Evaluation {
        let of_class = |(class, row): (usize, &Vec<u64>)| {
            let images: u64 = row.iter().sum();
            (images > 0).then(|| row[class] as f64 / images as f64)
        };
        let per_class = self.confusion.iter().enumerate().map(of_class).collect();
        let classifies = task == Task::Classify;
        let tags = self.tagged().filter(|_| task == Task::Tag).map(|tagged| TagMeasures::of(tagged, self.classes));
        Evaluation {
            split: split.into(),
            images: measured.images,
            loss: measured.loss,
            accuracy: measured.accuracy,
            per_class: classifies.then_some(per_class),
            measures: classifies.then(|| Measures::of(&self.predictions, self.classes)),
            confusion: classifies.then_some(self.confusion),
            psnr: measured.psnr,
            tags,
        }
    }
}

/// The index of the largest value. If several are equal, it is the first of them.
pub(crate) fn largest<T: PartialOrd>(row: &[T]) -> usize {
    (1..row.len()).fold(0, |best, index| if row[index] > row[best] { index } else { best })
}
