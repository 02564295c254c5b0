//! Training: recipes, the graphs of a step, the loop, metrics, checkpoints and the run directory.

pub mod checkpoint;
mod choice;
mod evaluation;
mod events;
mod experiment;
pub mod graphs;
mod loader;
mod memory;
mod metrics;
mod predictor;
mod preview;
pub mod recipe;
mod reconstructor;
mod resident;
mod run;
mod seen;
mod trainer;
mod tta;
pub mod weights;

pub use crate::files;
pub use checkpoint::{Checkpoint, Counters};
pub use choice::{choose, model};
pub use evaluation::{Evaluation, evaluate};
pub use events::Events;
pub use experiment::{Experiment, Observer, Outcome};
pub use metrics::{EpochLine, Measured, PERFECT, Summary, mean_psnr, psnr};
pub use predictor::{Prediction, Predictor, prepare};
pub use preview::augmented;
pub use recipe::Recipe;
pub use reconstructor::{Baseline, Reconstruction, Reconstructor};
pub use run::{RunDirectory, automatic_name};
pub use trainer::{Options, Trainer};
pub use tta::Tta;
