//! Optimizers and learning-rate schedules. An optimizer's update is part of the graph.
//!
//! ```
//! use gpunn::optim::{Optimiser, Schedule, ScheduleForm, TrainingProgress};
//!
//! assert!(Optimiser::adamw(0.001).validate().is_ok());
//! assert!(Optimiser::sgd(-1.0).validate().is_err());
//! let schedule = Schedule::from(ScheduleForm::Cosine { floor: 0.0 });
//! let half = TrainingProgress { epoch: 5, step: 0, steps: 100, epochs: 10 };
//! assert!((schedule.factor(half) - 0.5).abs() < 1e-12);
//! ```

mod optimiser;
mod schedule;

pub use optimiser::{Method, Optimiser};
pub use schedule::{Schedule, ScheduleForm, TrainingProgress};
