//! The sum of a list of each rank, with the same bits for any number of ranks.

use std::ops::Range;

use super::{Collective, in_a_row, shares};
use crate::Result;

/// Adds up lists of equal length, such as gradients: a reduce-scatter, then an all-gather. Each rank gets one range of all lists, adds
/// them up in a fixed order, and sends the sum of its range to all. With n ranks, a rank sends 2 (n - 1) / n times a list.
#[derive(Debug)]
pub struct OrderedSum {
    /// The range that each rank adds up.
    shares: Vec<Range<usize>>,
    /// The own range of other lists, one after another.
    received: Vec<f32>,
    /// The sum of the own range so far.
    total: Vec<f32>,
}

impl OrderedSum {
    /// For lists of `len` values.
    pub fn new(len: usize, collective: &dyn Collective) -> Self {
        let shares = shares(len, collective.ranks());
        let own = shares[collective.rank()].len();
        Self { received: vec![0.0; own * collective.ranks()], total: vec![0.0; own], shares }
    }

    /// Begins with a sum that all ranks have.
    pub fn begin_with(&mut self, values: &[f32], collective: &dyn Collective) {
        self.total.copy_from_slice(&values[self.shares[collective.rank()].clone()]);
    }

    /// Adds the lists of some ranks to the sum so far, in this order. `values` is the own list, if this rank is among them. If the sum
    /// is `fresh`, it becomes the first of them.
    ///
    /// # Errors
    /// As [`Collective::exchange`].
    pub fn add(&mut self, collective: &mut dyn Collective, values: &[f32], of: &[usize], fresh: bool) -> Result<()> {
        let (rank, own) = (collective.rank(), self.shares[collective.rank()].clone());
        // The own list need not be sent.
        let goes = |other: usize| if of.contains(&rank) && other != rank { self.shares[other].clone() } else { 0..0 };
        let comes = |other: usize| if of.contains(&other) && other != rank { own.len() } else { 0 };
        let to: Vec<_> = (0..self.shares.len()).map(goes).collect();
        let from = in_a_row((0..self.shares.len()).map(comes));
        let received = &mut self.received[..from.last().map_or(0, |range| range.end)];
        collective.exchange(bytemuck::cast_slice(values), &to, bytemuck::cast_slice_mut(received), &from)?;
        for (index, &other) in of.iter().enumerate() {
            let values = if other == rank { &values[own.clone()] } else { &received[from[other].clone()] };
            match fresh && index == 0 {
                true => self.total.copy_from_slice(values),
                false => self.total.iter_mut().zip(values).for_each(|(sum, value)| *sum += value),
            }
        }
        Ok(())
    }

    /// Gives all ranks the whole sum.
    ///
    /// # Errors
    /// As [`Collective::exchange`].
    pub fn all_gather(&self, collective: &mut dyn Collective, all: &mut [f32]) -> Result<()> {
        let rank = collective.rank();
        let to: Vec<_> =
            (0..self.shares.len()).map(|other| 0..if other == rank { 0 } else { self.total.len() }).collect();
        let mut from = self.shares.clone();
        from[rank] = 0..0;
        collective.exchange(bytemuck::cast_slice(&self.total), &to, bytemuck::cast_slice_mut(all), &from)?;
        all[self.shares[rank].clone()].copy_from_slice(&self.total);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Counted, Threads, threads};
    use super::*;

    /// Values whose sum depends on the order.
    fn list(rank: usize) -> Vec<f32> {
        (0..11).map(|place| (0.1 + rank as f32).powi(place) * if rank == 1 { 1e6 } else { -0.3 }).collect()
    }

    #[test]
    fn lists_are_added_in_order_and_each_rank_sends_less_than_twice_a_list() {
        let work = |ranks: Threads| {
            let mut collective = Counted::new(Box::new(ranks));
            let own = list(collective.rank());
            let mut sum = OrderedSum::new(own.len(), &collective);
            let mut all = vec![0.0; own.len()];
            sum.begin_with(&[1.0; 11], &collective);
            sum.add(&mut collective, &own, &[0, 1, 2], false).expect("added");
            sum.add(&mut collective, &own, &[1], false).expect("added");
            sum.all_gather(&mut collective, &mut all).expect("gathered");
            (all, collective.sent)
        };
        let works: Vec<_> = threads(3).into_iter().map(|ranks| std::thread::spawn(move || work(ranks))).collect();
        let lists = [0, 1, 2, 1].map(list);
        let right: Vec<f32> = (0..11).map(|place| lists.iter().fold(1.0, |sum, list| sum + list[place])).collect();
        // Ranges of 4, 4 and 3: rank 0 sends 7 values of its list, then 2 x 4 of the sum; rank 1 sends its list twice.
        for (work, sent) in works.into_iter().zip([7 + 8, 2 * 7 + 8, 8 + 6]) {
            assert_eq!(work.join().expect("no panic"), (right.clone(), 4 * sent));
        }
    }
}
