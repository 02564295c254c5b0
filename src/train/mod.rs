//! Training on data in memory: recipes, the graphs of a step, the loop, metrics, evaluation.

mod buffers;
mod builder;
pub mod checkpoint;
mod device_data;
mod evaluation;
mod features;
pub mod graphs;
pub(crate) mod inputs;
mod loader;
mod memory;
mod metrics;
mod predictor;
mod preview;
pub mod recipe;
mod steps;
mod trainer;
mod tta;

#[cfg(feature = "files")]
pub(crate) use buffers::write_weights;
pub use checkpoint::{Checkpoint, Counters};
pub use evaluation::{Each, Evaluation, evaluate, evaluate_each};
#[cfg(feature = "files")]
pub(crate) use memory::plan;
pub use metrics::{EpochLine, Measured, PERFECT, Summary, mean_psnr, psnr};
pub use predictor::{Prediction, Predictor};
pub use preview::augmented;
pub use recipe::Recipe;
#[cfg(feature = "files")]
pub(crate) use steps::EVALUATION_BATCH;
pub use trainer::{Flow, Trainer, TrainerOptions};
pub use tta::Tta;
