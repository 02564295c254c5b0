//! Cross-validation: class probabilities of images from networks that were not trained on these images.

use super::features::Cut;
use super::progress::EpochProgress;
use super::trainer::{Trainer, TrainerOptions};
use crate::data::{Dataset, SplitName, folds};
use crate::nn::models::Task;
use crate::{Engine, Error, Result};

/// How a cross-validation is done.
pub struct Folds<'a> {
    /// The number of parts that the images are divided into. For each part, a network is trained on the other parts.
    pub count: usize,
    /// Opens an engine for each network.
    pub open: &'a mut dyn FnMut() -> Result<Engine>,
    /// Gets the number of networks that are trained, and the fraction of the next one's training that is done, from 0 to 1.
    /// Returns whether to continue.
    pub progress: &'a mut dyn FnMut(usize, f64) -> bool,
}

/// For each training image of `dataset`, the class probabilities that a network gives it which was not trained on it.
///
/// `trainer` is a trainer of the dataset. Each network starts with its weights and is trained by its recipe, to the last epoch.
/// `None` if the progress function returned false. Other splits of the dataset are not used: see [`Dataset::in_one_split`].
///
/// # Errors
/// [`Error::Usage`] for an autoencoder, and when a class has fewer than two different images. As [`Trainer::epoch`].
pub async fn cross_validate(mut trainer: Trainer, dataset: &Dataset, how: Folds<'_>) -> Result<Option<Vec<Vec<f64>>>> {
    if trainer.task() != Task::Classify {
        return Err(Error::usage(format!(
            "{}. Only the labels of a classifier's images can be checked, one each.",
            match trainer.task() {
                Task::Tag => "These images have any number of labels".into(),
                _ => format!("{} is an autoencoder", trainer.model().name()),
            }
        )));
    }
    let Folds { count, open, progress } = how;
    let mut recipe = trainer.recipe().clone();
    (recipe.training.patience, recipe.training.tta) = (None, None);
    let part_of = folds(&dataset.train, count, recipe.seed)?;
    let weights = trainer.weights().await?;
    // The outputs of frozen layers are the same in all networks.
    let cut = Cut::of(&recipe, trainer.model(), dataset)?;
    let features = match &cut {
        Some(cut) => {
            // They are needed only once, and make a small part of the work.
            let Some(train) = trainer.take_features(&mut |_| progress(0, 0.0)).await? else { return Ok(None) };
            Some(Dataset { train, ..dataset.without_images(cut.input) })
        }
        None => None,
    };
    drop(trainer);
    let images = features.as_ref().unwrap_or(dataset);
    let mut probabilities = vec![Vec::new(); images.train.len()];
    for part in 0..count {
        let (held, rest): (Vec<u32>, Vec<u32>) =
            (0..images.train.len() as u32).partition(|&number| part_of[number as usize] == part);
        if held.is_empty() {
            continue;
        }
        let mut fold = images.without_images(images.input);
        (fold.train, fold.val) = (images.train.select(&rest), Some(images.train.select(&held)));
        fold.every_class_has_an_image()?;
        let options = TrainerOptions::default();
        let mut trainer = match &cut {
            Some(cut) => {
                let mut learned_by = cut.recipe.clone();
                learned_by.training.cache_features = Some(false);
                Trainer::with_model(open()?, (learned_by, cut.build_rest(&recipe, dataset)?), &fold, options)?
            }
            None => Trainer::new(open()?, recipe.clone(), &fold, options)?,
        };
        trainer.set_weights(&weights)?;
        let (epochs, steps) = (recipe.training.epochs, f64::from(trainer.steps()));
        while !trainer.is_over() {
            let done = f64::from(trainer.counters().epoch);
            let mut trained = 0;
            let mut observe = |at| {
                if let EpochProgress::Trained(step) = at {
                    trained = step;
                }
                progress(part, (done + f64::from(trained) / steps) / epochs)
            };
            if trainer.epoch(&mut observe).await?.is_none() {
                return Ok(None);
            }
        }
        for (number, of_image) in held.into_iter().zip(trainer.probabilities(SplitName::Val).await?) {
            probabilities[number as usize] = of_image;
        }
    }
    Ok(Some(probabilities))
}
