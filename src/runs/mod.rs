//! Runs on disk: recipes, run directories, checkpoints, and weights from and for other programs.

mod checkpoint;
mod choice;
mod clock;
mod directory;
mod events;
mod experiment;
mod recipe;
mod trace;
pub mod weights;

pub use choice::{choose, model};
pub use clock::clock;
#[cfg(feature = "reports")]
pub(crate) use directory::{PLOTS, REPORT};
pub use directory::{RunDirectory, automatic_name};
pub use events::EventWriter;
pub use experiment::{Experiment, Observer, RunOutcome};
pub use trace::trace;
pub use weights::first_weights;
