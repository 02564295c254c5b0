//! Values that ranks compute together in the middle of a step: the statistics of batch norm over all parts of a batch.

use std::ops::Range;

use super::super::Trainer;
use super::Ranks;
use crate::Result;
use crate::collective;
use crate::graph::{NodeId, Plan};
use crate::ops::across_ranks::{Across, AcrossRanks};
use crate::train::progress::{EpochProgress, Watch};

/// A node at which the ranks wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SyncPoint {
    /// Its index in [`Plan::work`].
    at: usize,
    node: NodeId,
    /// The number of its values.
    len: usize,
    how: Across,
}

/// All of a plan, in order.
pub(super) fn sync_points(plan: &Plan) -> Vec<SyncPoint> {
    let sync_point = |(at, work): (usize, &crate::graph::PlannedNode)| {
        let op = plan.graph.node(work.node).op_as::<AcrossRanks>()?;
        Some(SyncPoint { at, node: work.node, len: work.types.output.elements(), how: op.how })
    };
    plan.work.iter().enumerate().filter_map(sync_point).collect()
}

/// The value of each rank that has a part of the batch, as one. `rows` has their numbers of rows, and `own` is this rank's.
fn together(all: &[Vec<f32>], rows: &[u32], own: u32, how: Across) -> Vec<f32> {
    let total = rows.iter().sum::<u32>().max(1) as f32;
    let mut sum = vec![0.0; all.first().map_or(0, Vec::len)];
    for (values, &rows) in all.iter().zip(rows) {
        let factor = if how == Across::Mean { rows as f32 / total } else { 1.0 };
        sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
    }
    if how == Across::ShareOfSum {
        sum.iter_mut().for_each(|sum| *sum *= own as f32 / total);
    }
    sum
}

impl Trainer {
    /// Runs the own step of a round, if there is one, and waits for the others at each sync point.
    pub(super) async fn run_with_others(
        &mut self,
        (place, round): (Option<usize>, Range<u32>),
        contributors: &[usize],
        ranks: &mut Ranks,
        progress: &mut Watch<'_>,
    ) -> Result<()> {
        let (program, rank) = (self.train.program, ranks.place().0);
        let steps = &self.engine.steps(ranks.update)[round.start as usize..round.end as usize];
        let rows: Vec<u32> = steps.iter().map(|step| step.valid).collect();
        let own_rows = contributors.iter().position(|&other| other == rank).map_or(0, |index| rows[index]);
        let mut next = 0;
        for SyncPoint { at, node, len, how } in ranks.sync_points.clone() {
            let mut own = Vec::new();
            if let Some(place) = place {
                self.engine.run_nodes(program, next..at + 1, place)?;
                next = at + 1;
                own = bytemuck::pod_collect_to_vec(&self.engine.read_node(program, node).await?);
                ranks.wish.stop |= !progress(EpochProgress::Computing);
            }
            let start = (self.clock)();
            let lens = (0..ranks.place().1).map(|other| if contributors.contains(&other) { len } else { 0 });
            let all = collective::all_gather(&mut ranks.collective, &own, &lens.collect::<Vec<_>>())?;
            ranks.exchanged.seconds += (self.clock)() - start;
            if place.is_some() {
                let floats = |&other: &usize| all[other].iter().map(|bits| f32::from_bits(*bits)).collect();
                let all: Vec<Vec<f32>> = contributors.iter().map(floats).collect();
                self.engine.write_node(program, node, &together(&all, &rows, own_rows, how))?;
            }
        }
        match place {
            Some(place) => {
                let end = self.engine.plan(program).work.len();
                self.engine.run_nodes(program, next..end, place)
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_count_rows_and_sums_are_shared() {
        let all = [vec![1.0, 2.0], vec![5.0, 6.0]];
        assert_eq!(together(&all, &[3, 1], 3, Across::Mean), [2.0, 3.0]);
        assert_eq!(together(&all, &[3, 1], 1, Across::ShareOfSum), [1.5, 2.0]);
    }
}
