//! The gradient by the weight for groups of few channels: inner products of planes of the gradient with planes of pixels.

use std::ops::Range;

use super::PIECES;
use super::planes::Planes;
use crate::ops::conv2d::Conv2dShape;
use crate::ops::lanes::dispatch;
use crate::ops::product::{Inner, Run, Scratch, WHOLE};
use crate::parallel::*;

/// The number of floats that are laid out at once, if an image has not more.
const LAID_OUT: usize = 1 << 20;
/// The maximum number of floats of all partial sums of a weight's gradient together.
const PARTIAL_FLOATS: usize = 4 << 20;

/// The layouts of x and dy. Both have the same rows of cells, so that what belongs together is equally far from their starts.
struct Layouts {
    x: Planes,
    dy: Planes,
    /// The runs of cells of one image, or of the images of a cell.
    runs: Vec<Run>,
}

impl Layouts {
    fn new(sizes: &Conv2dShape) -> Self {
        let [rows, columns] = sizes.outputs;
        let read = Planes::read_by(sizes);
        let cells = read.cells;
        // The depth for one image in cells of one image, where the padding between rows is multiplied, too, and for all images in cells
        // of several.
        let alone = ((rows - 1) * cells[1] + columns).next_multiple_of(WHOLE);
        let together = rows * columns * sizes.batch.next_multiple_of(WHOLE);
        // Cells of many images leave few pieces, and with few channels it takes longer to lay them out than to multiply.
        let enough = sizes.batch >= 4 * WHOLE;
        let is_shorter = 3 * together < 2 * alone * sizes.batch;
        let cell = if enough && is_shorter { WHOLE } else { 1 };
        let x = Planes { cell, ..read };
        let (width, len) = match cell {
            1 => (cells[1], alone),
            _ => (columns, columns * cell),
        };
        let runs = match cell {
            1 => vec![Run { left: 0, right: 0, len }],
            _ => (0..rows).map(|row| Run { left: row * len, right: row * cells[1] * cell, len }).collect(),
        };
        let dy = Planes {
            channels: sizes.out_channels,
            image: sizes.outputs,
            stride: [1, 1],
            first: [0, 0],
            // A run may end after the last row: there are zeros.
            cells: [rows.max((len / cell).div_ceil(width)), width],
            cell,
        };
        Self { x, dy, runs }
    }
}

/// Computes dw from x and dy: a partial sum for each piece of images, then the sum of these in order.
pub(super) fn run(sizes: &Conv2dShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let layouts = Layouts::new(sizes);
    let columns = layouts.x.taps(sizes, sizes.group_inputs());
    let pieces = (PARTIAL_FLOATS / dw.len()).clamp(2, PIECES).min(sizes.batch.max(1));
    let step = sizes.batch.div_ceil(pieces).next_multiple_of(layouts.x.cell).max(1);
    let mut partials = vec![0.0; sizes.batch.div_ceil(step).saturating_sub(1) * dw.len()];
    let each = dw.len();
    let partial = |(piece, sum): (usize, &mut [f32])| {
        let images = piece * step..((piece + 1) * step).min(sizes.batch);
        of_images(sizes, &layouts, &columns, images, (x, dy), sum);
    };
    std::iter::once(&mut *dw).chain(partials.chunks_mut(each)).enumerate().par_bridge().for_each(partial);
    for partial in partials.chunks(each) {
        dw.iter_mut().zip(partial).for_each(|(sum, part)| *sum += part);
    }
}

/// The part of some images.
fn of_images(
    sizes: &Conv2dShape,
    layouts: &Layouts,
    columns: &[u32],
    images: Range<usize>,
    (x, dy): (&[f32], &[f32]),
    dw: &mut [f32],
) {
    let Layouts { x: x_planes, dy: dy_planes, runs } = layouts;
    let lengths = [x_planes.len(), dy_planes.len()];
    let at_once = (LAID_OUT / (lengths[0] + lengths[1])).clamp(1, images.len().div_ceil(x_planes.cell));
    let mut laid_out = lengths.map(|len| Scratch::new(at_once * len));
    for first in images.clone().step_by(at_once * x_planes.cell) {
        let cells = (first..images.end).step_by(x_planes.cell).take(at_once);
        for (number, start) in cells.clone().enumerate() {
            let images = start..(start + x_planes.cell).min(images.end);
            for (side, (planes, from)) in [(x_planes, x), (dy_planes, dy)].into_iter().enumerate() {
                let image = planes.channels * planes.image[0] * planes.image[1];
                let to = &mut laid_out[side][number * lengths[side]..];
                planes.fill(&from[images.start * image..images.end * image], to);
            }
        }
        let of_cell = |number: usize| {
            let [x, dy] = lengths.map(|len| number * len);
            runs.iter().map(move |run| Run { left: dy + run.left, right: x + run.right, len: run.len })
        };
        let runs: Vec<Run> = (0..cells.count()).flat_map(of_cell).collect();
        let (outputs, inputs) = (sizes.group_outputs(), sizes.group_inputs());
        dispatch(Inner {
            groups: [sizes.geometry.groups, outputs * dy_planes.channel(), inputs * x_planes.channel()],
            left: &laid_out[1],
            rows: [outputs, dy_planes.channel()],
            right: &laid_out[0],
            columns,
            runs: &runs,
            out: dw,
            out_row: columns.len(),
            add: first > images.start,
        });
    }
}
