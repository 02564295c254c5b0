//! The definition, pixel by pixel, and a faster version for the CPU, which copies rows if no image is rotated, scaled
//! or sheared.

use std::ops::Range;

use crate::parallel::*;

use super::draw::Drawn;
use super::{Augmented, Padding};
use crate::ops::shards::Shards;
use crate::ops::{Call, Real, TensorData};

/// The sizes of the images before and after augmentation.
#[derive(Clone, Copy, Debug)]
pub(super) struct AugmentShape {
    pub channels: usize,
    /// Height and width of an image before augmentation, in pixels.
    pub from: [usize; 2],
    /// Height and width after augmentation, in pixels.
    pub to: [usize; 2],
}

impl AugmentShape {
    fn plane(&self) -> usize {
        self.to[0] * self.to[1]
    }
}

/// The index inside the image from which an index outside `0..size` is read. `None` means black.
fn within(index: i64, size: usize, padding: Padding) -> Option<usize> {
    let last = size as i64 - 1;
    if (0..=last).contains(&index) {
        return Some(index as usize);
    }
    if padding == Padding::Zero {
        return None;
    }
    let period = (2 * last).max(1);
    let turned = index.rem_euclid(period);
    Some(turned.min(period - turned).clamp(0, last) as usize)
}

/// One channel of an image. `value` returns the value with a given index.
struct Plane<'a, T, F: Fn(usize) -> T> {
    size: [usize; 2],
    padding: Padding,
    value: &'a F,
}

impl<T: Real, F: Fn(usize) -> T> Plane<'_, T, F> {
    fn at(&self, y: i64, x: i64) -> T {
        let [height, width] = self.size;
        match (within(y, height, self.padding), within(x, width, self.padding)) {
            (Some(y), Some(x)) => (self.value)(y * width + x),
            _ => T::zero(),
        }
    }

    /// Samples the image where the affine map takes the integer position (y, x) of the result's grid. Bilinear
    /// interpolation between the four neighbouring pixels.
    fn mapped(&self, y: i64, x: i64, drawn: &Drawn<T>) -> T {
        if !drawn.is_warped() {
            return self.at(y, x);
        }
        let real = |n: i64| T::from_i64(n).unwrap_or_default();
        let (mut y, mut x) = (real(y), real(x));
        if let Some([a, b, c, d]) = drawn.inverse {
            let middle = self.size.map(|size| T::count(size - 1) / T::of(2.0));
            let (dy, dx) = (y - middle[0], x - middle[1]);
            (y, x) = (middle[0] + c * dx + d * dy, middle[1] + a * dx + b * dy);
        }
        if let Some(map) = drawn.perspective {
            let [high, wide] = self.size.map(|size| T::count(size.max(2) - 1));
            let line = |row: usize| map[3 * row] * (x / wide) + map[3 * row + 1] * (y / high) + map[3 * row + 2];
            (y, x) = (high * line(1) / line(2), wide * line(0) / line(2));
        }
        let (y0, x0) = (y.floor(), x.floor());
        let (down, right) = (y - y0, x - x0);
        let (y0, x0) = (y0.to_i64().unwrap_or_default(), x0.to_i64().unwrap_or_default());
        let between = |y: i64| {
            let left = self.at(y, x0);
            left + (self.at(y, x0 + 1) - left) * right
        };
        let above = between(y0);
        above + (between(y0 + 1) - above) * down
    }
}

impl Augmented {
    pub(super) fn sizes<T>(&self, call: &Call<T>) -> AugmentShape {
        let (image, result) = (call.dims(0), call.types.output.dims());
        AugmentShape { channels: image[1], from: [image[2], image[3]], to: [result[2], result[3]] }
    }

    /// The image for row `row` of the batch, and the image's index in the dataset. `None` for a masked row.
    pub(super) fn picked<T>(&self, call: &Call<T>, shards: &Shards, row: usize) -> Option<(u32, usize)> {
        let position = call.step.first as usize + row;
        let order = call.integers(shards.count);
        let image = *order.get(position).filter(|_| row < call.step.valid as usize)?;
        let index = if self.ring { position % shards.rows } else { (image as usize).min(shards.rows - 1) };
        Some((image, index))
    }

    /// The definition, pixel by pixel.
    pub(super) fn define<T: Real>(&self, call: &mut Call<T>) {
        let (sizes, shards) = (self.sizes(call), Shards::of(call.types, call.inputs.len() - 2));
        let width = sizes.channels * sizes.plane();
        for row in 0..self.batch {
            let picked = self.picked(call, &shards, row);
            let mut result = vec![T::zero(); width];
            if let Some((image, index)) = picked {
                let drawn = Drawn::new(&self.augment, self.mode, call.step, (row as u32, image), sizes.from, sizes.to);
                let table = call.real(shards.count + 1);
                let (shard, first) = shards.place(index);
                match call.inputs[shard] {
                    TensorData::U8(bytes) => {
                        let value = |i: usize| T::count(bytes[first + i].into()) / T::count(255);
                        self.image(&sizes, &drawn, table, value, &mut result);
                    }
                    TensorData::Real(values) => self.image(&sizes, &drawn, table, |i| values[first + i], &mut result),
                    TensorData::U32(_) => panic!("images of another element type"),
                }
            }
            call.out()[row * width..(row + 1) * width].copy_from_slice(&result);
        }
    }

    /// Augments one image into `result`. `value` returns the value with a given index.
    fn image<T: Real>(
        &self,
        sizes: &AugmentShape,
        drawn: &Drawn<T>,
        table: &[T],
        value: impl Fn(usize) -> T,
        result: &mut [T],
    ) {
        let [height, width] = sizes.to;
        for (channel, (plane, levels)) in result.chunks_mut(sizes.plane()).zip(table.chunks(4)).enumerate() {
            let (gain, lift) = drawn.levels(levels);
            let first = channel * sizes.from[0] * sizes.from[1];
            let value = |i: usize| value(first + i);
            let image = Plane { size: sizes.from, padding: self.padding(), value: &value };
            for y in 0..height {
                for x in 0..width {
                    let [line, column] = drawn.mirrored([y, x], sizes.to).map(|at| at as i64);
                    let (down, right) = (line + drawn.corner[0], column + drawn.corner[1]);
                    let seen = gain * image.mapped(down, right, drawn) + lift;
                    plane[y * width + x] = if self.covers(drawn, y, x) { levels[3] } else { seen };
                }
            }
        }
    }

    fn covers<T>(&self, drawn: &Drawn<T>, y: usize, x: usize) -> bool {
        let side = self.augment.cutout as i64;
        drawn.hole.is_some_and(|[top, left]| {
            (top..top + side).contains(&(y as i64)) && (left..left + side).contains(&(x as i64))
        })
    }

    /// The same in single precision, with images in parallel. Rows are copied if no image is rotated, scaled or
    /// sheared.
    pub(super) fn run_rows(&self, call: &mut Call<f32>) {
        let (sizes, shards) = (self.sizes(call), Shards::of(call.types, call.inputs.len() - 2));
        let width = sizes.channels * sizes.plane();
        let picked: Vec<_> = (0..self.batch).map(|row| self.picked(call, &shards, row)).collect();
        let (inputs, step, table) = (call.inputs, call.step, call.real(shards.count + 1));
        call.out().par_chunks_mut(width).zip(&picked).enumerate().for_each(|(row, (result, picked))| {
            let Some((image, index)) = *picked else { return result.fill(0.0) };
            let drawn = Drawn::new(&self.augment, self.mode, step, (row as u32, image), sizes.from, sizes.to);
            let (shard, first) = shards.place(index);
            let pixels = first..first + sizes.channels * sizes.from[0] * sizes.from[1];
            match inputs[shard] {
                TensorData::U8(bytes) => {
                    self.fast(&sizes, &drawn, table, &bytes[pixels], |byte| f32::from(byte) / 255.0, result);
                }
                TensorData::Real(values) => self.fast(&sizes, &drawn, table, &values[pixels], |value| value, result),
                TensorData::U32(_) => panic!("images of another element type"),
            }
        });
    }

    fn fast<S: Copy>(
        &self,
        sizes: &AugmentShape,
        drawn: &Drawn<f32>,
        table: &[f32],
        pixels: &[S],
        convert: impl Fn(S) -> f32 + Copy,
        result: &mut [f32],
    ) {
        if drawn.is_warped() {
            return self.image(sizes, drawn, table, |i| convert(pixels[i]), result);
        }
        let [height, width] = sizes.from;
        for (channel, (plane, line)) in result.chunks_mut(sizes.plane()).zip(table.chunks(4)).enumerate() {
            let (gain, lift) = drawn.levels(line);
            for (y, to) in plane.chunks_mut(sizes.to[1]).enumerate() {
                let [line, _] = drawn.mirrored([y, 0], sizes.to);
                let from = within(line as i64 + drawn.corner[0], height, self.padding());
                let Some(from) = from.map(|y| &pixels[(channel * height + y) * width..][..width]) else {
                    to.fill(lift);
                    continue;
                };
                self.row(drawn.corner[1], from, |value| gain * convert(value) + lift, lift, to);
                if drawn.flip {
                    to.reverse();
                }
            }
            self.cover(sizes, drawn, line[3], plane);
        }
    }

    /// One row from column `left` on, without mirroring. The part inside the image is copied at once.
    fn row<S: Copy>(&self, left: i64, from: &[S], level: impl Fn(S) -> f32, black: f32, to: &mut [f32]) {
        let clamp = |column: i64| (column - left).clamp(0, to.len() as i64) as usize;
        let inside: Range<usize> = clamp(0)..clamp(from.len() as i64);
        for x in (0..inside.start).chain(inside.end..to.len()) {
            let column = within(x as i64 + left, from.len(), self.padding());
            to[x] = column.map_or(black, |column| level(from[column]));
        }
        if !inside.is_empty() {
            let first = (inside.start as i64 + left) as usize;
            to[inside].iter_mut().zip(&from[first..]).for_each(|(y, &x)| *y = level(x));
        }
    }

    fn cover(&self, sizes: &AugmentShape, drawn: &Drawn<f32>, value: f32, plane: &mut [f32]) {
        let Some(hole) = drawn.hole else { return };
        let side = self.augment.cutout as i64;
        let span = |first: i64, size: usize| {
            first.clamp(0, size as i64) as usize..(first + side).clamp(0, size as i64) as usize
        };
        for y in span(hole[0], sizes.to[0]) {
            plane[y * sizes.to[1]..][span(hole[1], sizes.to[1])].fill(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_black_or_mirrored() {
        let reflected: Vec<_> = (-6..10).map(|i| within(i, 4, Padding::Reflect)).collect();
        let wanted = [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2, 3];
        assert_eq!(reflected, wanted.map(Some));
        assert_eq!([-1, 0, 3, 4].map(|i| within(i, 4, Padding::Zero)), [None, Some(0), Some(3), None]);
        assert_eq!([-2, 0, 5].map(|i| within(i, 1, Padding::Reflect)), [Some(0); 3]);
    }
}
