//! Which rank computes which step of an epoch.

use std::ops::Range;

/// How the parts of a batch are divided among ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Division {
    /// The parts of a batch.
    pub parts: u32,
    pub ranks: u32,
    pub rank: u32,
}

impl Division {
    /// The rank that computes a step of an epoch.
    pub fn rank_of(self, step: u32) -> u32 {
        step % self.parts % self.ranks
    }

    /// The number of own steps before a step of an epoch.
    pub fn before(self, step: u32) -> u32 {
        let own = |parts: u32| (parts + self.ranks - 1 - self.rank) / self.ranks;
        step / self.parts * own(self.parts) + own(step % self.parts)
    }

    /// The own steps among these.
    pub fn own(self, steps: Range<u32>) -> impl Iterator<Item = u32> {
        steps.filter(move |&step| self.rank_of(step) == self.rank)
    }

    /// The steps after `step` that are computed at the same time, each by another rank, up to `end`.
    pub fn round(self, step: u32, end: u32) -> Range<u32> {
        let in_batch = step % self.parts;
        let last = step - in_batch + ((in_batch / self.ranks + 1) * self.ranks).min(self.parts);
        step..last.min(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_divided_in_turn_within_a_batch() {
        let of = |rank: u32| Division { parts: 4, ranks: 3, rank };
        let own = |rank: u32| of(rank).own(0..10).collect::<Vec<_>>();
        assert_eq!([own(0), own(1), own(2)], [vec![0, 3, 4, 7, 8], vec![1, 5, 9], vec![2, 6]]);
        for rank in 0..3 {
            for step in 0..=10 {
                assert_eq!(of(rank).before(step) as usize, of(rank).own(0..step).count(), "rank {rank}, step {step}");
            }
        }
        let rounds = [0, 3, 4, 5, 8].map(|step| of(0).round(step, 10));
        assert_eq!(rounds, [0..3, 3..4, 4..7, 5..7, 8..10]);
    }
}
