//! Products as inner products: both matrices are stored along the depth, and the vectors lie along it, too. Nothing is packed. The
//! lanes of each sum are added at the end.

use crate::ops::lanes::{Lanes, Work};

/// The length of every run is a multiple of this: of the lanes of every CPU.
pub(crate) const WHOLE: usize = 16;

/// A part of the depth that lies in one piece in both matrices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Where it begins in each row of the left matrix.
    pub left: usize,
    /// Where it begins in each row of the right matrix.
    pub right: usize,
    /// Its length, a multiple of [`WHOLE`].
    pub len: usize,
}

/// The rows of left times the rows of right: one product, or several alike.
#[derive(Debug)]
pub(crate) struct Inner<'a> {
    /// The number of products, and the distances between their left and right matrices in floats. Their results follow each other.
    pub groups: [usize; 3],
    /// The left matrix.
    pub left: &'a [f32],
    /// The number of its rows, and the distance between them in floats.
    pub rows: [usize; 2],
    /// The right matrix.
    pub right: &'a [f32],
    /// Where each of its rows begins: a column of the result.
    pub columns: &'a [u32],
    /// The depth.
    pub runs: &'a [Run],
    /// The result.
    pub out: &'a mut [f32],
    /// The distance between its rows, in floats.
    pub out_row: usize,
    /// Whether the product is added to what the result holds.
    pub add: bool,
}

impl Inner<'_> {
    /// Computes `M` rows from `row` on and `N` columns from `column` on.
    #[inline(always)]
    fn tile<L: Lanes, const M: usize, const N: usize>(&mut self, lanes: L, row: usize, column: usize) {
        let left: [&[f32]; M] = std::array::from_fn(|i| &self.left[(row + i) * self.rows[1]..]);
        let right: [&[f32]; N] = std::array::from_fn(|j| &self.right[self.columns[column + j] as usize..]);
        let zero = lanes.splat(0.0);
        let mut sums = [[zero; N]; M];
        for run in self.runs {
            let left = left.map(|row| &row[run.left..][..run.len]);
            let right = right.map(|row| &row[run.right..][..run.len]);
            let mut at = 0;
            while at < run.len {
                let mut a = [zero; M];
                for i in 0..M {
                    a[i] = lanes.load(&left[i][at..]);
                }
                for j in 0..N {
                    let b = lanes.load(&right[j][at..]);
                    for i in 0..M {
                        sums[i][j] = lanes.mul_add(a[i], b, sums[i][j]);
                    }
                }
                at += L::LANES;
            }
        }
        // Sums of which a reference is taken would stay in memory, and be stored after each step of the loop above.
        let mut ended = [[zero; N]; M];
        for i in 0..M {
            for j in 0..N {
                ended[i][j] = lanes.add(sums[i][j], zero);
            }
        }
        for (i, ended) in ended.iter().enumerate() {
            let out = &mut self.out[(row + i) * self.out_row + column..][..N];
            for j in 0..N {
                let before = if self.add { out[j] } else { 0.0 };
                out[j] = before + lanes.sum(ended[j]);
            }
        }
    }

    #[inline(always)]
    fn columns<L: Lanes, const M: usize>(&mut self, lanes: L, row: usize, columns: std::ops::Range<usize>) {
        let mut column = columns.start;
        while column < columns.end {
            match columns.end - column {
                6.. => {
                    self.tile::<L, M, 6>(lanes, row, column);
                    column += 6;
                }
                3.. => {
                    self.tile::<L, M, 3>(lanes, row, column);
                    column += 3;
                }
                _ => {
                    self.tile::<L, M, 1>(lanes, row, column);
                    column += 1;
                }
            }
        }
    }
}

/// The number of floats of the right matrix that are used by all rows before the next ones: a part of the second-level cache.
const BLOCK: usize = 48 * 1024;

impl Inner<'_> {
    /// Computes one product.
    #[inline(always)]
    fn product<L: Lanes>(&mut self, lanes: L) {
        let depth: usize = self.runs.iter().map(|run| run.len).sum();
        let block = (BLOCK / depth.max(1)).max(6) / 6 * 6;
        for first in (0..self.columns.len()).step_by(block) {
            let columns = first..(first + block).min(self.columns.len());
            let mut row = 0;
            while row < self.rows[0] {
                // 4 x 6 vectors of sums fit 32 registers, 2 x 6 fit 16.
                match self.rows[0] - row {
                    4.. if L::REGISTERS >= 32 => {
                        self.columns::<L, 4>(lanes, row, columns.clone());
                        row += 4;
                    }
                    2.. => {
                        self.columns::<L, 2>(lanes, row, columns.clone());
                        row += 2;
                    }
                    _ => {
                        self.columns::<L, 1>(lanes, row, columns.clone());
                        row += 1;
                    }
                }
            }
        }
    }
}

impl Work for Inner<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        assert!(
            self.runs.iter().all(|run| run.len.is_multiple_of(WHOLE)) && WHOLE.is_multiple_of(L::LANES),
            "whole vectors"
        );
        let [groups, left, right] = self.groups;
        for group in 0..groups {
            let mut one = Inner {
                groups: [1, 0, 0],
                left: &self.left[group * left..],
                right: &self.right[group * right..],
                out: &mut self.out[group * self.rows[0] * self.out_row..],
                ..self
            };
            one.product(lanes);
        }
    }
}
