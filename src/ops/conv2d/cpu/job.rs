//! What a convolution, or its gradient by the image, is as products: which taps are summed for which outputs.

use super::planes::Planes;
use crate::ops::conv2d::{Conv2dShape, Geometry};
use crate::ops::lanes::lanes;
use crate::ops::product::Columns;

/// What it costs to lay out a float or to bring a result to its place, in multiplications of a vector: in cells of one image, in cells
/// of several, and to lay out one in cells of several that are sorted by remainders.
const COSTS: [f64; 3] = [0.5, 1.5, 8.0];

/// What it costs to bring a row of outputs to its place, in multiplications of a vector.
const LINE: usize = 12;

/// One tap of a kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tap {
    /// Its index in the kernel of a pair of channels.
    pub index: usize,
    /// How many pixels after the first cell's the pixel is that it reads for the first output.
    pub pixel: [usize; 2],
}

/// Outputs that are sums over the same taps.
#[derive(Debug)]
pub(super) struct Part {
    pub taps: Vec<Tap>,
    /// The number of outputs, vertical and horizontal.
    pub outputs: [usize; 2],
    /// The place of the first output in the result's image.
    pub start: [usize; 2],
}

/// A convolution, or its gradient by the image.
#[derive(Debug)]
pub(super) struct Job {
    /// The layout of what is read, in cells of one image.
    pub planes: Planes,
    pub parts: Vec<Part>,
    pub batch: usize,
    pub groups: usize,
    /// The channels of a group that are read, and of the result.
    pub channels: [usize; 2],
    /// Height and width of the result's images, and the distance of a part's outputs in them.
    pub image: [usize; 2],
    pub step: [usize; 2],
    /// The distances in the weights of one group: from one channel of the result to the next, and from one that is read to the next.
    pub weights: [usize; 2],
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
    pub fn plane(&self) -> usize {
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
        let alone =
            work(&|part| self.columns(&self.planes, part, part.outputs[0]).len().div_ceil(lanes)) + cost([COSTS[0]; 2]);
        let reading = if self.planes.stride == [1, 1] { COSTS[1] } else { COSTS[2] };
        let filled = self.batch as f64 / self.batch.next_multiple_of(lanes).max(1) as f64;
        let together =
            work(&|part| part.outputs[0] * part.outputs[1]) / lanes as f64 / filled + cost([reading, COSTS[1]]);
        // Cells of several images leave few pieces, so there have to be enough images.
        let enough = self.groups == 1 || self.batch >= 4 * lanes;
        if enough && together < alone { lanes } else { 1 }
    }

    /// The number of channels of the result.
    pub fn result_channels(&self) -> usize {
        self.groups * self.channels[1]
    }

    /// Whether rows of the result can be computed apart from the others, one product for each.
    pub fn has_rows(&self) -> bool {
        self.groups == 1 && self.parts.len() == 1 && self.step == [1, 1]
    }

    /// The columns of the product for so many rows of a part: its outputs. If rows of outputs are not whole vectors, the cells between
    /// them can be columns, too, whose results are left out. That makes fewer vectors, but then the outputs have to be brought together.
    pub fn columns(&self, planes: &Planes, part: &Part, rows: usize) -> Columns {
        let (width, stride) = (part.outputs[1] * planes.cell, planes.row());
        let lines = Columns { lines: rows, width, stride };
        if width.is_multiple_of(lanes()) || width == stride {
            return lines;
        }
        let run = Columns::run(((rows - 1) * stride + width).next_multiple_of(lanes()));
        let more = (rows * width.div_ceil(lanes())).saturating_sub(run.len() / lanes());
        if more * part.taps.len() * self.channels[0] > LINE * rows { run } else { lines }
    }
}
