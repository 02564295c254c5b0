//! Trained networks in use: classifiers, and autoencoders cut at their bottleneck.

mod pca;
mod reconstructor;

pub use pca::Pca;
pub use reconstructor::{Baseline, Reconstruction, Reconstructor};

pub use crate::train::{Prediction, Predictor};
