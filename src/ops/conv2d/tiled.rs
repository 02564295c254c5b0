//! Implicit matrix products in workgroup memory, for hardware. Nothing is packed, and every shape is supported.

use super::Conv2dShape;
use super::variants::{Direction, split, whole};
use crate::graph::kernel::{Dispatch, Kernel, Lowering};
use crate::ops::Lower;
use crate::ops::elementwise::Program;

/// Rows and columns of the tile of a workgroup.
const TILE: usize = 64;
/// The minimum number of workgroups for the gradient of a weight, if its sums are long enough.
const WORKGROUPS: usize = 256;
/// The minimum number of pixels of a split.
const SHARE: usize = 256;

/// Forward, or the gradient with respect to the image.
pub(super) fn image(direction: Direction, at: &Lower, sizes: Conv2dShape, program: &Program) -> Dispatch {
    let backward = direction == Direction::BackwardInput;
    let kernel = Kernel::built_in(
        "conv2d_tiled",
        include_str!("../../../shaders/conv2d/2_tiled.wgsl"),
        &[("BACKWARD", backward.into())],
    );
    let channels = if backward { sizes.group_inputs() } else { sizes.group_outputs() };
    let [height, width] = if backward { sizes.image } else { sizes.outputs };
    let pixels = sizes.batch * height * width;
    let tiles = channels.div_ceil(TILE) * sizes.geometry.groups * pixels.div_ceil(TILE);
    whole(kernel, at, sizes, program, at.device.fold(tiles))
}

/// The gradient with respect to the weight: a sum over all pixels in splits. The splits depend only on the shapes.
pub(super) fn weight(at: &Lower, sizes: Conv2dShape) -> Lowering {
    let taps = sizes.group_inputs() * sizes.kernel[0] * sizes.kernel[1];
    let tiles = sizes.group_outputs().div_ceil(TILE) * sizes.geometry.groups * taps.div_ceil(TILE);
    let pixels = sizes.batch * sizes.outputs[0] * sizes.outputs[1];
    let wanted = WORKGROUPS.div_ceil(tiles).min(pixels.div_ceil(SHARE)).max(1);
    let share = pixels.div_ceil(wanted).max(1);
    let splits = pixels.div_ceil(share).max(1);
    let kernel =
        Kernel::built_in("conv2d_tiled_weight", include_str!("../../../shaders/conv2d/2_tiled_weight.wgsl"), &[]);
    split(at, kernel, sizes, share, splits, at.device.fold(tiles * splits))
}
