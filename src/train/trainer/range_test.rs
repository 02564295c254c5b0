//! Training steps at many learning rates, for the choice of one.

use super::Trainer;
use crate::Result;
use crate::data::SplitName;
use crate::train::progress::Watch;

impl Trainer {
    /// Makes one update at each of these learning rates, from the first weights on, and passes the mean loss of its images to `each`,
    /// until it returns false. Groups of parameters with rates of their own keep them. The trainer is only good for its engine then.
    ///
    /// # Errors
    /// When the device is lost, or images cannot be read.
    pub(crate) async fn range_test(
        &mut self,
        rates: &[f64],
        each: &mut dyn FnMut(f64) -> bool,
        progress: &mut Watch<'_>,
    ) -> Result<()> {
        if !self.make_features(SplitName::Train, progress).await? {
            return Ok(());
        }
        let (whole, parts) = (self.steps(), self.recipe.training.accumulate);
        let updates = self.recipe.training.updates(whole) as usize;
        // The sum of the losses of an update's earlier parts, and their images.
        let (mut sum, mut images) = (0.0, 0.0);
        for (epoch, rates) in (0..).zip(rates.chunks(updates)) {
            (self.counters.epoch, self.counters.number) = (epoch, epoch * whole);
            let mut steps = self.epoch_steps();
            steps.truncate(rates.len() * parts);
            for (step, rate) in steps.iter_mut().zip(rates.iter().flat_map(|rate| std::iter::repeat_n(rate, parts))) {
                let factor = (rate / self.recipe.optimizer.learning_rate) as f32;
                let groups = self.recipe.optimizer.groups.iter().map(|group| group.learning_rate.is_none());
                let changed = std::iter::once(true).chain(groups);
                step.groups
                    .iter_mut()
                    .zip(changed)
                    .filter(|(_, is_changed)| *is_changed)
                    .for_each(|(group, _)| group.rate *= factor);
            }
            let order = self.order_of(epoch);
            self.engine.write(&self.train.data.buffer("order"), 0, &order)?;
            self.engine.schedule(self.train.program, &steps)?;
            let mut loader = self.loader_of(order, 0..steps.len() as u32)?;
            let mut done = 0;
            while done < steps.len() {
                let submit = self.train.data.submit(done, steps.len(), 1);
                done = submit.end;
                self.train.data.feed(&mut self.engine, loader.as_mut())?;
                for number in submit {
                    self.engine.write(&self.train.data.buffer("sums"), 0, &[0.0_f32; 3])?;
                    self.engine.ready().await?;
                    self.engine.run(self.train.program, number..number + 1)?;
                    let sums = self.engine.read(&self.train.data.buffer("sums")).await?;
                    (sum, images) = (sum + f64::from(sums[0]), images + f64::from(sums[2]));
                    if steps[number].updates() {
                        if !each(sum / images) {
                            return Ok(());
                        }
                        (sum, images) = (0.0, 0.0);
                    }
                }
            }
        }
        Ok(())
    }
}
