//! The constants of the matrix products for software rasterisers. Measurements are in `docs/matmul-variants.md`.

use crate::graph::kernel::Capabilities;
use crate::ops::matmul::variants::{KernelTemplate, MatmulVariant};
use crate::ops::software::SUBGROUP;

/// The table's choice for a software rasteriser. `vectors` is whether the operands can be read as vectors of four.
pub(crate) fn choose(device: &Capabilities, vectors: bool) -> MatmulVariant {
    match (device.subgroup == Some(SUBGROUP), vectors) {
        (true, true) => MatmulVariant::Subgroup,
        (true, false) => MatmulVariant::SubgroupScalar,
        (false, true) => MatmulVariant::Strip,
        (false, false) => MatmulVariant::StripScalar,
    }
}

/// The tile of a lane, for a product with this number of rows.
pub(crate) fn strip(vectors: bool, rows: usize) -> KernelTemplate {
    // Blocks of 4 x 4 outputs per lane, and lanes per workgroup, each vertical and horizontal.
    let (blocks, [lanes_down, lanes_across]) = match (rows, vectors) {
        (0..=8, _) => (2, [1, 8]),
        (_, true) => (4, [2, 4]),
        (_, false) => (2, [2, 4]),
    };
    let (name, source) = if vectors {
        ("matmul_strip", include_str!("../../../shaders/software/matmul_strip.wgsl"))
    } else {
        ("matmul_strip_scalar", include_str!("../../../shaders/software/matmul_strip_scalar.wgsl"))
    };
    let constants = vec![
        ("ROW_VECTORS", blocks.into()),
        ("COLUMN_VECTORS", blocks.into()),
        ("LANES_DOWN", lanes_down.into()),
        ("LANES_ACROSS", lanes_across.into()),
    ];
    let tile = [4 * blocks * lanes_down, 4 * blocks * lanes_across];
    KernelTemplate { name, source, constants, tile, ..KernelTemplate::default() }
}

/// The tile of a subgroup that shares its operands, for a product with this number of rows.
pub(crate) fn subgroup(vectors: bool, rows: usize) -> KernelTemplate {
    // Blocks of 8 rows, and vectors of 4 columns per lane.
    let row_blocks = match rows {
        0..=8 => 1,
        9..=16 => 2,
        _ => 4,
    };
    let column_vectors = if vectors { 2 } else { 1 };
    let (name, source) = if vectors {
        ("matmul_subgroup", include_str!("../../../shaders/software/matmul_subgroup.wgsl"))
    } else {
        ("matmul_subgroup_scalar", include_str!("../../../shaders/software/matmul_subgroup_scalar.wgsl"))
    };
    let constants = vec![("ROW_BLOCKS", row_blocks.into()), ("COLUMN_VECTORS", column_vectors.into())];
    let tile = [SUBGROUP * row_blocks, 4 * SUBGROUP * column_vectors];
    KernelTemplate { name, source, constants, tile, subgroup: Some(SUBGROUP), ..KernelTemplate::default() }
}
