//! Matrix products in f32 on the CPU: inner products where few rows meet a transposed matrix, else the `matrixmultiply`
//! crate, on pieces whose sizes depend on the shapes alone, so that the bits do not depend on the number of threads.

use rayon::prelude::*;

use super::Sizes;

/// A product's operands, as [`super::Matmul`] has them.
#[derive(Clone, Copy, Debug)]
pub struct Product<'a> {
    /// M, N and K.
    pub sizes: Sizes,
    /// The left matrix.
    pub a: &'a [f32],
    /// The right matrix.
    pub b: &'a [f32],
    /// Whether the left stands transposed.
    pub transpose_a: bool,
    /// Whether the right stands transposed.
    pub transpose_b: bool,
}

/// Multiplications that are worth a thread of their own.
const PIECE: usize = 1 << 20;
/// Rows of a piece of a large product: each piece packs the right matrix anew, which many rows have to pay for.
const PIECE_ROWS: usize = 128;

impl Product<'_> {
    /// Writes the product into `out` and calls `epilogue` on each finished piece with its first element's number.
    pub fn run(&self, out: &mut [f32], epilogue: impl Fn(usize, &mut [f32]) + Sync) {
        let Sizes { rows, columns, depth } = self.sizes;
        assert!(out.len() == rows * columns && self.a.len() == rows * depth && self.b.len() == depth * columns);
        if out.is_empty() {
            return;
        }
        let pieces = (rows * columns * depth / PIECE).min(rows.div_ceil(PIECE_ROWS).max(2)).max(1);
        let piece_rows = rows.div_ceil(pieces).next_multiple_of(8).min(rows);
        let piece = |(index, out): (usize, &mut [f32])| {
            self.rows_from(index * piece_rows, out);
            epilogue(index * piece_rows * columns, out);
        };
        if piece_rows == rows {
            piece((0, out));
        } else {
            out.par_chunks_mut(piece_rows * columns).enumerate().for_each(piece);
        }
    }

    /// Rows of the product from `first` on, as many as fit into `out`.
    fn rows_from(&self, first: usize, out: &mut [f32]) {
        let Sizes { rows, columns, depth } = self.sizes;
        let count = out.len() / columns;
        let (row_a, column_a) = if self.transpose_a { (1, rows) } else { (depth, 1) };
        let (row_b, column_b) = if self.transpose_b { (1, depth) } else { (columns, 1) };
        if depth == 0 {
            return out.fill(0.0);
        }
        let a = &self.a[first * row_a..];
        // The transposed product, out^T = b^T a^T: its rows then lie side by side in `out`, where the crate's kernels store
        // whole vectors. A product of small depth takes less than half as long so.
        //
        // SAFETY: `run` has checked that a, b and out are as long as their sizes say; the strides address a's rows
        // first..first + count, all of b, and out, and nothing else; out is borrowed alone.
        unsafe {
            matrixmultiply::sgemm(
                columns,
                depth,
                count,
                1.0,
                self.b.as_ptr(),
                column_b as isize,
                row_b as isize,
                a.as_ptr(),
                column_a as isize,
                row_a as isize,
                0.0,
                out.as_mut_ptr(),
                1,
                columns as isize,
            );
        }
    }
}
