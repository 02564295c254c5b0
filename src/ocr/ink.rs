//! From an image to its ink: which pixels are written on, whatever the paper's brightness there and whether the writing is
//! darker or lighter than it.
//!
//! Light on paper changes slowly, writing does not: the paper's brightness is the median of each of many blocks, between whose
//! middles it is interpolated. What is ink is told by its contrast to the paper there, at a level found by Otsu's method
//! (N. Otsu, "A threshold selection method from gray-level histograms", 1979) among what rises above the paper's own noise.

use image::{DynamicImage, GrayImage, Luma, imageops};
use imageproc::contrast::otsu_level;
use imageproc::filter::box_filter;
use rayon::prelude::*;

/// Images of more pixels are read at a smaller scale: four megapixels show letters of a densely written page.
const MOST_PIXELS: f64 = 4.2e6;
/// Blocks in the shorter side of an image.
const BLOCKS: u32 = 24;
/// The smallest and largest side of a block in pixels.
const BLOCK_SIDES: (u32, u32) = (16, 64);
/// What stands out from the paper by less, of the whole range of brightness, is not writing: a camera's own noise.
const LEAST_CONTRAST: u8 = 20;
/// What is above this part of the level belongs to a stroke whose middle is above the level.
const FAINT: f32 = 0.6;

/// The ink of an image.
#[derive(Clone, Debug)]
pub(super) struct Ink {
    /// How far each pixel stands out from the paper towards the ink's side, of 255.
    pub contrast: GrayImage,
    /// From here on a pixel is ink, if it hangs together with a strong one.
    pub weak: u8,
    /// From here on it is ink by itself.
    pub strong: u8,
    /// Whether the ink is lighter than the paper.
    pub light: bool,
    /// Pixels of the given image over those of `contrast`, along a side.
    pub scale: f64,
}

/// Finds the ink of an image; none where nothing stands out from the paper.
pub(super) fn find(image: &DynamicImage) -> Option<Ink> {
    let grey = grey_on_white(image);
    let (grey, scale) = reduced(grey);
    // A camera's noise is of single pixels; strokes are wider. Small images have no pixels to lose.
    let grey = if grey.width().min(grey.height()) >= 400 { box_filter(&grey, 1, 1) } else { grey };
    let paper = paper(&grey);
    let sides = Sides::of(&grey, &paper);
    let light = sides.light_is_ink();
    let contrast = contrast(&grey, &paper, light);
    let floor = sides.noise(light).max(LEAST_CONTRAST);
    let (weak, strong) = levels(&contrast, floor)?;
    Some(Ink { contrast, weak, strong, light, scale })
}

/// Grey; what is transparent is white, as it is on a page.
fn grey_on_white(image: &DynamicImage) -> GrayImage {
    if !image.color().has_alpha() {
        return image.to_luma8();
    }
    let pixels = image.to_luma_alpha8();
    GrayImage::from_fn(pixels.width(), pixels.height(), |x, y| {
        let [luma, alpha] = pixels.get_pixel(x, y).0.map(u32::from);
        Luma([((luma * alpha + 255 * (255 - alpha)) / 255) as u8])
    })
}

/// The image with no more pixels than are needed, and the factor by which it shrank.
fn reduced(grey: GrayImage) -> (GrayImage, f64) {
    let (width, height) = (f64::from(grey.width()), f64::from(grey.height()));
    let factor = (width * height / MOST_PIXELS).sqrt();
    if factor <= 1.0 {
        return (grey, 1.0);
    }
    let side = |length: f64| (length / factor).round().max(1.0) as u32;
    (imageops::thumbnail(&grey, side(width), side(height)), factor)
}

/// The paper's brightness, as medians of blocks.
struct Paper {
    /// A value a block.
    medians: Vec<u8>,
    columns: usize,
    rows: usize,
    /// A block's side in pixels.
    side: f32,
}

/// Measures the paper of an image.
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
    // A block full of ink has paper around it.
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
    /// The paper's brightness along a row of pixels.
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

/// The two blocks between whose middles a place lies, and how far it is from the first to the second.
fn between(place: f32, count: usize) -> (usize, usize, f32) {
    let from_first = (place - 0.5).clamp(0.0, count as f32 - 1.0);
    let first = from_first as usize;
    (first, (first + 1).min(count - 1), from_first - first as f32)
}

/// The value below which a part of a histogram's entries lies.
fn quantile(histogram: &[u32; 256], part: f64) -> u8 {
    let wanted = (f64::from(histogram.iter().sum::<u32>()) * part) as u32;
    let mut seen = 0;
    let found = histogram.iter().position(|count| {
        seen += count;
        seen > wanted
    });
    found.unwrap_or(255) as u8
}

/// How far pixels stand out from the paper, to either side: histograms of the distance, of 255.
struct Sides {
    darker: [u32; 256],
    lighter: [u32; 256],
}

/// The contrast of a pixel to the paper, which shadows leave as it is: of dark ink its share of the light that is missing, of
/// light ink what it adds as a share of both (A. Michelson's), by half more, so that white on grey is as far as black on white.
fn stands_out(value: u8, paper: f32, light: bool) -> f32 {
    let value = f32::from(value);
    // Very dark paper would make noise of everything.
    if light { 1.5 * (value - paper) / (value + paper + 32.0) } else { (paper - value) / paper.max(48.0) }
}

/// A share from 0 to 1 as a byte.
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
                    side[usize::from(byte(stands_out(value, paper, light)))] += 1;
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

    /// Whether more stands out to the light side, and further, than to the dark one.
    fn light_is_ink(&self) -> bool {
        let weight = |side: &[u32; 256]| -> f64 {
            let far = side.iter().enumerate().skip(usize::from(2 * LEAST_CONTRAST));
            far.map(|(distance, &count)| (distance * distance) as f64 * f64::from(count)).sum()
        };
        weight(&self.lighter) > weight(&self.darker)
    }

    /// Above which contrast there is more than the paper's own noise: three deviations, told by the half of the pixels that
    /// are nearest to it on the ink's side, most of which are paper. What is exactly as the paper belongs to either side.
    fn noise(&self, light: bool) -> u8 {
        let mut side = if light { self.lighter } else { self.darker };
        side[0] = self.darker[0].max(self.lighter[0]);
        quantile(&side, 0.5).saturating_mul(4)
    }
}

/// The contrast of every pixel towards the ink's side.
fn contrast(grey: &GrayImage, paper: &Paper, light: bool) -> GrayImage {
    let width = grey.width() as usize;
    let mut contrast = GrayImage::new(grey.width(), grey.height());
    contrast.par_chunks_mut(width.max(1)).enumerate().for_each(|(y, row)| {
        let mut under = vec![0.0; width];
        paper.row(y as u32, &mut under);
        for ((to, &value), &paper) in row.iter_mut().zip(&grey.as_raw()[y * width..]).zip(&under) {
            *to = byte(stands_out(value, paper, light).max(0.0));
        }
    });
    contrast
}

/// The contrasts from which on a pixel may be ink, and is ink; none where too little is above the noise.
fn levels(contrast: &GrayImage, floor: u8) -> Option<(u8, u8)> {
    let above: Vec<u8> = contrast.iter().copied().filter(|&value| value > floor).collect();
    if above.len() < 8 {
        return None;
    }
    let length = above.len() as u32;
    // Otsu's method knows no image's form: a row does.
    let level = GrayImage::from_raw(length, 1, above).map_or(floor, |row| otsu_level(&row));
    let strong = level.max(floor);
    let weak = ((f32::from(strong) * FAINT) as u8).max(floor);
    Some((weak, strong))
}
