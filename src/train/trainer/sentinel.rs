//! The sentinel: finds the first step after which the loss, a weight or the optimizer's state is not finite, and the number with
//! which it began.
//!
//! It looks at the whole state from time to time, and keeps the last one that was finite. Steps give the same bits each time. So when
//! a state is not finite, the steps since the kept one are run again, half of them at a time, until the first wrong step is found, and
//! that step is run node by node.

use super::Trainer;
use super::epoch::Submitted;
use crate::check::{NonFinite, first_nonfinite};
use crate::train::checkpoint::{Checkpoint, SUMS};
use crate::train::progress::{EpochProgress, Watch};
use crate::train::training::OnNonFinite;
use crate::{Error, Result};

/// The share of the time that may be spent on looking.
const SHARE: f64 = 0.01;
/// The shortest time between two looks within an epoch, in seconds.
const SHORTEST: f64 = 1.0;
/// The number of steps in a row that are skipped before the run ends.
const MOST_SKIPPED: u32 = 10;
/// The share of all steps that are skipped before the run ends, if they are more than [`MOST_SKIPPED`].
const MOST_OF_ALL: f64 = 0.25;
/// How often the learning rate is halved before the run ends.
const MOST_HALVED: u32 = 10;

/// What the sentinel keeps.
#[derive(Debug, Default)]
pub(super) struct Sentinel {
    /// The last state that was finite.
    good: Option<Box<Checkpoint>>,
    /// The state at the epoch's start, or where this process took the epoch up, if the run may go back to it.
    epoch_start: Option<Box<Checkpoint>>,
    /// When the good state was kept, and when the next look within an epoch is due, by the trainer's clock.
    kept: f64,
    next: f64,
    /// The number of the last skipped step, and how many were skipped in a row up to it.
    skipped: (u32, u32),
    warnings: Vec<String>,
}

impl Sentinel {
    /// Forgets the kept states, because the trainer's state was replaced.
    pub fn forget(&mut self) {
        (self.good, self.epoch_start) = (None, None);
    }

    /// The kept state, if it is the one after so many steps of the run.
    pub fn state_after(&self, steps: u32) -> Option<&Checkpoint> {
        self.good.as_deref().filter(|good| good.counters.number == steps)
    }

    /// Adds a sentence to [`Trainer::take_warnings`].
    pub fn warn(&mut self, sentence: String) {
        self.warnings.push(sentence);
    }

    fn good(&self) -> &Checkpoint {
        self.good.as_deref().expect("a state is kept before the first step of an epoch")
    }

    fn good_mut(&mut self) -> &mut Checkpoint {
        self.good.as_deref_mut().expect("a state is kept before the first step of an epoch")
    }
}

impl Trainer {
    /// What the trainer did since the last call because a number was not finite, each as a sentence.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.sentinel.warnings)
    }

    /// Keeps the state before the epoch's next step, if it is not kept yet.
    pub(super) async fn guard(&mut self) -> Result<()> {
        let has_start =
            self.sentinel.epoch_start.as_ref().is_some_and(|start| start.counters.epoch == self.counters.epoch);
        if self.sentinel.state_after(self.counters.number).is_some() {
            self.sentinel.next = self.sentinel.next.max((self.clock)() + SHORTEST);
            self.sentinel.good_mut().counters = self.counters.clone();
            if self.counters.step == 0 {
                self.sentinel.good_mut().tensors.insert(SUMS.into(), (vec![3], vec![0.0; 3]));
            }
        } else if !self.look().await? {
            return Err(Error::Diverged(format!(
                "The weights or the optimizer's state that training begins with are not finite numbers, before step {} of epoch {}.",
                self.counters.step + 1,
                self.counters.epoch + 1
            )));
        }
        if self.recipe.training.on_nonfinite == OnNonFinite::HalveLr && (self.counters.step == 0 || !has_start) {
            self.sentinel.epoch_start = self.sentinel.good.clone();
        }
        Ok(())
    }

    /// Whether it is time for a look at the state within an epoch.
    pub(super) fn look_is_due(&self) -> bool {
        self.ranks.as_ref().map_or_else(|| self.look_time_is_over(), |ranks| ranks.agreed.look)
    }

    /// Whether it is time for a look by the own clock.
    pub(super) fn look_time_is_over(&self) -> bool {
        (self.clock)() > self.sentinel.next
    }

    /// Waits for the submitted steps, and reads the state after them. It is kept if it is finite, on all ranks. Returns whether it is.
    pub(super) async fn look(&mut self) -> Result<bool> {
        self.engine.wait().await?;
        let begun = (self.clock)();
        let state = self.read_state().await?;
        let finite = self.agree(state.is_finite())?;
        if finite {
            self.sentinel.good = Some(Box::new(state));
        }
        let now = (self.clock)();
        if finite {
            self.sentinel.kept = now;
        }
        self.sentinel.next = now + ((now - begun) / SHARE).max(SHORTEST);
        Ok(finite)
    }

    /// The time in seconds of the steps since the last finite state that was kept.
    pub(super) fn lost_by_going_back(&self) -> f64 {
        if self.sentinel.state_after(self.counters.number).is_some() {
            0.0
        } else {
            (self.clock)() - self.sentinel.kept
        }
    }

    /// Goes back to the last finite state, with the images of its next step sent to the device. Returns whether `progress`
    /// returned true until then.
    pub(super) async fn go_back(&mut self, progress: &mut Watch<'_>) -> Result<bool> {
        let spent = (self.counters.seconds, self.counters.epoch_seconds);
        let good = self.sentinel.good.take().expect("a state is kept before the first step of an epoch");
        let written = self.write_state(&good);
        self.sentinel.good = Some(good);
        written?;
        self.take_up_sums().await?;
        (self.counters.seconds, self.counters.epoch_seconds) = spent;
        self.prepare_while(progress).await
    }

    /// Finds the first step after the kept state that leads to numbers that are not finite, and does with it what the recipe says.
    /// Training can then go on. Returns false if `progress` did: the state is then a finite one, before the wrong step.
    ///
    /// # Errors
    /// [`Error::Diverged`] if the run has to end, with the finite state before the wrong step.
    pub(super) async fn recover(&mut self, progress: &mut Watch<'_>) -> Result<bool> {
        let seen = self.counters.step;
        let Some(finding) = self.first_wrong_step(seen, progress).await? else {
            return Ok(false);
        };
        let (epoch, step) = (self.counters.epoch + 1, self.counters.step + 1);
        let place = format!("step {step} of epoch {epoch}");
        match finding {
            Finding::Repeated => self.sentinel.warnings.push(format!(
                "numbers were not finite by step {seen} of epoch {epoch}, but all were when the same steps ran again on {}: it \
                 computed wrongly once. Training goes on with the second result",
                self.engine.device_name()
            )),
            Finding::Wrong(first) => {
                let what = first.as_ref().map_or_else(String::new, |first| format!(" {}.", first.sentence()));
                let found = format!("numbers are no longer finite after {place}.{what}");
                self.react(&found, first.as_ref())?;
            }
        }
        self.go_back(progress).await
    }

    /// Skips the next step or goes back to the epoch's start with half the learning rate, as the recipe says.
    fn react(&mut self, found: &str, first: Option<&NonFinite>) -> Result<()> {
        let wrong = self.counters.number;
        let (last, in_row) = self.sentinel.skipped;
        let in_row = if last + 1 == wrong { in_row + 1 } else { 1 };
        let (halved, skipped) = (self.counters.halved, self.counters.skipped);
        let most = (f64::from(wrong) * MOST_OF_ALL) as u32;
        let may_skip = in_row <= MOST_SKIPPED && skipped <= most.max(MOST_SKIPPED);
        // Another learning rate changes neither the data nor the device.
        let by_the_rate = first.is_none_or(|first| first.op.is_some() && first.cpu_agrees());
        let may_halve = by_the_rate && halved < MOST_HALVED;
        // Of a batch in parts, all that are left go: an update has all parts or none.
        let parts = self.recipe.training.accumulate as u32;
        let left = (parts - self.counters.step % parts).min(self.steps_now() - self.counters.step);
        let sentinel = &mut self.sentinel;
        match self.recipe.training.on_nonfinite {
            OnNonFinite::Skip if may_skip => {
                sentinel.skipped = (wrong + left - 1, in_row);
                let counters = &mut sentinel.good_mut().counters;
                (counters.step, counters.number) = (counters.step + left, counters.number + left);
                counters.skipped += 1;
                let what = if parts == 1 { "step" } else { "batch" };
                sentinel.warnings.push(format!("{found} This {what} is left out"));
            }
            OnNonFinite::HalveLr if may_halve && sentinel.epoch_start.is_some() => {
                sentinel.good = sentinel.epoch_start.clone();
                sentinel.good_mut().counters.halved = halved + 1;
                let rate = self.rate_halved(halved + 1);
                self.sentinel.warnings.push(format!(
                    "{found} The epoch begins again with half the learning rate: it is {rate:?} times the schedule now"
                ));
            }
            OnNonFinite::Stop => return Err(self.diverged(found, "", first)),
            OnNonFinite::Skip => {
                let tried = format!(" {skipped} steps before it were left out already.");
                return Err(self.diverged(found, &tried, first));
            }
            OnNonFinite::HalveLr if may_halve || halved == 0 => return Err(self.diverged(found, "", first)),
            OnNonFinite::HalveLr => {
                let tried = format!(" The learning rate was halved {halved} times already.");
                return Err(self.diverged(found, &tried, first));
            }
        }
        Ok(())
    }

    /// The error that ends the run: what was found and tried, and what may help.
    fn diverged(&self, found: &str, tried: &str, first: Option<&NonFinite>) -> Error {
        let advice = match first {
            Some(NonFinite { op: None, .. }) => "Look at the images and labels".into(),
            Some(first) if !first.cpu_agrees() => "Try --device cpu, or another driver".into(),
            _ => format!(
                "Try a learning rate below {:?}, or clip the gradients; --on-nonfinite skip leaves such steps out, --on-nonfinite \
                 halve-lr repeats the epoch with half the learning rate",
                self.rate_halved(self.counters.halved)
            ),
        };
        let kept = if self.counters.epoch > 0 { " The last checkpoint is kept." } else { "" };
        Error::Diverged(format!("The run has diverged: {found}{tried} {advice}.{kept}"))
    }

    /// The recipe's learning rate after it was halved so many times.
    pub(super) fn rate_halved(&self, times: u32) -> f64 {
        self.recipe.optimizer.learning_rate * 0.5_f64.powi(times as i32)
    }

    /// Finds the first wrong step, of those after the kept state and up to `seen`. The state is then the one before it. `None` if
    /// `progress` returned false.
    async fn first_wrong_step(&mut self, seen: u32, progress: &mut Watch<'_>) -> Result<Option<Finding>> {
        let mut wrong_by = seen;
        // Several ranks only stop between updates.
        let parts = self.division().map_or(1, |division| division.parts);
        while let Some(middle) = between(self.sentinel.good().counters.step, wrong_by, parts) {
            if !self.repeat_to(middle, progress).await? {
                return Ok(None);
            }
            if !self.look().await? {
                wrong_by = middle;
            }
        }
        if !self.repeat_to(wrong_by, progress).await? {
            return Ok(None);
        }
        if self.look().await? {
            return Ok(Some(Finding::Repeated));
        }
        if !self.go_back(progress).await? {
            return Ok(None);
        }
        if self.ranks.is_some() {
            // Each rank knows only its own part of the batch.
            return Ok(Some(Finding::Wrong(None)));
        }
        let (program, step, mut going) = (self.train.program, self.counters.step, true);
        let mut ask = || {
            going = progress(EpochProgress::Repeated(step));
            going
        };
        let first = first_nonfinite(&mut self.engine, program, step as usize, &mut ask).await?;
        let prepared = self.go_back(progress).await?;
        Ok((going && prepared).then_some(Finding::Wrong(first)))
    }

    /// Runs the steps from the kept state to step `end` again. Returns whether `progress` returned true until then; else the state is
    /// the kept one.
    async fn repeat_to(&mut self, end: u32, progress: &mut Watch<'_>) -> Result<bool> {
        if !self.go_back(progress).await? {
            return Ok(false);
        }
        while self.counters.step < end {
            let whole = self.submit_before(end, progress).await? == Submitted::GoOn;
            let going = progress(EpochProgress::Repeated(self.counters.step));
            if !whole || !self.may_go_on(going) {
                self.go_back(progress).await?;
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// About the middle of these steps, after an update, each of which has so many parts. `None` if there is no update between them.
fn between(from: u32, to: u32, parts: u32) -> Option<u32> {
    let first = (from + 1).next_multiple_of(parts);
    let middle = (from + (to - from) / 2).next_multiple_of(parts);
    if (first..to).contains(&middle) { Some(middle) } else { (first < to).then_some(first) }
}

/// What running the steps again shows.
enum Finding {
    /// This step is wrong each time, from this number on, if it was found.
    Wrong(Option<NonFinite>),
    /// Nothing was wrong the second time.
    Repeated,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_after_an_update() {
        let all = [
            (0, 8, 1, Some(4)),
            (0, 2, 1, Some(1)),
            (0, 1, 1, None),
            (0, 16, 4, Some(8)),
            (0, 8, 4, Some(4)),
            (0, 4, 4, None),
        ];
        // After a stop within an update, and where an epoch ends within one.
        let odd = [(6, 12, 4, Some(8)), (7, 12, 4, Some(8)), (6, 10, 4, Some(8)), (6, 8, 4, None), (4, 5, 4, None)];
        for (from, to, parts, middle) in all.into_iter().chain(odd) {
            assert_eq!(between(from, to, parts), middle, "from {from} to {to}, {parts} parts");
        }
    }
}
