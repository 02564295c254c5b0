//! Products as sums of outer products: a tile of sums stays in registers, and each step adds a column of the left matrix times a row of
//! the right one. The right matrix is read where it lies. Its rows may begin anywhere, so it can also be the pixels of an image that the
//! taps of a convolution read.

use super::panels::heights;
use super::scratch::Scratch;
use crate::ops::lanes::{Lanes, Work, lanes};
use crate::parallel::*;

/// The columns of the right matrix: `lines` runs of `width` numbers, `stride` apart. In the result they follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    /// The number of runs.
    pub lines: usize,
    /// The length of a run.
    pub width: usize,
    /// The distance between the starts of runs, in floats.
    pub stride: usize,
}

impl Columns {
    /// One run.
    pub fn run(width: usize) -> Self {
        Self { lines: 1, width, stride: width }
    }
    /// The number of columns.
    pub fn len(self) -> usize {
        self.lines * self.width
    }
    /// The same columns in as few runs as possible.
    fn joined(self) -> Self {
        if self.stride == self.width { Self::run(self.len()) } else { self }
    }
}

/// One product, or several alike. Each sum is computed in the order of the depth, so its bits do not depend on the width of vectors or
/// the place in a tile, on CPUs that round a multiplication and an addition together.
#[derive(Debug)]
pub(crate) struct Outer<'a> {
    /// The number of products. What belongs to them lies one after another.
    pub groups: usize,
    /// The left matrix, packed by [`pack`](super::panels::pack).
    pub left: &'a [f32],
    /// The number of rows of the left matrix and of the result.
    pub rows: usize,
    /// The right matrix.
    pub right: &'a [f32],
    /// The distance between the right matrices of two products, in floats.
    pub right_group: usize,
    /// Where each row of the right matrix begins.
    pub offsets: &'a [u32],
    /// Its columns.
    pub columns: Columns,
    /// The right matrix again, copied by [`Copies`], if that is done. Then there is one product.
    pub copies: Option<&'a Copies>,
    /// The result.
    pub out: &'a mut [f32],
    /// The distance between rows of the result, in floats.
    pub out_row: usize,
}

/// The tiles of so many vectors of columns: the first vector of each, and how many it has. Three are best; four are two and two.
#[inline(always)]
pub(super) fn tiles(vectors: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let first = next;
        let count = match vectors - first {
            4 => 2,
            left => left.min(3),
        };
        next += count;
        (count > 0).then_some((first, count))
    })
}

/// The right matrix, copied so that the columns of each tile lie in one piece. That pays where there are many rows, and the matrix is so
/// large that parts of it displace each other in the cache.
#[derive(Debug)]
pub(crate) struct Copies(Scratch);

impl Copies {
    /// Copies a matrix, whose rows begin at these offsets.
    pub fn new(right: &[f32], offsets: &[u32], columns: usize) -> Self {
        let (lanes, vectors) = (lanes(), columns.div_ceil(lanes()));
        let mut copies = Scratch::new(offsets.len() * vectors * lanes);
        let (mut parts, mut rest) = (Vec::new(), &mut copies[..]);
        for (first, count) in tiles(vectors) {
            let (part, after) = rest.split_at_mut(offsets.len() * count * lanes);
            parts.push((first * lanes, count * lanes, part));
            rest = after;
        }
        parts.into_par_iter().for_each(|(first, width, to)| {
            copy_columns(right, offsets, first, width.min(columns - first), to, width);
        });
        Self(copies)
    }
}

/// Copies `filled` columns of a matrix from column `first` on into rows of `width`, with zeros after them.
fn copy_columns(right: &[f32], offsets: &[u32], first: usize, filled: usize, to: &mut [f32], width: usize) {
    for (to, &offset) in to.chunks_exact_mut(width).zip(offsets) {
        to[..filled].copy_from_slice(&right[offset as usize + first..][..filled]);
        to[filled..].fill(0.0);
    }
}

/// Where the columns of a tile are.
#[derive(Clone, Copy)]
enum Right<'a, const N: usize> {
    /// In the right matrix, whose rows begin at these offsets; for each vector, from its first element on.
    There([&'a [f32]; N], &'a [u32]),
    /// In a copy: the vectors of a row lie side by side.
    Copied(&'a [f32]),
}

/// Adds a column of the left matrix times a row of the right one.
#[inline(always)]
fn step<L: Lanes, const M: usize, const N: usize>(
    lanes: L,
    sums: &mut [[L::Vector; N]; M],
    left: &[f32; M],
    row: [L::Vector; N],
) {
    for i in 0..M {
        let factor = lanes.splat(left[i]);
        for j in 0..N {
            sums[i][j] = lanes.mul_add(factor, row[j], sums[i][j]);
        }
    }
}

/// Computes `M` rows, one panel of the left matrix, and `N` vectors of columns, of which the last one has `last` columns.
#[inline(always)]
fn tile<L: Lanes, const M: usize, const N: usize>(
    lanes: L,
    left: &[f32],
    right: Right<'_, N>,
    last: usize,
    (out, out_row): (&mut [f32], usize),
) {
    let mut sums = [[lanes.splat(0.0); N]; M];
    let left = left.as_chunks::<M>().0;
    match right {
        Right::There(right, offsets) => {
            for (left, &offset) in left.iter().zip(offsets) {
                let mut row = [lanes.splat(0.0); N];
                for j in 0..N {
                    row[j] = lanes.load(&right[j][offset as usize..]);
                }
                step::<L, M, N>(lanes, &mut sums, left, row);
            }
        }
        Right::Copied(right) => {
            for (left, right) in left.iter().zip(right.chunks_exact(N * L::LANES)) {
                let mut row = [lanes.splat(0.0); N];
                for j in 0..N {
                    row[j] = lanes.load(&right[j * L::LANES..]);
                }
                step::<L, M, N>(lanes, &mut sums, left, row);
            }
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        for (j, &sum) in sums.iter().enumerate() {
            let to = &mut out[i * out_row + j * L::LANES..];
            if j + 1 < N || last == L::LANES {
                lanes.store(sum, to);
            } else {
                lanes.store_part(sum, &mut to[..last]);
            }
        }
    }
}

/// One of the products.
struct Product<'a> {
    left: &'a [f32],
    rows: usize,
    right: &'a [f32],
    offsets: &'a [u32],
    columns: Columns,
    copies: Option<&'a Copies>,
    out: &'a mut [f32],
    out_row: usize,
}

impl Product<'_> {
    /// Where a vector of columns begins in each row of the right matrix.
    #[inline(always)]
    fn start<L: Lanes>(&self, vector: usize) -> usize {
        let each = self.columns.width.div_ceil(L::LANES);
        vector / each * self.columns.stride + vector % each * L::LANES
    }

    /// Computes `N` vectors of columns from vector `first` on. The last of them has `last` columns.
    #[inline(always)]
    fn vectors<L: Lanes, const N: usize>(&mut self, lanes: L, first: usize, last: usize) {
        let depth = self.offsets.len();
        if let Some(Copies(copies)) = self.copies {
            let copy = &copies[depth * first * L::LANES..][..depth * N * L::LANES];
            return self.panels::<L, N>(lanes, Right::Copied(copy), first, last);
        }
        if last == L::LANES {
            let right = std::array::from_fn(|j| &self.right[self.start::<L>(first + j)..]);
            return self.panels::<L, N>(lanes, Right::There(right, self.offsets), first, last);
        }
        // Loads of a part of a vector are slow, so these columns are copied, with zeros after them.
        let width = N * L::LANES;
        let mut copy = Scratch::new(depth * width);
        copy_columns(self.right, self.offsets, first * L::LANES, width - L::LANES + last, &mut copy, width);
        self.panels::<L, N>(lanes, Right::Copied(&copy), first, last);
    }

    /// Computes all rows of these columns.
    #[inline(always)]
    fn panels<L: Lanes, const N: usize>(&mut self, lanes: L, right: Right<'_, N>, first: usize, last: usize) {
        let depth = self.offsets.len();
        for (row, height) in heights::<L>(self.rows) {
            let left = &self.left[row * depth..][..height * depth];
            let out = (&mut self.out[row * self.out_row + first * L::LANES..], self.out_row);
            match height {
                8 => tile::<L, 8, N>(lanes, left, right, last, out),
                4 => tile::<L, 4, N>(lanes, left, right, last, out),
                2 => tile::<L, 2, N>(lanes, left, right, last, out),
                _ => tile::<L, 1, N>(lanes, left, right, last, out),
            }
        }
    }

    /// Computes all columns.
    #[inline(always)]
    fn run<L: Lanes>(&mut self, lanes: L) {
        let Columns { lines, width, .. } = self.columns;
        let vectors = lines * width.div_ceil(L::LANES);
        for (first, count) in tiles(vectors) {
            let last = if first + count == vectors { width - (width - 1) / L::LANES * L::LANES } else { L::LANES };
            match count {
                3 => self.vectors::<L, 3>(lanes, first, last),
                2 => self.vectors::<L, 2>(lanes, first, last),
                _ => self.vectors::<L, 1>(lanes, first, last),
            }
        }
    }
}

impl Work for Outer<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { left, rows, right, offsets, copies, out, out_row, .. } = self;
        let columns = self.columns.joined();
        assert!(copies.is_none() || columns.lines == 1 && self.groups == 1, "only a matrix is copied");
        assert!(columns.lines == 1 || columns.width.is_multiple_of(L::LANES), "runs of whole vectors");
        for group in 0..self.groups {
            let mut product = Product {
                left: &left[group * rows * offsets.len()..],
                rows,
                right: &right[group * self.right_group..],
                offsets,
                columns,
                copies,
                out: &mut out[group * rows * out_row..],
                out_row,
            };
            product.run(lanes);
        }
    }
}
