//! Kernels for software rasterisers: CPUs that play a GPU, such as Mesa's lavapipe. What teaches, and what a GPU runs, stands
//! in `ops::matmul` and `ops::conv2d`; their tables choose these kernels for [`DeviceClass::Software`] alone.
//!
//! Why they exist: such a device compiles a shader to vector code of the CPU, eight lanes to a vector. Arithmetic is cheap
//! there, but a load becomes a loop over the lanes: one instruction costs as much as some thirty multiply-adds, whatever its
//! width, and workgroup memory is no nearer than any other. So these kernels load vectors of four, without conditions, and
//! use each number as often as a tile in registers allows:
//!
//! - *strip*: a lane computes a tile of its own; nothing beyond WebGPU's defaults is needed.
//! - *subgroup*: the lanes of a subgroup of exactly [`SUBGROUP`] share what they load by `subgroupBroadcast`, which is one
//!   shuffle of a register. Twice as fast.
//!
//! `matmul.rs` has the products. Where a row is no whole number of vectors, forms named *scalar* load number by number.
//! `conv2d/` copies images and weights first, so that no edge cuts a vector (`shaders/software/conv2d_pack_image.wgsl` and
//! `conv2d_pack_weight.wgsl` have the layouts), in slices of the batch that bound the memory, and multiplies these.
//!
//! [`DeviceClass::Software`]: crate::graph::kernel::DeviceClass::Software

pub(crate) mod conv2d;
pub(crate) mod matmul;

/// The subgroup size that the subgroup kernels are written for: lavapipe's on a CPU with 256-bit vectors or wider.
pub(crate) const SUBGROUP: u32 = 8;

/// How often all loops of an invocation run together at most on Mesa's software rasteriser; then they end silently, with a
/// wrong result. Loops that its compiler unrolls do not count, but with the shader checks on it unrolls none.
pub(crate) const LOOP_TURNS: usize = 65_535;
