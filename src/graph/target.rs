//! The device that a plan is made for.

use super::kernel::Capabilities;

/// The limits of the device that a plan is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The alignment of a tensor's offset, in bytes.
    pub alignment: usize,
    /// The largest tensor, in bytes. For a GPU it is below 2^31, so that the index of every element fits 32 bits.
    pub max_binding: usize,
    /// The largest buffer, in bytes. A pool of tensors that would be larger is divided.
    pub max_buffer: usize,
    /// The most bytes that all buffers of a plan may have together.
    pub max_memory: usize,
    /// The device's capabilities, by which kernels are chosen. `None` for the CPU, whose plans have no dispatches.
    pub device: Option<Capabilities>,
}

impl Target {
    /// The CPU executor.
    pub fn cpu() -> Self {
        let most = usize::MAX;
        Self { alignment: 64, max_binding: most, max_buffer: most, max_memory: most, device: None }
    }
    /// The target without matrix units: all products are in single precision.
    #[must_use]
    pub fn in_single_precision(&self) -> Self {
        let device = self.device.clone().map(|device| Capabilities { matrix_units: None, ..device });
        Self { device, ..self.clone() }
    }
    /// A GPU with WebGPU's default limits.
    pub fn portable() -> Self {
        Self {
            alignment: 256,
            max_binding: 128 << 20,
            max_buffer: 256 << 20,
            max_memory: usize::MAX,
            device: Some(Capabilities::portable()),
        }
    }
}
