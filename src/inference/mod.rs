//! Inference with trained networks: classifiers, and autoencoders as an encoder and a decoder.

mod pca;
mod predictor;
mod reconstructor;

pub use pca::Pca;
pub use predictor::{Prediction, Predictor};
pub use reconstructor::{Baseline, Reconstruction, Reconstructor};
