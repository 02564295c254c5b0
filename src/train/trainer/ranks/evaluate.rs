//! Evaluation on several devices: each rank computes every so many batches.

use super::super::{Stage, Trainer};
use crate::collective::{self, Collective as _};
use crate::data::SplitName;
use crate::ops::Step;
use crate::train::graphs::SCORES;
use crate::train::progress::{EpochProgress, Watch};
use crate::train::steps::evaluation_steps;
use crate::{Error, Result};

impl Trainer {
    /// The sums of a split in the order of its batches, as one device adds them up, and with `scores` the logits of its images. `None` if
    /// one of the ranks stopped.
    pub(in super::super) async fn evaluate_together(
        &mut self,
        (split, stage): (SplitName, Stage),
        scores: bool,
        progress: &mut Watch<'_>,
    ) -> Result<Option<([f32; 3], Vec<f32>)>> {
        let Some(division) = self.division() else { return Err(Error::usage("The trainer has no other ranks.")) };
        let (ranks, rank) = (division.ranks as usize, division.rank as usize);
        let Stage { program, data, batch } = stage;
        let steps = evaluation_steps(data.rows, batch);
        let own: Vec<usize> = (rank..steps.len()).step_by(ranks).collect();
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
        let width = if scores { self.classes.len() } else { 0 };
        let words = |step: usize| 3 + steps[step].valid as usize * width;
        let (mut sent, mut going) = (vec![1], true);
        for (place, &step) in own.iter().enumerate() {
            if data.slots.is_none_or(|slots| place.is_multiple_of(slots)) {
                data.feed(&mut self.engine, loader.as_mut())?;
            }
            self.engine.write(&data.buffer("sums"), 0, &[0.0_f32; 3])?;
            self.engine.ready().await?;
            let mut ask = || progress(EpochProgress::Computing);
            going = self.engine.run_while(program, place..place + 1, &mut ask).await?;
            let (batches, of) = ((place * ranks + rank + 1) as u32, steps.len() as u32);
            going &= progress(EpochProgress::Evaluated { split, batches, of }) || place + 1 == own.len();
            if !going {
                break;
            }
            let sums = self.engine.read(&data.buffer("sums")).await?;
            sent.extend(sums.iter().map(|value| value.to_bits()));
            if scores {
                let logits = self.engine.read_output(program, SCORES).await?;
                sent.extend(logits[..words(step) - 3].iter().map(|value| value.to_bits()));
            }
        }
        let len = |rank: usize| 1 + (rank..steps.len()).step_by(ranks).map(words).sum::<usize>();
        sent[0] = u32::from(going);
        sent.resize(len(rank), 0);
        let from = collective::in_a_row((0..ranks).map(len));
        let mut all = vec![0; from.last().map_or(0, |range| range.end)];
        let Some(others) = &mut self.ranks else { return Ok(None) };
        others.collective.exchange(&sent, &vec![0..sent.len(); ranks], &mut all, &from)?;
        if from.iter().any(|range| all[range.start] == 0) {
            return Ok(None);
        }
        let (mut sums, mut logits) = ([0.0; 3], Vec::new());
        let mut at: Vec<usize> = from.iter().map(|range| range.start + 1).collect();
        for step in 0..steps.len() {
            let at = &mut at[step % ranks];
            let values = all[*at..*at + words(step)].iter().map(|bits| f32::from_bits(*bits)).collect::<Vec<_>>();
            sums.iter_mut().zip(&values).for_each(|(sum, value)| *sum += value);
            logits.extend_from_slice(&values[3..]);
            *at += words(step);
        }
        Ok(Some((sums, logits)))
    }
}
