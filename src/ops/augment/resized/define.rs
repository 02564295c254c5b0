//! The definition, pixel by pixel, and a faster version for the CPU, which filters columns first and then rows.

use std::ops::Range;

use crate::parallel::*;

use super::Resized;
use super::crop_box::CropBox;
use crate::ops::augment::define::AugmentShape;
use crate::ops::augment::draw::Drawn;
use crate::ops::augment::{AugmentMode, GREY};
use crate::ops::shards::Shards;
use crate::ops::{Call, Real, TensorData};

/// The maximum number of source pixels per output pixel for the loop with fixed length.
const FEW: usize = 4;

/// The source pixels along one side of a crop of `size` that contribute to output pixel `at` of `outs`, and their
/// weights. The weights sum to 1.
fn taps<T: Real>(at: usize, size: usize, outs: usize) -> (Range<usize>, Vec<T>) {
    let (whole, rest) = (size * (2 * at + 1) / (2 * outs), size * (2 * at + 1) % (2 * outs));
    let within = T::count(rest) / T::count(2 * outs);
    let inverse = (T::count(outs) / T::count(size)).min(T::one());
    let reach = size.div_ceil(outs);
    let range = whole.saturating_sub(reach)..(whole + reach + 1).min(size);
    let weight = |pixel: usize| {
        let away = T::of(pixel as f64 - whole as f64 + 0.5) - within;
        (T::one() - away.abs() * inverse).max(T::zero())
    };
    let weights: Vec<T> = range.clone().map(weight).collect();
    let total = weights.iter().fold(T::zero(), |sum, &weight| sum + weight);
    (range, weights.into_iter().map(|weight| weight / total).collect())
}

/// The draws of a row.
struct Shown<T> {
    part: CropBox,
    drawn: Drawn<T>,
}

impl Resized {
    fn shown<T: Real>(&self, call: &Call<T>, sizes: &AugmentShape, (row, image): (u32, u32), roots: &[T]) -> Shown<T> {
        let root = |at: usize| roots[at].to_u32().unwrap_or_default();
        let part = CropBox::drawn(root, CropBox::fallback(&self.crop, sizes.from), call.step, row, sizes.from);
        let (from, to) = (sizes.from, sizes.to);
        Shown { part, drawn: Drawn::new(&self.of.augment, AugmentMode::Random, call.step, (row, image), from, to) }
    }

    /// The definition, pixel by pixel.
    pub(super) fn define<T: Real>(&self, call: &mut Call<T>) {
        let (sizes, shards) = (self.of.sizes(call), Shards::of(call.types, call.inputs.len() - 3));
        let (plane, from_plane) = (sizes.to[0] * sizes.to[1], sizes.from[0] * sizes.from[1]);
        let (table, roots) = (call.real(shards.count + 1), call.real(shards.count + 2));
        for row in 0..self.of.batch {
            let mut result = vec![T::zero(); sizes.channels * plane];
            if let Some((image, index)) = self.of.picked(call, &shards, row) {
                let shown = self.shown(call, &sizes, (row as u32, image), roots);
                let (shard, first) = shards.place(index);
                let value = |at: usize| match call.inputs[shard] {
                    TensorData::U8(bytes) => T::count(bytes[first + at].into()) / T::count(255),
                    TensorData::Real(values) => values[first + at],
                    TensorData::U32(_) => panic!("images of another element type"),
                };
                for (at, value_to) in result.iter_mut().enumerate() {
                    let (channel, y, x) = (at / plane, at % plane / sizes.to[1], at % sizes.to[1]);
                    let [y, x] = shown.drawn.mirrored([y, x], sizes.to);
                    let CropBox { corner, size } = shown.part;
                    let (rows, by_row) = taps::<T>(y, size[0], sizes.to[0]);
                    let (columns, by_column) = taps::<T>(x, size[1], sizes.to[1]);
                    for (r, &down) in rows.zip(&by_row) {
                        for (c, &along) in columns.clone().zip(&by_column) {
                            let place = (corner[0] + r) * sizes.from[1] + corner[1] + c;
                            *value_to += down * along * value(channel * from_plane + place);
                        }
                    }
                }
                self.colour(&shown.drawn, table, plane, &mut result);
            }
            call.out()[row * sizes.channels * plane..][..sizes.channels * plane].copy_from_slice(&result);
        }
    }

    /// Brightness, contrast, saturation and normalisation of an image's planes.
    fn colour<T: Real>(&self, drawn: &Drawn<T>, table: &[T], plane: usize, image: &mut [T]) {
        if self.of.augment.saturation == 0.0 {
            for (values, line) in image.chunks_mut(plane).zip(table.chunks(4)) {
                let (gain, lift) = drawn.levels(line);
                values.iter_mut().for_each(|value| *value = gain * *value + lift);
            }
            return;
        }
        let gain = drawn.brightness * drawn.contrast;
        let lift = |channel: usize| table[4 * channel + 2] * (T::one() - drawn.contrast);
        let (lifts, grey) = ([0, 1, 2].map(lift), GREY.map(T::of));
        let (red, rest) = image.split_at_mut(plane);
        let (green, blue) = rest.split_at_mut(plane);
        for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
            let seen = [gain * *red + lifts[0], gain * *green + lifts[1], gain * *blue + lifts[2]];
            let mean = grey[0] * seen[0] + grey[1] * seen[1] + grey[2] * seen[2];
            let normal = |channel: usize| {
                (mean + drawn.saturation * (seen[channel] - mean) - table[4 * channel]) * table[4 * channel + 1]
            };
            (*red, *green, *blue) = (normal(0), normal(1), normal(2));
        }
    }

    /// The same in single precision, with images in parallel.
    pub(super) fn run_rows(&self, call: &mut Call<f32>) {
        let (sizes, shards) = (self.of.sizes(call), Shards::of(call.types, call.inputs.len() - 3));
        let plane = sizes.to[0] * sizes.to[1];
        let (inputs, table, roots) = (call.inputs, call.real(shards.count + 1), call.real(shards.count + 2));
        let shown = |row: usize| {
            let (image, index) = self.of.picked(call, &shards, row)?;
            Some((index, self.shown(call, &sizes, (row as u32, image), roots)))
        };
        let all: Vec<_> = (0..self.of.batch).map(shown).collect();
        call.out().par_chunks_mut(sizes.channels * plane).zip(&all).for_each(|(result, shown)| {
            let Some((index, shown)) = shown else { return result.fill(0.0) };
            let (shard, first) = shards.place(*index);
            match inputs[shard] {
                TensorData::U8(bytes) => shown.resize(&sizes, &bytes[first..], |byte| f32::from(byte) / 255.0, result),
                TensorData::Real(values) => shown.resize(&sizes, &values[first..], |value| value, result),
                TensorData::U32(_) => panic!("images of another element type"),
            }
            self.colour(&shown.drawn, table, plane, result);
        });
    }
}

impl Shown<f32> {
    /// Resizes the crop, one row of the result after another.
    fn resize<S: Copy>(&self, sizes: &AugmentShape, pixels: &[S], value: impl Fn(S) -> f32 + Copy, result: &mut [f32]) {
        let CropBox { corner, size } = self.part;
        let [out_height, out_width] = sizes.to;
        let seen = |y: usize| self.drawn.mirrored([y, 0], sizes.to)[0];
        let rows: Vec<_> = (0..out_height).map(|y| taps::<f32>(seen(y), size[0], out_height)).collect();
        let columns: Vec<_> = (0..out_width).map(|x| taps::<f32>(x, size[1], out_width)).collect();
        let few: Vec<(usize, [f32; FEW])> = columns.iter().filter_map(padded).collect();
        // Zeros follow the end of the crop. They are multiplied by the zero weights that pad the filter.
        let mut line = vec![0.0; size[1] + FEW];
        for (y, to) in result.chunks_mut(out_width).enumerate() {
            let (channel, y) = (y / out_height, y % out_height);
            let (range, weights) = &rows[y];
            line[..size[1]].fill(0.0);
            for (row, &weight) in range.clone().zip(weights).filter(|(_, weight)| **weight > 0.0) {
                let start = (channel * sizes.from[0] + corner[0] + row) * sizes.from[1] + corner[1];
                line.iter_mut()
                    .zip(&pixels[start..][..size[1]])
                    .for_each(|(sum, &pixel)| *sum += weight * value(pixel));
            }
            if few.len() == out_width {
                for (to, (start, weights)) in to.iter_mut().zip(&few) {
                    let from = &line[*start..][..FEW];
                    *to = (from[0] * weights[0] + from[1] * weights[1]) + (from[2] * weights[2] + from[3] * weights[3]);
                }
            } else {
                for (to, (range, weights)) in to.iter_mut().zip(&columns) {
                    *to = line[range.clone()].iter().zip(weights).map(|(value, weight)| value * weight).sum();
                }
            }
            if self.drawn.flip {
                to.reverse();
            }
        }
    }
}

/// The first source pixel with a nonzero weight, and the weights from there on, if they are few.
fn padded((range, weights): &(Range<usize>, Vec<f32>)) -> Option<(usize, [f32; FEW])> {
    let first = weights.iter().position(|&weight| weight > 0.0)?;
    let last = weights.iter().rposition(|&weight| weight > 0.0)?;
    let mut few = [0.0; FEW];
    few.get_mut(..=last - first)?.copy_from_slice(&weights[first..=last]);
    Some((range.start + first, few))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_a_triangle_as_wide_as_the_larger_pixel() {
        // Half the size: weights 1 3 3 1 of 8 around the middle.
        let (range, weights) = taps::<f64>(1, 8, 4);
        assert_eq!((range, weights), (1..6, vec![0.125, 0.375, 0.375, 0.125, 0.0]));
        // The same size: each pixel maps to itself.
        let (range, weights) = taps::<f64>(2, 5, 5);
        assert_eq!((range, weights), (1..4, vec![0.0, 1.0, 0.0]));
        // Twice the size: weights 1/4 and 3/4.
        let (range, weights) = taps::<f64>(3, 4, 8);
        assert_eq!((range, weights), (0..3, vec![0.0, 0.75, 0.25]));
    }
}
