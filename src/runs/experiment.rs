//! A complete training run, stored in a run directory.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::directory::RunDirectory;
use super::events::EventWriter;
use super::lock::Standing;
use super::run_images::RunImages;
use crate::data::{Dataset, SplitName};
use crate::gpu::Failure;
use crate::train::{Checkpoint, EpochLine, EpochProgress, Summary, Trainer, TrainerOptions};
use crate::{Engine, Error, Result};

/// Receives the progress of a run, and can stop it.
pub trait Observer {
    /// Called before the first step with the run's directory, and the epochs that it has already.
    fn begun(&mut self, _run: &Path, _trainer: &Trainer, _before: &[EpochLine]) {}
    /// Called several times a second with how far an epoch (from 1) is, and after the last epoch with how far the evaluation of the
    /// test split is. Returns whether to continue.
    fn progress(&mut self, epoch: u32, at: EpochProgress) -> bool;
    /// Called when an epoch is done. Returns whether to continue.
    fn epoch(&mut self, line: &EpochLine) -> bool;
    /// Called several times a second. Whether a checkpoint is to be written now.
    fn wants_checkpoint(&mut self) -> bool {
        false
    }
    /// Called when a checkpoint was written within an epoch (from 1), after so many of its steps.
    fn saved(&mut self, _epoch: u32, _steps: u32) {}
    /// Called when the run is over, before anything else is done with it.
    fn ended(&mut self, _outcome: &RunOutcome) {}
    /// Called when a file of the run cannot be written. Training goes on: see [`Experiment::lost`].
    fn not_written(&mut self, error: &Error);
    /// Called when the trainer has done something about numbers that were not finite, which this sentence tells.
    fn not_finite(&mut self, what: &str);
    /// Called when the device failed and training goes on, on this device, from the last checkpoint.
    fn device_failed(&mut self, error: &Error, now_on: &str);
}

/// Opens an engine for a run whose device failed in this way, for so many times without an epoch between. `None` ends the run.
pub type Reopen<'a> = dyn FnMut(Failure, u32) -> Option<Result<Engine>> + 'a;

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum RunOutcome {
    /// All epochs are done.
    Finished(Box<Summary>),
    /// The observer stopped the run. It can be resumed.
    Interrupted {
        /// Complete epochs.
        epochs: u32,
        /// Complete steps of the next epoch.
        steps: u32,
    },
}

/// A trainer and the directory of its run.
#[derive(Debug)]
pub struct Experiment {
    /// The trainer.
    pub trainer: Trainer,
    /// The run's directory.
    pub run: RunDirectory,
    /// A writer for TensorBoard: [`RunDirectory::events`].
    pub events: Option<EventWriter>,
    /// How often a checkpoint is written within an epoch. Each epoch ends with one in any case.
    pub save_every: Duration,
    /// The files that could not be written and what kept them from it. What is written later is removed from the list.
    lost: BTreeMap<String, String>,
    /// The list of the dataset's image files.
    images: Option<RunImages>,
}

/// The name of the last checkpoint in messages.
const LAST: &str = "last checkpoint";
/// The name of the best epoch's checkpoint in messages.
const BEST: &str = "best checkpoint";

/// The usual time between two checkpoints within an epoch.
pub const SAVE_EVERY: Duration = Duration::from_secs(300);

impl Experiment {
    /// Begins a run in a new directory, which keeps a list of the dataset's image files.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File) when the system refuses.
    pub fn new(trainer: Trainer, run: RunDirectory, dataset: &Dataset) -> Result<Self> {
        run.write_images(dataset)?;
        Ok(Self { images: RunImages::of(dataset), ..Self::without_images(trainer, run) })
    }

    /// Begins a run in a new directory, for a dataset that is not in image files.
    pub fn without_images(trainer: Trainer, run: RunDirectory) -> Self {
        Self { trainer, run, events: None, save_every: SAVE_EVERY, lost: BTreeMap::new(), images: None }
    }

    /// What could not be written to the disk until now, each as a sentence.
    pub fn lost(&self) -> impl Iterator<Item = String> {
        self.lost.iter().map(|(what, why)| format!("The {what} was not written: {why}."))
    }

    /// Notes whether a file of the run was written. A full or vanished disk does not end the training; later files may be written again.
    fn note(&mut self, what: &str, written: Result<()>, observer: &mut dyn Observer) -> Result<()> {
        match written {
            Ok(()) => {
                self.lost.remove(what);
            }
            Err(error @ Error::File { .. }) => {
                observer.not_written(&error);
                self.lost.insert(what.into(), error.to_string());
            }
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// Resumes from a checkpoint.
    ///
    /// # Errors
    /// When the checkpoint does not match the trainer.
    pub fn resumed(
        mut trainer: Trainer,
        run: RunDirectory,
        dataset: &Dataset,
        checkpoint: &Checkpoint,
    ) -> Result<Self> {
        trainer.restore(checkpoint)?;
        run.cut_metrics(checkpoint.counters.epoch)?;
        Self::new(trainer, run, dataset)
    }

    /// Trains to the last epoch, writes a checkpoint after each and within long ones, and evaluates the result.
    ///
    /// # Errors
    /// When the device or the disk fails, or the loss or a weight is no longer finite.
    pub async fn run(&mut self, observer: &mut dyn Observer) -> Result<RunOutcome> {
        self.tell_begin(observer);
        let outcome = self.train(observer).await?;
        observer.ended(&outcome);
        Ok(outcome)
    }

    /// Tells the observer what is trained. A damaged list of earlier epochs is as none.
    fn tell_begin(&self, observer: &mut dyn Observer) {
        observer.begun(self.run.path(), &self.trainer, &self.run.metrics().unwrap_or_default());
    }

    async fn train(&mut self, observer: &mut dyn Observer) -> Result<RunOutcome> {
        if self.trainer.counters().number == 0 && !self.run.has_last() {
            let checkpoint = self.trainer.checkpoint().await?;
            self.run.write_initial(&checkpoint)?;
        }
        let mut saved = Instant::now();
        while self.trainer.goes_on().await? {
            let epoch = self.trainer.counters().epoch + 1;
            let (mut stopped, save_every) = (false, self.save_every);
            let line = self
                .trainer
                .epoch(&mut |at| {
                    stopped |= !observer.progress(epoch, at);
                    let due = match at {
                        EpochProgress::Trained(_) => saved.elapsed() >= save_every || observer.wants_checkpoint(),
                        EpochProgress::Recovered => true,
                        _ => false,
                    };
                    !stopped && !due
                })
                .await;
            self.trainer.take_warnings().iter().for_each(|warning| observer.not_finite(warning));
            let Some(line) = line? else {
                let checkpoint = self.trainer.checkpoint().await?;
                self.secure(observer)?;
                let written = self.run.write_last(&checkpoint);
                saved = Instant::now();
                self.note(LAST, written, observer)?;
                if !self.lost.contains_key(LAST) {
                    observer.saved(epoch, self.trainer.counters().step);
                }
                if !self.trainer.agree(!stopped)? {
                    return self.interrupted();
                }
                continue;
            };
            self.keep(&line, observer).await?;
            saved = Instant::now();
            let wanted = observer.epoch(&line);
            if !self.trainer.agree(wanted || self.trainer.is_over())? {
                return self.interrupted();
            }
        }
        let Some(summary) = self.summary_while(observer).await? else { return self.interrupted() };
        self.secure(observer)?;
        let written = self.run.write_summary(&summary);
        self.note("summary of the run", written, observer)?;
        Ok(RunOutcome::Finished(Box::new(summary)))
    }

    /// As [`Experiment::run`]. A device that fails is replaced by the engine that `reopen` opens, and training goes on from the last
    /// checkpoint. On the same device the result has the same bits.
    ///
    /// # Errors
    /// As [`Experiment::run`], and when no engine can be opened.
    pub async fn run_on(
        &mut self,
        observer: &mut dyn Observer,
        (dataset, options): (&Dataset, TrainerOptions),
        reopen: &mut Reopen<'_>,
    ) -> Result<RunOutcome> {
        self.tell_begin(observer);
        let outcome = self.train_on(observer, (dataset, options), reopen).await?;
        observer.ended(&outcome);
        Ok(outcome)
    }

    async fn train_on(
        &mut self,
        observer: &mut dyn Observer,
        (dataset, options): (&Dataset, TrainerOptions),
        reopen: &mut Reopen<'_>,
    ) -> Result<RunOutcome> {
        let (mut failures, mut epoch) = (0, self.trainer.counters().epoch);
        loop {
            let outcome = self.train(observer).await;
            let (mut error, mut failure) = match (outcome, self.trainer.engine().failure()) {
                (Err(error), Some(failure)) => (error, failure),
                (outcome, _) => return outcome,
            };
            let now = self.trainer.counters().epoch;
            failures = if now > epoch { 0 } else { failures };
            epoch = now;
            // Without a checkpoint there is nothing to go on from.
            let Ok(checkpoint) = self.run.resumable() else { return Err(error) };
            // The memory of the failed device is free before another is opened.
            self.trainer.leave_engine();
            loop {
                failures += 1;
                let Some(engine) = reopen(failure, failures) else { return Err(error) };
                match engine.and_then(|engine| self.go_on(engine, &checkpoint, (dataset, options))) {
                    Ok(()) => break,
                    Err(again @ Error::Memory(_)) => (error, failure) = (again, Failure::OutOfMemory),
                    Err(again @ Error::Device(_)) => (error, failure) = (again, Failure::Lost),
                    Err(other) => return Err(other),
                }
            }
            observer.device_failed(&error, &self.trainer.engine().device_name());
        }
    }

    /// Trains on another engine from a checkpoint on.
    fn go_on(
        &mut self,
        engine: Engine,
        checkpoint: &Checkpoint,
        (dataset, options): (&Dataset, TrainerOptions),
    ) -> Result<()> {
        let mut trainer = Trainer::new(engine, self.trainer.recipe().clone(), dataset, options)?;
        trainer.restore(checkpoint)?;
        self.run.cut_metrics(checkpoint.counters.epoch)?;
        self.trainer = trainer;
        Ok(())
    }

    /// The outcome of a run that was stopped, which can be resumed if its last checkpoint was written.
    fn interrupted(&self) -> Result<RunOutcome> {
        let counters = self.trainer.counters();
        match self.lost.get(LAST) {
            None => Ok(RunOutcome::Interrupted { epochs: counters.epoch, steps: counters.step }),
            Some(why) => Err(Error::data(format!(
                "The training was stopped, but its last checkpoint was not written: {why}. An earlier one may be there."
            ))),
        }
    }

    /// Sees to it that the run directory is this run's before something is written. One that somebody removed is made again.
    fn secure(&mut self, observer: &mut dyn Observer) -> Result<()> {
        self.run.check_own()?;
        match self.run.standing() {
            Standing::Gone => self.put_back(observer),
            Standing::Own | Standing::Others => Ok(()),
        }
    }

    fn put_back(&mut self, observer: &mut dyn Observer) -> Result<()> {
        let path = self.run.path().to_owned();
        let gone = || {
            let reason = std::io::Error::other("somebody removed it");
            Err(Error::file("lost the run directory", path.clone())(reason))
        };
        self.note("beginning of the metrics", gone(), observer)?;
        if let Some(best) = self.trainer.counters().best_epoch {
            self.lost.insert(BEST.into(), format!("that of epoch {best} was in the removed run directory"));
        }
        let written = self.run.put_back(self.trainer.recipe());
        self.note("recipe", written, observer)?;
        let listed = self.images.as_ref().map_or(Ok(()), |images| self.run.write_list(images));
        self.note("list of the run's images", listed, observer)?;
        if self.events.take().is_some() {
            let opened = self.run.events().map(|events| self.events = Some(events));
            self.note("file for TensorBoard", opened, observer)?;
        }
        Ok(())
    }

    /// Stores an epoch. The last checkpoint is written last, so that after a crash the run can be resumed from it.
    async fn keep(&mut self, line: &EpochLine, observer: &mut dyn Observer) -> Result<()> {
        self.secure(observer)?;
        let appended = self.run.append(line);
        self.note(&format!("line of epoch {} in the metrics", line.epoch), appended, observer)?;
        if let Some(events) = &mut self.events {
            let written = events.write_epoch(line);
            self.note(&format!("point of epoch {} for TensorBoard", line.epoch), written, observer)?;
        }
        let best = self.trainer.counters().best_epoch == Some(line.epoch);
        let checkpoint = self.trainer.checkpoint().await?;
        if best {
            let written = self.run.write_best(&checkpoint);
            self.note(BEST, written, observer)?;
        }
        let written = self.run.write_last(&checkpoint);
        self.note(LAST, written, observer)
    }

    /// Evaluates the test split with the last weights and summarises the run. `None` if the observer stopped it.
    async fn summary_while(&mut self, observer: &mut dyn Observer) -> Result<Option<Summary>> {
        let epoch = self.trainer.counters().epoch;
        let test = match self.trainer.has(SplitName::Test) {
            true => {
                let mut observe = |at| observer.progress(epoch, at);
                let Some(test) = self.trainer.evaluate_part(SplitName::Test, &mut observe).await? else {
                    return Ok(None);
                };
                Some(test)
            }
            false => None,
        };
        let weights = self.trainer.weights().await?;
        let trainer = &self.trainer;
        let counters = trainer.counters();
        let last = counters.last.as_ref();
        let parameters = trainer.model().parameters();
        Ok(Some(Summary {
            version: Some(env!("CARGO_PKG_VERSION").into()),
            run: self.run.path().display().to_string(),
            recipe: trainer.recipe().name.clone(),
            model: trainer.recipe().model.name.clone(),
            dataset: trainer.recipe().data.name.clone(),
            executor: trainer.engine().kind().into(),
            device: trainer.device_name(),
            epochs: counters.epoch,
            stopped_early: counters.epoch < trainer.recipe().training.begun_epochs(),
            seconds: counters.seconds,
            train_loss: last.map_or(0.0, |line| line.train_loss),
            train_accuracy: last.and_then(|line| line.train_accuracy),
            val_loss: last.and_then(|line| line.val_loss),
            val_accuracy: last.and_then(|line| line.val_accuracy),
            test_loss: test.map(|test| test.loss),
            test_accuracy: test.and_then(|test| test.accuracy),
            best_val_accuracy: counters.best_val_accuracy,
            best_epoch: counters.best_epoch,
            val_psnr: last.and_then(|line| line.val_psnr),
            test_psnr: test.and_then(|test| test.psnr),
            val_exact_match: last.and_then(|line| line.val_exact_match),
            val_map: last.and_then(|line| line.val_map),
            test_exact_match: test.and_then(|test| test.exact_match),
            test_map: test.and_then(|test| test.mean_average_precision),
            best_val_map: last.and_then(|line| line.val_map).and(counters.best_figure),
            weights_hash: parameters.hash(&weights),
            parameters: parameters.count(),
            planned_bytes: trainer.planned_bytes(),
        }))
    }
}
