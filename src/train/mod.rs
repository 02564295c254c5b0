//! Training: recipes, the graphs of a step, the training loop, metrics, evaluation, checkpoints. `Trainer::save` (feature
//! `files`) has an example that saves and loads a network of your own.
//!
//! ```
//! use gpunn::data::{Dataset, SplitName};
//! use gpunn::train::{Flow, Recipe};
//!
//! // Dark and bright images.
//! let pixels: Vec<u8> = (0..100).flat_map(|number| [(number % 2) * 200 + number / 2; 4]).collect();
//! let labels = (0..100).map(|number| number % 2).collect();
//! let dataset = Dataset::from_images(pixels, [1, 2, 2], labels, ["dark", "bright"])?.hold_out(SplitName::Val, 0.2, 1)?;
//!
//! let mut trainer = Recipe::new("mlp").epochs(50).learning_rate(0.01).trainer(&dataset)?;
//! trainer.fit_blocking(|epoch| if epoch.val_accuracy == Some(1.0) { Flow::Stop } else { Flow::Continue })?;
//! trainer.restore_best()?;
//! assert_eq!(trainer.evaluate_blocking(SplitName::Val)?.accuracy, Some(1.0));
//! assert_eq!(trainer.predict_blocking(&[0.9; 4])?.class, "bright");
//! # Ok::<(), gpunn::Error>(())
//! ```

mod average;
mod batch_fit;
mod batched;
mod buffers;
mod builder;
pub mod checkpoint;
mod cross_validation;
mod device_data;
mod evaluation;
mod explainer;
mod features;
pub mod graphs;
mod imbalance;
pub(crate) mod inputs;
mod loader;
mod measures;
mod memory;
mod metrics;
mod predictor;
mod preview;
mod progress;
mod rate_finder;
pub mod recipe;
mod steps;
mod suspects;
mod tag_measures;
mod trainer;
mod training;
mod trial;
mod tta;
mod warnings;

pub use average::{average, began_alike, network_difference, recompute_statistics};
pub use batch_fit::{divide_batch, fit_batch};
#[cfg(feature = "files")]
pub(crate) use batched::Batched;
#[cfg(feature = "files")]
pub(crate) use buffers::write_weights;
pub use checkpoint::{Checkpoint, Counters};
pub use cross_validation::{Folds, cross_validate};
pub use evaluation::{Each, Evaluation, evaluate, evaluate_each, evaluate_ensemble};
pub use explainer::{Explainer, Explanation, HeatMap};
pub use imbalance::{ClassWeights, Sampler, WeightRule};
pub use measures::{
    CALIBRATION_BINS, CalibrationBin, ClassMeasures, ClassScores, ImagePrediction, Measures, wilson_interval,
};
#[cfg(feature = "files")]
pub(crate) use memory::plan;
pub use metrics::{EpochLine, Measured, PERFECT, Summary, mean_psnr, psnr};
pub use predictor::{Prediction, Predictor};
pub use preview::augmented;
pub use progress::EpochProgress;
pub use rate_finder::{FoundRate, RateRange, find_rate, recipe_to_find_rate};
pub use recipe::Recipe;
#[cfg(feature = "files")]
pub(crate) use steps::EVALUATION_BATCH;
pub use suspects::{Suspect, suspects};
#[cfg(feature = "reports")]
pub(crate) use tag_measures::sigmoid;
pub use tag_measures::{TagClassMeasures, TagMeasures, Tagged, is_given};
pub use trainer::{Exchanged, Flow, Trainer, TrainerOptions};
pub use training::{Lookahead, OnNonFinite, Precision, Training};
pub use trial::{StepTime, Trial, time_step};
pub use tta::Tta;
pub use warnings::guessing;
