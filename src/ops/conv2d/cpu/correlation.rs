//! Convolutions and their gradients by the image, as products of the weights with planes of pixels.

use std::ops::Range;

use super::job::{Job, Part};
use super::pieces::{Cuts, Piece, pieces, ranges};
use super::planes::Planes;
use crate::ops::lanes::{dispatch, lanes};
use crate::ops::product::{Columns, Left, Outer, PANEL, Scratch, WHOLE, copy, pack_into, turn};
use crate::parallel::*;

/// The number of results that are computed before they are brought to their places and finished: a part of the second-level cache.
const BLOCK: usize = 1 << 16;
/// The floats of an image in the groups that are laid out and computed together.
const GROUPS: usize = 1 << 14;
/// Up to this number of floats images that need no layout are read where they lie: they are in the cache. To lay an image out, its memory
/// is read in one go; the products read a little of each channel at a time.
const IN_PLACE: usize = 1 << 21;
/// With at most so many vectors of columns, weights are not packed.
const FEW_VECTORS: usize = 60;

/// The weights of a part, one group after another, and where its taps begin in a group's planes.
struct Weights<'a> {
    part: &'a Part,
    /// The weights as they lie, if they are not packed.
    there: Option<&'a [f32]>,
    packed: Scratch,
    offsets: Vec<u32>,
}

impl<'a> Weights<'a> {
    fn new(job: &Job, planes: &Planes, part: &'a Part, w: &'a [f32]) -> Self {
        let ([read, made], [row, channel]) = (job.channels, job.weights);
        let offsets = (0..read).flat_map(|c| part.taps.iter().map(move |tap| planes.at(c, tap.pixel))).collect();
        // Whether all taps of a row lie side by side.
        let is_matrix = part.taps.len() == channel && row > channel;
        let columns = job.batch.div_ceil(planes.cell) * job.columns(planes, part, part.outputs[0]).len();
        let few = columns <= FEW_VECTORS * lanes();
        let there = (is_matrix && (few || made == 1)).then_some(w);
        let packed = if there.is_some() { Scratch::new(0) } else { Self::pack(job, part, w, is_matrix) };
        Self { part, there, packed, offsets }
    }

    /// Packs the weights of a part.
    fn pack(job: &Job, part: &Part, w: &[f32], is_matrix: bool) -> Scratch {
        let ([read, made], [row, channel]) = (job.channels, job.weights);
        let (depth, of_group) = (read * part.taps.len(), w.len() / job.groups);
        let whole = part.taps.len() == row.min(channel);
        let mut left = Scratch::new(job.groups * made * depth);
        for (left, w) in left.chunks_exact_mut((made * depth).max(1)).zip(w.chunks_exact(of_group)) {
            pack_into(left, made, depth, |first, height, panel| {
                if is_matrix {
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
        left
    }

    /// The left matrix from a channel of the result on.
    fn left(&self, channel: usize) -> Left<'_> {
        self.there.map_or(Left::Packed(&self.packed), Left::There).at_row(channel, self.offsets.len())
    }
}

/// What a product reads.
#[derive(Clone, Copy)]
struct Read<'a> {
    planes: &'a Planes,
    /// All channels of the images of a cell, laid out, or those of some groups.
    values: &'a [f32],
    /// The first channel of the result that is computed from it.
    first: usize,
}

/// A job and what all of its pieces share.
struct Correlation<'a, F> {
    job: &'a Job,
    weights: Vec<Weights<'a>>,
    finish: F,
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
    let weights = job.parts.iter().map(|part| Weights::new(job, &planes, part, w)).collect();
    let in_place = planes.is_image() && from.len() <= IN_PLACE;
    let cuts = Cuts::new(job, cell, job.groups == 1 && !in_place);
    let correlation = Correlation { job, weights, finish };
    let image = from.len() / job.batch;
    let pixels = |images: &Range<usize>| &from[images.start * image..images.end * image];
    // The images of each cell.
    let cells = |images: &Range<usize>| ranges(images.clone(), cell);
    let mut pieces = pieces(job, out, &cuts);
    if job.groups == 1 && !in_place && cuts.of_image(job) > 1 {
        // The pieces of an image share what is laid out.
        let mut laid_out = Scratch::new(planes.len());
        for pieces in pieces.chunks_mut(cuts.of_image(job)) {
            for images in cells(&pieces[0].images) {
                planes.fill_on_threads(pixels(&images), &mut laid_out);
                let read = Read { planes: &planes, values: &laid_out, first: 0 };
                pieces
                    .par_iter_mut()
                    .for_each(|piece| correlation.channels(read, piece, piece.channels.clone(), &images));
            }
        }
        return;
    }
    pieces.par_iter_mut().for_each(|piece| {
        for images in cells(&piece.images) {
            let channels = piece.channels.clone();
            if in_place {
                correlation.channels(
                    Read { planes: &planes, values: pixels(&images), first: 0 },
                    piece,
                    channels,
                    &images,
                );
            } else if job.groups > 1 {
                correlation.groups(&planes, pixels(&images), piece, &images);
            } else {
                let mut laid_out = Scratch::new(planes.len());
                planes.fill(pixels(&images), &mut laid_out);
                correlation.channels(Read { planes: &planes, values: &laid_out, first: 0 }, piece, channels, &images);
            }
        }
    });
}

impl<F: Fn(usize, &mut [f32]) + Sync> Correlation<'_, F> {
    /// Lays out and computes the groups of a piece, of the images of a cell, a few at a time, so that they stay in the cache.
    fn groups(&self, planes: &Planes, pixels: &[f32], piece: &mut Piece, images: &Range<usize>) {
        let (job, [read, made]) = (self.job, self.job.channels);
        let each = read * planes.channel();
        let block = (GROUPS * planes.cell / each.max(made * job.plane() * planes.cell)).max(1);
        let all = piece.channels.start / made..piece.channels.end / made;
        let mut laid_out = Scratch::new(block.min(all.len()) * each + WHOLE);
        for groups in ranges(all, block) {
            let (to, after) = laid_out.split_at_mut(groups.len() * each);
            planes.fill_channels(pixels, groups.start * read, to);
            after[..WHOLE].fill(0.0);
            let read = Read { planes, values: &laid_out, first: groups.start * made };
            self.channels(read, piece, groups.start * made..groups.end * made, images);
        }
    }

    /// Computes some channels of a piece, of the images of a cell, in blocks that stay in the cache until they are finished.
    fn channels(&self, read: Read, piece: &mut Piece, channels: Range<usize>, images: &Range<usize>) {
        let job = self.job;
        let unit = if job.groups == 1 { PANEL } else { job.channels[1] };
        let outputs = piece.rows.len() * job.image[1] * read.planes.cell;
        for channels in ranges(channels, (BLOCK / (outputs * unit)).max(1) * unit) {
            match piece.is_whole(job) {
                true => self.whole(read, piece, channels, images),
                false => self.rows(read, piece, channels, images.start),
            }
        }
    }

    /// Computes all outputs of some channels.
    fn whole(&self, read: Read, piece: &mut Piece, channels: Range<usize>, images: &Range<usize>) {
        let Piece { images: all, channels: own, slices, .. } = piece;
        let (plane, made) = (self.job.plane(), self.job.result_channels());
        let range = (channels.start - own.start) * plane..(channels.end - own.start) * plane;
        let slices = &mut slices[images.start - all.start..images.end - all.start];
        let mut outs: Vec<&mut [f32]> = slices.iter_mut().map(|slices| &mut slices[0][range.clone()]).collect();
        for weights in &self.weights {
            self.part(weights, read, &channels, &mut outs);
        }
        for (image, out) in images.clone().zip(outs) {
            (self.finish)((image * made + channels.start) * plane, out);
        }
    }

    /// Computes some rows of some channels of an image.
    fn rows(&self, read: Read, piece: &mut Piece, channels: Range<usize>, image: usize) {
        let (job, weights, rows) = (self.job, &self.weights[0], piece.rows.clone());
        let columns = job.columns(read.planes, weights.part, rows.len());
        let mut computed = Scratch::new(channels.len() * columns.len());
        self.product(weights, read, (channels.clone(), rows.start), columns, &mut computed);
        let width = job.image[1];
        let row = if columns.len() == rows.len() * width { width } else { read.planes.row() };
        let slices = &mut piece.slices[image - piece.images.start][channels.start - piece.channels.start..];
        for ((channel, values), out) in channels.zip(computed.chunks_exact(columns.len())).zip(slices) {
            if row == width {
                out.copy_from_slice(values);
            } else {
                let lines = values.chunks(row).zip(out.chunks_exact_mut(width));
                lines.for_each(|(values, out)| copy(&values[..width], out));
            }
            (self.finish)((image * job.result_channels() + channel) * job.plane() + rows.start * width, out);
        }
    }

    /// Computes the outputs of a part of some channels, of the images of a cell.
    fn part(&self, weights: &Weights, read: Read, channels: &Range<usize>, outs: &mut [&mut [f32]]) {
        let (job, part) = (self.job, weights.part);
        let columns = job.columns(read.planes, part, part.outputs[0]);
        if read.planes.cell == 1 && job.step == [1, 1] && columns.len() == job.plane() {
            return self.product(weights, read, (channels.clone(), 0), columns, outs[0]);
        }
        let mut computed = Scratch::new(channels.len() * columns.len());
        self.product(weights, read, (channels.clone(), 0), columns, &mut computed);
        for (row, values) in computed.chunks_exact(columns.len()).enumerate() {
            place(job, read.planes, part, values, outs, row * job.plane());
        }
    }

    /// Computes these columns of the product for some channels, from a row of outputs on.
    fn product(
        &self,
        weights: &Weights,
        read: Read,
        (channels, row): (Range<usize>, usize),
        columns: Columns,
        out: &mut [f32],
    ) {
        let (job, planes) = (self.job, read.planes);
        let groups = if job.groups == 1 { 1 } else { channels.len() / job.channels[1] };
        let right_group = job.channels[0] * planes.channel();
        let group = if job.groups == 1 { 0 } else { (channels.start - read.first) / job.channels[1] };
        dispatch(Outer {
            groups,
            left: weights.left(channels.start),
            rows: channels.len() / groups,
            right: &read.values[group * right_group + row * planes.row()..],
            right_group,
            offsets: &weights.offsets,
            columns,
            copies: None,
            out,
            out_row: columns.len(),
        });
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
