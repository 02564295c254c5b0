//! StridedMatrix products in f32 on the CPU by the `matrixmultiply` crate, on pieces whose sizes depend on the shapes alone, so that
//! the bits do not depend on the number of threads.

use std::ops::Range;

use crate::parallel::*;

use super::MatmulShape;
use super::gemm::{self, StridedMatrix, turn};

/// A product's operands, as [`super::Matmul`] has them.
#[derive(Clone, Copy, Debug)]
pub struct CpuProduct<'a> {
    /// M, N and K.
    pub sizes: MatmulShape,
    /// The left matrix.
    pub a: &'a [f32],
    /// The right matrix.
    pub b: &'a [f32],
    /// Whether the left stands transposed.
    pub transpose_a: bool,
    /// Whether the right stands transposed.
    pub transpose_b: bool,
}

/// Multiplications that are worth a thread of their own: some ten microseconds of work, about what waking a thread costs.
const PIECE: usize = 1 << 20;
/// Rows of a piece of a large product: each piece packs the right matrix anew, which many rows have to pay for.
const PIECE_ROWS: usize = 128;
/// Depth of a slice of a deep product, whose operands are much larger than its result: pieces of rows would each pack the
/// whole of the right matrix, slices of the depth pack each number once.
const SLICE: usize = 256;
/// The most slices: each has a result of its own before they are added up.
const MOST_SLICES: usize = 16;
/// The fewest multiplications of a product that is sliced.
const SLICED_WORK: usize = 1 << 18;
/// The largest result of a product that is sliced.
const SLICED_RESULT: usize = 1 << 14;

/// One operand seen from the product: where its numbers stand.
#[derive(Clone, Copy)]
struct StridedOperand<'a> {
    values: &'a [f32],
    /// From one row or column of the result to the next.
    across: usize,
    /// From one number of a sum to the next.
    along: usize,
}

impl<'a> StridedOperand<'a> {
    /// From row or column `first` on.
    fn from(self, first: usize) -> Self {
        Self { values: &self.values[first * self.across..], ..self }
    }

    /// The part of `count` rows or columns that a slice of the depth reads. Numbers that stand along the depth are copied so
    /// that they stand across: the crate packs those in vectors, and the others one by one, which takes twice as long
    /// together.
    fn slice(self, count: usize, depths: Range<usize>, room: &'a mut Vec<f32>) -> Self {
        let part = Self { values: &self.values[depths.start * self.along..], ..self };
        if self.along != 1 || self.across == 1 {
            return part;
        }
        room.resize(count * depths.len(), 0.0);
        turn(part.values, self.across, [count, depths.len()], room);
        Self { values: room, across: 1, along: count }
    }
}

/// Writes the product of two operands into `out`, `[rows, columns]`.
fn multiply(a: StridedOperand, b: StridedOperand, sizes: MatmulShape, out: &mut [f32]) {
    let MatmulShape { rows, columns, depth } = sizes;
    let a = StridedMatrix { values: a.values, row: a.across, column: a.along };
    let b = StridedMatrix { values: b.values, row: b.along, column: b.across };
    gemm::multiply([rows, depth, columns], a, b, 0.0, out, columns);
}

impl<'a> CpuProduct<'a> {
    fn left(&self) -> StridedOperand<'a> {
        let MatmulShape { rows, depth, .. } = self.sizes;
        let (across, along) = if self.transpose_a { (1, rows) } else { (depth, 1) };
        StridedOperand { values: self.a, across, along }
    }

    fn right(&self) -> StridedOperand<'a> {
        let MatmulShape { columns, depth, .. } = self.sizes;
        let (across, along) = if self.transpose_b { (depth, 1) } else { (1, columns) };
        StridedOperand { values: self.b, across, along }
    }

    /// Writes the product into `out` and calls `epilogue` on each finished piece with its first element's number.
    pub fn run(&self, out: &mut [f32], epilogue: impl Fn(usize, &mut [f32]) + Sync) {
        let MatmulShape { rows, columns, depth } = self.sizes;
        assert!(out.len() == rows * columns && self.a.len() == rows * depth && self.b.len() == depth * columns);
        if out.is_empty() {
            return;
        }
        if depth >= 2 * SLICE && rows * columns <= SLICED_RESULT && rows * columns * depth >= SLICED_WORK {
            self.by_depth(out);
            return epilogue(0, out);
        }
        let pieces = (rows * columns * depth / PIECE).min(rows.div_ceil(PIECE_ROWS).max(2)).max(1);
        let piece_rows = rows.div_ceil(pieces).next_multiple_of(8).min(rows);
        let piece = |(index, out): (usize, &mut [f32])| {
            let sizes = MatmulShape { rows: out.len() / columns, ..self.sizes };
            multiply(self.left().from(index * piece_rows), self.right(), sizes, out);
            epilogue(index * piece_rows * columns, out);
        };
        if piece_rows == rows {
            piece((0, out));
        } else {
            out.par_chunks_mut(piece_rows * columns).enumerate().for_each(piece);
        }
    }

    /// The product as the sum of those of slices of the depth, added up in their order.
    fn by_depth(&self, out: &mut [f32]) {
        let MatmulShape { rows, columns, depth } = self.sizes;
        let slice = depth.div_ceil(depth.div_ceil(SLICE).min(MOST_SLICES));
        let mut parts = vec![0.0; depth.div_ceil(slice) * out.len()];
        let compute = |(index, part): (usize, &mut [f32])| {
            let depths = index * slice..depth.min((index + 1) * slice);
            let (mut left, mut right) = (Vec::new(), Vec::new());
            let a = self.left().slice(rows, depths.clone(), &mut left);
            let b = self.right().slice(columns, depths.clone(), &mut right);
            multiply(a, b, MatmulShape { depth: depths.len(), ..self.sizes }, part);
        };
        match rows * columns * depth < 2 * PIECE {
            true => parts.chunks_mut(out.len()).enumerate().for_each(compute),
            false => parts.par_chunks_mut(out.len()).enumerate().for_each(compute),
        }
        out.fill(0.0);
        for part in parts.chunks(out.len()) {
            out.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
        }
    }
}
