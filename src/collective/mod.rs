//! Communication among the ranks of a training: processes or threads that train one network together, each on a device of its own.
//! The words of the field are those of MPI: a *rank* is one of them and its number, from 0.
//!
//! All a training needs is one function, [`Collective::exchange`], an all-to-all of lists of any length. What MPI calls all-gather and
//! broadcast are exchanges too.
//!
//! ```
//! use gpunn::collective::{self, Collective};
//!
//! let greeted = collective::threads(3).into_iter().map(|mut ranks| {
//!     std::thread::spawn(move || {
//!         let own = [&[0, 1, 2][..], &[3], &[]][ranks.rank()];
//!         collective::all_gather(&mut ranks, own, &[3, 1, 0]).map(|all| all.concat())
//!     })
//! });
//! # let greeted: Vec<_> = greeted.collect();
//! for all in greeted {
//!     assert_eq!(all.join().expect("it does not panic")?, [0, 1, 2, 3]);
//! }
//! # Ok::<(), gpunn::Error>(())
//! ```

#[cfg(feature = "mpi")]
mod mpi;
mod ordered_sum;
mod threads;

use std::fmt::Debug;
use std::ops::Range;

#[cfg(feature = "mpi")]
pub use mpi::{Launched, launched};
pub use ordered_sum::OrderedSum;
pub use threads::{Threads, threads};

use crate::{Error, Result};

/// The connection of one rank to the others. All ranks call [`Collective::exchange`] equally often, with lengths that agree.
pub trait Collective: Debug + Send {
    /// The number of this rank.
    fn rank(&self) -> usize;

    /// The number of ranks.
    fn ranks(&self) -> usize;

    /// Sends `send[to[r]]` to each rank r, and puts what each sends into `receive[from[r]]`. A rank that sends itself something gets it,
    /// too. Returns when all of `receive` is there.
    ///
    /// # Errors
    /// [`Error::Ranks`] when another rank has ended, or sends less or more than is expected. MPI ends the processes instead.
    fn exchange(&mut self, send: &[u32], to: &[Range<usize>], receive: &mut [u32], from: &[Range<usize>])
    -> Result<()>;
}

/// A connection that counts what this rank sends to others.
#[derive(Debug)]
pub struct Counted {
    inner: Box<dyn Collective>,
    /// The number of bytes so far.
    pub sent: u64,
}

impl Counted {
    /// Counts from now on.
    pub fn new(inner: Box<dyn Collective>) -> Self {
        Self { inner, sent: 0 }
    }
}

impl Collective for Counted {
    fn rank(&self) -> usize {
        self.inner.rank()
    }

    fn ranks(&self) -> usize {
        self.inner.ranks()
    }

    fn exchange(
        &mut self,
        send: &[u32],
        to: &[Range<usize>],
        receive: &mut [u32],
        from: &[Range<usize>],
    ) -> Result<()> {
        let others = to.iter().enumerate().filter(|(rank, _)| *rank != self.inner.rank());
        self.sent += others.map(|(_, range)| 4 * range.len() as u64).sum::<u64>();
        self.inner.exchange(send, to, receive, from)
    }
}

/// Divides `len` values into a range for each rank, as equal as possible.
pub fn shares(len: usize, ranks: usize) -> Vec<Range<usize>> {
    let each = len.div_ceil(ranks.max(1));
    (0..ranks).map(|rank| (rank * each).min(len)..((rank + 1) * each).min(len)).collect()
}

/// Ranges of these lengths, one after another.
pub fn in_a_row(lens: impl IntoIterator<Item = usize>) -> Vec<Range<usize>> {
    let ends = lens.into_iter().scan(0, |end, len| {
        let start = *end;
        *end += len;
        Some(start..*end)
    });
    ends.collect()
}

/// What each rank has, in the order of ranks. `lens` are the lengths of all, of which the own one is that of `own`.
///
/// # Errors
/// As [`Collective::exchange`].
pub fn all_gather(collective: &mut dyn Collective, own: &[u32], lens: &[usize]) -> Result<Vec<Vec<u32>>> {
    let from = in_a_row(lens.iter().copied());
    let mut all = vec![0; lens.iter().sum()];
    collective.exchange(own, &vec![0..own.len(); lens.len()], &mut all, &from)?;
    Ok(from.into_iter().map(|range| all[range].to_vec()).collect())
}

/// The words of each rank, as many of each.
///
/// # Errors
/// As [`Collective::exchange`].
pub fn all_gather_equal(collective: &mut dyn Collective, own: &[u32]) -> Result<Vec<Vec<u32>>> {
    let lens = vec![own.len(); collective.ranks()];
    all_gather(collective, own, &lens)
}

/// The bytes that rank 0 has.
///
/// # Errors
/// As [`Collective::exchange`].
pub fn broadcast(collective: &mut dyn Collective, bytes: &[u8]) -> Result<Vec<u8>> {
    let lens = all_gather_equal(collective, &[u32::try_from(bytes.len()).map_err(|_| too_long(bytes.len()))?])?;
    let len = lens[0][0] as usize;
    let mut words = Vec::new();
    if collective.rank() == 0 {
        words.resize(len.div_ceil(4), 0);
        bytemuck::cast_slice_mut(&mut words)[..len].copy_from_slice(bytes);
    }
    let mut lens = vec![0; collective.ranks()];
    lens[0] = len.div_ceil(4);
    let mut bytes: Vec<u8> = bytemuck::cast_slice(&all_gather(collective, &words, &lens)?[0]).to_vec();
    bytes.truncate(len);
    Ok(bytes)
}

/// More than can be sent at once.
fn too_long(len: usize) -> Error {
    Error::Ranks(format!("{len} values are too many for one exchange."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_divided_among_ranks() {
        assert_eq!(shares(10, 3), [0..4, 4..8, 8..10]);
        assert_eq!(shares(2, 4), [0..1, 1..2, 2..2, 2..2]);
        assert_eq!(in_a_row([2, 0, 3]), [0..2, 2..2, 2..5]);
    }

    #[test]
    fn rank_0_tells_the_others() {
        let told = threads(3).into_iter().map(|mut ranks| {
            std::thread::spawn(move || {
                let bytes: &[u8] = if ranks.rank() == 0 { b"seven" } else { b"" };
                broadcast(&mut ranks, bytes)
            })
        });
        for told in told.collect::<Vec<_>>() {
            assert_eq!(told.join().expect("no panic").expect("sent"), b"seven");
        }
    }
}
