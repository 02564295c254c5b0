//! Separates ink from paper. The paper may be unevenly lit, and the ink may be darker or lighter than the paper.
//!
//! The brightness of paper changes slowly across an image. It is the median of each of many blocks, interpolated between
//! their centres. A pixel is ink if its contrast to the paper is high enough. Otsu's method finds that threshold (N. Otsu,
//! "A threshold selection method from gray-level histograms", 1979) among the pixels above the noise of the paper.

use std::ops::Range;

use image::{DynamicImage, GrayImage, imageops};
use rayon::prelude::*;

use super::margin;
use crate::images::grey::grey_on_white;

/// Larger images are reduced to this number of pixels, which is enough for a densely written page.
const MOST_PIXELS: f64 = 4.2e6;
/// Blocks along the shorter side of an image.
const BLOCKS: u32 = 24;
/// The minimum and maximum side of a block in pixels.
const BLOCK_SIDES: (u32, u32) = (16, 64);
/// The minimum contrast of ink, of 255. Less may be the noise of a camera.
const LEAST_CONTRAST: u8 = 20;
/// A pixel above this fraction of the threshold is ink if it is connected to pixels above the threshold.
const FAINT: f32 = 0.6;
/// A block is at the edge of the paper if a near block is darker than another one by this factor. Shadows are lighter.
const EDGE: f32 = 0.4;

/// The ink of an image.
#[derive(Clone, Debug)]
pub(super) struct InkMap {
    /// The contrast of each pixel to the paper, of 255. It is 0 on the side opposite to the ink's.
    pub contrast: GrayImage,
    /// The threshold for pixels that are connected to a strong one.
    pub weak: u8,
    /// The threshold above which a pixel is ink.
    pub strong: u8,
    /// Whether the ink is lighter than the paper.
    pub light: bool,
    /// The side of the original image divided by the side of `contrast`.
    pub scale: f64,
}

/// Finds the ink of an image. `None` when there is none.
pub(super) fn find(image: &DynamicImage) -> Option<InkMap> {
    let grey = grey_on_white(image);
    let (grey, scale) = reduced(grey);
    let photo = margin::photo(&grey);
    // Smoothing removes the noise of single pixels. Strokes are wider, except in small images.
    let grey = if grey.width().min(grey.height()) >= 400 { smoothed(&grey) } else { grey };
    let paper = paper(&grey, photo);
    let sides = Sides::of(&grey, &paper);
    let light = sides.light_is_ink();
    let contrast = contrast(&grey, &paper, light);
    let floor = sides.noise(light).max(LEAST_CONTRAST);
    let (weak, strong) = levels(&contrast, &paper, floor)?;
    Some(InkMap { contrast, weak, strong, light, scale })
}

/// Reduces a large image. Returns the factor, too.
fn reduced(grey: GrayImage) -> (GrayImage, f64) {
    let (width, height) = (f64::from(grey.width()), f64::from(grey.height()));
    let factor = (width * height / MOST_PIXELS).sqrt();
    if factor <= 1.0 {
        return (grey, 1.0);
    }
    let side = |length: f64| (length / factor).round().max(1.0) as u32;
    (imageops::thumbnail(&grey, side(width), side(height)), factor)
}

/// The mean of the 3x3 pixels around each pixel. Pixels of the border count for the missing ones beyond it. Both the mean
/// along a row and that of three rows are rounded down.
fn smoothed(grey: &GrayImage) -> GrayImage {
    let width = grey.width().max(1) as usize;
    let mean = |a: u8, b: u8, c: u8| ((u16::from(a) + u16::from(b) + u16::from(c)) / 3) as u8;
    let mut along_rows = grey.clone();
    along_rows.par_chunks_mut(width).zip(grey.par_chunks(width)).for_each(|(to, row)| {
        for (to, near) in to[1..].iter_mut().zip(row.windows(3)) {
            *to = mean(near[0], near[1], near[2]);
        }
        let last = width - 1;
        to[0] = mean(row[0], row[0], row[last.min(1)]);
        to[last] = mean(row[last.saturating_sub(1)], row[last], row[last]);
    });
    let mut smoothed = grey.clone();
    let row = |y: usize| &along_rows.as_raw()[y * width..][..width];
    let last = (grey.height() as usize).saturating_sub(1);
    smoothed.par_chunks_mut(width).enumerate().for_each(|(y, to)| {
        let (above, below) = (row(y.saturating_sub(1)), row((y + 1).min(last)));
        for (((to, &a), &b), &c) in to.iter_mut().zip(above).zip(row(y)).zip(below) {
            *to = mean(a, b, c);
        }
    });
    smoothed
}

/// The brightness of the paper as medians of blocks.
struct Paper {
    /// One value for each block.
    medians: Vec<u8>,
    /// Whether a block is at the edge of the paper.
    edges: Vec<bool>,
    columns: usize,
    rows: usize,
    /// The side of a block in pixels.
    side: f32,
    /// The columns of the photo in each row of pixels, without the margin around it.
    photo: Vec<Range<usize>>,
}

/// Estimates the brightness of the paper from the columns of the photo in each row.
fn paper(grey: &GrayImage, photo: Vec<Range<usize>>) -> Paper {
    let (width, height) = grey.dimensions();
    let side = (width.min(height) / BLOCKS).clamp(BLOCK_SIDES.0, BLOCK_SIDES.1);
    let (columns, rows) = (width.div_ceil(side), height.div_ceil(side));
    let median = |number: u32| {
        let (left, top) = (number % columns * side, number / columns * side);
        let mut histogram = [0_u32; 256];
        for y in top..(top + side).min(height) {
            let row = &grey.as_raw()[(y * width) as usize..];
            let of_photo = &photo[y as usize];
            let from = of_photo.start.max(left as usize);
            for &value in &row[from..of_photo.end.min((left + side).min(width) as usize).max(from)] {
                histogram[usize::from(value)] += 1;
            }
        }
        // Half of the block is enough.
        let area = (side.min(width - left) * side.min(height - top)) / 2;
        (histogram.iter().sum::<u32>() >= area).then(|| quantile(&histogram, 0.5))
    };
    let medians: Vec<Option<u8>> = (0..columns * rows).into_par_iter().map(median).collect();
    let mut known: Vec<u8> = medians.iter().copied().flatten().collect();
    known.sort_unstable();
    let usual = known.get(known.len() / 2).copied().unwrap_or(u8::MAX);
    // The median of neighbouring blocks helps where a block is full of ink.
    let (columns, rows) = (columns as usize, rows as usize);
    let around = |number: usize| {
        let (x, y) = (number % columns, number / columns);
        let mut near: Vec<u8> = (y.saturating_sub(1)..(y + 2).min(rows))
            .flat_map(|y| &medians[y * columns + x.saturating_sub(1)..y * columns + (x + 2).min(columns)])
            .copied()
            .flatten()
            .collect();
        near.sort_unstable();
        near.get(near.len() / 2).copied().unwrap_or(usual)
    };
    let medians: Vec<u8> = (0..columns * rows).map(around).collect();
    // The edge may be anywhere in the blocks whose median or whose neighbour's median is taken.
    let at_edge = |number: usize| {
        let (x, y) = (number % columns, number / columns);
        let near = (y.saturating_sub(2)..(y + 3).min(rows))
            .flat_map(|y| &medians[y * columns + x.saturating_sub(2)..y * columns + (x + 3).min(columns)]);
        let (least, most) = near.fold((u8::MAX, 0), |(least, most), &median| (least.min(median), most.max(median)));
        f32::from(least) < EDGE * f32::from(most)
    };
    let edges = (0..columns * rows).map(at_edge).collect();
    Paper { medians, edges, columns, rows, side: side as f32, photo }
}

impl Paper {
    /// Whether a pixel is outside of the photo, or its block is at the edge of the paper, where the brightness of the paper is
    /// not known.
    fn is_edge(&self, x: usize, y: u32) -> bool {
        let block = |place: f32, count: usize| ((place / self.side) as usize).min(count - 1);
        !self.photo[y as usize].contains(&x)
            || self.edges[block(y as f32, self.rows) * self.columns + block(x as f32, self.columns)]
    }

    /// Computes the brightness of the paper along a row of pixels.
    fn row(&self, y: u32, into: &mut [f32]) {
        let (above, below, down) = between(y as f32 / self.side, self.rows);
        let column = |x: usize| {
            let (a, b) = (self.medians[above * self.columns + x], self.medians[below * self.columns + x]);
            f32::from(a) * (1.0 - down) + f32::from(b) * down
        };
        let columns: Vec<f32> = (0..self.columns).map(column).collect();
        for (x, value) in into.iter_mut().enumerate() {
            let (left, right, along) = between(x as f32 / self.side, self.columns);
            *value = columns[left] * (1.0 - along) + columns[right] * along;
        }
    }
}

/// The two blocks whose centres surround a position, and the interpolation weight of the second one.
fn between(place: f32, count: usize) -> (usize, usize, f32) {
    let from_first = (place - 0.5).clamp(0.0, count as f32 - 1.0);
    let first = from_first as usize;
    (first, (first + 1).min(count - 1), from_first - first as f32)
}

/// A quantile of a histogram: the value that a `fraction` of the entries is below.
fn quantile(histogram: &[u32; 256], fraction: f64) -> u8 {
    let wanted = (f64::from(histogram.iter().sum::<u32>()) * fraction) as u32;
    let mut seen = 0;
    let found = histogram.iter().position(|count| {
        seen += count;
        seen > wanted
    });
    found.unwrap_or(255) as u8
}

/// Histograms of the contrast of pixels that are darker and lighter than the paper.
struct Sides {
    darker: [u32; 256],
    lighter: [u32; 256],
}

/// The contrast of a pixel to the paper. It does not depend on shadows. For dark ink it is the fraction of light that is
/// missing. For light ink it is 1.5 times the Michelson contrast, so that white on grey counts like black on white.
fn pixel_contrast(value: u8, paper: f32, light: bool) -> f32 {
    let value = f32::from(value);
    // The constants limit the noise of very dark paper.
    if light { 1.5 * (value - paper) / (value + paper + 32.0) } else { (paper - value) / paper.max(48.0) }
}

/// Converts a value from 0 to 1 to a byte.
fn byte(share: f32) -> u8 {
    (share * 255.0) as u8
}

impl Sides {
    /// Of the pixels that are not at the edge of the paper: light paper on a dark desk is not ink.
    fn of(grey: &GrayImage, at: &Paper) -> Self {
        let width = grey.width() as usize;
        // Every third row is enough.
        let rows: Vec<u32> = (0..grey.height()).step_by(3).collect();
        let count = |rows: &[u32]| {
            let mut sides = Self { darker: [0; 256], lighter: [0; 256] };
            let mut under = vec![0.0; width];
            for &y in rows {
                at.row(y, &mut under);
                let row = grey.as_raw()[y as usize * width..].iter().zip(&under).enumerate();
                for (_, (&value, &paper)) in row.filter(|(x, _)| !at.is_edge(*x, y)) {
                    let light = f32::from(value) > paper;
                    let side = if light { &mut sides.lighter } else { &mut sides.darker };
                    side[usize::from(byte(pixel_contrast(value, paper, light)))] += 1;
                }
            }
            sides
        };
        rows.par_chunks(64).map(count).reduce(
            || Self { darker: [0; 256], lighter: [0; 256] },
            |mut all, next| {
                all.darker.iter_mut().zip(next.darker).for_each(|(sum, count)| *sum += count);
                all.lighter.iter_mut().zip(next.lighter).for_each(|(sum, count)| *sum += count);
                all
            },
        )
    }

    /// Whether the lighter pixels have more contrast in total than the darker ones.
    fn light_is_ink(&self) -> bool {
        let weight = |side: &[u32; 256]| -> f64 {
            let far = side.iter().enumerate().skip(usize::from(2 * LEAST_CONTRAST));
            far.map(|(distance, &count)| (distance * distance) as f64 * f64::from(count)).sum()
        };
        weight(&self.lighter) > weight(&self.darker)
    }

    /// The contrast above the noise of the paper: about three standard deviations, estimated from the median contrast on the
    /// side of the ink, where most pixels are paper. Pixels with exactly the brightness of the paper count for both sides.
    fn noise(&self, light: bool) -> u8 {
        let mut side = if light { self.lighter } else { self.darker };
        side[0] = self.darker[0].max(self.lighter[0]);
        quantile(&side, 0.5).saturating_mul(4)
    }
}

/// The contrast of every pixel on the side of the ink. It is 0 outside of the photo.
fn contrast(grey: &GrayImage, paper: &Paper, light: bool) -> GrayImage {
    let width = grey.width() as usize;
    let mut contrast = GrayImage::new(grey.width(), grey.height());
    contrast.par_chunks_mut(width.max(1)).enumerate().for_each(|(y, row)| {
        let mut under = vec![0.0; width];
        paper.row(y as u32, &mut under);
        let photo = paper.photo[y].clone();
        let values = grey.as_raw()[y * width..][photo.clone()].iter().zip(&under[photo.clone()]);
        for (to, (&value, &paper)) in row[photo].iter_mut().zip(values) {
            *to = byte(pixel_contrast(value, paper, light).max(0.0));
        }
    });
    contrast
}

/// The weak and the strong threshold. `None` when too few pixels are above the noise. Edges of the paper do not count: their
/// contrast is much higher than that of ink.
fn levels(contrast: &GrayImage, paper: &Paper, floor: u8) -> Option<(u8, u8)> {
    let mut above = [0; 256];
    for (y, row) in (0..).zip(contrast.chunks_exact(contrast.width().max(1) as usize)) {
        let on_paper = row.iter().enumerate().filter(|&(x, &value)| value > floor && !paper.is_edge(x, y));
        on_paper.for_each(|(_, &value)| above[usize::from(value)] += 1);
    }
    if above.iter().sum::<u32>() < 8 {
        return None;
    }
    let strong = otsu(&above).max(floor);
    let weak = ((f32::from(strong) * FAINT) as u8).max(floor);
    Some((weak, strong))
}

/// The level that divides a histogram into two classes with the largest variance between their means, by Otsu's method. The
/// level belongs to the lower class. It is the first of several, and 0 when all entries are equal.
fn otsu(histogram: &[u32; 256]) -> u8 {
    let entries = || (0_u8..=255).zip(histogram.iter().map(|&count| f64::from(count)));
    let (count, sum) = entries()
        .fold((0.0, 0.0), |(count, sum), (level, of_level)| (count + of_level, sum + f64::from(level) * of_level));
    let (mut best, mut largest, mut lower_count, mut lower_sum) = (0, 0.0, 0.0, 0.0);
    for (level, of_level) in entries() {
        lower_count += of_level;
        lower_sum += f64::from(level) * of_level;
        let upper_count = count - lower_count;
        // A class without entries has no mean. No comparison with NaN is true.
        let between = lower_sum / lower_count - (sum - lower_sum) / upper_count;
        let variance = lower_count * upper_count * (between * between);
        if variance > largest {
            (best, largest) = (level, variance);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_of_scikit_image() {
        let of = |count: fn(u32) -> u32| otsu(&std::array::from_fn(|level| count(level as u32)));
        // scikit-image 0.26: filters.threshold_otsu(hist=(counts, numpy.arange(256))).
        assert_eq!(of(|level| (level * level * 7 + level * 13) % 29), 127);
        assert_eq!(of(|level| level * 5 % 7 + 90 / (1 + level.abs_diff(70)) + 50 / (1 + level.abs_diff(180))), 124);
        assert_eq!(of(|level| level * level * level / 1000), 189);
        // Of all levels between two classes, the first.
        assert_eq!(
            of(|level| [(30..32, 40), (200..206, 25)].map(|(of, n)| n * u32::from(of.contains(&level))).iter().sum()),
            31
        );
        assert_eq!(of(|level| u32::from(level == 0 || level == 255)), 0);
        // Histograms without two classes have no level to find.
        assert_eq!((of(|_| 0), of(|level| u32::from(level == 9))), (0, 0));
    }

    #[test]
    fn smoothing_is_scipys() {
        let value = |x: u32, y: u32| image::Luma([((x * x * 37 + y * 91 + x * y * 53) % 256) as u8]);
        // scipy 1.17: ndimage.uniform_filter1d(image, 3, mode="nearest") along axis 1, then along axis 0.
        #[rustfmt::skip]
        let wanted = [
            48, 80, 95, 99, 91, 101, 103,
            92, 91, 84, 95, 94, 110, 108,
            115, 121, 111, 117, 113, 153, 158,
            110, 123, 109, 111, 103, 139, 151,
            97, 134, 126, 107, 77, 121, 156,
        ];
        assert_eq!(smoothed(&GrayImage::from_fn(7, 5, value)).into_raw(), wanted);
        assert_eq!(smoothed(&GrayImage::from_raw(1, 3, vec![3, 9, 4]).expect("a column")).into_raw(), [5, 5, 5]);
        assert_eq!(smoothed(&GrayImage::new(0, 0)).into_raw(), [0; 0]);
    }
}
