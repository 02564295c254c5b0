//! Principal component analysis of images (K. Pearson, 1901). A linear autoencoder can at best reach its reconstruction
//! error, so it is the baseline for non-linear ones.

use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;

use crate::data::Split;
use crate::{Error, Result};

/// The maximum number of values of an image. The time to decompose the covariance grows with its third power.
const MOST_VALUES: usize = 4096;
/// Columns of the covariance that are summed together. It fixes the order of additions, so that the bits do not depend on
/// the number of threads.
const PANEL: usize = 128;
/// Loops are faster for a matrix product with a side of up to this length.
const NARROW: usize = 5;
/// Images whose products are summed together.
const SUMMED_AT_ONCE: usize = 1024;

/// An affine map of images to few numbers, with the smallest possible squared error.
#[derive(Clone, Debug, PartialEq)]
pub struct Pca {
    /// n values.
    mean: Vec<f64>,
    /// n x components. Each column is a component of length 1. Columns are sorted by decreasing variance.
    components: DMatrix<f64>,
}

impl Pca {
    /// Computes the first `components` principal components of the images of a split.
    ///
    /// # Errors
    /// [`Error::Usage`] for more components than images or values, or more than 4,096 values in an image; [`Error::Data`] for
    /// values that are not finite.
    pub fn fit(split: &Split, components: usize) -> Result<Self> {
        let (count, values) = (split.len(), split.pixels.len() / split.len().max(1));
        if components == 0 || components > values || components > count {
            return Err(Error::usage(format!(
                "{components} principal components were requested of {count} images of {values} values; request at least 1, \
                 and no more than the number of images or values."
            )));
        }
        if values > MOST_VALUES {
            return Err(Error::usage(format!(
                "Principal components are limited to images of up to {MOST_VALUES} values, but these have {values}."
            )));
        }
        let mean = mean(split, values);
        let eigen = SymmetricEigen::try_new(covariance(split, &mean), f64::EPSILON, 0)
            .filter(|eigen| eigen.eigenvalues.iter().all(|value| value.is_finite()))
            .ok_or_else(|| {
                Error::data("The images have values that are not finite, so they have no principal components.")
            })?;
        let mut order: Vec<usize> = (0..values).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let chosen: Vec<_> = order.iter().take(components).map(|&at| eigen.eigenvectors.column(at)).collect();
        Ok(Self { mean, components: DMatrix::from_columns(&chosen) })
    }

    /// Projects concatenated images onto the components and back. The result is not clamped.
    ///
    /// # Panics
    /// When the number of values of an image differs from that of the fitted images.
    pub fn reconstruct(&self, images: &[f32]) -> Vec<f32> {
        let one = |image: &[f32]| {
            let centred = image.iter().zip(&self.mean).map(|(&value, mean)| f64::from(value) - mean);
            let centred = nalgebra::DVector::from_iterator(self.mean.len(), centred);
            let back = &self.components * self.components.tr_mul(&centred);
            back.iter().zip(&self.mean).map(|(value, mean)| (value + mean) as f32).collect::<Vec<f32>>()
        };
        images.par_chunks(self.mean.len()).flat_map_iter(one).collect()
    }
}

/// The mean of each of the values.
fn mean(split: &Split, values: usize) -> Vec<f64> {
    let mut mean = vec![0.0; values];
    for image in (0..split.len()).filter_map(|number| split.image(number)) {
        mean.iter_mut().zip(&image).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    mean.iter_mut().for_each(|sum| *sum /= split.len() as f64);
    mean
}

/// The covariance of the values, n x n.
fn covariance(split: &Split, mean: &[f64]) -> DMatrix<f64> {
    let n = mean.len();
    let mut panels: Vec<DMatrix<f64>> =
        (0..n).step_by(PANEL).map(|first| DMatrix::zeros(n, PANEL.min(n - first))).collect();
    for first in (0..split.len()).step_by(SUMMED_AT_ONCE) {
        let images = (first..split.len().min(first + SUMMED_AT_ONCE)).filter_map(|number| split.image(number));
        let centred: Vec<f64> = images
            .flat_map(|image| image.into_iter().map(f64::from).zip(mean).map(|(a, b)| a - b).collect::<Vec<_>>())
            .collect();
        // One column for each image.
        let centred = DMatrix::from_vec(n, centred.len() / n, centred);
        panels.par_iter_mut().enumerate().for_each(|(number, panel)| {
            let rows = centred.rows(number * PANEL, panel.ncols()).transpose();
            add_product(panel, 1.0 / split.len() as f64, &centred, &rows);
        });
    }
    let columns: Vec<_> = panels.iter().flat_map(|panel| panel.column_iter()).collect();
    DMatrix::from_columns(&columns)
}

/// Adds `factor` a b to a matrix. Without its feature `std`, nalgebra computes any product with plain loops, so this calls
/// `matrixmultiply` for all but narrow matrices, as nalgebra does with the feature.
///
/// # Panics
/// When the sizes do not fit: a bug in this file.
#[expect(unsafe_code, reason = "matrixmultiply takes pointers")]
fn add_product(to: &mut DMatrix<f64>, factor: f64, a: &DMatrix<f64>, b: &DMatrix<f64>) {
    let ([m, n], k) = ([a.nrows(), b.ncols()], a.ncols());
    assert!(b.nrows() == k && to.shape() == (m, n));
    if m.min(k).min(n) <= NARROW {
        return to.gemm(factor, a, b, 1.0);
    }
    let [row, of_a, of_b] = [1, m as isize, k as isize];
    // SAFETY: a `DMatrix` holds its columns one after another, so the strides address [m, k] elements of a, [k, n] of b and
    // [m, n] of the sum, all inside their matrices. The sum is borrowed exclusively.
    unsafe {
        let (a, b, to) = (a.as_ptr(), b.as_ptr(), to.as_mut_ptr());
        matrixmultiply::dgemm(m, k, n, factor, a, row, of_a, b, row, of_b, 1.0, to, row, of_a);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Pixels;

    /// 40 images of 6 values in a plane through (0.5, ..., 0.5), with noise of 1e-3 in the last value.
    fn flat() -> Split {
        let image = |number: usize| {
            let (a, b) = ((number * 7 % 40) as f32 / 40.0 - 0.5, (number * 11 % 13) as f32 / 13.0 - 0.5);
            let noise = if number.is_multiple_of(2) { 1e-3 } else { -1e-3 };
            [0.5 + a, 0.5 + b, 0.5 + a - b, 0.5 - a, 0.5, 0.5 + noise]
        };
        Split::new(Pixels::F32((0..40).flat_map(image).collect()), vec![0; 40])
    }

    #[test]
    fn as_many_components_as_dimensions_reconstruct_a_dataset() {
        let split = flat();
        let Pixels::F32(images) = &split.pixels else { panic!("made so") };
        let worst = |components: usize| {
            let back = Pca::fit(&split, components).expect("fitted").reconstruct(images);
            back.iter().zip(images).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
        };
        assert!(worst(1) > 0.1);
        let two = worst(2);
        assert!(two > 9e-4 && two < 1.2e-3, "{two}");
        assert!(worst(3) < 1e-6);
    }

    #[test]
    fn panels_make_the_covariance_that_its_definition_says() {
        let (values, count) = (PANEL + 3, SUMMED_AT_ONCE + 5);
        let value = |number: usize, at: usize| ((number * 31 + at * 17 + number * at % 29) % 101) as u8;
        let bytes = (0..count).flat_map(|number| (0..values).map(move |at| value(number, at))).collect();
        let split = Split::new(Pixels::U8(bytes), vec![0; count]);
        let mean = mean(&split, values);
        let covariance = covariance(&split, &mean);
        for (i, j) in [(0, 0), (PANEL + 2, 1), (3, PANEL), (PANEL, PANEL + 1)] {
            let at = |number: usize, i: usize| f64::from(f32::from(value(number, i)) / 255.0) - mean[i];
            let wanted = (0..count).map(|number| at(number, i) * at(number, j)).sum::<f64>() / count as f64;
            assert!((covariance[(i, j)] - wanted).abs() < 1e-12, "{i} {j}: {} and {wanted}", covariance[(i, j)]);
        }
    }

    #[test]
    fn images_without_components_are_refused() {
        let refused = |split: &Split, components: usize| Pca::fit(split, components).expect_err("refused").to_string();
        assert!(refused(&flat(), 0).contains("at least 1"));
        assert!(refused(&flat(), 7).contains("40 images of 6 values"));
        assert!(refused(&Split::empty(), 1).contains("0 images"));
        let wide = Split::new(Pixels::U8(vec![0; 5000]), vec![0]);
        assert!(refused(&wide, 1).contains("up to 4096 values"));
        let mut broken = flat();
        if let Pixels::F32(values) = &mut broken.pixels {
            values[3] = f32::NAN;
        }
        assert!(refused(&broken, 2).contains("not finite"));
    }
}
