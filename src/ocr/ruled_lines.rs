//! Removes the lines of ruled and squared paper: long, thin and nearly straight. A stroke that crosses a ruled line is
//! thicker there than the line alone, and stays complete.

use image::{GrayImage, imageops};

use super::ink::InkMap;

/// The minimum length of a ruled line, as a fraction of the image's width.
const COVERS: f32 = 0.4;
/// The maximum slope of a ruled line, and the number of slopes to either side that are tried.
const STEEPEST: f32 = 0.12;
const SLOPES: i32 = 48;
/// A ruled line is not thicker than the image's shorter side divided by this.
const THINNEST: u32 = 150;
/// Paper has fewer lines. More are a pattern, and each would cost a pass over the ink.
const MOST: usize = 400;
/// The height in rows of the histogram bins for crossings along a slope.
const BIN: f32 = 3.0;

/// A short vertical run of ink in a column, which may be part of a ruled line.
#[derive(Clone, Copy)]
struct Crossing {
    x: u32,
    top: u32,
    len: u32,
}

impl Crossing {
    fn middle(&self) -> f32 {
        self.top as f32 + self.len as f32 / 2.0
    }
}

/// Removes ruled lines in both directions from the ink. Returns their number.
pub(super) fn remove(ink: &mut InkMap) -> usize {
    let thickest = (ink.contrast.width().min(ink.contrast.height()) / THINNEST).max(3);
    let horizontal = remove_horizontal(&mut ink.contrast, ink.weak, thickest);
    let mut turned = imageops::rotate90(&ink.contrast);
    let vertical = remove_horizontal(&mut turned, ink.weak, thickest);
    if vertical > 0 {
        ink.contrast = imageops::rotate270(&turned);
    }
    horizontal + vertical
}

/// Removes nearly horizontal ruled lines.
fn remove_horizontal(contrast: &mut GrayImage, weak: u8, thickest: u32) -> usize {
    let crossings = crossings(contrast, weak, thickest);
    let wanted = contrast.width() as f32 * COVERS;
    if (crossings.len() as f32) < wanted {
        return 0;
    }
    let slope = slope(&crossings, contrast.height());
    let bins = Bins::of(&crossings, slope, contrast.height());
    let lines = bins.peaks(wanted);
    if lines.len() > MOST {
        return 0;
    }
    for &row in &lines {
        erase(contrast, &crossings, slope, row);
    }
    lines.len()
}

/// The vertical runs of ink that are short enough for a ruled line, column by column.
fn crossings(contrast: &GrayImage, weak: u8, thickest: u32) -> Vec<Crossing> {
    let (width, height) = contrast.dimensions();
    let mut begun = vec![u32::MAX; width as usize];
    let mut found = Vec::new();
    let empty = vec![0; width as usize];
    let rows = contrast.as_raw().chunks_exact(width.max(1) as usize).chain(std::iter::once(&empty[..]));
    for (y, row) in (0..=height).zip(rows) {
        for ((x, &value), first) in (0..).zip(row).zip(&mut begun) {
            if value >= weak {
                *first = (*first).min(y);
            } else if *first != u32::MAX {
                let len = y - *first;
                if len <= thickest {
                    found.push(Crossing { x, top: *first, len });
                }
                *first = u32::MAX;
            }
        }
    }
    found.sort_unstable_by_key(|crossing| (crossing.x, crossing.top));
    found
}

/// A histogram of the crossings by their height along a slope.
struct Bins {
    counts: Vec<u32>,
    first: f32,
}

impl Bins {
    fn of(crossings: &[Crossing], slope: f32, height: u32) -> Self {
        let widest = crossings.last().map_or(0, |crossing| crossing.x) as f32;
        let first = -(slope * widest).abs() - BIN;
        let count = ((height as f32 - 2.0 * first) / BIN) as usize + 2;
        let mut counts = vec![0; count];
        for crossing in crossings {
            let place = (crossing.middle() - slope * crossing.x as f32 - first) / BIN;
            counts[(place.max(0.0) as usize).min(count - 1)] += 1;
        }
        Self { counts, first }
    }

    /// How concentrated the histogram is.
    fn sharpness(&self) -> f64 {
        self.counts.iter().map(|&count| f64::from(count).powi(2)).sum()
    }

    /// The rows at the left edge with at least `wanted` crossings.
    fn peaks(&self, wanted: f32) -> Vec<f32> {
        let near = |place: usize| self.counts[place.saturating_sub(1)..(place + 2).min(self.counts.len())].iter().sum();
        let sums: Vec<u32> = (0..self.counts.len()).map(near).collect();
        let is_peak = |&place: &usize| {
            let before = sums[place.saturating_sub(3)..place].iter().all(|&other| other < sums[place]);
            let after = sums[place + 1..(place + 4).min(sums.len())].iter().all(|&other| other <= sums[place]);
            sums[place] as f32 >= wanted && before && after
        };
        (0..sums.len()).filter(is_peak).map(|place| self.first + (place as f32 + 0.5) * BIN).collect()
    }
}

/// The slope with the most concentrated histogram.
fn slope(crossings: &[Crossing], height: u32) -> f32 {
    let slopes = (-SLOPES..=SLOPES).map(|step| step as f32 * STEEPEST / SLOPES as f32);
    let sharp = |slope: &f32| Bins::of(crossings, *slope, height).sharpness();
    slopes.map(|slope| (slope, sharp(&slope))).max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0.0, |(slope, _)| slope)
}

/// Erases the ruled line that begins at a row of the left edge. The line is tracked from column to column, because paper is
/// not flat. Only crossings that are not much thicker than the median are erased.
fn erase(contrast: &mut GrayImage, crossings: &[Crossing], slope: f32, row: f32) {
    let on_line = |crossing: &Crossing, drift: f32| {
        (crossing.middle() - slope * crossing.x as f32 - row - drift).abs() <= 1.5 * BIN
    };
    let mut drift = 0.0;
    let mut along = Vec::new();
    for crossing in crossings {
        if on_line(crossing, drift) {
            drift += 0.05 * (crossing.middle() - slope * crossing.x as f32 - row - drift);
            along.push(*crossing);
        }
    }
    let mut lengths: Vec<u32> = along.iter().map(|crossing| crossing.len).collect();
    lengths.sort_unstable();
    let usual = lengths.get(lengths.len() / 2).copied().unwrap_or(0);
    for crossing in along.iter().filter(|crossing| crossing.len <= usual + usual.div_ceil(2)) {
        // The soft edges of the line are erased, too, so that no connected pixels remain.
        let (top, bottom) = (crossing.top.saturating_sub(1), (crossing.top + crossing.len + 1).min(contrast.height()));
        for y in top..bottom {
            contrast.get_pixel_mut(crossing.x, y).0 = [0];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Luma;

    #[test]
    fn a_sloping_line_is_removed_and_a_stroke_across_it_stays() {
        let mut contrast = GrayImage::new(400, 120);
        for x in 0..400 {
            for y in 0..2 {
                contrast.put_pixel(x, 60 + x / 40 + y, Luma([200]));
            }
        }
        for y in 30..90 {
            for x in 100..105 {
                contrast.put_pixel(x, y, Luma([220]));
            }
        }
        let mut ink = InkMap { contrast, weak: 50, strong: 90, light: false, scale: 1.0 };
        assert_eq!(remove(&mut ink), 1);
        let left = |from: u32, to: u32| {
            (from..to).map(|x| (0..120).filter(|&y| ink.contrast[(x, y)].0[0] > 0).count()).sum::<usize>()
        };
        assert_eq!((left(0, 100), left(100, 105), left(105, 400)), (0, 300, 0));
    }

    /// Lines of two rows, a few rows apart.
    fn ruled(width: u32, lines: u32) -> InkMap {
        let contrast = GrayImage::from_fn(width, 20 * lines, |_, y| Luma([if y % 20 < 2 { 200 } else { 0 }]));
        InkMap { contrast, weak: 50, strong: 90, light: false, scale: 1.0 }
    }

    #[test]
    fn a_pattern_of_too_many_lines_stays() {
        assert_eq!(remove(&mut ruled(400, 60)), 60);
        // For each line a pass over all of them would take minutes.
        let mut strip = ruled(4, 100_000);
        let before = strip.contrast.clone();
        assert_eq!(remove(&mut strip), 0);
        assert_eq!(strip.contrast, before);
    }

    #[test]
    fn a_word_is_not_a_ruled_line() {
        let mut contrast = GrayImage::new(400, 120);
        for x in (20..380).filter(|x| x % 30 < 8) {
            for y in 40..43 {
                contrast.put_pixel(x, y, Luma([200]));
            }
        }
        let mut ink = InkMap { contrast: contrast.clone(), weak: 50, strong: 90, light: false, scale: 1.0 };
        assert_eq!(remove(&mut ink), 0);
        assert_eq!(ink.contrast, contrast);
    }
}
