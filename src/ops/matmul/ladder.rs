//! The kernels for hardware, from the plain one up: `shaders/matmul/`. `docs/kernel-ladder.md` explains them.

use super::MatmulShape;
use super::variants::KernelTemplate;
use crate::graph::kernel::{Constant, word};
use crate::ops::splits::WORKGROUPS;

/// The minimum number of steps of a split. With less, adding the splits costs more than they gain.
const MIN_SHARE: usize = 128;
/// The steps of a tile: TILE_DEPTH in `shaders/lib/register_tiles.wgsl`. A share is a multiple of it.
const DEPTH: usize = 16;

/// Rung 1.
pub(super) fn plain() -> KernelTemplate {
    KernelTemplate {
        name: "matmul_plain",
        source: include_str!("../../../shaders/matmul/1_plain.wgsl"),
        tile: [16, 16],
        ..KernelTemplate::default()
    }
}

/// Rung 2.
pub(super) fn tiled() -> KernelTemplate {
    KernelTemplate {
        name: "matmul_tiled",
        source: include_str!("../../../shaders/matmul/2_tiled.wgsl"),
        tile: [16, 16],
        ..KernelTemplate::default()
    }
}

/// Rows and columns of outputs of a workgroup with register tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// More workgroups, for products with few outputs.
    Small = 64,
    /// Less memory is read for each multiply-add.
    Large = 128,
}

impl Side {
    /// A large tile, if there are enough of them to keep the device busy.
    pub(super) fn of(sizes: MatmulShape) -> Self {
        if tiles(sizes, Self::Large) >= WORKGROUPS / 2 { Self::Large } else { Self::Small }
    }
}

/// Rung 3: always large tiles, because its loop fetches one block a lane. `vectors` is whether the operands can be read as vectors of
/// four.
pub(super) fn registers(sizes: MatmulShape, vectors: bool) -> KernelTemplate {
    let source = include_str!("../../../shaders/matmul/3_registers.wgsl");
    register_tiles("matmul_registers", source, Side::Large, sizes, vectors)
}

/// Rung 4.
pub(super) fn prefetched(sizes: MatmulShape, vectors: bool, side: Side) -> KernelTemplate {
    let source = include_str!("../../../shaders/matmul/4_prefetched.wgsl");
    register_tiles("matmul_prefetched", source, side, sizes, vectors)
}

/// Rung 5. A sum that is too short to be split is one share.
pub(super) fn split(sizes: MatmulShape, vectors: bool) -> KernelTemplate {
    let share = sizes.depth.div_ceil(splits(sizes)).next_multiple_of(DEPTH);
    let source = include_str!("../../../shaders/matmul/5_split.wgsl");
    KernelTemplate { share: Some(share), ..register_tiles("matmul_split", source, Side::Small, sizes, vectors) }
}

fn tiles(sizes: MatmulShape, side: Side) -> usize {
    sizes.rows.div_ceil(side as usize) * sizes.columns.div_ceil(side as usize)
}

/// The number of splits of the sum, which depends only on the shapes.
pub(super) fn splits(sizes: MatmulShape) -> usize {
    let wanted = WORKGROUPS / tiles(sizes, Side::Small).max(1);
    wanted.min(sizes.depth / MIN_SHARE).max(1)
}

fn register_tiles(
    name: &'static str,
    source: &'static str,
    side: Side,
    sizes: MatmulShape,
    vectors: bool,
) -> KernelTemplate {
    let side = side as u32;
    let mut constants: Vec<(&str, Constant)> =
        vec![("TILE_ROWS", side.into()), ("TILE_COLUMNS", side.into()), ("TILE_DEPTH", word(DEPTH).into())];
    if vectors {
        constants.push(("RAGGED_TILES", (!sizes.depth.is_multiple_of(DEPTH)).into()));
    }
    KernelTemplate {
        name,
        source,
        constants,
        instead: if vectors { &[] } else { &[("matmul_blocks", "matmul_blocks_scalar")] },
        tile: [side; 2],
        ..KernelTemplate::default()
    }
}
