//! Optimizers and learning-rate schedules. An optimizer's update is part of the graph.

mod optimiser;
mod schedule;

pub use optimiser::{Method, Optimiser};
pub use schedule::{Schedule, ScheduleForm, TrainingProgress};
