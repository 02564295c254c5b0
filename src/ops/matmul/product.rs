//! Matrix products in f32 on the CPU. The sizes of pieces depend only on the shapes, so the bits do not depend on the number of threads.

use super::MatmulShape;
use crate::ops::product::{Columns, Copies, Inner, Outer, Run, Scratch, WHOLE, dispatch, pack, turn};
use crate::parallel::*;

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
/// The number of rows of a piece of a large product. Each piece reads the whole right matrix, so it needs many rows.
const PIECE_ROWS: usize = 128;
/// The minimum depth of inner products. In less, adding the lanes of each sum costs too much.
const INNER_DEPTH: usize = 256;
/// The maximum number of rows of inner products. With more rows it is faster to transpose the right matrix.
const INNER_ROWS: usize = 64;
/// The minimum number of rows for which copies of the right matrix's columns pay, and the size in floats from which its parts displace
/// each other in the cache.
const COPIED: [usize; 2] = [64, 1 << 16];

impl CpuProduct<'_> {
    /// Writes the product into `out`. Calls `epilogue` on each finished piece with the index of its first element.
    pub fn run(&self, out: &mut [f32], epilogue: impl Fn(usize, &mut [f32]) + Sync) {
        let MatmulShape { rows, columns, depth } = self.sizes;
        assert!(out.len() == rows * columns && self.a.len() == rows * depth && self.b.len() == depth * columns);
        if out.is_empty() {
            return;
        }
        let along_depth = self.transpose_b && !self.transpose_a;
        if along_depth && depth >= INNER_DEPTH && depth.is_multiple_of(WHOLE) && rows <= INNER_ROWS {
            return self.inner(out, epilogue);
        }
        let mut turned = Scratch::new(if self.transpose_b { self.b.len() } else { 0 });
        let right = match self.transpose_b {
            true => {
                self.turn_right(&mut turned);
                &turned
            }
            false => self.b,
        };
        let left = pack(rows, depth, |first, height, panel| self.pack_left(first, height, panel));
        let offsets: Vec<u32> = (0..depth).map(|k| (k * columns) as u32).collect();
        let is_copied = rows >= COPIED[0] && self.b.len() >= COPIED[1];
        let copies = is_copied.then(|| Copies::new(right, &offsets, columns));
        self.each_piece(out, epilogue, |first, out| {
            dispatch(Outer {
                left: &left[first * depth..],
                rows: out.len() / columns,
                right,
                offsets: &offsets,
                columns: Columns::run(columns),
                copies: copies.as_ref(),
                out,
                out_row: columns,
            });
        });
    }

    /// The product of matrices that are both stored along the depth.
    fn inner(&self, out: &mut [f32], epilogue: impl Fn(usize, &mut [f32]) + Sync) {
        let MatmulShape { columns, depth, .. } = self.sizes;
        let starts: Vec<u32> = (0..columns).map(|column| (column * depth) as u32).collect();
        self.each_piece(out, epilogue, |first, out| {
            dispatch(Inner {
                left: &self.a[first * depth..],
                rows: [out.len() / columns, depth],
                right: self.b,
                columns: &starts,
                runs: &[Run { left: 0, right: 0, len: depth }],
                out,
                out_row: columns,
            });
        });
    }

    /// Calls `compute` on pieces of the result, with the number of their first row, then `epilogue`.
    fn each_piece(
        &self,
        out: &mut [f32],
        epilogue: impl Fn(usize, &mut [f32]) + Sync,
        compute: impl Fn(usize, &mut [f32]) + Sync,
    ) {
        let MatmulShape { rows, columns, depth } = self.sizes;
        let pieces = (rows * columns * depth / PIECE).min(rows.div_ceil(PIECE_ROWS).max(2)).max(1);
        let piece_rows = rows.div_ceil(pieces).next_multiple_of(8).min(rows);
        let piece = |(index, out): (usize, &mut [f32])| {
            compute(index * piece_rows, out);
            epilogue(index * piece_rows * columns, out);
        };
        if piece_rows == rows {
            piece((0, out));
        } else {
            out.par_chunks_mut(piece_rows * columns).enumerate().for_each(piece);
        }
    }

    /// Packs rows of the left matrix.
    fn pack_left(&self, first: usize, height: usize, panel: &mut [f32]) {
        let MatmulShape { rows, depth, .. } = self.sizes;
        if !self.transpose_a {
            return turn(&self.a[first * depth..], depth, [height, depth], panel, height);
        }
        for (to, from) in panel.chunks_exact_mut(height).zip(self.a.chunks_exact(rows)) {
            to.copy_from_slice(&from[first..][..height]);
        }
    }

    /// Writes the right matrix, which is stored transposed, as `[depth, columns]`.
    fn turn_right(&self, turned: &mut [f32]) {
        let MatmulShape { columns, depth, .. } = self.sizes;
        let piece = (PIECE / 16 / columns).next_multiple_of(16);
        let part = |(index, to): (usize, &mut [f32])| {
            turn(&self.b[index * piece..], depth, [columns, to.len() / columns], to, columns);
        };
        match turned.len() <= piece * columns {
            true => turned.chunks_mut(piece * columns).enumerate().for_each(part),
            false => turned.par_chunks_mut(piece * columns).enumerate().for_each(part),
        }
    }
}
