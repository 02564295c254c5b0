//! Which matrix-product kernel for which device and shape: the table that stands for tuning at run time.

use super::kernel::{Kernel, Traits};
use crate::ops::matmul::Sizes;

/// A chosen kernel with its grid.
#[derive(Clone, Debug)]
pub struct Variant {
    /// The kernel.
    pub kernel: Kernel,
    /// The words of its `Dims`.
    pub dims: Vec<u32>,
    /// Workgroups.
    pub groups: [u32; 3],
}

/// The kernel for a product of these sizes.
pub fn variant(device: &Traits, sizes: Sizes, transpose_a: bool, transpose_b: bool) -> Variant {
    let _ = device;
    plain(sizes, transpose_a, transpose_b)
}

/// One invocation an output.
fn plain(sizes: Sizes, transpose_a: bool, transpose_b: bool) -> Variant {
    let kernel = Kernel::new(
        "matmul_plain",
        include_str!("../../shaders/matmul_plain.wgsl"),
        &[("TRANSPOSE_A", transpose_a.into()), ("TRANSPOSE_B", transpose_b.into())],
    );
    let groups = [sizes.columns.div_ceil(8) as u32, sizes.rows.div_ceil(8) as u32, 1];
    Variant { kernel, dims: vec![sizes.rows as u32, sizes.columns as u32, sizes.depth as u32], groups }
}
