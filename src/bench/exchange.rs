//! Times of what the ranks of a training exchange in a step.

use std::time::Instant;

use super::TimeStats;
use crate::Result;
use crate::collective::{self, Collective, Counted, OrderedSum};

/// Measurements before those that count.
const WARM_UP: usize = 3;

/// The times of exchanges among ranks.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ExchangeTimes {
    /// The number of ranks.
    pub ranks: usize,
    /// The number of values of a list.
    pub values: usize,
    /// The time of the sum of a list of each rank, which all ranks get.
    pub sum: TimeStats,
    /// The bytes that this rank sends for it.
    pub sent: u64,
    /// The time of an exchange of one word.
    pub word: TimeStats,
}

/// Measures how long the sum of a list of each rank takes, as of gradients, and the exchange of one word, `repeats` times. All ranks call
/// it.
///
/// # Errors
/// As [`Collective::exchange`].
pub fn time_exchange(collective: Box<dyn Collective>, values: usize, repeats: usize) -> Result<ExchangeTimes> {
    let mut collective = Counted::new(collective);
    let of: Vec<usize> = (0..collective.ranks()).collect();
    let own: Vec<f32> = (0..values).map(|value| (value % 1000) as f32 * 1e-3).collect();
    let (mut all, mut sum) = (vec![0.0; values], OrderedSum::new(values, &collective));
    let (mut sums, mut words, mut sent) = (Vec::new(), Vec::new(), 0);
    for number in 0..WARM_UP + repeats {
        // All begin together.
        collective::all_gather_equal(&mut collective, &[0])?;
        let (start, before) = (Instant::now(), collective.sent);
        sum.add(&mut collective, &own, &of, true)?;
        sum.all_gather(&mut collective, &mut all)?;
        let of_sum = start.elapsed();
        sent = collective.sent - before;
        collective::all_gather_equal(&mut collective, &[0])?;
        let start = Instant::now();
        collective::all_gather_equal(&mut collective, &[0])?;
        if number >= WARM_UP {
            sums.push(1e6 * of_sum.as_secs_f64());
            words.push(1e6 * start.elapsed().as_secs_f64());
        }
    }
    let (sum, word) = (TimeStats::of(sums), TimeStats::of(words));
    Ok(ExchangeTimes { ranks: of.len(), values, sum, sent, word })
}
