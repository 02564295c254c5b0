//! Pixels laid out for the kernels. A tensor becomes planes of cells with the padding around them. A cell is one pixel of one image, or
//! the same pixel of several images side by side, for images so small that a row is shorter than a vector. If outputs are several pixels
//! apart, the pixels are sorted by their remainder, so that what one tap reads for neighbouring outputs lies side by side again.

use std::ops::Range;

use crate::ops::conv2d::{Conv2dShape, Geometry};
use crate::ops::lanes::widest;
use crate::ops::product::{Scratch, WHOLE, copy, turn};
use crate::parallel::*;

/// The most floats of a channel: so many for a pixel, and so many more.
const MOST_PADDING: (f64, f64) = (16.0, 65536.0);

/// The floats of a part of a layout that several threads make.
const PART: usize = 1 << 14;

/// The layout of images of one size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planes {
    /// The number of channels.
    pub channels: usize,
    /// Height and width of an image.
    pub image: [usize; 2],
    /// The distance in pixels of neighbouring cells, and the number of planes of a channel: vertical, then horizontal.
    pub stride: [usize; 2],
    /// The row and column of the image at the first cell. They are negative in the padding.
    pub first: [isize; 2],
    /// The rows and columns of cells of a plane.
    pub cells: [usize; 2],
    /// The number of images in a cell.
    pub cell: usize,
}

impl Planes {
    /// The layout of the images that a convolution reads, in cells of one image.
    pub fn read_by(sizes: &Conv2dShape) -> Self {
        let Geometry { stride, padding, dilation, .. } = sizes.geometry;
        let cells = [0, 1].map(|axis| sizes.outputs[axis] + (sizes.kernel[axis] - 1) * dilation[axis] / stride[axis]);
        let first = padding.map(|padding| -(padding as isize));
        Self { channels: sizes.in_channels, image: sizes.image, stride, first, cells, cell: 1 }
    }

    /// Where each tap of a convolution reads for the first output, channel by channel.
    pub fn taps(&self, sizes: &Conv2dShape, channels: usize) -> Vec<u32> {
        let [rows, columns] = sizes.kernel;
        let dilation = sizes.geometry.dilation;
        let pixels = || (0..rows * columns).map(|tap| [tap / columns * dilation[0], tap % columns * dilation[1]]);
        (0..channels).flat_map(|channel| pixels().map(move |pixel| self.at(channel, pixel))).collect()
    }

    /// Whether the layout would be much larger than the images: with a padding or a dilation that is much larger than they are.
    pub fn is_sparse(&self) -> bool {
        let floats = self.stride.iter().chain(&self.cells).map(|&size| size as f64).product::<f64>();
        let pixels = (self.image[0] * self.image[1]) as f64;
        floats > MOST_PADDING.0 * pixels + MOST_PADDING.1 || floats * self.channels as f64 > f64::from(u32::MAX)
    }

    /// The floats of a plane.
    fn plane(&self) -> usize {
        self.cells[0] * self.cells[1] * self.cell
    }
    /// The floats of a channel: its planes.
    pub fn channel(&self) -> usize {
        self.stride[0] * self.stride[1] * self.plane()
    }
    /// The floats of the images of a cell, and of a vector after them, which may begin at any cell.
    pub fn len(&self) -> usize {
        self.channels * self.channel() + WHOLE
    }
    /// The floats from one row of cells to the next.
    pub fn row(&self) -> usize {
        self.cells[1] * self.cell
    }

    /// Where the pixel that is `[down, right]` pixels after the first cell's lies, in a channel.
    pub fn at(&self, channel: usize, [down, right]: [usize; 2]) -> u32 {
        let ([sy, sx], [rows, columns]) = (self.stride, self.cells);
        let plane = (channel * sy + down % sy) * sx + right % sx;
        (((plane * rows + down / sy) * columns + right / sx) * self.cell) as u32
    }

    /// The cells along an axis, of plane `phase`, whose pixels are in the image, and the first of these pixels.
    fn inside(&self, axis: usize, phase: usize) -> (Range<usize>, usize) {
        let (stride, first) = (self.stride[axis] as isize, self.first[axis] + phase as isize);
        let until =
            |pixel: isize| (pixel - first + stride - 1).div_euclid(stride).clamp(0, self.cells[axis] as isize) as usize;
        let (start, end) = (until(0), until(self.image[axis] as isize));
        (start..end.max(start), (first + start as isize * stride).max(0) as usize)
    }

    /// Whether an image is its own layout.
    pub fn is_image(&self) -> bool {
        self.cell == 1 && self.are_pixels()
    }
    fn are_pixels(&self) -> bool {
        self.stride == [1, 1] && self.first == [0, 0] && self.cells == self.image
    }

    /// Lays out some images, at most as many as a cell has.
    pub fn fill(&self, images: &[f32], to: &mut [f32]) {
        self.fill_channels(images, 0, self.split(to));
    }

    /// The same, on several threads.
    pub fn fill_on_threads(&self, images: &[f32], to: &mut [f32]) {
        let channels = (PART / self.channel().max(1)).max(1);
        let parts = self.split(to).par_chunks_mut((channels * self.channel()).max(1)).enumerate();
        parts.for_each(|(part, planes)| self.fill_channels(images, part * channels, planes));
    }

    /// The planes, without the zeros after them.
    fn split<'a>(&self, to: &'a mut [f32]) -> &'a mut [f32] {
        let (planes, slack) = to[..self.len()].split_at_mut(self.channels * self.channel());
        slack.fill(0.0);
        planes
    }

    /// Lays out the channels from `first` on, as many as there is place for, without what lies after them.
    pub fn fill_channels(&self, images: &[f32], first: usize, planes: &mut [f32]) {
        let [height, width] = self.image;
        let image = self.channels * height * width;
        let count = images.len() / image.max(1);
        if !self.are_pixels() || count < self.cell {
            planes.fill(0.0);
        }
        if self.cell > 1 && self.stride != [1, 1] {
            return self.fill_sorted(images, first, count, planes);
        }
        let phases: Vec<_> = (0..self.stride[0] * self.stride[1])
            .map(|phase| [self.inside(0, phase / self.stride[1]), self.inside(1, phase % self.stride[1])])
            .collect();
        for (number, plane) in planes.chunks_exact_mut(self.plane().max(1)).enumerate() {
            let channel = first + number / phases.len();
            let [(rows, top), (columns, left)] = &phases[number % phases.len()];
            if columns.is_empty() {
                continue;
            }
            let lines = plane.chunks_exact_mut(self.row()).skip(rows.start).take(rows.len());
            for (line, to) in lines.enumerate() {
                let pixel = (channel * height + top + line * self.stride[0]) * width + left;
                let to = &mut to[columns.start * self.cell..columns.end * self.cell];
                let (pixels, stride) = (&images[pixel..], self.stride[1]);
                match (self.cell, stride) {
                    (1, 1) => copy(&pixels[..to.len()], to),
                    (1, 2) => every_second(pixels, to),
                    (1, _) => to.iter_mut().zip(pixels.iter().step_by(stride)).for_each(|(to, from)| *to = *from),
                    (cell, _) => turn(pixels, image, [count, to.len() / cell], to, cell),
                }
            }
        }
    }

    /// Fills the cells of several images, sorted by remainders. Each row of pixels is brought into cells once, and then sorted.
    fn fill_sorted(&self, images: &[f32], first: usize, count: usize, planes: &mut [f32]) {
        let [height, width] = self.image;
        let (image, channels) = (self.channels * height * width, planes.len() / self.channel().max(1));
        let after_first = |axis: usize, pixel: usize| usize::try_from(pixel as isize - self.first[axis]).ok();
        let mut cells = Scratch::new(width * self.cell);
        for (channel, y) in (0..channels).flat_map(|channel| (0..height).map(move |y| (channel, y))) {
            let Some(down) = after_first(0, y).filter(|down| down / self.stride[0] < self.cells[0]) else { continue };
            turn(&images[((first + channel) * height + y) * width..], image, [count, width], &mut cells, self.cell);
            for (x, cell) in cells.chunks_exact(self.cell).enumerate() {
                let right = after_first(1, x).filter(|right| right / self.stride[1] < self.cells[1]);
                let Some(right) = right else { continue };
                let at = self.at(channel, [down, right]) as usize;
                copy(&cell[..count], &mut planes[at..at + count]);
            }
        }
    }
}

/// Copies every second number, from the first on.
fn every_second(from: &[f32], to: &mut [f32]) {
    widest(
        #[inline(always)]
        || {
            let pairs = from.as_chunks::<2>().0;
            let whole = to.len().min(pairs.len());
            to[..whole].iter_mut().zip(pairs).for_each(|(to, pair)| *to = pair[0]);
            to[whole..].iter_mut().zip(&from[2 * whole..]).for_each(|(to, from)| *to = *from);
        },
    );
}
