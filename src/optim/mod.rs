//! Optimizers and learning-rate schedules. An optimizer's update is part of the graph.
//!
//! ```
//! use gpunn::optim::{Optimizer, Schedule, ScheduleForm, TrainingProgress};
//!
//! assert!(Optimizer::adamw(0.001).validate().is_ok());
//! assert!(Optimizer::sgd(-1.0).validate().is_err());
//! let schedule = Schedule::from(ScheduleForm::Cosine { floor: 0.0 });
//! let half = TrainingProgress { epoch: 5, step: 0, steps: 100, epochs: 10.0 };
//! assert!((schedule.factor(half) - 0.5).abs() < 1e-12);
//! ```

mod groups;
mod method;
mod optimizer;
mod schedule;
mod update;

pub use groups::{Algorithm, OptimizerGroup};
pub use method::Method;
pub use optimizer::Optimizer;
pub(crate) use optimizer::SUMS;
pub(crate) use schedule::total_steps;
pub use schedule::{Schedule, ScheduleForm, TrainingProgress};
