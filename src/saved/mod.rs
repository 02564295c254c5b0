//! Trained networks as bytes: checkpoints, weights with the names of PyTorch, and ONNX. [`runs`](../runs/index.html) has what lies on a disk.
//!
//! ```
//! use gpunn::data::glyphs;
//! use gpunn::saved::onnx::{OnnxOptions, export};
//! use gpunn::train::{Checkpoint, Recipe};
//!
//! let mut trainer = Recipe::new("mlp").trainer(&glyphs::dataset())?;
//! let checkpoint = gpunn::blocking::block_on(trainer.checkpoint())?;
//! let bytes = checkpoint.to_bytes()?;
//! assert_eq!(Checkpoint::parse(&bytes, "the network")?, checkpoint);
//! assert_eq!(export(&checkpoint, OnnxOptions::default())?.output, "logits");
//! # Ok::<(), gpunn::Error>(())
//! ```

mod checkpoint;
pub(crate) mod names;
pub mod onnx;
pub mod weights;
