//! gpunn trains and runs small image networks on any GPU through handwritten WGSL compute shaders, and on the CPU from
//! the same plan.
//!
//! The way of a training step: a model builds a [`graph`] of [`ops`]; its gradient is built as more nodes; passes fuse
//! them; a plan gives every tensor a place; an [`engine`] ([`gpu`] or [`cpu`]) runs the plan. [`check`] holds every op
//! against its definition in double precision.

// The core: no files, no clocks, no terminal, and threads only with the feature `threads`.
#[cfg(not(target_arch = "wasm32"))]
pub mod blocking;
pub mod check;
pub mod cpu;
pub mod data;
pub mod engine;
pub mod error;
pub mod gpu;
pub mod graph;
mod hash;
pub mod nn;
pub mod ops;
pub mod optim;
pub mod parallel;
pub mod profile;
pub mod random;
pub mod train;

#[cfg(feature = "files")]
pub mod datasets;
#[cfg(feature = "files")]
pub mod files;
#[cfg(feature = "files")]
pub mod formats;
#[cfg(feature = "files")]
pub mod inference;
#[cfg(feature = "files")]
pub mod runs;

#[cfg(feature = "images")]
pub mod images;

#[cfg(feature = "reading")]
pub mod ocr;

#[cfg(feature = "reports")]
pub mod report;

#[cfg(feature = "cli")]
pub mod bench;

pub use engine::{Engine, Program};
pub use error::{Error, Result};
