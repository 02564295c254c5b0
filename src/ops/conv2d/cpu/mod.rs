//! Convolutions and their gradients in f32 on the CPU, without a copy of the patches. The pixels are laid out once so that all that one
//! tap reads for neighbouring outputs lies side by side ([`planes`]). A tap is one weight of a kernel: its row, its column and, in a sum,
//! its input channel. A convolution and its gradient by the image are then products whose right matrix begins at another pixel for each
//! tap ([`correlation`]), and the gradient by the weight is one whose left numbers are pixels ([`weight`]).
//!
//! The sizes of pieces depend only on the shapes, so the bits do not depend on the number of threads.

mod correlation;
mod narrow_weight;
mod planes;
mod weight;

use super::Conv2dShape;

pub(super) use weight::backward_weight;

/// Computes y from x and w. `finish` is called on each finished piece of y with the index of its first element, while the piece is in
/// the cache.
pub(super) fn forward(
    sizes: &Conv2dShape,
    x: &[f32],
    w: &[f32],
    y: &mut [f32],
    finish: impl Fn(usize, &mut [f32]) + Sync,
) {
    correlation::run(&correlation::Job::forward(sizes), x, w, y, finish);
}

/// Computes dx from dy and w.
pub(super) fn backward_input(
    sizes: &Conv2dShape,
    dy: &[f32],
    w: &[f32],
    dx: &mut [f32],
    finish: impl Fn(usize, &mut [f32]) + Sync,
) {
    correlation::run(&correlation::Job::backward_input(sizes), dy, w, dx, finish);
}
