//! Matrix products in f32 on the CPU by the `matrixmultiply` crate. The sizes of pieces depend only on the shapes, so
//! the bits do not depend on the number of threads.

use std::ops::Range;

use crate::parallel::*;

use super::MatmulShape;
use super::gemm::{self, StridedMatrix, turn};

/// The operands of a product, as in [`Matmul`](super::Matmul).
#[derive(Clone, Copy, Debug)]
pub struct CpuProduct<'a> {
    /// M, N and K.
    pub sizes: MatmulShape,
    /// The left matrix.
    pub a: &'a [f32],
    /// The right matrix.
    pub b: &'a [f32],
    /// Whether the left matrix is stored transposed.
    pub transpose_a: bool,
    /// Whether the right matrix is stored transposed.
    pub transpose_b: bool,
}

/// The minimum number of multiplications per thread: about ten microseconds of work, the cost of waking a thread.
const PIECE: usize = 1 << 20;
/// The number of rows of a piece of a large product. Each piece packs the right matrix again, so it needs many rows.
const PIECE_ROWS: usize = 128;
/// The depth of a slice of a deep product, whose operands are much larger than its result. If the rows were split,
/// each piece would pack the whole right matrix. If the depth is split, each number is packed once.
const SLICE: usize = 256;
/// The maximum number of slices. Each slice has its own result before they are added.
const MAX_SLICES: usize = 16;
/// The minimum number of multiplications of a product that is sliced.
const SLICED_WORK: usize = 1 << 18;
/// The maximum number of elements of the result of a product that is sliced.
const SLICED_RESULT: usize = 1 << 14;

/// The memory layout of one operand.
#[derive(Clone, Copy)]
struct StridedOperand<'a> {
    values: &'a [f32],
    /// The stride between rows or columns of the result, in elements.
    across: usize,
    /// The stride along the depth, in elements.
    along: usize,
}

impl<'a> StridedOperand<'a> {
    /// The operand from row or column `first` on.
    fn from(self, first: usize) -> Self {
        Self { values: &self.values[first * self.across..], ..self }
    }

    /// The `count` rows or columns that a slice of the depth reads. Numbers that are contiguous along the depth are
    /// copied, so that they are contiguous across it. The crate packs those in vectors. It packs the others one by
    /// one, which takes twice as long as the copy and the vector packing together.
    fn slice(self, count: usize, depths: Range<usize>, buffer: &'a mut Vec<f32>) -> Self {
        let part = Self { values: &self.values[depths.start * self.along..], ..self };
        if self.along != 1 || self.across == 1 {
            return part;
        }
        buffer.resize(count * depths.len(), 0.0);
        turn(part.values, self.across, [count, depths.len()], buffer);
        Self { values: buffer, across: 1, along: count }
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

    /// Writes the product into `out`. Calls `epilogue` on each finished piece with the index of its first element.
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

    /// Computes the product as the sum of the products of slices of the depth, added in order.
    fn by_depth(&self, out: &mut [f32]) {
        let MatmulShape { rows, columns, depth } = self.sizes;
        let slice = depth.div_ceil(depth.div_ceil(SLICE).min(MAX_SLICES));
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
