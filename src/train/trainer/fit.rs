//! Training to the end in one call, evaluation, and prediction. Blocking forms are for programs that are not asynchronous.

use std::ops::ControlFlow;

use super::Trainer;
use crate::data::SplitName;
use crate::train::checkpoint::Checkpoint;
use crate::train::graphs::AVERAGES;
use crate::train::metrics::{EpochLine, Measured};
use crate::train::predictor::{Classifier, Prediction};
use crate::{Error, Result};

/// The batch size of [`Trainer::predict_all`].
const AT_ONCE: usize = 32;

/// Whether [`Trainer::fit`] continues after an epoch. A closure without a result always continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Train the next epoch.
    Continue,
    /// End training.
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
    /// Trains to the recipe's last epoch, or until no epoch was better for as long as its patience. `after` gets the metrics of
    /// each epoch and may end training with [`Flow::Stop`]. The result is the metrics of all epochs of this call.
    ///
    /// The trainer then has the last epoch's weights. If there is a validation split, [`Trainer::best`] is the checkpoint of
    /// the best epoch, and [`Trainer::restore_best`] restores it. After a stop, another call trains the remaining epochs. What was done
    /// about numbers that were not finite is in [`Trainer::take_warnings`].
    ///
    /// Among several ranks all call it, and `after` ends training where it does on one of them.
    ///
    /// # Errors
    /// When the device is lost, images cannot be read, or the loss or a weight is no longer a finite number.
    pub async fn fit<R: Into<Flow>>(&mut self, mut after: impl FnMut(&EpochLine) -> R) -> Result<Vec<EpochLine>> {
        let mut lines = Vec::new();
        while self.goes_on().await? {
            let Some(line) = self.epoch(&mut |_| true).await? else {
                // Another rank has stopped.
                self.agree(false)?;
                break;
            };
            if self.val.is_some() && self.counters.best_epoch == Some(line.epoch) {
                self.best = Some(Box::new(self.checkpoint().await?));
            }
            let flow = after(&line).into();
            lines.push(line);
            if !self.agree(flow == Flow::Continue)? {
                break;
            }
        }
        Ok(lines)
    }

    /// Whether there is something to train before the end. Among several ranks it is called by all, and gives all the state of rank 0.
    ///
    /// # Errors
    /// When the device is lost, or another rank has ended.
    pub async fn goes_on(&mut self) -> Result<bool> {
        self.begin_together().await?;
        Ok(!self.is_over())
    }

    /// Whether all epochs are done, or no epoch was better for as long as the recipe's patience.
    pub fn is_over(&self) -> bool {
        let (counters, training) = (&self.counters, &self.recipe.training);
        let highest = counters.highest_epoch.or(counters.best_epoch);
        let since_best = highest.map_or(0, |highest| counters.epoch - highest);
        counters.epoch >= training.begun_epochs() || training.patience.is_some_and(|patience| since_best >= patience)
    }

    /// The checkpoint of the epoch of [`Trainer::fit`] with the best result on the validation split: the last epoch
    /// whose accuracy is at most a standard error below the highest, with several labels an image the last one with the highest mean average
    /// precision, or for an autoencoder the one with the highest peak signal-to-noise ratio. `None` without a validation split.
    pub fn best(&self) -> Option<&Checkpoint> {
        self.best.as_deref()
    }

    /// Restores [`Trainer::best`]: weights, optimizer state and counters. If there is none, nothing changes.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn restore_best(&mut self) -> Result<()> {
        let Some(best) = self.best.take() else { return Ok(()) };
        let restored = self.restore(&best);
        self.best = Some(best);
        restored
    }

    /// Evaluates the validation or test split with the current weights, or with their moving average if the recipe has one.
    ///
    /// # Errors
    /// When the dataset does not have the split, images cannot be read, or the device is lost. [`Error::Usage`] for the
    /// training split; its metrics are the running means in [`EpochLine`].
    pub async fn evaluate(&mut self, split: SplitName) -> Result<Measured> {
        let measured = self.evaluate_part(split, &mut |_| true).await?;
        measured.ok_or_else(|| Error::usage("The evaluation was stopped."))
    }

    /// Classifies an image with the weights of [`Trainer::evaluate`]. The image is channels x height x width values in the same
    /// range as the training images; bytes are divided by 255.
    ///
    /// # Errors
    /// When the number of values differs from that of a training image, the model is no classifier, or the device is lost.
    pub async fn predict(&mut self, image: &[f32]) -> Result<Prediction> {
        let classifier = self.classifier(1)?;
        let mut predictions = classifier.predict(&mut self.engine, &[image], &self.classes).await?;
        predictions.pop().ok_or_else(|| Error::usage("there is no image"))
    }

    /// Classifies several images, as [`Trainer::predict`]. They are computed in batches of 32.
    ///
    /// # Errors
    /// As [`Trainer::predict`].
    pub async fn predict_all(&mut self, images: &[impl AsRef<[f32]>]) -> Result<Vec<Prediction>> {
        let classifier = self.classifier(AT_ONCE)?;
        classifier.predict(&mut self.engine, images, &self.classes).await
    }

    /// The program for a batch of `batch` images, loaded on first use. It reads the weights from the buffers of the training
    /// step.
    fn classifier(&mut self, batch: usize) -> Result<Classifier> {
        if let Some(loaded) = self.classifiers.get(&batch) {
            return Ok(loaded.clone());
        }
        let network = (&self.model, &self.recipe);
        let weights = if self.recipe.training.ema.is_some() { &AVERAGES[..] } else { &[] };
        let prefix = format!("predict.{batch}.");
        let loaded = Classifier::load(&mut self.engine, network, (self.input, batch), &prefix, weights)?;
        self.classifiers.insert(batch, loaded.clone());
        Ok(loaded)
    }
}

/// Blocking forms, which wait on the current thread.
#[cfg(not(target_arch = "wasm32"))]
impl Trainer {
    /// [`Trainer::fit`], blocking.
    ///
    /// # Errors
    /// As [`Trainer::fit`].
    pub fn fit_blocking<R: Into<Flow>>(&mut self, after: impl FnMut(&EpochLine) -> R) -> Result<Vec<EpochLine>> {
        crate::blocking::block_on(self.fit(after))
    }

    /// [`Trainer::evaluate`], blocking.
    ///
    /// # Errors
    /// As [`Trainer::evaluate`].
    pub fn evaluate_blocking(&mut self, split: SplitName) -> Result<Measured> {
        crate::blocking::block_on(self.evaluate(split))
    }

    /// [`Trainer::predict`], blocking.
    ///
    /// # Errors
    /// As [`Trainer::predict`].
    pub fn predict_blocking(&mut self, image: &[f32]) -> Result<Prediction> {
        crate::blocking::block_on(self.predict(image))
    }

    /// [`Trainer::predict_all`], blocking.
    ///
    /// # Errors
    /// As [`Trainer::predict_all`].
    pub fn predict_all_blocking(&mut self, images: &[impl AsRef<[f32]>]) -> Result<Vec<Prediction>> {
        crate::blocking::block_on(self.predict_all(images))
    }
}
