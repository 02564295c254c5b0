//! How the result of a job is cut into pieces, which are computed on several threads.

use std::ops::Range;

use super::PIECES;
use super::job::Job;
use crate::ops::product::PANEL;
use crate::parallel::threads;

/// The minimum number of output channels of a piece of an image.
const CHANNELS: usize = 16;
/// The minimum number of outputs of each channel in a piece of an image.
const OUTPUTS: usize = 192;

/// The images, channels and rows of a piece. The bits do not depend on them: each output is a sum in the order of the taps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cuts {
    images: usize,
    channels: usize,
    rows: usize,
}

impl Cuts {
    /// Cuts for cells of so many images: pieces of images, and if these are few for the threads, of channels or groups, and then of rows.
    /// If images that are cut are laid out first (`one_by_one`), their pieces wait for those of the image before.
    pub fn new(job: &Job, cell: usize, one_by_one: bool) -> Self {
        let images = job.batch.div_ceil(PIECES).next_multiple_of(cell);
        let (of_images, all) = (job.batch.div_ceil(images), 2 * threads());
        let wanted = match one_by_one {
            _ if of_images >= threads() => 1,
            true => all,
            false => all.div_ceil(of_images),
        };
        let (made, rows) = (job.result_channels(), job.image[0]);
        if job.groups > 1 {
            let channels = made.div_ceil(wanted).next_multiple_of(job.channels[1]);
            return Self { images, channels, rows };
        }
        let most = (made / CHANNELS).max(1);
        let least = if cell > 1 || !job.has_rows() { rows } else { OUTPUTS.div_ceil(job.image[1]).min(rows) };
        // Pieces are as many as wanted, or fewer, of one size. What channels leave is cut by rows, if there are enough of them.
        let divides = |count: &usize| least == rows || wanted.is_multiple_of(*count);
        let count = (1..=wanted.min(most)).rfind(divides).unwrap_or(1);
        let channels = made.div_ceil(count).next_multiple_of(PANEL);
        Self { images, channels, rows: rows.div_ceil(wanted / count).max(least) }
    }

    /// The number of pieces of an image.
    pub fn of_image(&self, job: &Job) -> usize {
        job.result_channels().div_ceil(self.channels) * job.image[0].div_ceil(self.rows)
    }
}

/// Cuts a range into ranges of at most `step`.
pub(super) fn ranges(all: Range<usize>, step: usize) -> impl Iterator<Item = Range<usize>> {
    all.clone().step_by(step).map(move |first| first..(first + step).min(all.end))
}

/// A part of the result.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    pub images: Range<usize>,
    pub channels: Range<usize>,
    pub rows: Range<usize>,
    /// Of each image: its channels in one slice, or a slice for each channel, if the rows are cut.
    pub slices: Vec<Vec<&'a mut [f32]>>,
}

impl Piece<'_> {
    /// Whether it has all rows of the result.
    pub fn is_whole(&self, job: &Job) -> bool {
        self.rows.len() == job.image[0]
    }
}

/// Cuts the result into pieces. Those of the same images follow each other.
pub(super) fn pieces<'a>(job: &Job, out: &'a mut [f32], cuts: &Cuts) -> Vec<Piece<'a>> {
    let (made, [height, width]) = (job.result_channels(), job.image);
    let mut pieces: Vec<Piece> = Vec::new();
    for images in ranges(0..job.batch, cuts.images) {
        for channels in ranges(0..made, cuts.channels) {
            for rows in ranges(0..height, cuts.rows) {
                let slices = images.clone().map(|_| Vec::new()).collect();
                pieces.push(Piece { images: images.clone(), channels: channels.clone(), rows, slices });
            }
        }
    }
    let (blocks, cut) = (made.div_ceil(cuts.channels), height.div_ceil(cuts.rows));
    for (number, image) in out.chunks_mut(made * height * width).enumerate() {
        for (block, channels) in image.chunks_mut(cuts.channels * height * width).enumerate() {
            let at = (number / cuts.images * blocks + block) * cut;
            let place = number % cuts.images;
            if cut == 1 {
                pieces[at].slices[place].push(channels);
                continue;
            }
            for channel in channels.chunks_mut(height * width) {
                for (piece, rows) in pieces[at..].iter_mut().zip(channel.chunks_mut(cuts.rows * width)) {
                    piece.slices[place].push(rows);
                }
            }
        }
    }
    pieces
}
