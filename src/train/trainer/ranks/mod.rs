//! Training on several devices: each rank computes parts of a batch, and all make the same update.
//!
//! A recipe's `batch_size` is that of a part, and `accumulate` the number of parts of a batch, as on one device. Part i of a batch is
//! computed by rank i modulo the number of ranks. Its gradients, losses and statistics of batch norm are added up in the order of
//! parts, as one device does. So the result has the same bits for any number of ranks, if the devices compute alike.
//!
//! The sum of the gradients is a reduce-scatter and an all-gather: each rank gets one range of the gradient from all others, adds it up,
//! and sends the sum to all. A rank sends less than twice the gradient, however many ranks there are.

mod agree;
mod division;
mod evaluate;
mod sync_point;

use std::ops::Range;

use super::Trainer;
use super::epoch::Submitted;
use crate::collective::{self, Collective, Counted, OrderedSum};
use crate::graph::{Graph, Plan, PlanOptions, Target};
use crate::nn::{BATCH_STATISTICS, Model, Parameters};
use crate::ops::Step;
use crate::train::device_data::DeviceData;
use crate::train::graphs;
use crate::train::memory;
use crate::train::progress::{EpochProgress, Watch};
use crate::train::recipe::Recipe;
use crate::{Engine, Error, Program, Result};
use division::Division;
use sync_point::{SyncPoint, sync_points};

/// What the ranks of a training have exchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Exchanged {
    /// The number of updates.
    pub updates: u64,
    /// The bytes that this rank has sent for them.
    pub bytes: u64,
    /// The time in seconds that they took, with the waiting for slower ranks.
    pub seconds: f64,
}

/// What a rank wants, and what all do if one of them wants it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    /// To stop after the update.
    pub stop: bool,
    /// To look whether the state is finite.
    pub look: bool,
}

impl Wish {
    fn word(self) -> u32 {
        u32::from(self.stop) | u32::from(self.look) << 1
    }

    fn of_all(words: impl Iterator<Item = u32>) -> Self {
        let all = words.fold(0, |all, word| all | word);
        Self { stop: all & 1 != 0, look: all & 2 != 0 }
    }
}

/// What a trainer has that is one of several ranks.
#[derive(Debug)]
pub(super) struct Ranks {
    pub collective: Counted,
    /// Moves the running statistics by those of one part, in networks that have some.
    running: Option<Program>,
    /// Updates the weights from the sums of the gradients.
    update: Program,
    /// Where a part of a batch waits for the others, in order.
    sync_points: Vec<SyncPoint>,
    /// The buffers of the gradients, and the ranges in which each holds some.
    sums: Vec<(&'static str, Vec<Range<usize>>)>,
    /// The gradient of an own part, and at last of the batch.
    gradient: Vec<f32>,
    /// The sum of the gradients.
    total: OrderedSum,
    /// The statistics of batch norm of an own part.
    statistics: Vec<f32>,
    /// The running sums of the epoch: losses, scores, rows.
    pub epoch_sums: [f32; 3],
    pub wish: Wish,
    pub agreed: Wish,
    /// A hash of what identifies the images.
    images: u64,
    /// Whether this rank has begun with the state of rank 0.
    pub has_begun: bool,
    pub exchanged: Exchanged,
}

/// Plans of the programs that ranks have beside the training step.
pub(super) struct RankPlans {
    running: Option<Plan>,
    update: Plan,
}

impl RankPlans {
    /// Plans them for a network and the layout of its training images.
    pub fn of(
        (model, recipe): (&Model, &Recipe),
        data: DeviceData,
        (target, options): (&Target, PlanOptions),
    ) -> Result<Self> {
        let plan = |graph: Graph| memory::plan(&graph, target, options);
        // The size of a part does not matter for what it leaves to do.
        let running = match &graphs::contribution(model, recipe, data, 1)?.1[..] {
            [] => None,
            updates => Some(plan(graphs::running(model, updates)?)?),
        };
        Ok(Self { running, update: plan(graphs::update(model, recipe)?)? })
    }

    /// All plans.
    pub fn iter(&self) -> impl Iterator<Item = &Plan> {
        self.running.iter().chain([&self.update])
    }

    /// Loads them.
    pub fn load(
        self,
        (engine, training): (&mut Engine, Program),
        (collective, images): (Box<dyn Collective>, u64),
        recipe: &Recipe,
        parameters: &Parameters,
    ) -> Result<Ranks> {
        let (ranks, parts) = (collective.ranks(), recipe.training.accumulate);
        if recipe.training.sync_batch_norm && parts != ranks {
            return Err(Error::Usage(format!(
                "With the statistics of all devices (sync_batch_norm) a batch has as many parts (accumulate) as there are devices, but it \
                 has {parts}, and there are {ranks}."
            )));
        }
        if parts < ranks {
            return Err(Error::Usage(format!(
                "A batch has {parts} parts (accumulate), but {ranks} devices need at least one each."
            )));
        }
        Ok(Ranks {
            running: self.running.map(|plan| engine.load(plan)).transpose()?,
            update: engine.load(self.update)?,
            sync_points: sync_points(engine.plan(training)),
            sums: recipe.optimizer.sums(parameters),
            gradient: vec![0.0; parameters.updated_len()],
            total: OrderedSum::new(parameters.updated_len(), &*collective),
            statistics: vec![0.0; parameters.statistics().flat_len()],
            epoch_sums: [0.0; 3],
            wish: Wish::default(),
            agreed: Wish::default(),
            images,
            has_begun: false,
            exchanged: Exchanged::default(),
            collective: Counted::new(collective),
        })
    }
}

impl Ranks {
    /// The number of this rank and of all.
    fn place(&self) -> (usize, usize) {
        (self.collective.rank(), self.collective.ranks())
    }

    /// Exchanges what is small: the wishes of all ranks, and the sums and the statistics of those that computed a part. Returns the
    /// statistics in the order of `contributors`.
    fn exchange_statistics(&mut self, contributors: &[usize], sums: [f32; 3]) -> Result<Vec<Vec<f32>>> {
        let (rank, ranks) = self.place();
        let words = 1 + sums.len() + self.statistics.len();
        let len = |other: usize| if contributors.contains(&other) { words } else { 1 };
        let mut own = vec![self.wish.word()];
        own.extend(sums.iter().chain(&self.statistics).map(|value| value.to_bits()));
        own.truncate(len(rank));
        let lens: Vec<usize> = (0..ranks).map(len).collect();
        let all = collective::all_gather(&mut self.collective, &own, &lens)?;
        self.agreed = Wish::of_all(all.iter().map(|words| words[0]));
        let mut statistics = Vec::new();
        for &other in contributors {
            let values: Vec<f32> = all[other][1..].iter().map(|bits| f32::from_bits(*bits)).collect();
            self.epoch_sums.iter_mut().zip(&values).for_each(|(sum, value)| *sum += value);
            statistics.push(values[sums.len()..].to_vec());
        }
        Ok(statistics)
    }

    /// Reads the gradients of an own part, or their sum so far, from the buffers that hold them.
    async fn read_gradient(&mut self, engine: &mut Engine) -> Result<()> {
        let Some(((first, _), others)) = self.sums.split_first() else { return Ok(()) };
        engine.read_into(first, &mut self.gradient).await?;
        for (buffer, ranges) in others {
            let values = engine.read(buffer).await?;
            ranges.iter().for_each(|range| self.gradient[range.clone()].copy_from_slice(&values[range.clone()]));
        }
        Ok(())
    }

    /// Writes the gradient of the batch to the buffers from which the update reads it.
    fn write_gradient(&self, engine: &mut Engine) -> Result<()> {
        if let [(buffer, _)] = self.sums[..] {
            return engine.write(buffer, 0, &self.gradient);
        }
        for (buffer, ranges) in &self.sums {
            let mut own = vec![0.0; self.gradient.len()];
            ranges.iter().for_each(|range| own[range.clone()].copy_from_slice(&self.gradient[range.clone()]));
            engine.write(buffer, 0, &own)?;
        }
        Ok(())
    }
}

impl Trainer {
    /// What the ranks have exchanged so far, and their number. `None` if the trainer is alone.
    pub fn exchanged(&self) -> Option<(usize, Exchanged)> {
        self.ranks.as_deref().map(|ranks| (ranks.collective.ranks(), ranks.exchanged))
    }

    /// The device's name, and how many ranks there are if there are several.
    pub fn device_name(&self) -> String {
        match self.ranks.as_deref().map(Ranks::place) {
            Some((rank, ranks)) => format!("{ranks} ranks, rank {rank} on {}", self.engine.device_name()),
            None => self.engine.device_name(),
        }
    }

    /// How the steps of an epoch are divided, if there are several ranks.
    pub(super) fn division(&self) -> Option<Division> {
        let (rank, ranks) = self.ranks.as_deref()?.place();
        let [rank, ranks] = [rank, ranks].map(|number| number as u32);
        Some(Division { parts: self.recipe.training.accumulate as u32, ranks, rank })
    }

    /// The rows of the own steps of an epoch, one step after another.
    pub(super) fn own_rows(&self, order: Vec<u32>) -> Vec<u32> {
        let Some(division) = self.division() else { return order };
        let batch = self.train.batch;
        let rows = |step: u32| {
            let first = (step as usize * batch).min(order.len());
            &order[first..(first + batch).min(order.len())]
        };
        division.own(0..self.steps()).flat_map(rows).copied().collect()
    }

    /// The numbers of these steps among the own ones.
    pub(super) fn own_steps(&self, steps: Range<u32>) -> Range<u32> {
        match self.division() {
            Some(division) => division.before(steps.start)..division.before(steps.end),
            None => steps,
        }
    }

    /// Schedules the steps of an epoch: all for updates, and the own ones for their gradients.
    pub(super) fn schedule_epoch(&mut self) -> Result<()> {
        let steps = self.epoch_steps();
        let Some((division, ranks)) = self.division().zip(self.ranks.as_deref()) else {
            return self.engine.schedule(self.train.program, &steps);
        };
        self.engine.schedule(ranks.update, &steps)?;
        if let Some(program) = ranks.running {
            // Statistics of all ranks are those of all rows of a batch.
            let sync = self.recipe.training.sync_batch_norm;
            let of = |step: &Step| Step { valid: if sync { step.rows } else { step.valid }, ..*step };
            self.engine.schedule(program, &steps.iter().map(of).collect::<Vec<_>>())?;
        }
        let batch = self.train.batch as u32;
        let own = (0..).zip(division.own(0..steps.len() as u32));
        // The gradient of a part is added to those of other parts outside the device.
        let own =
            own.map(|(place, step)| Step { first: place * batch, part: Step::FIRST_PART, ..steps[step as usize] });
        self.engine.schedule(self.train.program, &own.collect::<Vec<_>>())
    }

    /// Forgets the wishes of before a look at the state.
    pub(super) fn forget_wishes(&mut self) {
        if let Some(ranks) = &mut self.ranks {
            (ranks.wish, ranks.agreed) = (Wish::default(), Wish::default());
        }
    }

    /// Takes up the running sums of the epoch from their buffer.
    pub(super) async fn take_up_sums(&mut self) -> Result<()> {
        let Some(ranks) = &mut self.ranks else { return Ok(()) };
        self.engine.read_into(&self.train.data.buffer("sums"), &mut ranks.epoch_sums).await
    }

    /// Whether training goes on after an update. A rank's own wish to stop counts after the next one, when all know of it.
    pub(super) fn may_go_on(&mut self, going: bool) -> bool {
        let look = self.look_time_is_over();
        match &mut self.ranks {
            None => going,
            Some(ranks) => {
                ranks.wish = Wish { stop: !going, look };
                true
            }
        }
    }

    /// Computes the rest of the next batch on all ranks, and updates the weights. Returns whether all want to go on.
    pub(super) async fn update_together(&mut self, progress: &mut Watch<'_>) -> Result<Submitted> {
        let Some((division, mut ranks)) = self.division().zip(self.ranks.take()) else {
            return Err(Error::usage("The trainer has no other ranks."));
        };
        let updated = self.update_with(division, &mut ranks, progress).await;
        let stop = ranks.agreed.stop;
        self.ranks = Some(ranks);
        updated?;
        Ok(if stop { Submitted::Stop } else { Submitted::GoOn })
    }

    async fn update_with(&mut self, division: Division, ranks: &mut Ranks, progress: &mut Watch<'_>) -> Result<()> {
        let begun = self.counters.step;
        let end = (begun - begun % division.parts + division.parts).min(self.steps_now());
        if !begun.is_multiple_of(division.parts) {
            ranks.read_gradient(&mut self.engine).await?;
            ranks.total.begin_with(&ranks.gradient, &ranks.collective);
        }
        let (mut step, sent_before) = (begun, ranks.collective.sent);
        while step < end {
            let round = division.round(step, end);
            step = round.end;
            let contributors: Vec<usize> = round.clone().map(|step| division.rank_of(step) as usize).collect();
            let sums = self.compute_part((division, round.clone()), &contributors, ranks, progress).await?;
            let start = (self.clock)();
            let fresh = round.start.is_multiple_of(division.parts);
            ranks.total.add(&mut ranks.collective, &ranks.gradient, &contributors, fresh)?;
            let statistics = ranks.exchange_statistics(&contributors, sums)?;
            ranks.exchanged.seconds += (self.clock)() - start;
            self.move_running(round, statistics, ranks.running)?;
        }
        let start = (self.clock)();
        ranks.total.all_gather(&mut ranks.collective, &mut ranks.gradient)?;
        ranks.exchanged.seconds += (self.clock)() - start;
        ranks.exchanged.updates += 1;
        ranks.exchanged.bytes += ranks.collective.sent - sent_before;
        ranks.write_gradient(&mut self.engine)?;
        self.engine.run(ranks.update, end as usize - 1..end as usize)?;
        self.engine.write(&self.train.data.buffer("sums"), 0, &ranks.epoch_sums)?;
        self.counters.number += end - begun;
        self.counters.step = end;
        ranks.wish = Wish::default();
        Ok(())
    }

    /// Computes this rank's step of a round, if it has one, and reads its gradient and statistics. Returns its sums: losses, scores, rows.
    async fn compute_part(
        &mut self,
        (division, round): (Division, Range<u32>),
        contributors: &[usize],
        ranks: &mut Ranks,
        progress: &mut Watch<'_>,
    ) -> Result<[f32; 3]> {
        let (buffer, mut sums) = (self.train.data.buffer("sums"), [0.0; 3]);
        let place = division.own(round.clone()).next().map(|step| division.before(step) as usize);
        if place.is_some() {
            self.engine.write(&buffer, 0, &sums)?;
            self.engine.ready().await?;
        }
        if self.recipe.training.sync_batch_norm {
            self.run_with_others((place, round), contributors, ranks, progress).await?;
        } else if let Some(place) = place {
            let mut going = || {
                ranks.wish.stop |= !progress(EpochProgress::Computing);
                true
            };
            self.engine.run_while(self.train.program, place..place + 1, &mut going).await?;
        }
        if let Some(place) = place {
            self.take_part((division, place), ranks).await?;
            self.engine.read_into(&buffer, &mut sums).await?;
        }
        Ok(sums)
    }

    /// Moves the running statistics by those of each step of a round, in the order of steps.
    fn move_running(&mut self, round: Range<u32>, statistics: Vec<Vec<f32>>, program: Option<Program>) -> Result<()> {
        let Some(program) = program else { return Ok(()) };
        // If they are those of all ranks, each has the same.
        let different = if self.recipe.training.sync_batch_norm { 1 } else { statistics.len() };
        for (step, values) in round.zip(statistics).take(different) {
            self.engine.write(BATCH_STATISTICS, 0, &values)?;
            self.engine.run(program, step as usize..step as usize + 1)?;
        }
        Ok(())
    }

    /// Reads the gradient and the statistics of an own step that was computed, and sends the next images.
    async fn take_part(&mut self, (division, place): (Division, usize), ranks: &mut Ranks) -> Result<()> {
        // Streamed images come in pieces of several steps.
        let own_steps = division.before(self.steps_now()) as usize;
        let ends_piece = self.train.data.slots.is_some_and(|slots| (place + 1).is_multiple_of(slots));
        if ends_piece && place + 1 < own_steps {
            self.feed()?;
        }
        ranks.read_gradient(&mut self.engine).await?;
        if !ranks.statistics.is_empty() {
            self.engine.read_into(BATCH_STATISTICS, &mut ranks.statistics).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wish_is_a_wish_of_all() {
        let wishes = [Wish::default(), Wish { stop: true, look: false }, Wish { stop: false, look: true }];
        let of = |wishes: &[Wish]| Wish::of_all(wishes.iter().map(|wish| wish.word()));
        assert_eq!(of(&wishes), Wish { stop: true, look: true });
        assert_eq!(of(&wishes[..1]), Wish::default());
    }
}
