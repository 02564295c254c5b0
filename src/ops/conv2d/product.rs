//! Convolutions in f32 on the CPU as matrix products of patches. The work is split into pieces of images whose sizes
//! depend only on the shapes, so the bits do not depend on the number of threads.

use std::cell::RefCell;
use std::ops::Range;

use crate::parallel::*;

use super::Conv2dShape;
use super::patches::PatchTile;
use crate::ops::matmul::gemm::{StridedMatrix, multiply, turn};

/// The maximum number of pieces of a batch.
const PIECES: usize = 16;
/// The maximum number of floats of all partial sums of a weight's gradient together.
const PARTIAL_FLOATS: usize = 4 << 20;

thread_local! {
    /// A patch matrix and the outputs of a tile. They are kept between calls, because new memory costs more than the
    /// writes to it.
    static SCRATCH: RefCell<[Vec<f32>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// Lends scratch memory of these lengths.
fn with_scratch<R>(lengths: [usize; 2], work: impl FnOnce(&mut [f32], &mut [f32]) -> R) -> R {
    SCRATCH.with_borrow_mut(|[first, second]| {
        for (buffer, length) in [(&mut *first, lengths[0]), (&mut *second, lengths[1])] {
            if buffer.len() < length {
                buffer.resize(length, 0.0);
            }
        }
        work(&mut first[..lengths[0]], &mut second[..lengths[1]])
    })
}

/// Computes y from x and w. `finish` is called on each finished piece of y with the index of its first element, while
/// the piece is in the cache.
pub(super) fn forward(
    sizes: &Conv2dShape,
    x: &[f32],
    w: &[f32],
    y: &mut [f32],
    finish: impl Fn(usize, &mut [f32]) + Sync,
) {
    let image: usize = sizes.output_dims()[1..].iter().product();
    let (outputs, taps) = (sizes.group_outputs(), sizes.taps());
    let mut turned = vec![0.0; if sizes.prefers_rows() { 0 } else { w.len() }];
    for (w, turned) in w.chunks((outputs * taps).max(1)).zip(turned.chunks_mut((outputs * taps).max(1))) {
        turn(w, taps, [outputs, taps], turned);
    }
    each_piece(sizes, image, y, |images, y| {
        if sizes.prefers_rows() {
            sizes.forward_rows(images.clone(), x, w, y);
            return finish(images.start * image, y);
        }
        for tile in sizes.tiles(images.clone()) {
            forward_tile(sizes, &tile, x, &turned, y, images.start);
            if let Some(done) = sizes.ended_by(&tile) {
                finish(done.start * image, within(&done, images.start, image, y));
            }
        }
    });
}

/// Computes dx from dy and w.
pub(super) fn backward_input(
    sizes: &Conv2dShape,
    dy: &[f32],
    w: &[f32],
    dx: &mut [f32],
    finish: impl Fn(usize, &mut [f32]) + Sync,
) {
    let image: usize = sizes.input_dims()[1..].iter().product();
    each_piece(sizes, image, dx, |images, dx| {
        if sizes.prefers_rows() {
            sizes.backward_input_rows(images.clone(), dy, w, dx);
            return finish(images.start * image, dx);
        }
        for tile in sizes.tiles(images.clone()) {
            let (pixels, outputs, taps) = (sizes.pixels(&tile), sizes.group_outputs(), sizes.taps());
            if let Some(begun) = sizes.begun_by(&tile) {
                within(&begun, images.start, image, dx).fill(0.0);
            }
            with_scratch([taps * pixels, outputs * pixels], |patches, gathered| {
                let dy = tile_outputs(sizes, &tile, dy, gathered);
                let w = StridedMatrix::rows(&w[tile.group * outputs * taps..], taps);
                multiply([taps, outputs, pixels], w.transposed(), dy, 0.0, patches, pixels);
                sizes.scatter(&shifted(sizes, &tile, images.start), patches, dx);
            });
            if let Some(done) = sizes.ended_by(&tile) {
                finish(done.start * image, within(&done, images.start, image, dx));
            }
        }
    });
}

/// Computes dw from x and dy: a partial sum for each piece of images, then the sum of these in order.
pub(super) fn backward_weight(sizes: &Conv2dShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let (outputs, taps) = (sizes.group_outputs(), sizes.taps());
    let pieces = (PARTIAL_FLOATS / dw.len().max(1)).clamp(2, PIECES).min(sizes.batch.max(1));
    let step = sizes.batch.div_ceil(pieces).max(1);
    let partial = |images: Range<usize>, sum: &mut [f32]| {
        sum.fill(0.0);
        if sizes.prefers_rows() {
            return sizes.backward_weight_rows(images, x, dy, sum);
        }
        for tile in sizes.tiles(images) {
            let pixels = sizes.pixels(&tile);
            with_scratch([taps * pixels, outputs * pixels], |patches, gathered| {
                let dy = tile_outputs(sizes, &tile, dy, gathered);
                let patches = tile_patches(sizes, &tile, x, patches);
                let sum = &mut sum[tile.group * outputs * taps..][..outputs * taps];
                multiply([outputs, pixels, taps], dy, patches.transposed(), 1.0, sum, taps);
            });
        }
    };
    let mut partials = vec![0.0; sizes.batch.div_ceil(step).saturating_sub(1) * dw.len()];
    std::iter::once(&mut *dw)
        .chain(partials.chunks_mut(dw_len(sizes)))
        .enumerate()
        .par_bridge()
        .for_each(|(piece, sum)| partial(piece * step..((piece + 1) * step).min(sizes.batch), sum));
    for partial in partials.chunks(dw_len(sizes)) {
        dw.iter_mut().zip(partial).for_each(|(sum, part)| *sum += part);
    }
}

fn dw_len(sizes: &Conv2dShape) -> usize {
    sizes.weight_dims().iter().product::<usize>().max(1)
}

/// Splits `all` into pieces of whole images and processes them in parallel.
fn each_piece(sizes: &Conv2dShape, image: usize, all: &mut [f32], work: impl Fn(Range<usize>, &mut [f32]) + Sync) {
    let step = sizes.batch.div_ceil(PIECES).max(1);
    all.par_chunks_mut((step * image).max(1)).enumerate().for_each(|(piece, part)| {
        let first = piece * step;
        work(first..first + part.len() / image, part);
    });
}

/// Some images of `all`. `all` starts at the image `first`.
fn within<'a>(images: &Range<usize>, first: usize, image: usize, all: &'a mut [f32]) -> &'a mut [f32] {
    &mut all[(images.start - first) * image..(images.end - first) * image]
}

/// The tile with its rows counted from the image `first`.
fn shifted(sizes: &Conv2dShape, tile: &PatchTile, first: usize) -> PatchTile {
    let offset = first * sizes.outputs[0];
    PatchTile { rows: tile.rows.start - offset..tile.rows.end - offset, group: tile.group }
}

/// Computes a tile into `y`, which starts at the image `first`. The weights of each group are `[taps, outputs]`.
fn forward_tile(sizes: &Conv2dShape, tile: &PatchTile, x: &[f32], turned: &[f32], y: &mut [f32], first: usize) {
    let (pixels, outputs, taps) = (sizes.pixels(tile), sizes.group_outputs(), sizes.taps());
    let plane = sizes.outputs[0] * sizes.outputs[1];
    with_scratch([taps * pixels, outputs * pixels], |patches, computed| {
        let patches = tile_patches(sizes, tile, x, patches);
        let w = StridedMatrix::rows(&turned[tile.group * outputs * taps..], outputs).transposed();
        let within = shifted(sizes, tile, first);
        let start = within.rows.start % sizes.outputs[0] * sizes.outputs[1];
        if sizes.is_within_image(tile) {
            let y = &mut y[sizes.first_plane(&within, outputs, plane) + start..];
            return multiply([outputs, taps, pixels], w, patches, 0.0, y, plane);
        }
        multiply([outputs, taps, pixels], w, patches, 0.0, computed, pixels);
        let base = sizes.first_plane(&within, outputs, plane);
        for (channel, row) in computed.chunks(pixels).enumerate() {
            for (image, values) in row.chunks(plane).enumerate() {
                let at = base + (image * sizes.out_channels + channel) * plane;
                y[at..][..plane].copy_from_slice(values);
            }
        }
    });
}

/// The tile's patches `[taps, pixels]`: x itself if possible, otherwise a copy.
fn tile_patches<'a>(sizes: &Conv2dShape, tile: &PatchTile, x: &'a [f32], patches: &'a mut [f32]) -> StridedMatrix<'a> {
    if sizes.is_pointwise() && sizes.is_within_image(tile) {
        let plane = sizes.image[0] * sizes.image[1];
        let start = tile.rows.start % sizes.outputs[0] * sizes.outputs[1];
        return StridedMatrix::rows(&x[sizes.first_plane(tile, sizes.group_inputs(), plane) + start..], plane);
    }
    sizes.gather(tile, x, patches);
    StridedMatrix::rows(patches, sizes.pixels(tile))
}

/// The tile's outputs `[outputs, pixels]`: a part of the tensor if they are in one image, otherwise a copy.
fn tile_outputs<'a>(
    sizes: &Conv2dShape,
    tile: &PatchTile,
    dy: &'a [f32],
    gathered: &'a mut [f32],
) -> StridedMatrix<'a> {
    let (pixels, outputs) = (sizes.pixels(tile), sizes.group_outputs());
    let plane = sizes.outputs[0] * sizes.outputs[1];
    let base = sizes.first_plane(tile, outputs, plane);
    if sizes.is_within_image(tile) {
        let start = tile.rows.start % sizes.outputs[0] * sizes.outputs[1];
        return StridedMatrix::rows(&dy[base + start..], plane);
    }
    for (channel, row) in gathered.chunks_mut(pixels).enumerate() {
        for (image, values) in row.chunks_mut(plane).enumerate() {
            let at = base + (image * sizes.out_channels + channel) * plane;
            values.copy_from_slice(&dy[at..][..plane]);
        }
    }
    StridedMatrix::rows(gathered, pixels)
}
