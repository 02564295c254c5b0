//! Products as sums of outer products: a tile of sums stays in registers, and each step adds a column of the left matrix times a row of
//! the right one. The right matrix is read where it lies. Its rows may begin anywhere, so it can also be the pixels of an image that the
//! taps of a convolution read.

use super::panels::{PANEL, heights};
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

/// A left matrix.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Left<'a> {
    /// Packed by [`pack`](super::panels::pack).
    Packed(&'a [f32]),
    /// As it lies, one row after another. For few columns packing costs more than it saves.
    There(&'a [f32]),
}

impl<'a> Left<'a> {
    /// The matrix from a row of a panel's start on.
    pub fn at_row(self, row: usize, depth: usize) -> Self {
        match self {
            Self::Packed(values) => Self::Packed(&values[row * depth..]),
            Self::There(values) => Self::There(&values[row * depth..]),
        }
    }
}

/// One product, or several alike. Each sum is computed in the order of the depth, so its bits do not depend on the width of vectors or
/// the place in a tile, on CPUs that round a multiplication and an addition together.
#[derive(Debug)]
pub(crate) struct Outer<'a> {
    /// The number of products. What belongs to them lies one after another.
    pub groups: usize,
    /// The left matrix.
    pub left: Left<'a>,
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

/// The vectors of the widest tiles.
const WIDEST: usize = 6;

/// The tiles of so many vectors of columns: the first vector of each, and how many it has. Three are best; four are two and two. A
/// single row has fewer sums, so its tiles are wider.
#[inline(always)]
pub(super) fn tiles(rows: usize, vectors: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let first = next;
        let count = match vectors - first {
            WIDEST.. if rows == 1 => WIDEST,
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
        for (first, count) in tiles(usize::MAX, vectors) {
            let (part, after) = rest.split_at_mut(offsets.len() * count * lanes);
            parts.push((first * lanes, count * lanes, part));
            rest = after;
        }
        parts.into_par_iter().for_each(|(first, width, to)| {
            let starts: Vec<usize> = (first..first + width).step_by(lanes).collect();
            copy_rows(right, offsets, &starts, lanes, to);
        });
        Self(copies)
    }
}

/// Copies of each row the vectors that begin at these places of it, with zeros after the matrix.
fn copy_rows(right: &[f32], offsets: &[u32], starts: &[usize], lanes: usize, to: &mut [f32]) {
    for (to, &offset) in to.chunks_exact_mut(starts.len() * lanes).zip(offsets) {
        for (to, start) in to.chunks_exact_mut(lanes).zip(starts) {
            let from = right.get(offset as usize + start..).unwrap_or_default();
            let (filled, rest) = to.split_at_mut(from.len().min(lanes));
            filled.copy_from_slice(&from[..filled.len()]);
            rest.fill(0.0);
        }
    }
}

/// The columns of a tile. The depth is that of the rows which are there, and then that of the copied ones.
#[derive(Clone, Copy)]
struct Right<'a, const N: usize> {
    /// For each vector, the right matrix from its first element on.
    there: [&'a [f32]; N],
    /// Where the rows begin.
    offsets: &'a [u32],
    /// Copied rows, one after another.
    copied: &'a [f32],
}

impl<const N: usize> Right<'_, N> {
    /// The vectors of the row that begins at `offset`.
    // A reference to the vectors would keep them in memory.
    #[allow(clippy::needless_range_loop)]
    #[inline(always)]
    fn row<L: Lanes>(&self, lanes: L, offset: u32) -> [L::Vector; N] {
        let mut row = [lanes.splat(0.0); N];
        for j in 0..N {
            row[j] = lanes.load(&self.there[j][offset as usize..]);
        }
        row
    }
}

/// The vectors of a copied row.
#[inline(always)]
// A reference to the vectors would keep them in memory.
#[allow(clippy::needless_range_loop)]
fn copied<L: Lanes, const N: usize>(lanes: L, values: &[f32]) -> [L::Vector; N] {
    let mut row = [lanes.splat(0.0); N];
    for j in 0..N {
        row[j] = lanes.load(&values[j * L::LANES..]);
    }
    row
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

/// Computes `M` rows, one panel of a packed left matrix, and `N` vectors of columns.
#[inline(always)]
fn packed<L: Lanes, const M: usize, const N: usize>(
    lanes: L,
    left: &[f32],
    right: Right<'_, N>,
) -> [[L::Vector; N]; M] {
    let mut sums = [[lanes.splat(0.0); N]; M];
    let (there, after) = left.as_chunks::<M>().0.split_at(right.offsets.len());
    for (left, &offset) in there.iter().zip(right.offsets) {
        step::<L, M, N>(lanes, &mut sums, left, right.row(lanes, offset));
    }
    for (left, row) in after.iter().zip(right.copied.chunks_exact(N * L::LANES)) {
        step::<L, M, N>(lanes, &mut sums, left, copied(lanes, row));
    }
    sums
}

/// The same, with the rows of the left matrix one after another.
#[inline(always)]
fn there<L: Lanes, const M: usize, const N: usize>(
    lanes: L,
    left: [&[f32]; M],
    right: Right<'_, N>,
) -> [[L::Vector; N]; M] {
    let mut sums = [[lanes.splat(0.0); N]; M];
    for (k, &offset) in right.offsets.iter().enumerate() {
        let row = right.row(lanes, offset);
        // As `step`, but each number goes from memory to all lanes at once.
        for i in 0..M {
            let factor = lanes.splat(left[i][k]);
            for j in 0..N {
                sums[i][j] = lanes.mul_add(factor, row[j], sums[i][j]);
            }
        }
    }
    let first = right.offsets.len();
    for (k, row) in right.copied.chunks_exact(N * L::LANES).enumerate() {
        let mut column = [0.0; M];
        for i in 0..M {
            column[i] = left[i][first + k];
        }
        step::<L, M, N>(lanes, &mut sums, &column, copied(lanes, row));
    }
    sums
}

/// Writes a tile, whose vectors lie side by side in each row.
#[inline(always)]
fn write<L: Lanes, const M: usize, const N: usize>(
    lanes: L,
    sums: [[L::Vector; N]; M],
    (out, out_row): (&mut [f32], usize),
) {
    for i in 0..M {
        let to = &mut out[i * out_row..][..N * L::LANES];
        for j in 0..N {
            lanes.store(sums[i][j], &mut to[j * L::LANES..]);
        }
    }
}

/// Computes the tiles of all rows.
#[inline(always)]
fn panels<L: Lanes, const N: usize>(
    lanes: L,
    (left, rows, depth): (Left<'_>, usize, usize),
    right: Right<'_, N>,
    (out, out_row): (&mut [f32], usize),
) {
    for (row, height) in heights::<L>(rows) {
        let (left, out) = (left.at_row(row, depth), (&mut out[row * out_row..], out_row));
        match height {
            PANEL => panel::<L, PANEL, N>(lanes, left, depth, right, out),
            4 => panel::<L, 4, N>(lanes, left, depth, right, out),
            2 => panel::<L, 2, N>(lanes, left, depth, right, out),
            _ => panel::<L, 1, N>(lanes, left, depth, right, out),
        }
    }
}

/// Computes the tile of `M` rows.
#[inline(always)]
fn panel<L: Lanes, const M: usize, const N: usize>(
    lanes: L,
    left: Left<'_>,
    depth: usize,
    right: Right<'_, N>,
    out: (&mut [f32], usize),
) {
    match left {
        Left::Packed(left) => write::<L, M, N>(lanes, packed::<L, M, N>(lanes, &left[..M * depth], right), out),
        Left::There(left) => {
            let rows = std::array::from_fn(|i| &left[i * depth..][..depth]);
            write::<L, M, N>(lanes, there::<L, M, N>(lanes, rows, right), out);
        }
    }
}

/// A vector of columns.
#[derive(Clone, Copy, Default)]
struct Cursor {
    /// Where its line begins in each row of the right matrix, and in each row of the result.
    start: usize,
    place: usize,
    /// Where it begins in its line.
    in_line: usize,
}

impl Cursor {
    /// Goes on to the next vector.
    #[inline(always)]
    fn advance(&mut self, lanes: usize, columns: Columns) {
        self.in_line += lanes;
        if self.in_line >= columns.width {
            *self = Self { start: self.start + columns.stride, place: self.place + columns.width, in_line: 0 };
        }
    }
}

/// One of the products.
struct Product<'a> {
    left: Left<'a>,
    rows: usize,
    right: &'a [f32],
    offsets: &'a [u32],
    /// The largest offset.
    farthest: usize,
    columns: Columns,
    copies: Option<&'a Copies>,
    out: &'a mut [f32],
    out_row: usize,
}

impl Product<'_> {
    /// Computes `N` vectors of columns.
    #[inline(always)]
    fn vectors<L: Lanes, const N: usize>(&mut self, lanes: L, cursor: &mut Cursor) {
        let (mut starts, mut places) = ([0; N], [0; N]);
        for j in 0..N {
            (starts[j], places[j]) = (cursor.start + cursor.in_line, cursor.place + cursor.in_line);
            cursor.advance(L::LANES, self.columns);
        }
        let depth = self.offsets.len();
        let mut copy;
        let right = if let Some(Copies(copies)) = self.copies {
            let copied = &copies[depth * places[0]..][..depth * N * L::LANES];
            Right { there: [&[]; N], offsets: &[], copied }
        } else if starts[N - 1] + self.farthest + L::LANES <= self.right.len() {
            // What lies after a line does no harm in the rest of a vector.
            Right { there: starts.map(|start| &self.right[start..]), offsets: self.offsets, copied: &[] }
        } else {
            // After rows at the end of the matrix too little lies. They are copied, because loads of a part of a vector are slow.
            let end = starts[N - 1] + L::LANES;
            let whole = self.offsets.iter().position(|&offset| end + offset as usize > self.right.len());
            let (offsets, after) = self.offsets.split_at(whole.unwrap_or(depth));
            copy = Scratch::new(after.len() * N * L::LANES);
            copy_rows(self.right, after, &starts, L::LANES, &mut copy);
            Right { there: starts.map(|start| self.right.get(start..).unwrap_or_default()), offsets, copied: &copy }
        };
        let (width, columns) = (N * L::LANES, self.columns.len());
        if N == WIDEST || self.rows == 1 {
            // A packed row is the row.
            let (Left::Packed(left) | Left::There(left)) = self.left;
            let [sums] = there::<L, 1, N>(lanes, [&left[..depth]], right);
            for j in 0..N {
                let to = &mut self.out[places[j]..columns];
                match to.len() < L::LANES {
                    true => lanes.store_part(sums[j], to),
                    false => lanes.store(sums[j], to),
                }
            }
            return;
        }
        let in_one_piece = places[N - 1] == places[0] + (N - 1) * L::LANES && places[0] + width <= columns;
        let mut tile = Scratch::new(if in_one_piece { 0 } else { self.rows * width });
        let to = match in_one_piece {
            true => (&mut self.out[places[0]..], self.out_row),
            false => (&mut tile[..], width),
        };
        panels::<L, N>(lanes, (self.left, self.rows, depth), right, to);
        // What is more in a vector than in the rest of its line is overwritten by the next line.
        for (row, values) in tile.chunks_exact(width).enumerate() {
            for (values, place) in values.chunks_exact(L::LANES).zip(places) {
                let to = &mut self.out[row * self.out_row + place..][..L::LANES.min(columns - place)];
                match to.len() == L::LANES {
                    true => lanes.store(lanes.load(values), to),
                    false => to.copy_from_slice(&values[..to.len()]),
                }
            }
        }
    }

    /// Computes all columns.
    #[inline(always)]
    fn run<L: Lanes>(&mut self, lanes: L) {
        let Columns { lines, width, .. } = self.columns;
        let mut cursor = Cursor::default();
        for (_, count) in tiles(self.rows, lines * width.div_ceil(L::LANES)) {
            match count {
                WIDEST => self.vectors::<L, WIDEST>(lanes, &mut cursor),
                3 => self.vectors::<L, 3>(lanes, &mut cursor),
                2 => self.vectors::<L, 2>(lanes, &mut cursor),
                _ => self.vectors::<L, 1>(lanes, &mut cursor),
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
        assert!(
            copies.is_none() || columns.lines == 1 && self.groups == 1 && rows > 1,
            "only a matrix of several rows is copied"
        );
        let farthest = offsets.iter().max().map_or(0, |&offset| offset as usize);
        for group in 0..self.groups {
            let mut product = Product {
                left: left.at_row(group * rows, offsets.len()),
                rows,
                right: &right[group * self.right_group..],
                offsets,
                farthest,
                columns,
                copies,
                out: &mut out[group * rows * out_row..],
                out_row,
            };
            product.run(lanes);
        }
    }
}
