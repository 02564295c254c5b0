//! The wgpu back end: devices, compiled kernels, buffers, the executor and the profiler. No other module uses wgpu.
//!
//! ```no_run
//! use gpunn::data::glyphs;
//! use gpunn::gpu::{self, Device, DeviceOptions};
//! use gpunn::train::Recipe;
//! use gpunn::{Engine, Error};
//!
//! let adapters = gpunn::blocking::block_on(gpu::adapters());
//! let adapter = adapters.first().ok_or_else(|| Error::usage("There is no GPU."))?;
//! let device = gpunn::blocking::block_on(Device::open(adapter, DeviceOptions::default()))?;
//! let mut trainer = Recipe::new("mlp").trainer_on(Engine::gpu(device), &glyphs::dataset())?;
//! trainer.fit_blocking(|epoch| println!("{epoch}"))?;
//! # Ok::<(), gpunn::Error>(())
//! ```

mod completion;
mod counters;
mod device;
mod executor;
mod failure;
mod pace;
mod pipelines;
pub mod profile;

pub use counters::Counts;
pub use device::{Adapter, Device, DeviceOptions, adapters, adapters_of};
pub use executor::Executor;
pub use failure::Failure;
pub use pipelines::{Keep, KeptKernels, Planted};
pub use wgpu::{Backends, Features, Limits};
