//! The random crop of an image. `shaders/lib/rectangles.wgsl` uses the same words in the same order.

use super::ResizedCrop;
use crate::ops::Step;
use crate::random::{CounterRng, Purpose};

/// The number of levels of areas and of aspect ratios, evenly spaced: a power of 2.
pub(in crate::ops::augment) const LEVELS: usize = 1024;
/// The number of bits of a word below its level.
const LEVEL_SHIFT: u32 = 22;
/// The fixed-point scales of the table. The first is for roots of areas, the second for roots of aspect ratios.
const AREA_UNIT: f64 = 256.0;
const RATIO_UNIT: f64 = 1024.0;
/// The base-2 logarithm of the product of both scales.
const PRODUCT_SHIFT: u32 = 18;
/// The block of the first attempt. Each attempt has its own block.
const FIRST_TRY: u32 = 4;
/// The number of attempts before the central crop is used.
pub(in super::super) const TRIES: u32 = 10;

/// A crop of an image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ops::augment) struct CropBox {
    /// Its first row and column.
    pub corner: [usize; 2],
    /// Its height and width.
    pub size: [usize; 2],
}

/// Fixed-point roots of the areas in pixels, of the aspect ratios (width / height) and of their inverses. The product
/// of an area's root with one of the others is a side of the crop. Integer products are equal on every device, but
/// exponentials and roots are not. A crop that differs by a pixel would be a different image.
pub(in crate::ops::augment) fn roots(crop: &ResizedCrop, [height, width]: [usize; 2]) -> Vec<f32> {
    let middle = |level: usize| (level as f64 + 0.5) / LEVELS as f64;
    let area = |level: usize| {
        let share = crop.scale[0] + middle(level) * (crop.scale[1] - crop.scale[0]);
        AREA_UNIT * (share * (height * width) as f64).sqrt()
    };
    let ratio = |level: usize| {
        let [low, high] = crop.ratio.map(f64::ln);
        (low + middle(level) * (high - low)).exp()
    };
    let levels = 0..LEVELS;
    let areas = levels.clone().map(area);
    let ratios = levels.clone().map(|level| RATIO_UNIT * ratio(level).sqrt());
    let inverses = levels.map(|level| RATIO_UNIT / ratio(level).sqrt());
    areas.chain(ratios).chain(inverses).map(|root| root.round() as f32).collect()
}

impl CropBox {
    /// The largest central crop with an allowed aspect ratio. torchvision also uses it when no attempt fits.
    pub fn fallback(crop: &ResizedCrop, [height, width]: [usize; 2]) -> Self {
        let [low, high] = crop.ratio;
        let ratio = width as f64 / height as f64;
        let size = if ratio < low {
            [((width as f64 / low).round() as usize).clamp(1, height), width]
        } else if ratio > high {
            [height, ((height as f64 * high).round() as usize).clamp(1, width)]
        } else {
            [height, width]
        };
        Self { corner: [(height - size[0]) / 2, (width - size[1]) / 2], size }
    }

    /// The crop for row `row` of a step's batch, in an image of height and width `from`. `roots` is the table from
    /// [`roots`].
    pub fn drawn(roots: impl Fn(usize) -> u32, fallback: Self, step: &Step, row: u32, from: [usize; 2]) -> Self {
        let rng = CounterRng::new(step.seed(), Purpose::Augment, step.row(row as usize), step.number);
        Self::found(roots, &rng, FIRST_TRY, from, from).unwrap_or(fallback)
    }

    /// The first of some random rectangles in an image of height and width `from` that is at most as large as `most`. Each attempt
    /// takes a block of words, from `first` on.
    pub fn found(
        roots: impl Fn(usize) -> u32,
        rng: &CounterRng,
        first: u32,
        from: [usize; 2],
        most: [usize; 2],
    ) -> Option<Self> {
        (first..first + TRIES).find_map(|block| {
            let [area, ratio, top, left] = rng.block(block);
            let (area, ratio) = (roots((area >> LEVEL_SHIFT) as usize), (ratio >> LEVEL_SHIFT) as usize);
            let side = |root: u32| ((area * root + (1 << (PRODUCT_SHIFT - 1))) >> PRODUCT_SHIFT) as usize;
            let size = [side(roots(2 * LEVELS + ratio)), side(roots(LEVELS + ratio))];
            let fits = (0..2).all(|axis| size[axis] > 0 && size[axis] <= most[axis]);
            let place =
                |word: u32, axis: usize| ((u64::from(word) * (from[axis] - size[axis] + 1) as u64) >> 32) as usize;
            fits.then(|| Self { corner: [place(top, 0), place(left, 1)], size })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(crop: &ResizedCrop, from: [usize; 2]) -> Vec<CropBox> {
        let roots = roots(crop, from);
        let one = |number: u32| {
            let step = Step::new(number / 64, 64, 5);
            CropBox::drawn(|at| roots[at] as u32, CropBox::fallback(crop, from), &step, number % 64, from)
        };
        (0..4000).map(one).collect()
    }

    /// Follows torchvision's `RandomResizedCrop.get_params`: the fraction of the area, the logarithm of the aspect
    /// ratio and the position are uniform.
    #[test]
    fn parts_have_the_areas_proportions_and_places_asked_for() {
        let crop = ResizedCrop { scale: [0.1, 0.4], ratio: [0.5, 2.0] };
        let all = parts(&crop, [200, 240]);
        assert!(all.iter().all(|part| part.corner[0] + part.size[0] <= 200 && part.corner[1] + part.size[1] <= 240));
        let mean = |of: &dyn Fn(&CropBox) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
        let share = |part: &CropBox| (part.size[0] * part.size[1]) as f64 / 48_000.0;
        let ratio = |part: &CropBox| (part.size[1] as f64 / part.size[0] as f64).ln();
        assert!((mean(&share) - 0.25).abs() < 0.006, "{}", mean(&share));
        assert!(mean(&ratio).abs() < 0.02 && (mean(&|part| ratio(part).powi(2)) - 0.16).abs() < 0.01);
        assert!(all.iter().all(|part| (0.098..0.403).contains(&share(part)) && ratio(part).abs() < 0.71));
        for axis in 0..2 {
            let room = [200, 240][axis];
            let place = |part: &CropBox| part.corner[axis] as f64 / (room - part.size[axis]).max(1) as f64;
            assert!((mean(&place) - 0.5).abs() < 0.015, "{}", mean(&place));
        }
    }

    #[test]
    fn what_never_fits_falls_back_to_the_middle() {
        let crop = ResizedCrop { scale: [1.0, 1.0], ratio: [0.75, 4.0 / 3.0] };
        let middle = CropBox { corner: [0, 83], size: [100, 133] };
        assert!(parts(&crop, [100, 300]).iter().all(|&part| part == middle));
        assert_eq!(CropBox::fallback(&crop, [300, 100]), CropBox { corner: [83, 0], size: [133, 100] });
        assert_eq!(CropBox::fallback(&crop, [64, 64]), CropBox { corner: [0, 0], size: [64, 64] });
    }
}
