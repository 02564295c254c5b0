//! The gradient with respect to the image for strides above 1.

use super::{BatchSlice, OutputTile, PackedConvolution, PackedImages, slices};
use crate::graph::kernel::{Dispatch, Kernel, Lowering, Slot, word};
use crate::ops::Lower;
use crate::ops::conv2d::Conv2dShape;
use crate::ops::elementwise::{Program, epilogue};

/// The gradient with respect to the image if outputs are more than one pixel apart. A matrix product computes the
/// contribution of each tap of each output. A second kernel adds these to the image.
pub(super) fn lower(at: &Lower, sizes: &Conv2dShape, program: &Program, subgroup: bool) -> Lowering {
    // Rows of the product are padded to whole vectors.
    let mut product = PackedConvolution::taps(sizes);
    product.map[1] = 4 * product.packing.vectors();
    let tile = OutputTile::of(product.outputs, subgroup);
    let (pack, weight_floats) = product.pack_weight(at, &tile, Slot::Scratch(0));
    let is_there = product.packing.is_there();
    let packed = if is_there { 0 } else { product.packing.floats() };
    let slices = slices(sizes.batch, product.floats() + packed, sizes.batch);
    let images = slices.first().map_or(1, |slice| slice.images);
    let mut lowering = Lowering { dispatches: vec![pack], scratch: vec![weight_floats, images * product.floats()] };
    if !is_there {
        lowering.scratch.push(images * packed);
    }
    for slice in slices {
        let mut dy = Slot::Input(0);
        let mut part = PackedImages { first_x: slice.first, first_y: 0, images: slice.images };
        if !is_there {
            (dy, part.first_x) = (Slot::Scratch(2), 0);
            lowering.dispatches.push(product.packing.dispatch(at, slice, Slot::Input(0), dy));
        }
        let flops = sizes.flops() * slice.images as u64 / sizes.batch as u64;
        let mut taps = product.dispatch(at, &tile, part, product.kernel(&tile, false), flops);
        taps.slots = vec![dy, Slot::Scratch(0), Slot::Scratch(1)];
        lowering.dispatches.extend([taps, fold(at, sizes, slice, product.map[1], program)]);
    }
    lowering
}

/// Adds the taps of a slice to the image. They are in scratch tensor 1, in rows of `pitch` elements.
fn fold(at: &Lower, sizes: &Conv2dShape, slice: BatchSlice, pitch: usize, program: &Program) -> Dispatch {
    let kernel = Kernel::built_in("conv2d_fold", include_str!("../../../../shaders/software/conv2d_fold.wgsl"), &[]);
    let (kernel, words) = epilogue::splice(program, kernel, at.types, 2);
    let geometry = sizes.geometry;
    let pixels = slice.images * sizes.in_channels * sizes.image[0] * sizes.image[1];
    let counts = [pixels, slice.first, sizes.in_channels];
    let pairs = [sizes.image, sizes.kernel, sizes.outputs];
    let moves = [geometry.stride, geometry.padding, geometry.dilation];
    let dims = counts.into_iter().chain(pairs.into_iter().flatten()).chain([pitch]).chain(moves.into_iter().flatten());
    let taps = slice.images * sizes.in_channels * sizes.kernel[0] * sizes.kernel[1] * pitch;
    let extras = (2..at.types.inputs.len()).map(Slot::Input);
    Dispatch {
        kernel,
        slots: std::iter::once(Slot::Scratch(1)).chain(extras).chain([Slot::Output]).collect(),
        dims: dims.map(word).chain(words).collect(),
        groups: at.device.fold(pixels.div_ceil(64)),
        flops: taps as u64 + pixels as u64 * program.flops(),
        bytes: 4 * (taps + pixels) as u64,
    }
}
