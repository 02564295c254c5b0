//! The gradient with respect to the weight.

use super::super::LOOP_TURNS;
use super::{ImagePacking, OutputTile, PackedConvolution, slices};
use crate::graph::Program;
use crate::graph::kernel::{Dispatch, Lowering, Slot, word};
use crate::ops::Lower;
use crate::ops::conv2d::Conv2dShape;
use crate::ops::conv2d::variants::partial_sums;

/// The minimum number of workgroups for the gradient of a weight, if there are enough rows.
const WORKGROUPS: usize = 32;
/// The maximum number of vectors of pixels that a workgroup adds in one dispatch for the gradient of a weight. With
/// shader checks, the loops over the tile are not unrolled. Then each vector takes about a hundred of the available
/// [`LOOP_TURNS`].
const STEPS: usize = LOOP_TURNS.div_ceil(128);

/// The gradient with respect to the weight. The batch is processed in slices, whose rows are split over workgroups.
/// The sum of a split continues from slice to slice. At the end, the sums of all splits are added. Slices and splits
/// depend only on the shapes.
pub(super) fn lower(at: &Lower, sizes: &Conv2dShape, subgroup: bool) -> Lowering {
    let rows = PackedConvolution::forward(sizes);
    let flat = rows.flattened();
    let forward = if flat.packing.vectors() > STEPS { rows } else { flat };
    let x = forward.packing;
    let dy = ImagePacking {
        channels: sizes.out_channels,
        image: forward.map,
        kernel_width: 1,
        rows: forward.map[0],
        columns: forward.map[1],
        stride_x: 1,
        dilation_x: 1,
        padding: [0, 0],
    };
    let floats = [x, dy].map(|packing| if packing.is_there() { 0 } else { packing.floats() });

    let taps = sizes.group_inputs() * sizes.kernel[0] * sizes.kernel[1];
    let quads = taps.div_ceil(4);
    let tile = OutputTile::of(sizes.group_outputs(), subgroup);
    let tiles = quads.div_ceil(tile.vectors) * sizes.group_outputs().div_ceil(tile.outputs) * sizes.geometry.groups;
    let steps = forward.map[0] * x.vectors(); // of an image
    let wanted = WORKGROUPS.div_ceil(tiles).max(steps.div_ceil(STEPS));
    let slices = slices(sizes.batch, floats[0] + floats[1], wanted * STEPS / steps);
    let images = slices.first().map_or(1, |slice| slice.images);
    let share = (images * forward.map[0]).div_ceil(wanted);
    let splits = (images * forward.map[0]).div_ceil(share);

    let mut lowering = Lowering { dispatches: Vec::new(), scratch: vec![splits * sizes.out_channels * 4 * quads] };
    // Each operand unpacked, or packed into a scratch tensor.
    let mut places = [Slot::Input(0), Slot::Input(1)];
    for (place, &floats) in places.iter_mut().zip(&floats).filter(|(_, floats)| **floats > 0) {
        *place = Slot::Scratch(lowering.scratch.len());
        lowering.scratch.push(images * floats);
    }
    for slice in slices {
        for (input, packing) in [x, dy].into_iter().enumerate().filter(|(input, _)| floats[*input] > 0) {
            lowering.dispatches.push(packing.dispatch(at, slice, Slot::Input(input), places[input]));
        }
        let first = floats.map(|floats| if floats > 0 { 0 } else { slice.first });
        let split =
            [slice.images * forward.map[0], share, splits, usize::from(slice.first > 0), quads, sizes.geometry.groups];
        let channels = [sizes.group_outputs(), sizes.group_inputs(), sizes.kernel[0], sizes.kernel[1]];
        let lines = [forward.map[0], x.vectors(), x.rows, forward.stride_y, forward.dilation_y];
        lowering.dispatches.push(Dispatch {
            kernel: tile.kernel("conv2d_weight", &[]),
            slots: vec![places[0], places[1], Slot::Scratch(0)],
            dims: first.into_iter().chain(split).chain(channels).chain(lines).map(word).collect(),
            groups: at.device.fold(tiles * splits),
            flops: sizes.flops() * slice.images as u64 / sizes.batch as u64,
            bytes: 4 * (slice.images * (x.floats() + dy.floats()) + splits * sizes.out_channels * 4 * quads) as u64,
        });
    }
    lowering.dispatches.push(partial_sums(sizes, splits, 4 * quads).add(at, &Program::default(), 2));
    lowering
}
