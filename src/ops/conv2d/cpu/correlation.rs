//! Convolutions and their gradients by the image, as products of the weights with planes of pixels.

use super::PIECES;
use super::planes::Planes;
use crate::ops::conv2d::{Conv2dShape, Geometry};
use crate::ops::lanes::{dispatch, lanes};
use crate::ops::product::{Columns, Outer, Scratch, copy, pack_into, turn};
use crate::parallel::*;

/// The minimum number of output channels of a piece of an image.
const PIECE_CHANNELS: usize = 32;
/// The number of results that are computed before they are brought to their places and finished: a part of the second-level cache.
const BLOCK: usize = 1 << 16;
/// The channels of the result that are computed together are a multiple of this: of the rows of a packed panel.
const BLOCK_CHANNELS: usize = 8;
/// What it costs to lay out a float or to bring a result to its place, in multiplications of a vector: in cells of one image, in cells
/// of several, and to lay out one in cells of several that are sorted by remainders.
const COSTS: [f64; 3] = [0.5, 1.5, 8.0];

/// One tap of a kernel.
#[derive(Clone, Copy, Debug)]
struct Tap {
    /// Its index in the kernel of a pair of channels.
    index: usize,
    /// How many pixels after the first cell's the pixel is that it reads for the first output.
    pixel: [usize; 2],
}

/// Outputs that are sums over the same taps.
#[derive(Debug)]
struct Part {
    taps: Vec<Tap>,
    /// The number of outputs, vertical and horizontal.
    outputs: [usize; 2],
    /// The place of the first output in the result's image.
    start: [usize; 2],
}

/// A convolution, or its gradient by the image.
#[derive(Debug)]
pub(super) struct Job {
    /// The layout of what is read, in cells of one image.
    planes: Planes,
    parts: Vec<Part>,
    batch: usize,
    groups: usize,
    /// The channels of a group that are read, and of the result.
    channels: [usize; 2],
    /// Height and width of the result's images, and the distance of a part's outputs in them.
    image: [usize; 2],
    step: [usize; 2],
    /// The distances in the weights of one group: from one channel of the result to the next, and from one that is read to the next.
    weights: [usize; 2],
}

impl Job {
    pub fn forward(sizes: &Conv2dShape) -> Self {
        let ([rows, columns], dilation) = (sizes.kernel, sizes.geometry.dilation);
        let tap = |index: usize| Tap { index, pixel: [index / columns * dilation[0], index % columns * dilation[1]] };
        let taps = (0..rows * columns).map(tap).collect();
        Self {
            planes: Planes::read_by(sizes),
            parts: vec![Part { taps, outputs: sizes.outputs, start: [0, 0] }],
            batch: sizes.batch,
            groups: sizes.geometry.groups,
            channels: [sizes.group_inputs(), sizes.group_outputs()],
            image: sizes.outputs,
            step: [1, 1],
            weights: [sizes.group_inputs() * rows * columns, rows * columns],
        }
    }

    /// The pixels of dx are sorted by their remainder by the stride. Those of one remainder are reached by the same taps.
    pub fn backward_input(sizes: &Conv2dShape) -> Self {
        let Geometry { stride, padding, dilation, groups } = sizes.geometry;
        let size = sizes.kernel[0] * sizes.kernel[1];
        // For the first pixel of a remainder: the taps that reach it along an axis, and which output each of them belongs to.
        let along = |axis: usize, remainder: usize| -> Vec<(usize, isize)> {
            let of_tap = |tap: usize| (remainder + padding[axis]) as isize - (tap * dilation[axis]) as isize;
            let reaches = |tap: &usize| of_tap(*tap).rem_euclid(stride[axis] as isize) == 0;
            (0..sizes.kernel[axis]).filter(reaches).map(|tap| (tap, of_tap(tap) / stride[axis] as isize)).collect()
        };
        let remainders = [0, 1].map(|axis| stride[axis].min(sizes.image[axis]));
        let mut range = [(isize::MAX, isize::MIN); 2];
        for axis in [0, 1] {
            for (_, output) in (0..remainders[axis]).flat_map(|remainder| along(axis, remainder)) {
                range[axis] = (range[axis].0.min(output), range[axis].1.max(output));
            }
        }
        let range = range.map(|(least, most)| if least > most { (0, 0) } else { (least, most) });
        let outputs = |axis: usize, remainder: usize| (sizes.image[axis] - remainder).div_ceil(stride[axis]);
        let mut parts = Vec::new();
        for start in (0..remainders[0]).flat_map(|y| (0..remainders[1]).map(move |x| [y, x])) {
            let columns = along(1, start[1]);
            let tap = |(row, y): (usize, isize), &(column, x): &(usize, isize)| Tap {
                index: row * sizes.kernel[1] + column,
                pixel: [(y - range[0].0) as usize, (x - range[1].0) as usize],
            };
            let taps =
                along(0, start[0]).into_iter().flat_map(|row| columns.iter().map(move |column| tap(row, column)));
            parts.push(Part { taps: taps.collect(), outputs: [0, 1].map(|axis| outputs(axis, start[axis])), start });
        }
        let cells = [0, 1].map(|axis| outputs(axis, 0) + (range[axis].1 - range[axis].0) as usize);
        let first = range.map(|(least, _)| least);
        Self {
            planes: Planes {
                channels: sizes.out_channels,
                image: sizes.outputs,
                stride: [1, 1],
                first,
                cells,
                cell: 1,
            },
            parts,
            batch: sizes.batch,
            groups,
            channels: [sizes.group_outputs(), sizes.group_inputs()],
            image: sizes.image,
            step: stride,
            weights: [size, sizes.group_inputs() * size],
        }
    }

    /// Whether too little of what would be laid out is pixels.
    pub fn is_sparse(&self) -> bool {
        self.planes.is_sparse()
    }

    /// The floats of an image's channel in the result.
    fn plane(&self) -> usize {
        self.image[0] * self.image[1]
    }

    /// The number of images in a cell: one, or a vector of them where that takes less time.
    pub fn cell(&self) -> usize {
        let lanes = lanes();
        let (read, written) =
            (self.planes.channels * self.planes.channel(), self.groups * self.channels[1] * self.plane());
        let cost = |[reading, writing]: [f64; 2]| reading * read as f64 + writing * written as f64;
        let work = |vectors: &dyn Fn(&Part) -> usize| -> f64 {
            let of_part = |part: &Part| (vectors(part) * part.taps.len() * self.channels[0] * self.channels[1]) as f64;
            self.groups as f64 * self.parts.iter().map(of_part).sum::<f64>()
        };
        let alone = work(&|part| self.columns(&self.planes, part).len().div_ceil(lanes)) + cost([COSTS[0]; 2]);
        let reading = if self.planes.stride == [1, 1] { COSTS[1] } else { COSTS[2] };
        let filled = self.batch as f64 / self.batch.next_multiple_of(lanes).max(1) as f64;
        let together =
            work(&|part| part.outputs[0] * part.outputs[1]) / lanes as f64 / filled + cost([reading, COSTS[1]]);
        // Groups are not cut into pieces, so there have to be enough images.
        let enough = self.groups == 1 || self.batch >= 4 * lanes;
        if enough && together < alone { lanes } else { 1 }
    }

    /// The columns of the product for a part: its outputs. If rows of outputs are not whole vectors, the cells between them are columns,
    /// too, and their results are left out.
    fn columns(&self, planes: &Planes, part: &Part) -> Columns {
        let [rows, columns] = part.outputs;
        let (width, stride) = (columns * planes.cell, planes.row());
        if width.is_multiple_of(lanes()) || width == stride {
            return Columns { lines: rows, width, stride };
        }
        Columns::run(((rows - 1) * stride + width).next_multiple_of(lanes()))
    }
}

/// The weights of a part, packed, one group after another, and where its taps begin in a group's planes.
struct Packed {
    left: Scratch,
    offsets: Vec<u32>,
}

impl Packed {
    fn new(job: &Job, planes: &Planes, part: &Part, w: &[f32]) -> Self {
        let ([read, made], [row, channel]) = (job.channels, job.weights);
        let depth = read * part.taps.len();
        let offsets = (0..read).flat_map(|c| part.taps.iter().map(move |tap| planes.at(c, tap.pixel))).collect();
        let of_group = w.len() / job.groups;
        let whole = part.taps.len() == row.min(channel);
        let mut left = Scratch::new(job.groups * made * depth);
        for (left, w) in left.chunks_exact_mut((made * depth).max(1)).zip(w.chunks_exact(of_group)) {
            pack_into(left, made, depth, |first, height, panel| {
                if whole && row > channel {
                    // All taps of a row lie side by side.
                    return turn(&w[first * row..], row, [height, depth], panel, height);
                }
                for (c, panel) in panel.chunks_exact_mut((part.taps.len() * height).max(1)).enumerate() {
                    let w = &w[first * row + c * channel..];
                    if whole {
                        turn(w, row, [height, part.taps.len()], panel, height);
                        continue;
                    }
                    for (tap, to) in part.taps.iter().zip(panel.chunks_exact_mut(height)) {
                        to.iter_mut().enumerate().for_each(|(i, to)| *to = w[i * row + tap.index]);
                    }
                }
            });
        }
        Self { left, offsets }
    }
}

/// Some images, and some of the channels, of the result.
struct Piece<'a> {
    images: std::ops::Range<usize>,
    /// The first of its channels.
    channel: usize,
    /// Its channels of each image.
    parts: Vec<&'a mut [f32]>,
}

/// Cuts the result into pieces of so many images and channels.
fn pieces<'a>(job: &Job, out: &'a mut [f32], images: usize, channels: usize) -> Vec<Piece<'a>> {
    let blocks = (job.groups * job.channels[1]).div_ceil(channels);
    let mut pieces: Vec<Piece> = Vec::new();
    for first in (0..job.batch).step_by(images) {
        for block in 0..blocks {
            let images = first..(first + images).min(job.batch);
            pieces.push(Piece { images, channel: block * channels, parts: Vec::new() });
        }
    }
    for (number, image) in out.chunks_mut(job.groups * job.channels[1] * job.plane()).enumerate() {
        for (block, part) in image.chunks_mut(channels * job.plane()).enumerate() {
            pieces[number / images * blocks + block].parts.push(part);
        }
    }
    pieces
}

/// Computes the result of a job from what it reads and the weights. Each cell has one image, or a vector of them.
pub(super) fn run(
    job: &Job,
    cell: usize,
    (from, w): (&[f32], &[f32]),
    out: &mut [f32],
    finish: impl Fn(usize, &mut [f32]) + Sync,
) {
    if out.is_empty() || from.is_empty() || w.is_empty() {
        out.fill(0.0);
        return finish(0, out);
    }
    let planes = Planes { cell, ..job.planes };
    let packed: Vec<Packed> = job.parts.iter().map(|part| Packed::new(job, &planes, part, w)).collect();
    let made = job.groups * job.channels[1];
    // Pieces of images, and if these are few, of channels, too.
    let images = job.batch.div_ceil(PIECES).next_multiple_of(cell);
    let cuts = if job.groups == 1 { (PIECES / job.batch.div_ceil(images)).max(1) } else { 1 };
    let channels = made.div_ceil(cuts).next_multiple_of(PIECE_CHANNELS).min(made);
    let image = from.len() / job.batch;
    let lay_out = |images: std::ops::Range<usize>, to: &mut [f32]| {
        planes.fill(&from[images.start * image..images.end * image], to);
    };
    // Of a piece, the images of one cell.
    let compute = |piece: &mut Piece, images: std::ops::Range<usize>, laid_out: &[f32]| {
        let parts = &mut piece.parts[images.start - piece.images.start..images.end - piece.images.start];
        in_blocks(job, &planes, &packed, laid_out, (images.start, piece.channel), parts, &finish);
    };
    let cells = |all: &std::ops::Range<usize>| {
        let all = all.clone();
        all.clone().step_by(cell).map(move |first| first..(first + cell).min(all.end))
    };
    let mut pieces = pieces(job, out, images, channels);
    if made <= channels {
        return pieces.into_par_iter().for_each(|mut piece| {
            let mut laid_out = Scratch::new(planes.len());
            for images in cells(&piece.images) {
                lay_out(images.clone(), &mut laid_out);
                compute(&mut piece, images, &laid_out);
            }
        });
    }
    // The pieces of channels share what is laid out.
    let mut laid_out = Scratch::new(planes.len());
    for pieces in pieces.chunks_mut(made.div_ceil(channels)) {
        for images in cells(&pieces[0].images.clone()) {
            lay_out(images.clone(), &mut laid_out);
            pieces.par_iter_mut().for_each(|piece| compute(piece, images.clone(), &laid_out));
        }
    }
}

/// Computes the channels of a piece from `channel` on, of the images of a cell, from image `first` on, in blocks that stay in the cache
/// until they are finished.
fn in_blocks(
    job: &Job,
    planes: &Planes,
    packed: &[Packed],
    laid_out: &[f32],
    (first, channel): (usize, usize),
    images: &mut [&mut [f32]],
    finish: &(impl Fn(usize, &mut [f32]) + Sync),
) {
    let (plane, made) = (job.plane(), job.groups * job.channels[1]);
    let unit = if job.groups == 1 { BLOCK_CHANNELS } else { job.channels[1] };
    let block = (BLOCK / (plane * planes.cell * unit)).max(1) * unit;
    let count = images[0].len() / plane;
    for start in (0..count).step_by(block) {
        let range = start * plane..(start + block).min(count) * plane;
        let mut parts: Vec<&mut [f32]> = images.iter_mut().map(|image| &mut image[range.clone()]).collect();
        for (part, packed) in job.parts.iter().zip(packed) {
            compute(job, planes, part, packed, (laid_out, channel + start), &mut parts);
        }
        for (number, part) in parts.iter_mut().enumerate() {
            finish(((first + number) * made + channel + start) * plane, part);
        }
    }
}

/// Computes a part of some channels, from `channel` on, of the images of a cell.
fn compute(
    job: &Job,
    planes: &Planes,
    part: &Part,
    packed: &Packed,
    (laid_out, channel): (&[f32], usize),
    images: &mut [&mut [f32]],
) {
    let (plane, columns) = (job.plane(), job.columns(planes, part));
    let count = images[0].len() / plane;
    let groups = if job.groups == 1 { 1 } else { count / job.channels[1] };
    let right_group = job.channels[0] * planes.channel();
    let product = |out: &mut [f32]| {
        dispatch(Outer {
            groups,
            left: &packed.left[channel * packed.offsets.len()..],
            rows: count / groups,
            right: &laid_out[if job.groups == 1 { 0 } else { channel / job.channels[1] * right_group }..],
            right_group,
            offsets: &packed.offsets,
            columns,
            copies: None,
            out,
            out_row: columns.len(),
        });
    };
    if planes.cell == 1 && job.step == [1, 1] && columns.len() == plane {
        return product(images[0]);
    }
    let mut computed = Scratch::new(count * columns.len());
    product(&mut computed);
    for (row, values) in computed.chunks_exact(columns.len()).enumerate() {
        place(job, planes, part, values, images, row * plane);
    }
}

/// Brings the outputs of a part, of one channel, to their places. The channel begins at `start` in each image.
fn place(job: &Job, planes: &Planes, part: &Part, values: &[f32], images: &mut [&mut [f32]], start: usize) {
    let ([rows, columns], cell) = (part.outputs, planes.cell);
    let row_stride = if values.len() == rows * columns * cell { columns * cell } else { planes.row() };
    for row in 0..rows {
        let at = start + (part.start[0] + row * job.step[0]) * job.image[1] + part.start[1];
        let values = &values[row * row_stride..][..columns * cell];
        for (number, image) in images.iter_mut().enumerate() {
            let to = &mut image[at..];
            match (cell, job.step[1]) {
                (1, 1) => copy(values, &mut to[..columns]),
                (_, step) => {
                    let of_image = values[number..].iter().step_by(cell);
                    to.iter_mut().step_by(step).zip(of_image).for_each(|(to, from)| *to = *from);
                }
            }
        }
    }
}
