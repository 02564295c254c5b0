//! Implicit matrix products with 8 x 8 outputs in the registers of each lane, for hardware: rung 3 of `shaders/conv2d/`.
//! `docs/kernel-ladder.md` explains them.

use super::Conv2dShape;
use super::variants::{Direction, split, whole};
use crate::graph::kernel::{Constant, Dispatch, Kernel, Lowering, word};
use crate::ops::Lower;
use crate::ops::elementwise::Program;
use crate::ops::splits::WORKGROUPS;

/// The minimum number of pixels of a split.
const SHARE: usize = 256;

/// The tile of a workgroup: channels, and pixels or taps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TileSize {
    rows: usize,
    columns: usize,
}

/// For up to 32 channels, and a first layer's gradient by its weights, which has few taps.
pub(super) const TINY: TileSize = TileSize { rows: 32, columns: 64 };
/// For up to 32 channels.
pub(super) const NARROW: TileSize = TileSize { rows: 32, columns: 128 };
/// More workgroups.
pub(super) const SMALL: TileSize = TileSize { rows: 64, columns: 64 };
/// For 64 channels.
pub(super) const WIDE: TileSize = TileSize { rows: 64, columns: 128 };
/// Less memory is read for each multiply-add.
pub(super) const LARGE: TileSize = TileSize { rows: 128, columns: 128 };

impl TileSize {
    fn count(self, [rows, columns]: [usize; 2]) -> usize {
        rows.div_ceil(self.rows) * columns.div_ceil(self.columns)
    }
    /// The steps of the sum that workgroup memory holds. A lane fetches two blocks at most, so tiles of few rows have fewer.
    fn depth(self) -> usize {
        if self.rows == 32 { 8 } else { 16 }
    }
    /// The work for a product, with the outputs of tiles that do not exist, in units of a multiply-add of the large tile. AMD's compiler
    /// gives the cost of the others: `docs/kernel-ladder.md`.
    fn work(self, product: [usize; 2]) -> f64 {
        let cost = match self {
            NARROW | TINY => 1.25,
            LARGE => 1.0,
            _ => 1.1,
        };
        cost * (self.count(product) * self.rows * self.columns) as f64
    }
    /// The constants of the kernels. `steps` is the length of the sums of a workgroup.
    fn constants(self, steps: usize) -> [(&'static str, Constant); 4] {
        let [rows, columns, depth] = [self.rows, self.columns, self.depth()].map(|n| Constant::from(word(n)));
        let ragged = (!steps.is_multiple_of(self.depth())).into();
        [("TILE_ROWS", rows), ("TILE_COLUMNS", columns), ("TILE_DEPTH", depth), ("RAGGED_TILES", ragged)]
    }
}

/// Rows and columns of the product of one group.
fn product(direction: Direction, sizes: &Conv2dShape) -> [usize; 2] {
    let (inputs, outputs) = (sizes.group_inputs(), sizes.group_outputs());
    let pixels = |[height, width]: [usize; 2]| sizes.batch * height * width;
    match direction {
        Direction::Forward => [outputs, pixels(sizes.outputs)],
        Direction::BackwardInput => [inputs, pixels(sizes.image)],
        Direction::BackwardWeight => [outputs, sizes.kernel[0] * sizes.kernel[1] * inputs.next_multiple_of(4)],
    }
}

/// The tile with the least work, of those of which there are enough to keep the device busy.
pub(super) fn tile(direction: Direction, sizes: &Conv2dShape) -> TileSize {
    let product = product(direction, sizes);
    let splits = match direction {
        Direction::BackwardWeight => (sizes.batch * sizes.outputs[0] * sizes.outputs[1]).div_ceil(SHARE),
        _ => 1,
    };
    let busy = |tile: &TileSize| tile.count(product) * splits * sizes.geometry.groups >= WORKGROUPS / 2;
    let tiles = [LARGE, WIDE].into_iter().filter(busy).chain([SMALL, NARROW, TINY]);
    tiles.min_by(|a, b| a.work(product).total_cmp(&b.work(product))).unwrap_or(SMALL)
}

/// Forward, or the gradient with respect to the image.
pub(super) fn image(
    direction: Direction,
    at: &Lower,
    sizes: Conv2dShape,
    program: &Program,
    tile: TileSize,
) -> Dispatch {
    let backward = direction == Direction::BackwardInput;
    let read = if backward { sizes.group_outputs() } else { sizes.group_inputs() };
    let own = [
        ("BACKWARD", backward.into()),
        ("STRIDED", (backward && sizes.geometry.stride != [1, 1]).into()),
        ("RAGGED_CHANNELS", (!read.is_multiple_of(4)).into()),
    ];
    let steps = sizes.kernel[0] * sizes.kernel[1] * read.next_multiple_of(4);
    let source = include_str!("../../../shaders/conv2d/3_prefetched.wgsl");
    let kernel = Kernel::built_in("conv2d_prefetched", source, &[&own[..], &tile.constants(steps)].concat());
    let tiles = tile.count(product(direction, &sizes)) * sizes.geometry.groups;
    whole(kernel, at, sizes, program, at.device.fold(tiles))
}

/// The gradient with respect to the weight: a sum over all pixels in splits. The splits depend only on the shapes.
pub(super) fn weight(at: &Lower, sizes: Conv2dShape, tile: TileSize) -> Lowering {
    let pixels = sizes.batch * sizes.outputs[0] * sizes.outputs[1];
    let tiles = tile.count(product(Direction::BackwardWeight, &sizes)) * sizes.geometry.groups;
    let wanted = WORKGROUPS.div_ceil(tiles).min(pixels.div_ceil(SHARE)).max(1);
    let share = pixels.div_ceil(wanted).next_multiple_of(tile.depth());
    let splits = pixels.div_ceil(share).max(1);
    let own = [
        ("RAGGED_INPUTS", (!sizes.group_inputs().is_multiple_of(4)).into()),
        ("RAGGED_OUTPUTS", (!sizes.group_outputs().is_multiple_of(4)).into()),
    ];
    let source = include_str!("../../../shaders/conv2d/3_prefetched_weight.wgsl");
    let kernel = Kernel::built_in("conv2d_prefetched_weight", source, &[&own[..], &tile.constants(pixels)].concat());
    split(at, kernel, sizes, share, splits, at.device.fold(tiles * splits))
}
