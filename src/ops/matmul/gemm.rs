//! The `matrixmultiply` crate behind checked slices.

/// A matrix somewhere in a slice: element (i, j) is `values[i * row + j * column]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StridedMatrix<'a> {
    /// Where it lies.
    pub values: &'a [f32],
    /// Elements from a row to the next.
    pub row: usize,
    /// Elements from a column to the next.
    pub column: usize,
}

impl<'a> StridedMatrix<'a> {
    /// Rows of `row` neighbours.
    pub fn rows(values: &'a [f32], row: usize) -> Self {
        Self { values, row, column: 1 }
    }
    /// The transpose, where it stands.
    pub fn transposed(self) -> Self {
        Self { row: self.column, column: self.row, ..self }
    }
    fn holds(&self, rows: usize, columns: usize) -> bool {
        rows == 0 || columns == 0 || (rows - 1) * self.row + (columns - 1) * self.column < self.values.len()
    }
}

/// out = a b + `keep` out, for a `[m, k]`, b `[k, n]` and out `[m, n]` whose rows begin `out_row` apart. With `keep` 0,
/// `out`'s content before does not count.
///
/// # Panics
/// When a slice is too short for its sizes: a mistake in this crate.
pub(crate) fn multiply(
    [m, k, n]: [usize; 3],
    a: StridedMatrix,
    b: StridedMatrix,
    keep: f32,
    out: &mut [f32],
    out_row: usize,
) {
    assert!(
        a.holds(m, k) && b.holds(k, n) && StridedMatrix::rows(out, out_row).holds(m, n) && (n <= out_row || m <= 1)
    );
    // The transposed product, out^T = b^T a^T: its rows then lie side by side in `out`, where the crate's kernels store
    // whole vectors. A product of small depth takes less than half as long so.
    //
    // SAFETY: the strides address [m, k] elements of a, [k, n] of b and [m, n] of out, all within their slices, as asserted;
    // no two elements of out are one, as its rows do not overlap; out is borrowed alone.
    unsafe {
        matrixmultiply::sgemm(
            n,
            k,
            m,
            1.0,
            b.values.as_ptr(),
            b.column as isize,
            b.row as isize,
            a.values.as_ptr(),
            a.column as isize,
            a.row as isize,
            keep,
            out.as_mut_ptr(),
            1,
            out_row as isize,
        );
    }
}

/// Writes the transpose of `rows` rows of `columns` numbers, `stride` apart, into `room`. The crate packs numbers that stand
/// across the depth in vectors, and those that stand along it one by one, which takes twice as long as both together.
pub(crate) fn turn(values: &[f32], stride: usize, [rows, columns]: [usize; 2], room: &mut [f32]) {
    // Tiles that the compiler keeps in registers.
    const TILE: usize = 4;
    for row in (0..rows).step_by(TILE) {
        for column in (0..columns).step_by(TILE) {
            if row + TILE > rows || column + TILE > columns {
                for row in row..rows.min(row + TILE) {
                    for column in column..columns.min(column + TILE) {
                        room[column * rows + row] = values[row * stride + column];
                    }
                }
                continue;
            }
            let mut tile = [[0.0; TILE]; TILE];
            for (i, line) in tile.iter_mut().enumerate() {
                line.copy_from_slice(&values[(row + i) * stride + column..][..TILE]);
            }
            for j in 0..TILE {
                let to = &mut room[(column + j) * rows + row..][..TILE];
                to.iter_mut().zip(&tile).for_each(|(to, line)| *to = line[j]);
            }
        }
    }
}
