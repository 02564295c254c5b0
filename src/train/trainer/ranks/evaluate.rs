//! Evaluation on several devices: each rank computes every so many batches.

use super::super::{Stage, Trainer};
use super::Division;
use crate::collective;
use crate::data::SplitName;
use crate::ops::Step;
use crate::train::graphs::SCORES;
use crate::train::progress::{EpochProgress, Watch};
use crate::train::steps::evaluation_steps;
use crate::{Error, Result};

/// The sums and the logits of all batches, in their order, from the lists of the ranks. A batch has 3 sums, then its logits: `words`
/// numbers in all.
fn in_order(lists: &[Vec<u32>], batches: usize, words: impl Fn(usize) -> usize) -> ([f32; 3], Vec<f32>) {
    let (mut sums, mut logits) = ([0.0; 3], Vec::new());
    let mut rests: Vec<&[u32]> = lists.iter().map(Vec::as_slice).collect();
    for batch in 0..batches {
        let rest = &mut rests[batch % lists.len()];
        let (own, after) = rest.split_at(words(batch));
        *rest = after;
        let mut values = own.iter().map(|bits| f32::from_bits(*bits));
        sums.iter_mut().zip(values.by_ref()).for_each(|(sum, value)| *sum += value);
        logits.extend(values);
    }
    (sums, logits)
}

impl Trainer {
    /// The sums of a split in the order of its batches, as one device adds them up, and with `scores` the logits of its images. `None` if
    /// one of the ranks stopped.
    pub(in super::super) async fn evaluate_together(
        &mut self,
        (split, stage): (SplitName, Stage),
        scores: bool,
        progress: &mut Watch<'_>,
    ) -> Result<Option<([f32; 3], Vec<f32>)>> {
        let Some(Division { ranks, rank, .. }) = self.division() else {
            return Err(Error::usage("The trainer has no other ranks."));
        };
        let (ranks, rank) = (ranks as usize, rank as usize);
        let steps = evaluation_steps(stage.data.rows, stage.batch);
        let width = if scores { self.classes.len() } else { 0 };
        let words = |step: usize| 3 + steps[step].valid as usize * width;
        let of = |rank: usize| (rank..steps.len()).step_by(ranks);
        let own: Vec<usize> = of(rank).collect();
        let computed = self.compute_own_batches((split, stage), (&steps, &own), width, progress).await?;
        let whole = self.agree(computed.is_some())?;
        let (Some(computed), true, Some(others)) = (computed, whole, &mut self.ranks) else { return Ok(None) };
        let lens: Vec<usize> = (0..ranks).map(|rank| of(rank).map(words).sum()).collect();
        let all = collective::all_gather(&mut others.collective, &computed, &lens)?;
        Ok(Some(in_order(&all, steps.len(), words)))
    }

    /// The sums of each of these steps, and the logits of its images, `width` each, if that is not 0. `None` if `progress` returned false
    /// before the last one.
    async fn compute_own_batches(
        &mut self,
        (split, Stage { program, data, batch }): (SplitName, Stage),
        (steps, own): (&[Step], &[usize]),
        width: usize,
        progress: &mut Watch<'_>,
    ) -> Result<Option<Vec<u32>>> {
        let rows = |&step: &usize| steps[step].first..steps[step].first + steps[step].valid;
        let order: Vec<u32> = own.iter().flat_map(rows).collect();
        let place = |(place, &step): (usize, &usize)| Step { first: (place * batch) as u32, ..steps[step] };
        self.engine.schedule(program, &own.iter().enumerate().map(place).collect::<Vec<_>>())?;
        if !order.is_empty() {
            self.engine.write(&data.buffer("order"), 0, &order)?;
        }
        let mut loader = match self.streamed.get(data.name) {
            Some(pixels) => data.loader(pixels, order, batch, 0..own.len())?,
            None => None,
        };
        let mut computed = Vec::new();
        for (place, &step) in own.iter().enumerate() {
            if data.slots.is_none_or(|slots| place.is_multiple_of(slots)) {
                data.feed(&mut self.engine, loader.as_mut())?;
            }
            self.engine.write(&data.buffer("sums"), 0, &[0.0_f32; 3])?;
            self.engine.ready().await?;
            let mut ask = || progress(EpochProgress::Computing);
            let whole = self.engine.run_while(program, place..place + 1, &mut ask).await?;
            let (batches, of) = (step as u32 + 1, steps.len() as u32);
            let going = progress(EpochProgress::Evaluated { split, batches, of }) || place + 1 == own.len();
            if !whole || !going {
                return Ok(None);
            }
            let sums = self.engine.read(&data.buffer("sums")).await?;
            computed.extend(sums.iter().map(|value| value.to_bits()));
            if width > 0 {
                let logits = self.engine.read_output(program, SCORES).await?;
                computed.extend(logits[..steps[step].valid as usize * width].iter().map(|value| value.to_bits()));
            }
        }
        Ok(Some(computed))
    }
}
