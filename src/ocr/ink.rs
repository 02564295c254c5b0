//! Separates ink from paper. The paper may be unevenly lit, and the ink may be darker or lighter than the paper.
//!
//! The brightness of paper changes slowly across an image. It is the median of each of many blocks, interpolated between
//! their centres. A pixel is ink if its contrast to the paper is high enough. Otsu's method finds that threshold (N. Otsu,
//! "A threshold selection method from gray-level histograms", 1979) among the pixels above the noise of the paper.

use image::{DynamicImage, GrayImage, imageops};
use imageproc::contrast::otsu_level;
use imageproc::filter::box_filter;
use rayon::prelude::*;

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
    // Smoothing removes the noise of single pixels. Strokes are wider, except in small images.
    let grey = if grey.width().min(grey.height()) >= 400 { box_filter(&grey, 1, 1) } else { grey };
    let paper = paper(&grey);
    let sides = Sides::of(&grey, &paper);
    let light = sides.light_is_ink();
    let contrast = contrast(&grey, &paper, light);
    let floor = sides.noise(light).max(LEAST_CONTRAST);
    let (weak, strong) = levels(&contrast, floor)?;
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

/// The brightness of the paper as medians of blocks.
struct Paper {
    /// One value for each block.
    medians: Vec<u8>,
    columns: usize,
    rows: usize,
    /// The side of a block in pixels.
    side: f32,
}

/// Estimates the brightness of the paper.
fn paper(grey: &GrayImage) -> Paper {
    let (width, height) = grey.dimensions();
    let side = (width.min(height) / BLOCKS).clamp(BLOCK_SIDES.0, BLOCK_SIDES.1);
    let (columns, rows) = (width.div_ceil(side), height.div_ceil(side));
    let median = |number: u32| {
        let (left, top) = (number % columns * side, number / columns * side);
        let mut histogram = [0_u32; 256];
        for y in top..(top + side).min(height) {
            let row = (y * width) as usize;
            for &value in &grey.as_raw()[row + left as usize..row + (left + side).min(width) as usize] {
                histogram[usize::from(value)] += 1;
            }
        }
        quantile(&histogram, 0.5)
    };
    let medians: Vec<u8> = (0..columns * rows).into_par_iter().map(median).collect();
    // The median of neighbouring blocks helps where a block is full of ink.
    let (columns, rows) = (columns as usize, rows as usize);
    let around = |number: usize| {
        let (x, y) = (number % columns, number / columns);
        let mut near: Vec<u8> = (y.saturating_sub(1)..(y + 2).min(rows))
            .flat_map(|y| &medians[y * columns + x.saturating_sub(1)..y * columns + (x + 2).min(columns)])
            .copied()
            .collect();
        near.sort_unstable();
        near[near.len() / 2]
    };
    let medians = (0..columns * rows).map(around).collect();
    Paper { medians, columns, rows, side: side as f32 }
}

impl Paper {
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
    fn of(grey: &GrayImage, paper: &Paper) -> Self {
        let width = grey.width() as usize;
        // Every third row is enough.
        let rows: Vec<u32> = (0..grey.height()).step_by(3).collect();
        let count = |rows: &[u32]| {
            let mut sides = Self { darker: [0; 256], lighter: [0; 256] };
            let mut under = vec![0.0; width];
            for &y in rows {
                paper.row(y, &mut under);
                for (&value, &paper) in grey.as_raw()[y as usize * width..].iter().zip(&under) {
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

/// The contrast of every pixel on the side of the ink.
fn contrast(grey: &GrayImage, paper: &Paper, light: bool) -> GrayImage {
    let width = grey.width() as usize;
    let mut contrast = GrayImage::new(grey.width(), grey.height());
    contrast.par_chunks_mut(width.max(1)).enumerate().for_each(|(y, row)| {
        let mut under = vec![0.0; width];
        paper.row(y as u32, &mut under);
        for ((to, &value), &paper) in row.iter_mut().zip(&grey.as_raw()[y * width..]).zip(&under) {
            *to = byte(pixel_contrast(value, paper, light).max(0.0));
        }
    });
    contrast
}

/// The weak and the strong threshold. `None` when too few pixels are above the noise.
fn levels(contrast: &GrayImage, floor: u8) -> Option<(u8, u8)> {
    let above: Vec<u8> = contrast.iter().copied().filter(|&value| value > floor).collect();
    if above.len() < 8 {
        return None;
    }
    let length = above.len() as u32;
    // The function wants an image, but its shape does not matter: one row is enough.
    let level = GrayImage::from_raw(length, 1, above).map_or(floor, |row| otsu_level(&row));
    let strong = level.max(floor);
    let weak = ((f32::from(strong) * FAINT) as u8).max(floor);
    Some((weak, strong))
}
