//! wgpu alone: devices, kernels and their variants, buffers, the executor, the profiler.

mod completion;
mod counters;
mod device;
mod executor;
mod pipelines;
pub mod profile;

pub use counters::Counts;
pub use device::{Adapter, Device, DeviceOptions, adapters};
pub use executor::Executor;
pub use pipelines::{Keep, KeptKernels};
pub use wgpu::Features;
