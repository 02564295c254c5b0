//! Parts of pooling on the CPU that work on whole rows, as loops that the compiler turns into vectors.

use super::PoolShape;
use std::ops::Range;

/// How the windows of a row lie over the columns of pixels.
pub(super) struct Across {
    /// For each tap, the windows whose column at this tap is inside the image, and the column of the first such window.
    pub taps: Vec<(Range<usize>, usize)>,
    /// Each window's first column inside the image.
    pub first: Vec<usize>,
    /// Columns from one window to the next.
    pub stride: usize,
}

impl Across {
    pub fn new(sizes: &PoolShape) -> Self {
        let (stride, padding, width) = (sizes.window.stride[1], sizes.window.padding[1], sizes.image[1]);
        let reached = |tap: usize| {
            // A tap of a narrow image may reach no window.
            let from = padding.saturating_sub(tap).div_ceil(stride).min(sizes.outputs[1]);
            let to = (width + padding).saturating_sub(tap).div_ceil(stride).clamp(from, sizes.outputs[1]);
            (from..to, (from * stride + tap).saturating_sub(padding).min(width))
        };
        let first = (0..sizes.outputs[1]).map(|column| sizes.span(1, column).start).collect();
        Self { taps: (0..sizes.window.kernel[1]).map(reached).collect(), first, stride }
    }
}

/// Copies every `stride`-th number of `from`, the first one included.
#[inline(always)]
pub(super) fn pick<T: Copy>(from: &[T], stride: usize, to: &mut [T]) {
    match stride {
        1 => to.copy_from_slice(&from[..to.len()]),
        2 => {
            let (pairs, rest) = from.as_chunks::<2>();
            let whole = to.len().min(pairs.len());
            to[..whole].iter_mut().zip(&pairs[..whole]).for_each(|(to, pair)| *to = pair[0]);
            to[whole..].iter_mut().zip(rest).for_each(|(to, &last)| *to = last);
        }
        _ => to.iter_mut().zip(from.iter().step_by(stride)).for_each(|(to, &from)| *to = from),
    }
}

/// Adds numbers to every `stride`-th number of `to`, the first one included.
#[inline(always)]
pub(super) fn spread<T: Copy + std::ops::AddAssign>(from: &[T], stride: usize, to: &mut [T]) {
    match stride {
        1 => to.iter_mut().zip(from).for_each(|(to, &from)| *to += from),
        2 => {
            let (pairs, rest) = to.as_chunks_mut::<2>();
            let whole = from.len().min(pairs.len());
            pairs[..whole].iter_mut().zip(&from[..whole]).for_each(|(pair, &from)| pair[0] += from);
            rest.iter_mut().zip(&from[whole..]).for_each(|(to, &from)| *to += from);
        }
        _ => to.iter_mut().step_by(stride).zip(from).for_each(|(to, &from)| *to += from),
    }
}
