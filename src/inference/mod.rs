//! Inference with trained networks: classifiers, what they know of an image, and autoencoders as an encoder and a decoder.
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

mod embedder;
mod heat;
mod nearest;
mod pca;
mod prepare;
mod reconstructor;

pub use embedder::{Embedder, normalize};
pub use heat::heat_image;
pub use nearest::{Nearest, Neighbor};
pub use pca::Pca;
pub use prepare::{difference, prepare_for};
pub use reconstructor::{Baseline, Reconstruction, Reconstructor};

/// The number of images that are decoded and computed at a time, where there are several.
pub const IMAGES_AT_ONCE: usize = 8;

pub use crate::train::{Explainer, Explanation, HeatMap, Prediction, Predictor};
