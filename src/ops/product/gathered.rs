//! Products as sums of outer products, whose left numbers are read one by one from where they lie: the pixels of an image that belong to
//! a tap, for one output after another. The right matrix holds the outputs' gradients, with the channels side by side.

use super::outer::tiles;
use crate::ops::lanes::{Lanes, Work};

/// Adds left times right to the result.
#[derive(Debug)]
pub(crate) struct Gathered<'a> {
    /// What the left matrix is read from.
    pub left: &'a [f32],
    /// Where each of its rows begins.
    pub rows: &'a [u32],
    /// Where each step of the depth is in a row.
    pub positions: &'a [u32],
    /// The right matrix: a row for each step of the depth. Behind its end there is memory for a vector.
    pub right: &'a [f32],
    /// The number of its columns.
    pub columns: usize,
    /// The result. Its rows are `out_row` apart, which is room for whole vectors.
    pub out: &'a mut [f32],
    /// The distance between its rows, in floats.
    pub out_row: usize,
}

impl Gathered<'_> {
    /// Adds `M` rows from `row` on and `N` vectors of columns from `column` on.
    #[inline(always)]
    fn tile<L: Lanes, const M: usize, const N: usize>(&mut self, lanes: L, row: usize, column: usize) {
        let left: [&[f32]; M] = std::array::from_fn(|i| &self.left[self.rows[row + i] as usize..]);
        let mut sums = [[lanes.splat(0.0); N]; M];
        let mut right = self.right.get(column..).unwrap_or_default();
        for &position in self.positions {
            let mut row = [lanes.splat(0.0); N];
            for j in 0..N {
                row[j] = lanes.load(&right[j * L::LANES..]);
            }
            for i in 0..M {
                let factor = lanes.splat(left[i][position as usize]);
                for j in 0..N {
                    sums[i][j] = lanes.mul_add(factor, row[j], sums[i][j]);
                }
            }
            right = right.get(self.columns..).unwrap_or_default();
        }
        for (i, sums) in sums.iter().enumerate() {
            for (j, &sum) in sums.iter().enumerate() {
                let to = &mut self.out[(row + i) * self.out_row + column + j * L::LANES..];
                let before = lanes.load(to);
                lanes.store(lanes.add(before, sum), to);
            }
        }
    }

    #[inline(always)]
    fn rows<L: Lanes, const N: usize>(&mut self, lanes: L, column: usize) {
        let mut row = 0;
        while row < self.rows.len() {
            let height = match self.rows.len() - row {
                8.. if L::REGISTERS >= 32 => {
                    self.tile::<L, 8, N>(lanes, row, column);
                    8
                }
                4.. => {
                    self.tile::<L, 4, N>(lanes, row, column);
                    4
                }
                2.. => {
                    self.tile::<L, 2, N>(lanes, row, column);
                    2
                }
                _ => {
                    self.tile::<L, 1, N>(lanes, row, column);
                    1
                }
            };
            row += height;
        }
    }
}

impl Work for Gathered<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, lanes: L) {
        assert!(self.right.len() >= self.positions.len() * self.columns + L::LANES, "room for a vector");
        for (first, count) in tiles(usize::MAX, self.columns.div_ceil(L::LANES)) {
            match count {
                3 => self.rows::<L, 3>(lanes, first * L::LANES),
                2 => self.rows::<L, 2>(lanes, first * L::LANES),
                _ => self.rows::<L, 1>(lanes, first * L::LANES),
            }
        }
    }
}
