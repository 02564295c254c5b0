//! One epoch of a trainer: the numbers of its steps, the streaming of images, the submits to the device, and the evaluation
//! at its end.

use std::ops::Range;

use super::{Stage, Trainer};
use crate::data::SplitName;
use crate::nn::models::Task;
use crate::ops::Step;
use crate::train::checkpoint::Counters;
use crate::train::graphs::SCORES;
use crate::train::loader::Loader;
use crate::train::metrics::{EpochLine, Measured, softmax};
use crate::train::progress::{EpochProgress, Watch};
use crate::train::steps::evaluation_steps;
use crate::train::tag_measures::Tagged;
use crate::{Error, Result};

/// The time in seconds that a step may go on after the wish to stop. If it takes longer, it is given up.
const PATIENCE: f64 = 0.25;
/// The time in seconds of finished steps that may be lost with a step that is given up.
const MOST_LOST: f64 = 10.0;

/// What became of submitted steps.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Submitted {
    /// They are run.
    GoOn,
    /// They are run, but no more are wanted.
    Stop,
    /// The state is that of no step.
    GivenUp,
}

impl Trainer {
    /// The step numbers and hyperparameters of all steps of the next epoch.
    pub(super) fn epoch_steps(&self) -> Vec<Step> {
        let epoch = self.counters.epoch;
        let parts = self.recipe.training.accumulate;
        // The updates before this epoch.
        let before = match parts {
            1 => self.counters.number - self.counters.step,
            _ => epoch * self.recipe.training.updates(self.steps()),
        };
        let (optimizer, schedule) = (&self.recipe.optimizer, &self.recipe.schedule);
        let rows = self.train.data.rows.min(self.steps_now() as usize * self.train.batch);
        let step = |number: u32| {
            let first = number as usize * self.train.batch;
            let valid = self.train.batch.min(self.train.data.rows - first);
            let at = self.progress(number);
            let update = number / parts as u32;
            let mut step = Step::new(before + update, valid as u32, self.recipe.seed);
            (step.first, step.epoch) = (first as u32, epoch);
            let begun = update as usize * parts * self.train.batch;
            step.set_part((first - begun) as u32, (rows - begun).min(parts * self.train.batch) as u32);
            optimizer.fill(&mut step, schedule, at);
            self.recipe.mix(&mut step, self.input);
            step.halve_rates(self.counters.halved);
            if let Some(lookahead) = self.recipe.training.lookahead.filter(|_| step.updates()) {
                step.lookahead = lookahead.share(at.number() + 1, at.total());
            }
            step
        };
        (0..self.steps_now()).map(step).collect()
    }

    /// The order of the training images in an epoch.
    pub(super) fn order_of(&self, epoch: u32) -> Vec<u32> {
        self.recipe.training.sampler.order(&self.labels, self.recipe.seed, epoch)
    }

    /// Uploads the order of the images and the steps of the next epoch. If the images are streamed, also sends the first of
    /// them.
    ///
    /// # Errors
    /// When the device is lost, or the images cannot be read.
    pub async fn prepare_epoch(&mut self) -> Result<()> {
        self.prepare_while(&mut |_| true).await.map(|_| ())
    }

    /// As [`Trainer::prepare_epoch`]. Returns whether it came to its end, while `progress` returned true.
    pub(super) async fn prepare_while(&mut self, progress: &mut Watch<'_>) -> Result<bool> {
        if !self.make_features(SplitName::Train, progress).await? {
            return Ok(false);
        }
        let Counters { epoch, step, .. } = self.counters;
        let order = self.own_rows(self.order_of(epoch));
        self.engine.write(&self.train.data.buffer("order"), 0, &order)?;
        self.schedule_epoch()?;
        self.loader = match self.ahead.take() {
            Some((begun, loader)) if begun == epoch && step == 0 => Some(loader),
            _ => self.loader_of(order, self.own_steps(step..self.steps_now()))?,
        };
        if step == 0 {
            self.waited = 0.0;
        }
        // An epoch that was interrupted in its validation has no step left.
        if !self.own_steps(step..self.steps_now()).is_empty() {
            self.feed()?;
        }
        Ok(true)
    }

    /// The loader for the images of these steps of an epoch, in the given order. `None` if images are not streamed.
    pub(super) fn loader_of(&self, order: Vec<u32>, steps: Range<u32>) -> Result<Option<Loader>> {
        let Stage { data, batch, .. } = self.train;
        match self.streamed.get(data.name) {
            Some(pixels) => data.loader(pixels, order, batch, steps.start as usize..steps.end as usize),
            None => Ok(None),
        }
    }

    /// Starts the loader of the next epoch, if there is one, so that images are ready after the evaluation.
    pub(super) fn begin_next(&mut self) -> Result<()> {
        let next = self.counters.epoch + 1;
        let training = &self.recipe.training;
        if self.loader.is_some() && next < training.begun_epochs() {
            let steps = training.steps_of(next, self.steps());
            let order = self.own_rows(self.order_of(next));
            self.ahead = self.loader_of(order, self.own_steps(0..steps))?.map(|loader| (next, loader));
        }
        Ok(())
    }

    /// Sends the images of the next submit to the device, if images are streamed.
    pub(super) fn feed(&mut self) -> Result<()> {
        let Some(loader) = &mut self.loader else { return Ok(()) };
        let start = (self.clock)();
        let bytes = loader.take()?;
        self.waited += (self.clock)() - start;
        self.train.data.fill(&mut self.engine, loader, bytes)
    }

    /// Trains the next epoch, or the rest of it, and evaluates the validation split. After each submit, `progress` gets how far
    /// the epoch is, and returns whether to continue. When it returns false before the end, the result is `None`, and the next
    /// call continues the epoch. A step that would take long to end is given up, and the state is an earlier one then. A validation
    /// that was interrupted begins again.
    ///
    /// # Errors
    /// When the device is lost, images cannot be read, or the loss or a weight is no longer a finite number.
    pub async fn epoch(&mut self, progress: &mut dyn FnMut(EpochProgress) -> bool) -> Result<Option<EpochLine>> {
        let start = (self.clock)();
        let prepared = self.prepare_while(progress).await?;
        if !self.agree(prepared)? {
            return Ok(None);
        }
        if self.counters.step == 0 {
            self.engine.write(&self.train.data.buffer("sums"), 0, &[0.0_f32; 3])?;
        }
        self.guard().await?;
        if !self.train_while(progress).await? {
            self.counters.epoch_seconds += (self.clock)() - start;
            return Ok(None);
        }
        self.begin_next()?;
        let sums = self.engine.read(&self.train.data.buffer("sums")).await?;
        let trained = self.counters.epoch_seconds + (self.clock)() - start;
        let measured = Measured::from_sums(self.task, &sums);
        let val = match self.stage(SplitName::Val) {
            Some(stage) => {
                let Some(val) = self.evaluate_while((SplitName::Val, stage), progress).await? else {
                    self.counters.epoch_seconds += (self.clock)() - start;
                    return Ok(None);
                };
                Some(val)
            }
            None => None,
        };
        let seconds = self.counters.epoch_seconds + (self.clock)() - start;
        let line = EpochLine {
            epoch: self.counters.epoch + 1,
            train_loss: measured.loss,
            train_accuracy: measured.accuracy,
            val_loss: val.map(|val| val.loss),
            val_accuracy: val.and_then(|val| val.accuracy),
            train_exact_match: measured.exact_match,
            val_exact_match: val.and_then(|val| val.exact_match),
            val_map: val.and_then(|val| val.mean_average_precision),
            val_psnr: val.and_then(|val| val.psnr),
            lr: self.learning_rate(),
            seconds,
            images_per_second: if trained > 0.0 { measured.images as f64 / trained.max(1e-9) } else { 0.0 },
            loader_wait: self.loader.as_ref().map(|_| self.waited),
        };
        let counters = &mut self.counters;
        counters.epoch += 1;
        (counters.step, counters.epoch_seconds) = (0, 0.0);
        counters.seconds += seconds;
        counters.last = Some(line.clone());
        self.note_best(&line);
        Ok(Some(line))
    }

    /// Runs the rest of the epoch's steps. Returns whether `progress` returned true until then. All numbers are finite afterwards,
    /// in any case.
    async fn train_while(&mut self, progress: &mut Watch<'_>) -> Result<bool> {
        loop {
            let mut going = true;
            self.forget_wishes();
            self.take_up_sums().await?;
            while going && self.counters.step < self.steps_now() && !self.look_is_due() {
                match self.submit_before(self.steps_now(), progress).await? {
                    Submitted::GivenUp => {
                        self.go_back(progress).await?;
                        return Ok(false);
                    }
                    Submitted::Stop => going = false,
                    Submitted::GoOn => {
                        let wanted = progress(EpochProgress::Trained(self.counters.step));
                        going = self.may_go_on(wanted);
                    }
                }
                going |= self.counters.step == self.steps_now();
            }
            // This waits for the submitted steps, so that the time of an epoch includes them.
            if self.look().await? {
                if !going || self.counters.step == self.steps_now() {
                    return Ok(going);
                }
            } else {
                let recovered = self.recover(progress).await? && progress(EpochProgress::Recovered);
                if !self.agree(recovered)? {
                    return Ok(false);
                }
            }
        }
    }

    /// Submits the next steps, at most up to step `end`, and sends the images of the submit after it, if there is one. Where
    /// `progress` returns false long before the end of a step, it is given up, and the state is that of no step.
    pub(super) async fn submit_before(&mut self, end: u32, progress: &mut Watch<'_>) -> Result<Submitted> {
        if self.ranks.is_some() {
            return self.update_together(progress).await;
        }
        self.engine.ready().await?;
        let range = self.train.data.submit(
            self.counters.step as usize,
            end as usize,
            self.engine.steps_at_once(self.train.program),
        );
        let (clock, mut asked_to_stop) = (self.clock, None);
        // Going back loses these steps, too.
        let patience = if self.lost_by_going_back() > MOST_LOST { f64::INFINITY } else { PATIENCE };
        let mut going = || {
            if asked_to_stop.is_none() && !progress(EpochProgress::Computing) {
                asked_to_stop = Some(clock());
            }
            asked_to_stop.is_none_or(|since| clock() < since + patience)
        };
        if !self.engine.run_while(self.train.program, range.clone(), &mut going).await? {
            return Ok(Submitted::GivenUp);
        }
        self.counters.number += range.len() as u32;
        self.counters.step = range.end as u32;
        // The next images are sent while a GPU computes.
        if self.counters.step < end {
            self.feed()?;
        }
        Ok(if asked_to_stop.is_some() { Submitted::Stop } else { Submitted::GoOn })
    }

    /// The learning rate at the epoch's first step.
    fn learning_rate(&self) -> f64 {
        self.recipe.schedule.factor(self.progress(0)) * self.rate_halved(self.counters.halved)
    }

    /// Stores the epoch as the best one, if it is. Accuracies on few images differ by chance. So an epoch is not worse than an
    /// earlier one if its accuracy is at most a standard error lower, and the later one is taken, as its learning rate is lower (the
    /// one-standard-error rule of L. Breiman et al., "Classification and Regression Trees", 1984). With several labels an image it is the
    /// last epoch with the highest mean average precision.
    fn note_best(&mut self, line: &EpochLine) {
        let images = self.stage(SplitName::Val).map_or(0, |stage| stage.data.rows);
        let counters = &mut self.counters;
        let figure = line.val_accuracy.or(line.val_map).or(line.val_psnr).unwrap_or(-line.train_loss);
        let highest = counters.best_figure.is_none_or(|best| figure > best);
        if highest {
            (counters.best_figure, counters.highest_epoch) = (Some(figure), Some(line.epoch));
        }
        let as_good = |(accuracy, best): (f64, f64)| {
            let standard_error = (best * (1.0 - best) / images.max(1) as f64).sqrt();
            accuracy >= best - standard_error
        };
        let is_equal = line.val_map.is_some() && counters.best_figure == line.val_map;
        if highest || is_equal || line.val_accuracy.zip(counters.best_figure).is_some_and(as_good) {
            (counters.best_epoch, counters.best_val_accuracy) = (Some(line.epoch), line.val_accuracy);
        }
    }

    /// Evaluates the validation or test split with the current weights, or with their moving average if the recipe has one.
    /// `None` if `progress` returned false before the end.
    ///
    /// # Errors
    /// When the device is lost, or the images cannot be read. [`Error::Usage`] for the training split, and if the dataset does not
    /// have the split.
    pub(crate) async fn evaluate_part(
        &mut self,
        part: SplitName,
        progress: &mut Watch<'_>,
    ) -> Result<Option<Measured>> {
        match self.stage(part).filter(|_| part != SplitName::Train) {
            Some(stage) => self.evaluate_while((part, stage), progress).await,
            None => Err(Error::usage(format!(
                "The trainer has no {part} split to evaluate; it evaluates val and test if the dataset has them."
            ))),
        }
    }

    /// The class probabilities of each image of the validation or test split, with the weights of [`Trainer::evaluate`]. No
    /// image if the dataset does not have the split.
    ///
    /// # Errors
    /// When the device is lost, or the images cannot be read.
    pub(crate) async fn probabilities(&mut self, part: SplitName) -> Result<Vec<Vec<f64>>> {
        let Some(stage) = self.stage(part) else { return Ok(Vec::new()) };
        self.make_features(part, &mut |_| true).await?;
        let logits = self.logits_while((part, stage), &mut |_| true).await?.unwrap_or_default();
        Ok(logits.chunks(self.classes.len()).map(softmax).collect())
    }

    /// The logits of all images of a stage, and its sums on the device. `None` if `progress` returned false before the end.
    async fn logits_while(
        &mut self,
        (split, stage): (SplitName, Stage),
        progress: &mut Watch<'_>,
    ) -> Result<Option<Vec<f32>>> {
        if self.ranks.is_some() {
            let found = self.evaluate_together((split, stage), true, progress).await?;
            let Some((sums, logits)) = found else { return Ok(None) };
            self.engine.write(&stage.data.buffer("sums"), 0, &sums)?;
            return Ok(Some(logits));
        }
        let Stage { program, data, batch } = stage;
        let steps = evaluation_steps(data.rows, batch);
        self.engine.write(&data.buffer("sums"), 0, &[0.0_f32; 3])?;
        self.engine.schedule(program, &steps)?;
        let loader = self.evaluation_loader(&stage, steps.len())?;
        let (mut all, classes) = (Vec::new(), self.classes.len());
        let keep = |number: usize, scores: Option<&[f32]>| {
            let Some(scores) = scores else { return progress(EpochProgress::Computing) };
            all.extend_from_slice(&scores[..steps[number].valid as usize * classes]);
            let (batches, of) = (number as u32 + 1, steps.len() as u32);
            progress(EpochProgress::Evaluated { split, batches, of }) || batches == of
        };
        let whole = data.run_each(&mut self.engine, program, loader, steps.len(), Some(SCORES), keep).await?;
        Ok(whole.then_some(all))
    }

    /// As [`Trainer::evaluate_while`], with several labels an image: the average precision needs the logits of all images.
    async fn evaluate_tags_while(
        &mut self,
        (split, stage): (SplitName, Stage),
        progress: &mut Watch<'_>,
    ) -> Result<Option<Measured>> {
        let Some(logits) = self.logits_while((split, stage), progress).await? else { return Ok(None) };
        let sums = self.engine.read(&stage.data.buffer("sums")).await?;
        let labels = self.held_labels.get(stage.data.name);
        let tagged = self.sets.as_ref().zip(labels).map(|(sets, labels)| Tagged { logits: &logits, labels, sets });
        let mean_average_precision = tagged.and_then(|tagged| tagged.mean_average_precision(self.classes.len()));
        Ok(Some(Measured { mean_average_precision, ..Measured::from_sums(self.task, &sums) }))
    }

    /// The loader for the first `steps` evaluation steps of a stage. `None` if its images are not streamed.
    fn evaluation_loader(&self, stage: &Stage, steps: usize) -> Result<Option<Loader>> {
        let order: Vec<u32> = (0..stage.data.rows as u32).collect();
        match self.streamed.get(stage.data.name) {
            Some(pixels) => stage.data.loader(pixels, order, stage.batch, 0..steps),
            None => Ok(None),
        }
    }

    /// Evaluates the split of a stage. `None` if `progress` returned false before the end.
    async fn evaluate_while(
        &mut self,
        (split, stage): (SplitName, Stage),
        progress: &mut Watch<'_>,
    ) -> Result<Option<Measured>> {
        let made = self.make_features(split, progress).await?;
        if !self.agree(made)? {
            return Ok(None);
        }
        if self.task == Task::Tag {
            return self.evaluate_tags_while((split, stage), progress).await;
        }
        if self.ranks.is_some() {
            let found = self.evaluate_together((split, stage), false, progress).await?;
            return Ok(found.map(|(sums, _)| Measured::from_sums(self.task, &sums)));
        }
        let steps = evaluation_steps(stage.data.rows, stage.batch);
        self.engine.write(&stage.data.buffer("sums"), 0, &[0.0_f32; 3])?;
        self.engine.schedule(stage.program, &steps)?;
        let mut loader = self.evaluation_loader(&stage, steps.len())?;
        let mut done = 0;
        while done < steps.len() {
            self.engine.ready().await?;
            let range = stage.data.submit(done, steps.len(), self.engine.steps_at_once(stage.program));
            stage.data.feed(&mut self.engine, loader.as_mut())?;
            let of = steps.len() as u32;
            done = range.end;
            let mut going = || progress(EpochProgress::Computing);
            let whole = self.engine.run_while(stage.program, range, &mut going).await?;
            let at = EpochProgress::Evaluated { split, batches: done as u32, of };
            if !whole || !progress(at) && done < steps.len() {
                return Ok(None);
            }
        }
        let sums = self.engine.read(&stage.data.buffer("sums")).await?;
        Ok(Some(Measured::from_sums(self.task, &sums)))
    }
}
