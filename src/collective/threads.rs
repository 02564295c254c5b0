//! Ranks that are threads of one process.

use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use super::Collective;
use crate::{Error, Result};

/// One rank of a number of threads.
#[derive(Debug)]
pub struct Threads {
    rank: usize,
    room: Arc<Room>,
}

/// What the ranks have in common.
#[derive(Debug)]
struct Room {
    /// What each rank sends.
    sent: Vec<RwLock<Sent>>,
    barrier: Mutex<Barrier>,
    changed: Condvar,
}

/// Values, and which of them go to each rank.
#[derive(Debug, Default)]
struct Sent {
    values: Vec<u32>,
    to: Vec<Range<usize>>,
}

/// Where all ranks wait for each other.
#[derive(Debug, Default)]
struct Barrier {
    /// How many have come to the current barrier.
    here: usize,
    /// The number of barriers that are over.
    over: u64,
    /// A rank that will not come again.
    gone: Option<usize>,
}

/// The ranks of a number of threads. Each is to be used by a thread of its own. A rank that is dropped fails the next exchange of the others.
pub fn threads(ranks: usize) -> Vec<Threads> {
    let sent = (0..ranks).map(|_| RwLock::default()).collect();
    let room = Arc::new(Room { sent, barrier: Mutex::default(), changed: Condvar::new() });
    (0..ranks).map(|rank| Threads { rank, room: room.clone() }).collect()
}

impl Room {
    fn barrier(&self) -> MutexGuard<'_, Barrier> {
        self.barrier.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all ranks are here.
    fn meet(&self) -> Result<()> {
        let mut barrier = self.barrier();
        let number = barrier.over;
        barrier.here += 1;
        if barrier.here == self.sent.len() {
            (barrier.here, barrier.over) = (0, number + 1);
            self.changed.notify_all();
            return Ok(());
        }
        while barrier.over == number {
            if let Some(rank) = barrier.gone {
                return Err(Error::Ranks(format!("Rank {rank} has ended before the others.")));
            }
            barrier = self.changed.wait(barrier).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }
}

impl Collective for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.room.sent.len()
    }

    fn exchange(
        &mut self,
        send: &[u32],
        to: &[Range<usize>],
        receive: &mut [u32],
        from: &[Range<usize>],
    ) -> Result<()> {
        {
            let mut own = self.room.sent[self.rank].write().unwrap_or_else(PoisonError::into_inner);
            own.values.clear();
            own.values.extend_from_slice(send);
            own.to = to.to_vec();
        }
        self.room.meet()?;
        for (rank, (sent, range)) in self.room.sent.iter().zip(from).enumerate() {
            let sent = sent.read().unwrap_or_else(PoisonError::into_inner);
            let values = &sent.values[sent.to[self.rank].clone()];
            if values.len() != range.len() {
                let (is, expected) = (values.len(), range.len());
                return Err(Error::Ranks(format!("Rank {rank} sends {is} values where {expected} are expected.")));
            }
            receive[range.clone()].copy_from_slice(values);
        }
        // Nobody sends anew before all have received.
        self.room.meet()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.room.barrier().gone.get_or_insert(self.rank);
        self.room.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{in_a_row, threads};
    use super::*;

    #[test]
    fn each_rank_gets_what_the_others_send_to_it() {
        let work = |mut ranks: Threads| {
            let rank = ranks.rank() as u32;
            let mut all = Vec::new();
            for round in 0..50 {
                // Rank r sends r + 1 values to each.
                let send: Vec<u32> = (0..3 * (rank + 1)).map(|place| 1000 * round + 100 * rank + place).collect();
                let to = in_a_row([rank as usize + 1; 3]);
                let mut receive = vec![0; 6];
                ranks.exchange(&send, &to, &mut receive, &in_a_row([1, 2, 3])).expect("exchanged");
                all.push(receive);
            }
            all
        };
        let works = threads(3).into_iter().map(|ranks| std::thread::spawn(move || work(ranks)));
        let all: Vec<_> = works.collect::<Vec<_>>().into_iter().map(|work| work.join().expect("no panic")).collect();
        assert_eq!(all[0][0], [0, 100, 101, 200, 201, 202]);
        assert_eq!(all[2][49], [49_002, 49_104, 49_105, 49_206, 49_207, 49_208]);
    }

    #[test]
    fn a_rank_that_ends_is_told_to_those_that_wait() {
        let mut ranks = threads(3);
        let (third, mut second) = (ranks.pop().expect("three"), ranks.pop().expect("three"));
        let waiting =
            std::thread::spawn(move || second.exchange(&[], &[0..0, 0..0, 0..0], &mut [], &[0..0, 0..0, 0..0]));
        drop(third);
        let sentence = waiting.join().expect("no panic").expect_err("rank 2 is gone").to_string();
        assert!(sentence.contains("Rank 2 has ended"), "{sentence}");
    }
}
