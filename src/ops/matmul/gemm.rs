//! A safe interface to the `matrixmultiply` crate, with bounds checks.

/// A matrix in a slice: element (i, j) is `values[i * row + j * column]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StridedMatrix<'a> {
    /// The slice.
    pub values: &'a [f32],
    /// The stride between rows, in elements.
    pub row: usize,
    /// The stride between columns, in elements.
    pub column: usize,
}

impl<'a> StridedMatrix<'a> {
    /// A row-major matrix with rows of `row` elements.
    pub fn rows(values: &'a [f32], row: usize) -> Self {
        Self { values, row, column: 1 }
    }
    /// The transpose, without a copy.
    pub fn transposed(self) -> Self {
        Self { row: self.column, column: self.row, ..self }
    }
    fn holds(&self, rows: usize, columns: usize) -> bool {
        rows == 0 || columns == 0 || (rows - 1) * self.row + (columns - 1) * self.column < self.values.len()
    }
}

/// out = a b + `keep` out, for a `[m, k]`, b `[k, n]` and out `[m, n]`. The row stride of out is `out_row`. If `keep`
/// is 0, the previous content of out is ignored.
///
/// # Panics
/// When a slice is too short for its sizes: a bug in this crate.
#[expect(unsafe_code, reason = "matrixmultiply takes pointers")]
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
    // The crate computes the transposed product, out^T = b^T a^T. Its columns are contiguous in `out`, so the crate's
    // kernels store whole vectors. A product of small depth takes less than half the time.
    //
    // SAFETY: the strides address [m, k] elements of a, [k, n] of b and [m, n] of out, all inside their slices, as
    // asserted. No two elements of out are the same, because its rows do not overlap. out is borrowed exclusively.
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

/// Writes the transpose of `rows` rows of `columns` numbers, `stride` apart, into `buffer`. The crate packs operands in
/// vectors if they are contiguous across the depth. Otherwise it packs single numbers, which takes twice as long as
/// this transpose and the vector packing together.
pub(crate) fn turn(values: &[f32], stride: usize, [rows, columns]: [usize; 2], buffer: &mut [f32]) {
    // Tiles that the compiler keeps in registers.
    const TILE: usize = 4;
    for row in (0..rows).step_by(TILE) {
        for column in (0..columns).step_by(TILE) {
            if row + TILE > rows || column + TILE > columns {
                for row in row..rows.min(row + TILE) {
                    for column in column..columns.min(column + TILE) {
                        buffer[column * rows + row] = values[row * stride + column];
                    }
                }
                continue;
            }
            let mut tile = [[0.0; TILE]; TILE];
            for (i, line) in tile.iter_mut().enumerate() {
                line.copy_from_slice(&values[(row + i) * stride + column..][..TILE]);
            }
            for j in 0..TILE {
                let to = &mut buffer[(column + j) * rows + row..][..TILE];
                to.iter_mut().zip(&tile).for_each(|(to, line)| *to = line[j]);
            }
        }
    }
}
