//! Convolutions and their gradients in f32 on the CPU, without a copy of the patches. The pixels are laid out once so that all that one
//! tap reads for neighbouring outputs lies side by side ([`planes`]). A tap is one weight of a kernel: its row, its column and, in a sum,
//! its input channel. A convolution and its gradient by the image are then products whose right matrix begins at another pixel for each
//! tap ([`correlation`]), and the gradient by the weight is one whose left numbers are pixels ([`weight`]).
//!
//! The bits do not depend on the number of threads: each output of a convolution and of its gradient by the image is a sum in the order of
//! the taps, and the pieces of the gradient by the weight depend only on the shapes.

mod correlation;
mod job;
mod narrow_weight;
mod pieces;
mod planes;
mod weight;

use super::Conv2dShape;
use job::Job;
use planes::Planes;

/// The number of pieces of the work, if there are enough images.
const PIECES: usize = 16;

/// Computes y from x and w. `finish` is called on each finished piece of y with the index of its first element, while the piece is in
/// the cache.
pub(super) fn forward(
    sizes: &Conv2dShape,
    x: &[f32],
    w: &[f32],
    y: &mut [f32],
    finish: impl Fn(usize, &mut [f32]) + Sync,
) {
    let job = Job::forward(sizes);
    if job.is_sparse() {
        y.fill(0.0);
        sizes.each_product(|ix, iw, iy| y[iy] += x[ix] * w[iw]);
        return finish(0, y);
    }
    correlation::run(&job, job.cell(), (x, w), y, finish);
}

/// Computes dx from dy and w.
pub(super) fn backward_input(
    sizes: &Conv2dShape,
    dy: &[f32],
    w: &[f32],
    dx: &mut [f32],
    finish: impl Fn(usize, &mut [f32]) + Sync,
) {
    let job = Job::backward_input(sizes);
    if job.is_sparse() {
        dx.fill(0.0);
        sizes.each_product(|ix, iw, iy| dx[ix] += dy[iy] * w[iw]);
        return finish(0, dx);
    }
    correlation::run(&job, job.cell(), (dy, w), dx, finish);
}

/// Computes dw from x and dy.
pub(super) fn backward_weight(sizes: &Conv2dShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    if Planes::read_by(sizes).is_sparse() {
        dw.fill(0.0);
        return sizes.each_product(|ix, iw, iy| dw[iw] += x[ix] * dy[iy]);
    }
    weight::run(sizes, x, dy, dw);
}

#[cfg(test)]
mod tests;
