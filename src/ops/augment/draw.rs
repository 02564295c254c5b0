//! The random draws for one row of a batch. `shaders/augment.wgsl` uses the same words in the same order.

use super::resized::TRIES;
use super::{Augment, AugmentMode, Flip, View};
use crate::ops::{Real, Step};
use crate::random::{CounterRng, Purpose};

/// The block of the word that decides which images are mirrored in even epochs. The other draws of a row use smaller
/// block numbers.
const ALTERNATE: u32 = 3;

/// The word for saturation. It follows the blocks that draw crops.
const SATURATION: u32 = 4 * 14;

/// The blocks of [`more`], as in `shaders/lib/augment_more.wgsl`: of hue, grey, saturation and blur; of the corners of a perspective
/// (two blocks); of erasing, whose attempts follow; and of the change of TrivialAugment.
pub(super) const COLOURS: u32 = 0;
const PERSPECTIVE: u32 = 1;
pub(super) const ERASED: u32 = 3;
pub(super) const TRIVIAL: u32 = ERASED + 1 + TRIES;

/// The words of a row for what the words of [`Purpose::Augment`] do not draw.
pub(super) fn more(step: &Step, row: u32) -> CounterRng {
    CounterRng::new(step.seed(), Purpose::AugmentMore, step.row(row as usize), step.number)
}

/// The draws of one row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Drawn<T> {
    /// Whether the image is mirrored left to right.
    pub flip: bool,
    /// Whether the image is turned upside down.
    pub upside_down: bool,
    /// The image position (row, column) of the result's first pixel, before the affine map, in pixels.
    pub corner: [i64; 2],
    /// The first row and column of the cutout square, in pixels.
    pub hole: Option<[i64; 2]>,
    /// The brightness factor.
    pub brightness: T,
    /// The contrast factor.
    pub contrast: T,
    /// The saturation factor.
    pub saturation: T,
    /// The 2x2 matrix, row by row, from offsets (x, y) from the middle of the result to offsets in the image. `None`
    /// for the identity.
    pub inverse: Option<[T; 4]>,
    /// The 3x3 matrix, row by row, from places (x, y, 1) in the result to places in the image, as fractions of its size. `None` for
    /// the identity.
    pub perspective: Option<[T; 9]>,
}

/// A number from 0 to `count` - 1, by multiply-and-shift.
pub(super) fn below(word: u32, count: usize) -> i64 {
    ((u64::from(word) * count as u64) >> 32) as i64
}

impl<T: Real> Drawn<T> {
    /// The draws for row `row` of a step's batch, which shows image `image`. Sizes `from` and `to` are (height,
    /// width).
    pub fn new(
        augment: &Augment,
        mode: AugmentMode,
        step: &Step,
        at: (u32, u32),
        from: [usize; 2],
        to: [usize; 2],
    ) -> Self {
        let (row, image) = at;
        let room = [from[0] - to[0], from[1] - to[1]];
        if let AugmentMode::Still(View { mirrored, shift }) = mode {
            let corner = room.map(|room| (room / 2) as i64 + i64::from(shift));
            let one = T::one();
            let (brightness, contrast, saturation) = (one, one, one);
            let (hole, inverse, perspective) = (None, None, None);
            let (flip, upside_down) = (mirrored, false);
            return Self { flip, upside_down, corner, hole, brightness, contrast, saturation, inverse, perspective };
        }
        let rng = |stream, step_number| CounterRng::new(step.seed(), Purpose::Augment, stream, step_number);
        let words = rng(step.row(row as usize), step.number);
        let flip = match augment.flip {
            Flip::Never => false,
            Flip::Random => words.word(0) >> 31 == 1,
            Flip::Alternate => (rng(image, 0).block(ALTERNATE)[0] >> 31) ^ (step.epoch & 1) == 1,
        };
        let moved = |word: u32| below(words.word(word), 2 * augment.translate + 1) - augment.translate as i64;
        let cut = |word: u32, room: usize| below(words.word(word), room + 1);
        let corner = [moved(1) + cut(4, room[0]), moved(2) + cut(5, room[1])];
        let half = (augment.cutout / 2) as i64;
        let hole =
            (augment.cutout > 0).then(|| [below(words.word(6), to[0]) - half, below(words.word(7), to[1]) - half]);
        let between =
            |word: u32, low: f64, high: f64| T::of(low) + T::of(high - low) * T::of(f64::from(words.uniform(word)));
        let around = |word: u32, by: f64| between(word, 1.0 - by, 1.0 + by);
        // The flips use only the two highest bits of the first word.
        let upside_down = augment.vertical_flip && words.word(0) >> 30 & 1 == 1;
        let stretched = words.word(0) & 0x00ff_ffff < augment.chance();
        let inverse = (augment.is_affine() && stretched).then(|| {
            let either = |word: u32, degrees: f64| between(word, -degrees.to_radians(), degrees.to_radians());
            let [low, high] = augment.scale.unwrap_or([1.0, 1.0]);
            inverse(either(9, augment.rotate), between(10, low, high), either(11, augment.shear))
        });
        let (brightness, contrast) = (around(3, augment.brightness), around(8, augment.contrast));
        let saturation = around(SATURATION, augment.saturation);
        let perspective = (augment.perspective > 0.0 && stretched).then(|| {
            let rng = more(step, row);
            let far = |word: u32| T::of(0.5 * augment.perspective) * T::of(rng.uniform(4 * PERSPECTIVE + word).into());
            perspective(std::array::from_fn(|word| far(word as u32)))
        });
        Self { flip, upside_down, corner, hole, brightness, contrast, saturation, inverse, perspective }
    }

    /// Whether the image is resampled.
    pub fn is_warped(&self) -> bool {
        self.inverse.is_some() || self.perspective.is_some()
    }

    /// The row and column before mirroring of a pixel of a result of height and width `size`.
    pub fn mirrored(&self, [y, x]: [usize; 2], size: [usize; 2]) -> [usize; 2] {
        let y = if self.upside_down { size[0] - 1 - y } else { y };
        [y, if self.flip { size[1] - 1 - x } else { x }]
    }

    /// A channel's factor and the value added afterwards, from its row of [`Augment::table`].
    pub fn levels(&self, line: &[T]) -> (T, T) {
        let (mean, inverse, pivot) = (line[0], line[1], line[2]);
        (self.brightness * self.contrast * inverse, (pivot - pivot * self.contrast - mean) * inverse)
    }
}

/// The inverse of a shear, then a rotation by `angle`, then a scaling by `scale`. x points right and y points down.
fn inverse<T: Real>(angle: T, scale: T, shear: T) -> [T; 4] {
    let ((sine, cosine), slant) = (angle.sin_cos(), shear.tan());
    [cosine + slant * sine, sine - slant * cosine, -sine, cosine].map(|entry| entry / scale)
}

/// The map from the result to the image for an image whose corners move inwards. All lengths are fractions of the image's: of x and y, for
/// the top left corner, then clockwise. It is the inverse of the map from the unit square to the quadrilateral (P. S. Heckbert,
/// "Fundamentals of texture mapping and image warping", 1989, section 2.2.3).
fn perspective<T: Real>(moved: [T; 8]) -> [T; 9] {
    let one = T::one();
    let (x, y) =
        ([moved[0], one - moved[2], one - moved[4], moved[6]], [moved[1], moved[3], one - moved[5], one - moved[7]]);
    let sum = |at: [T; 4]| at[0] - at[1] + at[2] - at[3];
    let ([x1, x2], [y1, y2]) = ([x[1] - x[2], x[3] - x[2]], [y[1] - y[2], y[3] - y[2]]);
    let area = x1 * y2 - x2 * y1;
    let (g, h) = ((sum(x) * y2 - x2 * sum(y)) / area, (x1 * sum(y) - sum(x) * y1) / area);
    let (a, b, c) = (x[1] - x[0] + g * x[1], x[3] - x[0] + h * x[3], x[0]);
    let (d, e, f) = (y[1] - y[0] + g * y[1], y[3] - y[0] + h * y[3], y[0]);
    [
        e - f * h,
        c * h - b,
        b * f - c * e,
        f * g - d,
        a - c * g,
        c * d - a * f,
        d * h - e * g,
        b * g - a * h,
        a * e - b * d,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(augment: &Augment, number: u32, epoch: u32, at: (u32, u32)) -> Drawn<f64> {
        let step = Step { epoch, ..Step::new(number, 64, 9) };
        Drawn::new(augment, AugmentMode::Random, &step, at, [32, 32], [32, 32])
    }

    #[test]
    fn an_alternating_flip_depends_on_the_image_and_changes_every_epoch() {
        let augment = Augment { flip: Flip::Alternate, ..Augment::default() };
        let mut first = 0;
        for image in 0..1000 {
            let flips: Vec<bool> = (0..4).map(|epoch| drawn(&augment, 7 * epoch, epoch, (epoch, image)).flip).collect();
            assert_eq!(flips, [flips[0], !flips[0], flips[0], !flips[0]]);
            first += u32::from(flips[0]);
        }
        assert!((400..600).contains(&first), "{first} of 1000 in the first epoch");
    }

    #[test]
    fn draws_fill_their_ranges_and_differ_by_row_and_step() {
        let augment = Augment {
            flip: Flip::Random,
            translate: 2,
            cutout: 8,
            rotate: 30.0,
            scale: Some([0.8, 1.25]),
            brightness: 0.4,
            ..Augment::default()
        };
        let all: Vec<Drawn<f64>> = (0..40)
            .flat_map(|step| (0..40).map(move |row| (step, row)))
            .map(|(step, row)| drawn(&augment, step, 0, (row, 5)))
            .collect();
        let flips = all.iter().filter(|one| one.flip).count();
        assert!((700..900).contains(&flips), "{flips} of 1600");
        for axis in 0..2 {
            let mut counts = [0; 5];
            all.iter().for_each(|one| counts[(one.corner[axis] + 2) as usize] += 1);
            assert!(counts.iter().all(|count| (240..400).contains(count)), "{counts:?}");
            let holes: Vec<i64> = all.iter().filter_map(|one| one.hole.map(|hole| hole[axis])).collect();
            assert_eq!((holes.iter().min(), holes.iter().max()), (Some(&-4), Some(&27)));
        }
        assert!(all.iter().all(|one| (0.6..1.4).contains(&one.brightness) && one.contrast == 1.0));
        let areas = all.iter().filter_map(|one| one.inverse).map(|[a, b, c, d]| a * d - b * c);
        assert!(areas.clone().all(|area| (0.64..=1.5626).contains(&area)) && areas.clone().any(|area| area < 0.7));
        let different = all.iter().map(|one| one.brightness.to_bits()).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn the_affine_map_is_for_its_share_of_images() {
        let half = Augment { rotate: 10.0, affine_chance: Some(0.5), ..Augment::default() };
        let turned = (0..1000).filter(|&row| drawn(&half, 3, 0, (row, row)).inverse.is_some()).count();
        assert!((440..560).contains(&turned), "{turned} of 1000");
        for (chance, count) in [(Some(0.0), 0), (Some(1.0), 1000), (None, 1000)] {
            let augment = Augment { affine_chance: chance, ..half.clone() };
            let turned = (0..1000).filter(|&row| drawn(&augment, 3, 0, (row, row)).inverse.is_some());
            assert_eq!(turned.count(), count);
        }
    }

    /// The four corners, moved inwards, are read at the image's corners.
    #[test]
    fn a_perspective_takes_moved_corners_back() {
        let moved = [0.1, 0.05, 0.2, 0.15, 0.02, 0.25, 0.12, 0.0];
        let m = perspective(moved);
        let corners = [(0.1, 0.05), (0.8, 0.15), (0.98, 0.75), (0.12, 1.0)];
        for ((x, y), right) in corners.into_iter().zip([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]) {
            let line = |row: usize| m[3 * row] * x + m[3 * row + 1] * y + m[3 * row + 2];
            let found: [f64; 2] = [line(0) / line(2), line(1) / line(2)];
            assert!((0..2).all(|axis| (found[axis] - right[axis]).abs() < 1e-12), "{found:?} {right:?}");
        }
    }

    #[test]
    fn a_turn_is_undone_by_its_inverse() {
        let [a, b, c, d] = inverse(0.3_f64, 1.0, 0.0);
        // A rotation by 30 degrees moves a point on the right of the middle downwards: x' = cos, y' = sin.
        let (x, y) = (0.3_f64.cos(), 0.3_f64.sin());
        assert!((a * x + b * y - 1.0).abs() < 1e-12 && (c * x + d * y).abs() < 1e-12);
        assert_eq!(inverse(0.0_f64, 2.0, 0.0), [0.5, 0.0, 0.0, 0.5]);
    }
}
