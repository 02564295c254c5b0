//! The clock of a run.

use std::sync::OnceLock;
use std::time::Instant;

/// Seconds since the first call. A clock for [`TrainerOptions`](crate::train::TrainerOptions).
pub fn clock() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}
