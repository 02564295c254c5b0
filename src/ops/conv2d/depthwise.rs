//! The gradient by the weight for groups of few channels, on hardware. The output and the gradient by the image have the plain kernels
//! there: their neighbouring lanes read neighbouring pixels, and there are few numbers to share.

use super::Conv2dShape;
use super::variants::split;
use crate::graph::kernel::{Kernel, Lowering, word};
use crate::ops::Lower;
use crate::ops::splits::BUSY;

/// The most rows and columns of taps of a workgroup.
const TAPS: [usize; 2] = [3, 4];
/// The minimum number of outputs of a split: 16 for each lane. With less, adding the lanes takes longer than their sums.
const SHARE: usize = 1024;

/// A workgroup for each pair of channels, block of taps and split. The splits depend only on the shapes.
pub(super) fn weight(at: &Lower, sizes: Conv2dShape) -> Lowering {
    let blocks = [0, 1].map(|axis| sizes.kernel[axis].div_ceil(TAPS[axis]));
    // Blocks of equal size, so that five taps are three and two.
    let taps = [0, 1].map(|axis| word(sizes.kernel[axis].div_ceil(blocks[axis])));
    let groups = sizes.out_channels * sizes.group_inputs() * blocks[0] * blocks[1];
    let outputs = sizes.batch * sizes.outputs[0] * sizes.outputs[1];
    let wanted = BUSY.div_ceil(groups.max(1)).min(outputs.div_ceil(SHARE)).max(1);
    let share = outputs.div_ceil(wanted).max(1);
    let splits = outputs.div_ceil(share).max(1);
    let source = include_str!("../../../shaders/conv2d/depthwise_weight.wgsl");
    let constants = [("TAP_ROWS", taps[0].into()), ("TAP_COLUMNS", taps[1].into())];
    let kernel = Kernel::built_in("conv2d_depthwise_weight", source, &constants);
    split(at, kernel, sizes, share, splits, at.device.fold(groups * splits))
}
