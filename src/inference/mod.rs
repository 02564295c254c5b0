//! Trained networks in use: classifiers, and autoencoders cut at their bottleneck.

mod pca;
mod predictor;
mod reconstructor;

pub use pca::Pca;
pub use predictor::{Prediction, Predictor};
pub use reconstructor::{Baseline, Reconstruction, Reconstructor};
