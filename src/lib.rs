//! gpunn trains and runs small image networks on any GPU, through wgpu and WGSL compute shaders written by hand, and on the CPU
//! from the same plan. It needs no CUDA and no Python.
//!
//! ```
//! use gpunn::data::{SplitName, glyphs};
//! use gpunn::train::Recipe;
//!
//! // 36 characters, 32 x 32, drawn by the library. `Dataset::from_images` takes images of your own.
//! let dataset = glyphs::dataset();
//! let recipe = Recipe::new("mlp").epochs(2).batch_size(32).learning_rate(0.002);
//! let mut trainer = recipe.trainer(&dataset)?;
//! trainer.fit_blocking(|epoch| println!("{epoch}"))?;
//!
//! let test = trainer.evaluate_blocking(SplitName::Test)?;
//! assert!(test.accuracy > Some(0.7));
//!
//! let image = dataset.split(SplitName::Test)?.image(0).unwrap();
//! let prediction = trainer.predict_blocking(&image)?;
//! println!("{} ({:.0} %)", prediction.class, 100.0 * prediction.confidence);
//! # Ok::<(), gpunn::Error>(())
//! ```
//!
//! # Where to go on
//!
//! | you want | look at |
//! |---|---|
//! | images of your own | [`data::Dataset::from_images`]; with the feature `files`, folders of images: `datasets` |
//! | another model, optimizer or schedule | [`train::Recipe::new`], [`optim`]; the built-in models and their sizes: [`nn::models`] |
//! | a network of your own | [`nn::Model::new`] and [`train::Recipe::trainer_of`]; the example `train_mlp` |
//! | a layer of your own | [`nn`]: implement [`nn::Layer`] |
//! | a function of your own, such as an activation | [`ops::elementwise`] |
//! | any other op of your own, with a WGSL kernel | [`ops::Op`] and [`check`]; the example `own_op` |
//! | a GPU | [`gpu`]: `recipe.trainer_on(Engine::gpu(device), &dataset)` |
//! | several devices | [`train::Trainer::among`] and [`collective`] |
//! | to stop early, or keep the best epoch | [`train::Trainer::fit`], [`train::Recipe::patience`], [`train::Trainer::restore_best`] |
//! | to keep weights | `Trainer::save`, `Trainer::load` and `Predictor::load` (feature `files`); without files `Checkpoint::to_bytes` and `Checkpoint::parse` (feature `formats`), or [`train::Trainer::weights`] and [`nn::Weights::to_bytes`] |
//! | to use a trained network | [`train::Predictor`]; for a network of your own, the example of `Trainer::save` |
//! | async code | the same methods without `_blocking` |
//!
//! A training step takes this path: a model builds a [`graph`] of [`ops`]; its gradient is built as more nodes; passes fuse them; a
//! plan gives every tensor a place; an [`engine`] ([`gpu`] or [`cpu`]) runs the plan.
//!
//! # Features
//!
//! Without features the library touches no file, terminal or thread, and uses a clock only to learn how long a GPU's submissions
//! take. A library that depends on gpunn usually sets
//! `default-features = false` and names what it needs.
//!
//! | feature | what it adds |
//! |---|---|
//! | `cli` (default) | the program `gpunn` and `bench`; it turns on all others but `mpi` |
//! | `threads` | loops on all CPU cores |
//! | `images` | image files are decoded and brought to a size: `images` |
//! | `formats` | trained networks as bytes, without a disk: checkpoints, weights of other programs, ONNX: `formats`, `onnx`, `saved` |
//! | `files` | datasets, recipes, runs and checkpoints on the disk: `datasets`, `inference`, `runs`; it turns on `formats`, `images` and `threads` |
//! | `download` | datasets from the addresses of their makers: `datasets::fetch` |
//! | `reading` | text is read from photos of handwriting: `ocr` |
//! | `reports` | HTML pages and plots of runs: `report` |
//! | `serve` | pages of this machine: a trained network over HTTP, a training to watch: `serve` |
//! | `mpi` | training by processes that `mpirun` starts; it needs an MPI library where it is built |
//!
//! # WebAssembly
//!
//! The library compiles for `wasm32-unknown-unknown` without features or with `formats`, and uses WebGPU there. A browser cannot wait on its thread, so
//! [`blocking`] and the methods that end with `_blocking` are not there: use the async ones.

#![cfg_attr(docsrs, feature(doc_cfg))]

// The core: no files, no terminal, and threads only with the feature `threads`.
#[cfg(not(target_arch = "wasm32"))]
pub mod blocking;
pub mod check;
pub mod collective;
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
#[cfg(feature = "formats")]
pub mod formats;
#[cfg(feature = "files")]
pub mod inference;
#[cfg(feature = "formats")]
pub mod onnx;
#[cfg(feature = "files")]
pub mod runs;
#[cfg(feature = "formats")]
pub mod saved;

#[cfg(feature = "images")]
pub mod images;

#[cfg(feature = "reading")]
pub mod ocr;

#[cfg(feature = "reports")]
pub mod report;

#[cfg(feature = "serve")]
pub mod serve;

#[cfg(feature = "cli")]
pub mod bench;
#[cfg(feature = "cli")]
pub mod cli;

pub use engine::{Engine, Program};
pub use error::{Error, Result};
