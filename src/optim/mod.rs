//! Optimisers and learning-rate schedules, built of ops like everything else.

mod optimiser;
mod schedule;

pub use optimiser::{Method, Optimiser};
pub use schedule::{Schedule, ScheduleForm, TrainingProgress};
