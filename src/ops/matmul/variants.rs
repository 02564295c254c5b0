//! Which matrix-product kernel for which device and shape: the table that stands for tuning at run time. Measured
//! figures and the reasons stand in `docs/matmul-variants.md`.

use super::{Matmul, MatmulShape};
use crate::graph::kernel::{Capabilities, Constant, DeviceClass, Kernel};

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

/// A kernel's tile: what distinguishes variants beside the transposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tile {
    /// One invocation an output: the definition.
    Plain,
    /// Workgroup memory and registers, for hardware.
    Tiled {
        /// Rows and columns of a workgroup's tile.
        side: u32,
    },
    /// Large register tiles, for software rasterisers.
    Strip {
        /// Blocks of 4 x 4 outputs of a lane, down and across.
        vectors: [u32; 2],
        /// Lanes of a workgroup, down and across.
        lanes: [u32; 2],
    },
    /// Values shared by `subgroupBroadcast`, for subgroups of 8.
    Subgroup {
        /// Blocks of 8 rows.
        row_blocks: u32,
        /// Vectors of 4 columns a lane.
        column_vectors: u32,
    },
}

/// The kernel for a product of these sizes.
pub fn variant(device: &Capabilities, sizes: MatmulShape, op: &Matmul) -> Variant {
    let (tile, vectors) = choose(device, sizes, op);
    build(tile, vectors, sizes, op)
}

/// The table. The second value says whether the operands are read as vectors of four.
fn choose(device: &Capabilities, sizes: MatmulShape, op: &Matmul) -> (Tile, bool) {
    let MatmulShape { rows, columns, depth } = sizes;
    let run_a = if op.transpose_a { rows } else { depth };
    let run_b = if op.transpose_b { depth } else { columns };
    let vectors = [columns, run_a, run_b].iter().all(|run| run.is_multiple_of(4));
    let tile = match (device.class, device.subgroup) {
        (DeviceClass::Software, Some(8)) => Tile::Subgroup {
            row_blocks: match rows {
                0..=8 => 1,
                9..=16 => 2,
                _ => 4,
            },
            column_vectors: if vectors { 2 } else { 1 },
        },
        (DeviceClass::Software, _) if rows <= 8 => Tile::Strip { vectors: [2, 2], lanes: [1, 8] },
        (DeviceClass::Software, _) => Tile::Strip { vectors: if vectors { [4, 4] } else { [2, 2] }, lanes: [2, 4] },
        // Fewer than a row of outputs a lane leaves most of a tile idle.
        _ if rows < 4 || columns < 4 => Tile::Plain,
        // Small outputs: smaller tiles keep more of the device's cores busy.
        _ => Tile::Tiled { side: if rows.div_ceil(64) * columns.div_ceil(64) < 64 { 32 } else { 64 } },
    };
    (tile, vectors)
}

/// Renders a tile's kernel for these sizes.
///
/// # Panics
/// Where vectors are asked for and the sizes do not allow them: a mistake in the table.
pub fn build(tile: Tile, vectors: bool, sizes: MatmulShape, op: &Matmul) -> Variant {
    let mut constants: Vec<(&str, Constant)> =
        vec![("TRANSPOSE_A", op.transpose_a.into()), ("TRANSPOSE_B", op.transpose_b.into())];
    let (name, source, tile_rows, tile_columns) = match tile {
        Tile::Plain => ("matmul_plain", include_str!("../../../shaders/matmul_plain.wgsl"), 16, 16),
        Tile::Tiled { side } => {
            constants.extend([("TILE_ROWS", side.into()), ("TILE_COLUMNS", side.into())]);
            ("matmul_tiled", include_str!("../../../shaders/matmul_tiled.wgsl"), side, side)
        }
        Tile::Strip { vectors: [down, across], lanes: [lanes_down, lanes_across] } => {
            constants.extend([("ROW_VECTORS", down.into()), ("COLUMN_VECTORS", across.into())]);
            constants.extend([("LANES_DOWN", lanes_down.into()), ("LANES_ACROSS", lanes_across.into())]);
            let (name, source) = if vectors {
                ("matmul_strip", include_str!("../../../shaders/matmul_strip.wgsl"))
            } else {
                ("matmul_strip_scalar", include_str!("../../../shaders/matmul_strip_scalar.wgsl"))
            };
            (name, source, 4 * down * lanes_down, 4 * across * lanes_across)
        }
        Tile::Subgroup { row_blocks, column_vectors } => {
            constants.extend([("ROW_BLOCKS", row_blocks.into()), ("COLUMN_VECTORS", column_vectors.into())]);
            let (name, source) = if vectors {
                ("matmul_subgroup", include_str!("../../../shaders/matmul_subgroup.wgsl"))
            } else {
                ("matmul_subgroup_scalar", include_str!("../../../shaders/matmul_subgroup_scalar.wgsl"))
            };
            (name, source, 8 * row_blocks, 32 * column_vectors)
        }
    };
    let mut kernel = Kernel::new(name, source, &constants);
    if let Tile::Subgroup { .. } = tile {
        kernel = kernel.for_subgroup(8);
    }
    let dims = [sizes.rows, sizes.columns, sizes.depth, 0].map(|n| n as u32).to_vec();
    let groups = [(sizes.columns as u32).div_ceil(tile_columns), (sizes.rows as u32).div_ceil(tile_rows), 1];
    Variant { kernel, dims, groups }
}
