//! The network's prediction for each image of a split.

use std::path::Path;

use crate::data::{Dataset, Split, SplitName, limit_labelled};
use crate::files::write_atomic;
use crate::graph::kernel::DeviceClass;
use crate::inference::{Reconstruction, Reconstructor};
use crate::nn::models::Task;
use crate::train::{Checkpoint, ImagePrediction, Measures, Tagged, evaluate_each, psnr};
use crate::{Engine, Error, Result};

/// Floating-point operations that a report may spend on evaluation without a hardware GPU: about half a second on two cores.
pub const MAX_OPERATIONS: u64 = 20_000_000_000;
/// The smallest number of images that are evaluated.
const MIN_IMAGES: usize = 20;
/// Images that an autoencoder reconstructs at a time.
const BATCH_IMAGES: usize = 1000;

/// The predictions for a split.
#[derive(Clone, Debug)]
pub struct Predictions {
    /// Which split.
    pub split_name: SplitName,
    /// The images that were evaluated.
    pub split: Split,
    /// Images in the whole split.
    pub split_images: usize,
    /// One for each image of `split`. With several labels an image, they have only scores: e to the power of minus the loss.
    pub each: Vec<ImagePrediction>,
    /// With several labels an image: the logits of all images of `split`.
    pub logits: Vec<f32>,
}

/// The predictions for a whole split as the run directory stores them, so that the next report need not evaluate again.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct StoredPredictions {
    /// Hash of the weights.
    weights_hash: String,
    /// Name of the split.
    split: String,
    /// One for each image.
    #[serde(rename = "pictures")]
    images: Vec<ImagePrediction>,
    /// The file of each image in the dataset's folder. Empty if the images are not in files of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<String>,
    /// The measures of a classifier, for other programs: reports compute them from the predictions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    measures: Option<Measures>,
}

impl Predictions {
    /// Confusion counts: by true class (row) and predicted class (column).
    pub fn counts(&self, classes: usize) -> Vec<Vec<u64>> {
        let mut counts = vec![vec![0; classes]; classes];
        for prediction in &self.each {
            counts[prediction.label][prediction.guess] += 1;
        }
        counts
    }

    /// The mean of `label_score`: for an autoencoder its mean PSNR.
    pub fn mean(&self) -> f64 {
        self.each.iter().map(|prediction| f64::from(prediction.label_score)).sum::<f64>()
            / self.each.len().max(1) as f64
    }
}

/// Predicts the images of a split: the requested one, else test, else validation, else train.
///
/// If the file `kept` holds the predictions of these weights for the whole split, they are read from it. Otherwise the
/// network is evaluated: on the whole split with `all_images` or on a hardware GPU, else on as many images of each class as
/// take about half a second.
/// With `keep`, predictions for a whole split are written to `kept`.
///
/// # Errors
/// When the dataset is not the run's, the device is lost, or the file cannot be written.
pub async fn predict_split(
    engine: &mut Engine,
    checkpoint: &Checkpoint,
    dataset: &Dataset,
    (split_name, all_images): (Option<SplitName>, bool),
    (kept, keep): (&Path, bool),
) -> Result<Predictions> {
    checkpoint.check_data(dataset)?;
    let exists = |split_name: &SplitName| dataset.split(*split_name).is_ok();
    let split_name =
        split_name.or_else(|| [SplitName::Test, SplitName::Val].into_iter().find(exists)).unwrap_or(SplitName::Train);
    let all = dataset.split(split_name)?;
    let model = checkpoint.model()?;
    let weights_hash = model.parameters().hash(&checkpoint.weights_in_use(model.parameters())?);
    let classes = checkpoint.classes.len();
    // Sets of labels have other numbers when an image is added.
    let stored = || read_stored(kept, &weights_hash, (split_name, all), classes);
    if let Some(each) = dataset.sets.is_none().then(stored).flatten() {
        return Ok(Predictions { split_name, split: all.clone(), split_images: all.len(), each, logits: Vec::new() });
    }
    let most =
        if all_images { all.len() } else { affordable_images(engine, checkpoint, MAX_OPERATIONS)?.max(MIN_IMAGES) };
    let split = limit_labelled(all.clone(), dataset.sets.as_ref(), most, checkpoint.recipe.seed);
    let task = checkpoint.recipe.task()?;
    let mut logits = Vec::new();
    let each = match task {
        Task::Classify => {
            classify(engine, checkpoint, &dataset_with_only(dataset, split_name, split.clone()), split_name).await?
        }
        Task::Tag => {
            let only = dataset_with_only(dataset, split_name, split.clone());
            logits = tag(engine, checkpoint, &only, split_name).await?;
            scores(&logits, &split, &only, classes)
        }
        Task::Reconstruct => reconstruct(engine, checkpoint, &split).await?,
    };
    engine.forget();
    // What is kept has one class for each image.
    if keep && task != Task::Tag && split.len() == all.len() {
        let files = split.files.iter().map(|file| file.path.clone()).collect();
        let classifies = task == Task::Classify;
        let measures = classifies.then(|| Measures::of(&each, &checkpoint.classes));
        let images =
            StoredPredictions { weights_hash, split: split_name.to_string(), images: each.clone(), files, measures };
        let text = serde_json::to_string(&images)
            .map_err(|error| Error::data(format!("The predictions cannot be written as JSON: {error}.")))?;
        write_atomic(kept, text.as_bytes())?;
    }
    Ok(Predictions { split_name, split, split_images: all.len(), each, logits })
}

/// The logits of all images of a split.
async fn tag(
    engine: &mut Engine,
    checkpoint: &Checkpoint,
    dataset: &Dataset,
    split_name: SplitName,
) -> Result<Vec<f32>> {
    let mut all = Vec::new();
    evaluate_each(engine, checkpoint, dataset, split_name, &mut |_, logits| all.extend_from_slice(logits)).await?;
    Ok(all)
}

/// The scores of images with several labels: e to the power of minus the loss of each.
fn scores(logits: &[f32], split: &Split, dataset: &Dataset, classes: usize) -> Vec<ImagePrediction> {
    let Some(sets) = &dataset.sets else { return Vec::new() };
    let each = logits.chunks(classes.max(1)).zip(split.labels.chunks(1)).map(|(logits, labels)| {
        let score = (-Tagged { logits, labels, sets }.loss(classes)).exp() as f32;
        ImagePrediction { label_score: score, guess_score: score, ..ImagePrediction::default() }
    });
    each.collect()
}

/// Stored predictions, if they belong to these weights and images. A missing or damaged file counts as no predictions.
fn read_stored(
    file: &Path,
    weights_hash: &str,
    (split_name, split): (SplitName, &Split),
    classes: usize,
) -> Option<Vec<ImagePrediction>> {
    // Scores are probabilities or dB.
    let is_score = |score: f32| score.abs() <= 1000.0;
    let is_possible = |prediction: &ImagePrediction| {
        prediction.guess < classes && is_score(prediction.label_score) && is_score(prediction.guess_score)
    };
    let kept: StoredPredictions = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    let labels = split.labels.iter().map(|&label| label as usize);
    let fits = kept.weights_hash == weights_hash
        && kept.split == split_name.to_string()
        && kept.files.iter().eq(split.files.iter().map(|file| &file.path))
        && labels.eq(kept.images.iter().map(|prediction| prediction.label))
        && kept.images.iter().all(is_possible);
    fits.then_some(kept.images)
}

async fn classify(
    engine: &mut Engine,
    checkpoint: &Checkpoint,
    dataset: &Dataset,
    split_name: SplitName,
) -> Result<Vec<ImagePrediction>> {
    let labels = &dataset.split(split_name)?.labels;
    let mut each = Vec::with_capacity(labels.len());
    let mut take = |number: usize, logits: &[f32]| each.push(ImagePrediction::of(labels[number] as usize, logits));
    evaluate_each(engine, checkpoint, dataset, split_name, &mut take).await?;
    Ok(each)
}

async fn reconstruct(engine: &mut Engine, checkpoint: &Checkpoint, split: &Split) -> Result<Vec<ImagePrediction>> {
    let numbers: Vec<u32> = (0..split.len() as u32).collect();
    let mut each = Vec::with_capacity(numbers.len());
    for numbers in numbers.chunks(BATCH_IMAGES) {
        let split = split.select(numbers);
        let reconstructions = reconstruct_images(engine, checkpoint, &split).await?;
        for (number, &label) in split.labels.iter().enumerate() {
            let decibels =
                reconstructions.pair(number).map_or(0.0, |(original, reconstructed)| psnr(original, reconstructed))
                    as f32;
            let label = label as usize;
            each.push(ImagePrediction { label, guess: label, label_score: decibels, guess_score: decibels, rank: 0 });
        }
    }
    Ok(each)
}

/// An autoencoder's reconstructions of images.
///
/// # Errors
/// When the device is lost.
pub async fn reconstruct_images(engine: &mut Engine, checkpoint: &Checkpoint, split: &Split) -> Result<Reconstruction> {
    let owned = std::mem::replace(engine, Engine::cpu());
    let mut reconstructor = Reconstructor::new(owned, checkpoint.clone(), split.len())?;
    let reconstructions = reconstructor.reconstruct(split).await;
    *engine = reconstructor.into_engine();
    engine.forget();
    reconstructions
}

/// A dataset with only these images.
fn dataset_with_only(dataset: &Dataset, split_name: SplitName, split: Split) -> Dataset {
    let mut small = dataset.without_images(dataset.input);
    match split_name {
        SplitName::Train => small.train = split,
        SplitName::Val => small.val = Some(split),
        SplitName::Test => small.test = Some(split),
    }
    small
}

/// The number of images that the network can evaluate with this number of floating-point operations. Unlimited on a hardware
/// GPU.
///
/// # Errors
/// When the recipe is invalid.
pub fn affordable_images(engine: &Engine, checkpoint: &Checkpoint, operations: u64) -> Result<usize> {
    if engine.target().device.is_some_and(|device| device.class != DeviceClass::Software) {
        return Ok(usize::MAX);
    }
    let layers = checkpoint.model()?.describe()?;
    let flops: u64 = layers.iter().filter(|layer| layer.depth == 0).map(|layer| layer.flops).sum();
    let views = checkpoint.recipe.training.tta.map_or(1, |tta| tta.views() as u64);
    Ok((operations / (flops * views).max(1)) as usize)
}
