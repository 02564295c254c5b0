//! Inference with trained networks: classifiers, and autoencoders as an encoder and a decoder.
//!
//! ```no_run
//! use gpunn::Engine;
//! use gpunn::inference::Predictor;
//!
//! let mut predictor = Predictor::load(Engine::cpu(), "model.safetensors")?;
//! let image = gpunn::images::open("letter.png".as_ref())?;
//! let image = gpunn::images::prepare(&image, predictor.input());
//! println!("{}", gpunn::blocking::block_on(predictor.predict(&image))?.class);
//! # Ok::<(), gpunn::Error>(())
//! ```

mod pca;
mod prepare;
mod reconstructor;

pub use pca::Pca;
pub use prepare::prepare_for;
pub use reconstructor::{Baseline, Reconstruction, Reconstructor};

pub use crate::train::{Explainer, Explanation, HeatMap, Prediction, Predictor};
