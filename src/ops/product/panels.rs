//! Left matrices packed in panels: for each step of the depth, the numbers of a few rows side by side.

use super::scratch::Scratch;
use crate::ops::lanes::{Lanes, Work, dispatch};
use crate::parallel::*;

/// The least number of floats that are packed on several threads.
const LARGE: usize = 1 << 16;

/// The rows of the highest panels. What is cut between panels has a multiple of this.
pub(crate) const PANEL: usize = 8;

/// The panels of a matrix with so many rows: the first row of each, and its height. With 32 registers a panel has 8 rows, so that
/// 8 x 3 vectors of sums stay in registers; with 16 it has 4. The last rows are in lower panels.
#[inline(always)]
pub(super) fn heights<L: Lanes>(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    let most = if L::REGISTERS >= 32 { PANEL } else { 4 };
    let mut first = 0;
    std::iter::from_fn(move || {
        let left = rows - first;
        let height = if left >= most { most } else { 1 << left.checked_ilog2()? };
        first += height;
        Some((first - height, height))
    })
}

/// The height of whole panels on this CPU.
pub(crate) fn panel_height() -> usize {
    struct Height;
    impl Work for Height {
        type Output = usize;
        #[inline(always)]
        fn run<L: Lanes>(self, _: L) -> usize {
            heights::<L>(usize::MAX).next().map_or(1, |(_, height)| height)
        }
    }
    dispatch(Height)
}

/// Packs a matrix of `rows` x `depth`. `fill` gets the first row of each panel, its height, and the panel `[depth, height]`.
pub(crate) fn pack(rows: usize, depth: usize, fill: impl Fn(usize, usize, &mut [f32]) + Sync) -> Scratch {
    let mut packed = Scratch::new(rows * depth);
    pack_into(&mut packed, rows, depth, fill);
    packed
}

/// Packs a matrix, as [`pack`].
pub(crate) fn pack_into(packed: &mut [f32], rows: usize, depth: usize, fill: impl Fn(usize, usize, &mut [f32]) + Sync) {
    if depth == 0 {
        return;
    }
    let whole = panel_height();
    let (panels, rest) = packed.split_at_mut(rows / whole * whole * depth);
    match panels.len() < LARGE {
        true => panels.chunks_mut(whole * depth).enumerate().for_each(|(i, panel)| fill(i * whole, whole, panel)),
        false => panels.par_chunks_mut(whole * depth).enumerate().for_each(|(i, panel)| fill(i * whole, whole, panel)),
    }
    let (mut first, mut rest) = (rows / whole * whole, rest);
    while first < rows {
        let height = 1 << (rows - first).ilog2();
        let (panel, after) = rest.split_at_mut(height * depth);
        fill(first, height, panel);
        (first, rest) = (first + height, after);
    }
}

/// Writes the transpose of `rows` rows of `columns` numbers, `stride` apart, into `to`, whose rows are `to_stride` apart.
pub(crate) fn turn(values: &[f32], stride: usize, [rows, columns]: [usize; 2], to: &mut [f32], to_stride: usize) {
    // What a block writes stays in the first-level cache until its lines are full.
    let block = (BLOCK / to_stride.max(1)).max(1).next_multiple_of(TILE);
    for first in (0..columns).step_by(block) {
        let columns = first..columns.min(first + block);
        for row in (0..rows).step_by(TILE) {
            for column in columns.clone().step_by(TILE) {
                if row + TILE > rows || column + TILE > columns.end {
                    for row in row..rows.min(row + TILE) {
                        for column in column..columns.end.min(column + TILE) {
                            to[column * to_stride + row] = values[row * stride + column];
                        }
                    }
                    continue;
                }
                turn_tile(&values[row * stride + column..], stride, &mut to[column * to_stride + row..], to_stride);
            }
        }
    }
}

/// The side of a square that the compiler keeps in registers.
const TILE: usize = 4;
/// The number of floats that a block of columns writes.
const BLOCK: usize = 4096;

/// Writes the transpose of a square.
fn turn_tile(values: &[f32], stride: usize, to: &mut [f32], to_stride: usize) {
    let mut tile = [[0.0; TILE]; TILE];
    for (i, line) in tile.iter_mut().enumerate() {
        line.copy_from_slice(&values[i * stride..][..TILE]);
    }
    for j in 0..TILE {
        let to = &mut to[j * to_stride..][..TILE];
        to.iter_mut().zip(&tile).for_each(|(to, line)| *to = line[j]);
    }
}

/// Copies a row of numbers. For rows of a few vectors this takes less time than a call of `memcpy`, which the compiler makes of a loop.
pub(crate) fn copy(from: &[f32], to: &mut [f32]) {
    if to.len() >= 64 {
        return to.copy_from_slice(from);
    }
    let rest = copy_first::<32>((from, to));
    let rest = copy_first::<16>(rest);
    let rest = copy_first::<8>(rest);
    let rest = copy_first::<4>(rest);
    let rest = copy_first::<2>(rest);
    copy_first::<1>(rest);
}

/// Copies the first `N` numbers, if there are so many. Returns the others.
#[inline(always)]
fn copy_first<'a, const N: usize>((from, to): (&'a [f32], &'a mut [f32])) -> (&'a [f32], &'a mut [f32]) {
    match from.split_first_chunk::<N>() {
        Some((first, others)) if to.len() >= N => {
            let (place, rest) = to.split_at_mut(N);
            place.copy_from_slice(first);
            (others, rest)
        }
        _ => (from, to),
    }
}
