//! Matrix products in f32 on the CPU. The sizes of pieces depend only on the shapes, so the bits do not depend on the number of threads.

use super::MatmulShape;
use crate::ops::lanes::dispatch;
use crate::ops::product::{Columns, Copies, Inner, Left, Outer, PANEL, Run, Scratch, WHOLE, pack, turn};
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
/// What it costs to load a number of the larger matrix from memory, in multiplications of numbers. It counts where the other has few rows or
/// columns.
const LOAD: usize = 16;
/// The minimum depth of inner products. In less, adding the lanes of each sum costs too much.
const INNER_DEPTH: usize = 256;
/// The maximum number of rows of inner products. With more rows it is faster to transpose the right matrix.
const INNER_ROWS: usize = 64;
/// With fewer rows, the columns are cut into pieces.
const FEW_ROWS: usize = 16;
/// The minimum number of rows for which copies of the right matrix's columns pay, and the size in floats from which its parts displace
/// each other in the cache.
const COPIED: [usize; 2] = [64, 1 << 16];

impl CpuProduct<'_> {
    /// Writes the product into `out`. Calls `epilogue` on each finished piece with the index of its first element.
    pub fn run(&self, out: &mut [f32], epilogue: impl Fn(usize, &mut [f32]) + Sync) {
        let MatmulShape { rows, columns, depth } = self.sizes;
        assert!(out.len() == rows * columns && self.a.len() == rows * depth && self.b.len() == depth * columns);
        if out.is_empty() || depth == 0 {
            out.fill(0.0);
            return epilogue(0, out);
        }
        let along_depth = self.transpose_b && !self.transpose_a;
        if along_depth && depth >= INNER_DEPTH && depth.is_multiple_of(WHOLE) && rows <= INNER_ROWS {
            return self.inner(out, &epilogue);
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
            let rows = out.len() / columns;
            dispatch(Outer {
                groups: 1,
                left: Left::Packed(&left[first * depth..]),
                rows,
                right,
                right_group: 0,
                offsets: &offsets,
                columns: Columns::run(columns),
                // The copies are for the tiles of several rows; the last piece can have one.
                copies: copies.as_ref().filter(|_| rows > 1),
                out,
                out_row: columns,
            });
        });
    }

    /// The product of matrices that are both stored along the depth. If there are few rows, its transpose is computed, which can be cut
    /// into pieces.
    fn inner(&self, out: &mut [f32], epilogue: &(dyn Fn(usize, &mut [f32]) + Sync)) {
        let MatmulShape { rows, columns, depth } = self.sizes;
        if rows < FEW_ROWS && columns > FEW_ROWS && self.work() >= 2 * PIECE {
            let sizes = MatmulShape { rows: columns, columns: rows, depth };
            let mut turned = Scratch::new(out.len());
            Self { sizes, a: self.b, b: self.a, ..*self }.inner(&mut turned, &|_, _| ());
            turn(&turned, rows, [columns, rows], out, columns);
            return epilogue(0, out);
        }
        let starts: Vec<u32> = (0..columns).map(|column| (column * depth) as u32).collect();
        self.each_piece(out, epilogue, |first, out| {
            dispatch(Inner {
                groups: [1, 0, 0],
                left: &self.a[first * depth..],
                rows: [out.len() / columns, depth],
                right: self.b,
                columns: &starts,
                runs: &[Run { left: 0, right: 0, len: depth }],
                out,
                out_row: columns,
                add: false,
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
        let MatmulShape { rows, columns, .. } = self.sizes;
        let pieces = (self.work() / PIECE).min(rows.div_ceil(PIECE_ROWS).max(2)).max(1);
        let piece_rows = rows.div_ceil(pieces).next_multiple_of(PANEL).min(rows);
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

    /// The work in multiplications.
    fn work(&self) -> usize {
        let MatmulShape { rows, columns, depth } = self.sizes;
        (rows * columns).max(LOAD * rows.max(columns)) * depth
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
        let piece = (PIECE / 16 / columns).max(1).next_multiple_of(16);
        let part = |(index, to): (usize, &mut [f32])| {
            turn(&self.b[index * piece..], depth, [columns, to.len() / columns], to, columns);
        };
        match turned.len() <= piece * columns {
            true => turned.chunks_mut(piece * columns).enumerate().for_each(part),
            false => turned.par_chunks_mut(piece * columns).enumerate().for_each(part),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks some elements of a product, with the columns and rows of all operands stored either way.
    fn check(rows: usize, columns: usize, depth: usize) {
        let number = |i: usize, salt: usize| ((i * 37 + salt) % 101) as f32 / 50.0 - 1.0;
        let a: Vec<f32> = (0..rows * depth).map(|i| number(i, 1)).collect();
        let b: Vec<f32> = (0..depth * columns).map(|i| number(i, 2)).collect();
        for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false), (true, true)] {
            let sizes = MatmulShape { rows, columns, depth };
            let mut out = vec![f32::NAN; rows * columns];
            let product = CpuProduct { sizes, a: &a, b: &b, transpose_a, transpose_b };
            product.run(&mut out, |_, piece| piece.iter_mut().for_each(|y| *y += 1.0));
            for at in (0..out.len()).step_by((out.len() / 97).max(1)) {
                let (row, column) = (at / columns, at % columns);
                let left = |k: usize| f64::from(a[if transpose_a { k * rows + row } else { row * depth + k }]);
                let right =
                    |k: usize| f64::from(b[if transpose_b { column * depth + k } else { k * columns + column }]);
                let wanted = 1.0 + (0..depth).map(|k| left(k) * right(k)).sum::<f64>();
                let what = format!("{rows} x {columns} x {depth}, {transpose_a} {transpose_b}: {row} {column}");
                assert!(
                    (f64::from(out[at]) - wanted).abs() < 1e-5 * depth as f64 + 1e-6,
                    "{what}: {} {wanted}",
                    out[at]
                );
            }
        }
    }

    #[test]
    fn products_of_every_kind() {
        // No depth; few rows that are cut by columns; many columns; copied columns; rows for inner products; a last piece of one row.
        for (rows, columns, depth) in [
            (2, 40, 0),
            (1, 9000, 256),
            (3, 700, 1024),
            (70, 70_000, 2),
            (130, 260, 512),
            (40, 50, 512),
            (1921, 256, 256),
        ] {
            check(rows, columns, depth);
        }
    }
}
