//! Training to the end in one call, evaluation and prediction, with blocking forms for programs without an executor.

use std::ops::ControlFlow;

use super::Trainer;
use crate::data::SplitName;
use crate::train::checkpoint::Checkpoint;
use crate::train::metrics::{EpochLine, Measured};
use crate::train::predictor::{Classifier, Prediction};
use crate::{Error, Result};

/// Images that [`Trainer::predict_all`] sends through the network together.
const AT_ONCE: usize = 32;

/// Whether training goes on: what [`Trainer::fit`] asks after each epoch. A closure without a result goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The next epoch follows.
    Continue,
    /// No epoch follows.
    Stop,
}

impl From<()> for Flow {
    fn from((): ()) -> Self {
        Self::Continue
    }
}

impl<B> From<ControlFlow<B>> for Flow {
    fn from(flow: ControlFlow<B>) -> Self {
        if flow.is_break() { Self::Stop } else { Self::Continue }
    }
}

impl Trainer {
    /// Trains to the recipe's last epoch, or until its patience ends. `after` gets the line of each epoch and may end training
    /// with [`Flow::Stop`]. The result is the lines of all epochs of this call.
    ///
    /// The trainer then has the last epoch's weights. Where there is a validation split, [`Trainer::best`] keeps the best epoch
    /// as well, and [`Trainer::restore_best`] goes back to it. After a stop, another call trains the epochs that are left.
    ///
    /// # Errors
    /// When the device is lost, images cannot be read, or the loss or a weight is no longer a finite number.
    pub async fn fit<R: Into<Flow>>(&mut self, mut after: impl FnMut(&EpochLine) -> R) -> Result<Vec<EpochLine>> {
        let mut lines = Vec::new();
        while !self.is_over() {
            let Some(line) = self.epoch(&mut |_| true).await? else { break };
            if self.val.is_some() && self.counters.best_epoch == Some(line.epoch) {
                self.best = Some(Box::new(self.checkpoint().await?));
            }
            let flow = after(&line).into();
            lines.push(line);
            if flow == Flow::Stop {
                break;
            }
        }
        Ok(lines)
    }

    /// Whether all epochs are done, or none was better for as long as the recipe's patience.
    pub fn is_over(&self) -> bool {
        let (counters, training) = (&self.counters, &self.recipe.training);
        let since_best = counters.best_epoch.map_or(0, |best| counters.epoch - best);
        counters.epoch >= training.epochs || training.patience.is_some_and(|patience| since_best >= patience)
    }

    /// The epoch that [`Trainer::fit`] found best on the validation split: the one of the highest accuracy, for an autoencoder of
    /// the highest peak signal-to-noise ratio, and the first of equals. Nothing without a validation split.
    pub fn best(&self) -> Option<&Checkpoint> {
        self.best.as_deref()
    }

    /// Goes back to [`Trainer::best`]: weights, optimizer state and number of epochs. Without one, nothing changes.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn restore_best(&mut self) -> Result<()> {
        let Some(best) = self.best.take() else { return Ok(()) };
        let restored = self.restore(&best);
        self.best = Some(best);
        restored
    }

    /// Evaluates the validation or test split with the present weights, or with their moving average where the recipe keeps one.
    ///
    /// # Errors
    /// When the dataset has no such split, or the device is lost. The training split is not evaluated here: its line of an epoch
    /// holds the running mean.
    pub async fn evaluate(&mut self, split: SplitName) -> Result<Measured> {
        self.evaluate_if_there(split).await?.ok_or_else(|| {
            Error::usage(format!(
                "The trainer has no {split} split to evaluate; it evaluates val and test, where the dataset has them."
            ))
        })
    }

    /// What an image is taken for, with the weights of [`Trainer::evaluate`]: channels x height x width values, as the training
    /// images had them (bytes divided by 255).
    ///
    /// # Errors
    /// When it has another number of values than a training image, the model is no classifier, or the device is lost.
    pub async fn predict(&mut self, image: &[f32]) -> Result<Prediction> {
        let classifier = self.classifier(1)?;
        let mut predictions = classifier.predict(&mut self.engine, &[image], &self.classes).await?;
        predictions.pop().ok_or_else(|| Error::usage("there is no image"))
    }

    /// What each of several images is taken for, as [`Trainer::predict`]; some go through the network together.
    ///
    /// # Errors
    /// As [`Trainer::predict`].
    pub async fn predict_all(&mut self, images: &[impl AsRef<[f32]>]) -> Result<Vec<Prediction>> {
        let classifier = self.classifier(AT_ONCE)?;
        classifier.predict(&mut self.engine, images, &self.classes).await
    }

    /// The program for `batch` images, loaded when it is first needed. It reads the buffers that training writes.
    fn classifier(&mut self, batch: usize) -> Result<Classifier> {
        if let Some(loaded) = self.classifiers.get(&batch) {
            return Ok(loaded.clone());
        }
        let (network, averaged) = ((&self.model, &self.recipe), self.recipe.training.ema.is_some());
        let prefix = format!("predict.{batch}.");
        let loaded = Classifier::load(&mut self.engine, network, (self.input, batch), &prefix, averaged)?;
        self.classifiers.insert(batch, loaded.clone());
        Ok(loaded)
    }
}

/// The same, waiting on the thread at hand.
#[cfg(not(target_arch = "wasm32"))]
impl Trainer {
    /// [`Trainer::fit`], waiting for it.
    ///
    /// # Errors
    /// As [`Trainer::fit`].
    pub fn fit_blocking<R: Into<Flow>>(&mut self, after: impl FnMut(&EpochLine) -> R) -> Result<Vec<EpochLine>> {
        crate::blocking::block_on(self.fit(after))
    }

    /// [`Trainer::evaluate`], waiting for it.
    ///
    /// # Errors
    /// As [`Trainer::evaluate`].
    pub fn evaluate_blocking(&mut self, split: SplitName) -> Result<Measured> {
        crate::blocking::block_on(self.evaluate(split))
    }

    /// [`Trainer::predict`], waiting for it.
    ///
    /// # Errors
    /// As [`Trainer::predict`].
    pub fn predict_blocking(&mut self, image: &[f32]) -> Result<Prediction> {
        crate::blocking::block_on(self.predict(image))
    }

    /// [`Trainer::predict_all`], waiting for it.
    ///
    /// # Errors
    /// As [`Trainer::predict_all`].
    pub fn predict_all_blocking(&mut self, images: &[impl AsRef<[f32]>]) -> Result<Vec<Prediction>> {
        crate::blocking::block_on(self.predict_all(images))
    }
}
