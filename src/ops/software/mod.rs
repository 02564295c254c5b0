//! Kernels for software rasterisers: CPUs that run GPU code, such as Mesa's lavapipe. The kernels for real GPUs,
//! which are easier to read, are in `ops::matmul` and `ops::conv2d`. The tables there choose the kernels of this
//! module only for [`DeviceClass::Software`].
//!
//! Reason: such a device compiles a shader to vector code of the CPU, with eight lanes per vector. Arithmetic is
//! cheap there, but a load becomes a loop over the lanes. One load costs as much as about thirty multiply-adds,
//! whatever its width. Workgroup memory is not faster than other memory. So these kernels load vectors of four
//! without conditions, and use each number as often as a register tile allows:
//!
//! - *strip*: each lane computes its own tile. It needs only WebGPU's default features.
//! - *subgroup*: the lanes of a subgroup of exactly [`SUBGROUP`] lanes share their loads by `subgroupBroadcast`,
//!   which is one shuffle of a register. It is twice as fast.
//!
//! `matmul.rs` holds the matrix products. If a row is not a whole number of vectors, variants named *scalar* load
//! single numbers. `conv2d/` first copies images and weights, so that no edge cuts a vector (layouts in
//! `shaders/software/conv2d_pack_image.wgsl` and `conv2d_pack_weight.wgsl`). It works on slices of the batch, which
//! limits the memory, and multiplies these.
//!
//! [`DeviceClass::Software`]: crate::graph::kernel::DeviceClass::Software

pub(crate) mod conv2d;
pub(crate) mod matmul;

/// The subgroup size of the subgroup kernels: that of lavapipe on a CPU with vectors of 256 bits or more.
pub(crate) const SUBGROUP: u32 = 8;

/// The maximum number of iterations of all loops of one invocation together on Mesa's software rasteriser. After
/// that, loops end without an error and the result is wrong. Loops that its compiler unrolls do not count, but with
/// shader checks it unrolls none.
pub(crate) const LOOP_TURNS: usize = 65_535;
