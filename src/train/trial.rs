//! The time of a training step on an engine, measured before a run to choose a device.

use super::recipe::Recipe;
use super::trainer::{Trainer, TrainerOptions};
use crate::data::Dataset;
use crate::{Engine, Result};

/// How a step is timed.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// A clock: returns the seconds since any fixed time.
    pub clock: fn() -> f64,
    /// The time in seconds that the steps may take together, if one step does not take longer.
    pub seconds: f64,
    /// The largest number of images in a step. The time of more images is estimated from it.
    pub images: usize,
}

/// The measured time of a training step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepTime {
    /// Seconds for a batch of the recipe.
    pub seconds: f64,
    /// Floating-point operations for an image.
    pub flops: u64,
}

/// Times a step of a recipe on an engine, with the first images of a dataset. Returns the engine, without plans and buffers. If the
/// recipe keeps the outputs of frozen layers, the step computes them as well.
///
/// # Errors
/// As [`Trainer::new`].
pub async fn time_step(engine: Engine, recipe: &Recipe, dataset: &Dataset, trial: Trial) -> Result<(StepTime, Engine)> {
    let batch = recipe.training.batch_size.min(dataset.train.len());
    let images = batch.min(trial.images).max(1);
    let mut recipe = recipe.clone();
    let training = &mut recipe.training;
    (training.batch_size, training.patience, training.cache_features) = (images, None, Some(false));
    // The sample is one batch, without the classes that weights may name.
    (training.accumulate, training.drop_last, training.class_weights) = (1, false, None);
    recipe.data.stream = false;
    let first: Vec<u32> = (0..images as u32).collect();
    let sample = Dataset { train: dataset.train.select(&first), ..dataset.without_images(dataset.input) };
    let options = TrainerOptions { clock: Some(trial.clock), ..TrainerOptions::default() };
    let mut trainer = Trainer::new(engine, recipe, &sample, options)?;
    // The first step is slower than the others: it touches the memory for the first time.
    let mut seconds = timed(&mut trainer, 1, trial.clock).await?;
    if seconds < trial.seconds / 2.0 {
        seconds = timed(&mut trainer, 1, trial.clock).await?;
    }
    let more = (trial.seconds / seconds.max(1e-6)) as usize;
    if more > 1 {
        seconds = timed(&mut trainer, more.min(1000), trial.clock).await?;
    }
    let time =
        StepTime { seconds: seconds * batch as f64 / images as f64, flops: trainer.step_cost().0 / images as u64 };
    let mut engine = trainer.into_engine();
    engine.forget();
    Ok((time, engine))
}

/// The seconds that each of `count` steps takes.
async fn timed(trainer: &mut Trainer, count: usize, clock: fn() -> f64) -> Result<f64> {
    let start = clock();
    trainer.repeat_steps(count).await?;
    Ok((clock() - start) / count as f64)
}
