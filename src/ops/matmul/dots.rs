//! A product whose operands both stand with their depth innermost, y = a b^T, as inner products of rows: the forward pass
//! of a linear layer. Packing b for a general product would cost more than the product where a has few rows, and rows that
//! lie a power of two apart fight for the same cache lines while they are packed.

/// Rows of a worked on at once.
const ROWS: usize = 4;
/// Rows of b worked on at once: with [`ROWS`], sums that fit the registers.
const COLUMNS: usize = 3;
/// Lanes of a sum.
const LANES: usize = 8;

/// Whether [`run`] computes on this machine.
pub(super) fn available() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Rows of `a` `[rows, depth]` against all rows of `b` `[columns, depth]`, into `out` `[rows, columns]`. Each element is
/// summed in the same order whatever the number of rows.
#[cfg(target_arch = "x86_64")]
pub(super) fn run(a: &[f32], b: &[f32], depth: usize, out: &mut [f32]) {
    debug_assert!(available());
    // SAFETY: `available` has found the features that the function is compiled for.
    unsafe { all(a, b, depth, out) }
}

/// Never called where it is not [`available`].
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn run(_: &[f32], _: &[f32], _: usize, _: &mut [f32]) {}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn all(a: &[f32], b: &[f32], depth: usize, out: &mut [f32]) {
    let columns = b.len() / depth;
    for (a, out) in a.chunks(ROWS * depth).zip(out.chunks_mut(ROWS * columns)) {
        for first in (0..columns).step_by(COLUMNS) {
            let b = &b[first * depth..(first + COLUMNS).min(columns) * depth];
            if a.len() == ROWS * depth && b.len() == COLUMNS * depth {
                tile::<ROWS, COLUMNS>(a, b, depth, &mut out[first..], columns);
            } else {
                for (a, out) in a.chunks(depth).zip(out.chunks_mut(columns)) {
                    for (b, y) in b.chunks(depth).zip(&mut out[first..]) {
                        tile::<1, 1>(a, b, depth, std::slice::from_mut(y), 1);
                    }
                }
            }
        }
    }
}

/// `R` rows of a against `C` rows of b: [`LANES`] partial sums each, then those, then what is left of the depth.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[inline]
fn tile<const R: usize, const C: usize>(a: &[f32], b: &[f32], depth: usize, out: &mut [f32], stride: usize) {
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps};
    assert!(a.len() == R * depth && b.len() == C * depth);
    let whole = depth / LANES * LANES;
    let mut sums = [[_mm256_setzero_ps(); C]; R];
    for k in (0..whole).step_by(LANES) {
        // SAFETY: rows have `depth` elements, of which those from k to k + LANES are read; checked above.
        let load = |x: &[f32], row: usize| unsafe { _mm256_loadu_ps(x.as_ptr().add(row * depth + k)) };
        let b: [_; C] = std::array::from_fn(|column| load(b, column));
        for (row, sums) in sums.iter_mut().enumerate() {
            let a = load(a, row);
            for (sum, &b) in sums.iter_mut().zip(&b) {
                *sum = _mm256_fmadd_ps(a, b, *sum);
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        for (column, &sum) in sums.iter().enumerate() {
            let mut s = [0.0; LANES];
            // SAFETY: s has LANES elements.
            unsafe { _mm256_storeu_ps(s.as_mut_ptr(), sum) };
            let mut sum = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
            for k in whole..depth {
                sum = a[row * depth + k].mul_add(b[column * depth + k], sum);
            }
            out[row * stride + column] = sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_products_are_those_of_the_definition_at_every_edge() {
        if !available() {
            return;
        }
        for (rows, columns, depth) in [(1, 1, 1), (4, 3, 8), (5, 4, 9), (3, 2, 7), (9, 10, 65), (8, 64, 1024)] {
            let value = |i: usize| ((i * 7919 + 13) % 101) as f32 / 50.0 - 1.0;
            let a: Vec<f32> = (0..rows * depth).map(value).collect();
            let b: Vec<f32> = (0..columns * depth).map(|i| value(i + 5)).collect();
            let mut out = vec![f32::NAN; rows * columns];
            run(&a, &b, depth, &mut out);
            for (index, &y) in out.iter().enumerate() {
                let (row, column) = (index / columns, index % columns);
                let terms = (0..depth).map(|k| f64::from(a[row * depth + k]) * f64::from(b[column * depth + k]));
                let wanted: f64 = terms.sum();
                assert!(
                    (f64::from(y) - wanted).abs() < 1e-4,
                    "{rows}x{columns}x{depth} at {row}, {column}: {y} {wanted}"
                );
            }
        }
    }
}
