//! The state of a trainer: weights and checkpoints, to read and to restore.

use std::collections::BTreeMap;

use super::Trainer;
use crate::nn::{PARAMS, STATISTICS, Weights};
use crate::optim::SUMS as SUMS_OF_PARTS;
use crate::train::buffers::{write_copy, write_weights};
use crate::train::checkpoint::{Checkpoint, Counters, SUMS};
use crate::train::graphs::copies;
use crate::train::training::Training;
use crate::{Error, Result};

impl Trainer {
    /// Replaces the weights, and their moving average or Lookahead's slow weights if the recipe has them. Optimizer state and counters do not change.
    ///
    /// # Errors
    /// When the weights belong to another model, or the device is lost.
    pub fn set_weights(&mut self, weights: &Weights) -> Result<()> {
        let parameters = self.model.parameters();
        let wanted = (parameters.flat_len(), parameters.statistics());
        let statistics = if wanted.1.is_empty() { weights.statistics.len() } else { wanted.1.flat_len() };
        if (weights.learned.len(), weights.statistics.len()) != (wanted.0, statistics) {
            return Err(Error::Shape(format!(
                "The weights are {} learned numbers and {} statistics, but the model {} has {} and {statistics}.",
                weights.learned.len(),
                weights.statistics.len(),
                self.model.name(),
                wanted.0
            )));
        }
        write_weights(&mut self.engine, parameters, weights)?;
        for copy in copies(&self.recipe) {
            write_copy(&mut self.engine, copy.buffers, parameters, weights)?;
        }
        self.replaced();
        Ok(())
    }

    /// Forgets what was kept of the state that is replaced now.
    fn replaced(&mut self) {
        self.sentinel.forget();
        if let Some(ranks) = &mut self.ranks {
            ranks.has_begun = false;
        }
        if let Some(features) = &mut self.features {
            features.forget();
        }
    }

    /// The current weights, not their moving average.
    ///
    /// # Errors
    /// When the device is lost.
    pub async fn weights(&mut self) -> Result<Weights> {
        self.read_weights([PARAMS, STATISTICS]).await
    }

    async fn read_weights(&mut self, [learned, statistics]: [&str; 2]) -> Result<Weights> {
        let learned = self.engine.read(learned).await?;
        let statistics = match self.model.parameters().statistics().is_empty() {
            true => Vec::new(),
            false => self.engine.read(statistics).await?,
        };
        Ok(Weights { learned, statistics })
    }

    /// A checkpoint, from which the run can be resumed.
    ///
    /// # Errors
    /// When the device is lost.
    pub async fn checkpoint(&mut self) -> Result<Checkpoint> {
        match self.sentinel.state_after(self.counters.number) {
            Some(kept) => Ok(Checkpoint { counters: self.counters.clone(), ..kept.clone() }),
            None => self.read_state().await,
        }
    }

    /// Reads the state from the device.
    pub(super) async fn read_state(&mut self) -> Result<Checkpoint> {
        let mut checkpoint = Checkpoint {
            recipe: self.recipe.clone(),
            counters: self.counters.clone(),
            input: self.input,
            classes: self.classes.clone(),
            tensors: BTreeMap::new(),
        };
        let weights = self.weights().await?;
        checkpoint.put_weights("", self.model.parameters(), &weights);
        for copy in copies(&self.recipe) {
            let weights = self.read_weights(copy.buffers).await?;
            checkpoint.put_weights(copy.prefix, self.model.parameters(), &weights);
        }
        for state in self.recipe.optimizer.states(self.recipe.training.accumulate > 1) {
            let flat = self.engine.read(state).await?;
            checkpoint.put_state(state, self.model.parameters(), &flat);
        }
        let sums = self.engine.read(&self.train.data.buffer("sums")).await?;
        checkpoint.tensors.insert(SUMS.into(), (vec![3], sums));
        Ok(checkpoint)
    }

    /// Restores a checkpoint: weights, optimizer state and counters.
    ///
    /// # Errors
    /// When it is of another model or optimizer, or was taken with other steps in an epoch.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.write_state(checkpoint)?;
        self.replaced();
        Ok(())
    }

    /// [`Trainer::restore`] for a checkpoint of this trainer: what was computed from its frozen layers stays right.
    pub(super) fn write_state(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let parameters = self.model.parameters();
        let weights = checkpoint.weights("", parameters)?;
        let mut copied = Vec::new();
        for copy in copies(&self.recipe) {
            copied.push((copy.buffers, checkpoint.weights(copy.prefix, parameters)?));
        }
        let counters = self.counters_of(checkpoint);
        let in_parts = self.recipe.training.accumulate > 1;
        let mut states = Vec::new();
        for state in self.recipe.optimizer.states(in_parts) {
            // A batch in one part has no sums.
            let is_new = in_parts && checkpoint.recipe.training.accumulate == 1;
            let flat = match checkpoint.state(state, parameters) {
                Err(_) if is_new && SUMS_OF_PARTS.contains(&state) => vec![0.0; parameters.updated_len()],
                flat => flat?,
            };
            states.push((state, flat));
        }
        if counters.step > self.steps() || counters.number < counters.step {
            return Err(Error::data(format!(
                "The checkpoint is at step {} of an epoch, but an epoch has {} steps here: its data or batch size differ.",
                counters.step,
                self.steps()
            )));
        }
        let steps = self.recipe.training.steps_of(counters.epoch, self.steps());
        if counters.step > steps {
            return Err(Error::usage(format!(
                "{} epochs end before step {} of epoch {}, where the run is; resume it with more epochs.",
                self.recipe.training.epochs,
                counters.step,
                counters.epoch + 1
            )));
        }
        let sums = checkpoint.tensors.get(SUMS).filter(|(shape, _)| shape == &[3]);
        let (_, sums) = sums.ok_or_else(|| Error::data(format!("The checkpoint has no running sums (`{SUMS}`).")))?;
        write_weights(&mut self.engine, parameters, &weights)?;
        for (buffers, weights) in copied {
            write_copy(&mut self.engine, buffers, parameters, &weights)?;
        }
        for (state, flat) in states {
            self.engine.write(state, 0, &flat)?;
        }
        self.engine.write(&self.train.data.buffer("sums"), 0, sums)?;
        self.counters = counters;
        Ok(())
    }

    /// The counters of a checkpoint, in the steps of this trainer, if its batches have another number of parts than there.
    fn counters_of(&self, checkpoint: &Checkpoint) -> Counters {
        let (now, then) = (&self.recipe.training, &checkpoint.recipe.training);
        let whole = |training: &Training| training.batch_size.saturating_mul(training.accumulate);
        let mut counters = checkpoint.counters.clone();
        if now.accumulate != then.accumulate && whole(now) == whole(then) {
            let [now, then] = [now.accumulate, then.accumulate].map(|parts| parts as u64);
            counters.step = (u64::from(counters.step) * now).div_ceil(then).min(self.steps().into()) as u32;
            counters.number = counters.epoch.saturating_mul(self.steps()).saturating_add(counters.step);
        }
        counters
    }
}
