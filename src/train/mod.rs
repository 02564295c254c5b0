//! Training: recipes, the graphs of a step, the loop, metrics, checkpoints and the run directory.

pub mod checkpoint;
mod choice;
mod evaluation;
mod experiment;
pub mod graphs;
mod memory;
mod metrics;
mod predictor;
mod preview;
pub mod recipe;
mod resident;
mod run;
mod seen;
mod trainer;

pub use crate::files;
pub use checkpoint::{Checkpoint, Counters};
pub use choice::{choose, model};
pub use evaluation::{Each, Evaluation, evaluate, evaluate_each};
pub use experiment::{Experiment, Observer, Outcome};
pub use metrics::{EpochLine, Measured, Summary};
pub use predictor::{Prediction, Predictor, prepare};
pub use preview::augmented;
pub use recipe::{Recipe, Tta};
pub use run::{RunDirectory, automatic_name};
pub use seen::first_weights;
pub use trainer::{Options, Trainer};
