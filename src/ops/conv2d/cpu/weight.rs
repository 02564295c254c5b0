//! The gradient of a convolution by its weight: the product of the pixels that each tap reads with the gradients of the outputs. The
//! gradients' channels are brought side by side, so the result is the transpose of the weight's gradient.

use std::ops::Range;

use super::planes::Planes;
use super::{PIECES, narrow_weight};
use crate::ops::conv2d::Conv2dShape;
use crate::ops::lanes::dispatch;
use crate::ops::product::{Gathered, Scratch, WHOLE, turn};
use crate::parallel::*;

/// The least number of outputs of a product. Each product reads and writes all sums.
const POSITIONS: usize = 1024;
/// Below this number of output channels of a group, vectors would lie across too few of them.
const FEW_OUTPUTS: usize = 8;
/// The number of output channels that are brought to their places at once.
const TURNED: usize = 16;

/// Computes dw from x and dy.
pub(super) fn run(sizes: &Conv2dShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    if dw.is_empty() || dy.is_empty() {
        return dw.fill(0.0);
    }
    if sizes.geometry.groups > 1 || sizes.out_channels < FEW_OUTPUTS {
        return narrow_weight::run(sizes, x, dy, dw);
    }
    let cut = Cut::new(sizes);
    let (outputs, taps) = (sizes.out_channels, dw.len() / sizes.out_channels);
    let row = outputs.next_multiple_of(WHOLE);
    let mut sums = Scratch::new(cut.sums * taps * row);
    let block = cut.channels * taps / sizes.in_channels * row;
    // The sums of some images, cut into the channels of pieces.
    let of_images = sums.chunks_mut(taps * row).enumerate();
    let pieces = of_images
        .flat_map(|(number, sums)| sums.chunks_mut(block).enumerate().map(move |(at, sums)| (number, at, sums)));
    pieces.collect::<Vec<_>>().into_par_iter().for_each(|(number, at, sums)| {
        let images = number * cut.images..((number + 1) * cut.images).min(sizes.batch);
        let channels = at * cut.channels..((at + 1) * cut.channels).min(sizes.in_channels);
        piece(sizes, images, channels, (x, dy), (sums, row));
    });
    dw.par_chunks_mut(TURNED * taps).enumerate().for_each(|(number, dw)| {
        let count = dw.len() / taps;
        let mut total = Scratch::new(taps * count);
        for (tap, total) in total.chunks_exact_mut(count).enumerate() {
            total.fill(0.0);
            for sums in sums.chunks_exact(taps * row) {
                let sums = &sums[tap * row + number * TURNED..][..count];
                total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
            }
        }
        turn(&total, count, [taps, count], dw, taps);
    });
}

/// How the work is cut into pieces.
struct Cut {
    /// The number of partial sums, each of some images.
    sums: usize,
    /// The images of a partial sum.
    images: usize,
    /// The input channels of a piece.
    channels: usize,
}

impl Cut {
    /// Each partial sum costs memory traffic, and each piece of channels brings the gradient's channels side by side again.
    fn new(sizes: &Conv2dShape) -> Self {
        let weights = sizes.weight_dims().iter().product::<usize>() as f64;
        let gradients = sizes.output_dims().iter().product::<usize>() as f64;
        let least = PIECES.div_ceil(sizes.in_channels);
        let sums = ((PIECES as f64 * gradients / weights).sqrt() as usize).clamp(least, PIECES).min(sizes.batch);
        let images = sizes.batch.div_ceil(sums);
        let channels = sizes.in_channels.div_ceil(PIECES.div_ceil(sums));
        Self { sums: sizes.batch.div_ceil(images), images, channels }
    }
}

/// Computes the sums of some images for some input channels, `[channels x taps, outputs]`, with rows `row` apart.
fn piece(
    sizes: &Conv2dShape,
    images: Range<usize>,
    channels: Range<usize>,
    (x, dy): (&[f32], &[f32]),
    (sums, row): (&mut [f32], usize),
) {
    sums.fill(0.0);
    let planes = Planes { channels: channels.len(), ..Planes::read_by(sizes) };
    let rows = planes.taps(sizes, channels.len());
    let (outputs, [height, width]) = (sizes.out_channels, sizes.outputs);
    let plane = sizes.image[0] * sizes.image[1];
    let at_once = (POSITIONS / (height * width)).clamp(1, images.len());
    // An image of many outputs is cut into rows.
    let lines = (POSITIONS / width).clamp(1, height);
    let mut laid_out = Scratch::new(at_once * planes.len());
    let mut gradients = Scratch::new(at_once * lines * width * outputs + WHOLE);
    for first in images.clone().step_by(at_once) {
        let count = at_once.min(images.end - first);
        for (number, to) in laid_out.chunks_exact_mut(planes.len()).take(count).enumerate() {
            let channel = |channel: usize| ((first + number) * sizes.in_channels + channel) * plane;
            planes.fill(&x[channel(channels.start)..channel(channels.end)], to);
        }
        for top in (0..height).step_by(lines) {
            let lines = lines.min(height - top);
            let at = |number: usize, output: usize| {
                (number * planes.len() + (top + output / width) * planes.row() + output % width) as u32
            };
            let positions: Vec<u32> =
                (0..count).flat_map(|number| (0..lines * width).map(move |output| at(number, output))).collect();
            for (number, to) in gradients.chunks_exact_mut(lines * width * outputs).take(count).enumerate() {
                let dy = &dy[(first + number) * outputs * height * width + top * width..];
                turn(dy, height * width, [outputs, lines * width], to, outputs);
            }
            dispatch(Gathered {
                left: &laid_out,
                rows: &rows,
                positions: &positions,
                right: &gradients[..positions.len() * outputs + WHOLE],
                columns: outputs,
                out: sums,
                out_row: row,
            });
        }
    }
}
