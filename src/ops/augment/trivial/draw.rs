//! Which change an image gets. `shaders/lib/trivial.wgsl` draws the same.

use super::super::draw::{TRIVIAL, below, more};
use super::WHITE;
use crate::ops::{Real, Step};

/// The strengths of a change are this many equal steps from none to the largest.
const LEVELS: u32 = 30;

/// A change. Factors are about 1; lengths are in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Change<T> {
    Identity,
    /// The place along x moves by this times the distance from the upper edge.
    ShearX(T),
    /// The place along y moves by this times the distance from the left edge.
    ShearY(T),
    TranslateX(i64),
    TranslateY(i64),
    /// Counter-clockwise, in radians.
    Rotate(T),
    Brightness(T),
    /// Saturation: the distance of colours from their grey value.
    Colour(T),
    /// The distance of values from the mean grey value of the image.
    Contrast(T),
    /// The distance of values from those of a blurred image.
    Sharpness(T),
    /// How many of the lower bits become 0.
    Posterize(u32),
    /// Values from this one on are inverted.
    Solarize(T),
    /// Stretches the values of each channel to the whole range.
    AutoContrast,
    /// Spreads the values of each channel evenly over the range.
    Equalize,
}

/// The number of kinds of change.
pub(super) const KINDS: usize = 14;

impl<T: Real> Change<T> {
    /// The change of row `row` of a batch.
    pub fn drawn(step: &Step, row: u32) -> Self {
        let words = more(step, row).block(TRIVIAL);
        let level = below(words[1], LEVELS as usize + 1);
        Self::of(below(words[0], KINDS) as usize, level, words[2] >> 31 == 1)
    }

    /// The change of this kind, with this strength from 0 to [`LEVELS`], of which some are negative.
    fn of(kind: usize, level: i64, negative: bool) -> Self {
        let sign = if negative { -1 } else { 1 };
        let share = T::of((sign * level) as f64) / T::of(LEVELS.into());
        let slope = T::of(0.99) * share;
        let factor = T::one() + slope;
        let moved = sign * (32 * level / i64::from(LEVELS));
        match kind {
            0 => Self::Identity,
            1 => Self::ShearX(slope),
            2 => Self::ShearY(slope),
            3 => Self::TranslateX(moved),
            4 => Self::TranslateY(moved),
            5 => Self::Rotate(T::of(135.0_f64.to_radians()) * share),
            6 => Self::Brightness(factor),
            7 => Self::Colour(factor),
            8 => Self::Contrast(factor),
            9 => Self::Sharpness(factor),
            10 => Self::Posterize(((level + 2) / 5) as u32),
            11 => Self::Solarize(T::of(WHITE - 8.5 * level as f64)),
            12 => Self::AutoContrast,
            _ => Self::Equalize,
        }
    }

    /// For a change that moves pixels, the place in an image of this height and width from which pixel `(y, x)` is taken.
    pub fn place(&self, [y, x]: [usize; 2], size: [usize; 2]) -> Option<[T; 2]> {
        let (half, [fy, fx]) = (T::of(0.5), [y, x].map(T::count));
        let whole = |by: i64| T::of(by as f64);
        Some(match *self {
            Self::ShearX(slope) => [fy, fx + slope * (fy + half)],
            Self::ShearY(slope) => [fy + slope * (fx + half), fx],
            Self::TranslateX(by) => [fy, fx - whole(by)],
            Self::TranslateY(by) => [fy - whole(by), fx],
            Self::Rotate(angle) => {
                let (sine, cosine) = angle.sin_cos();
                let middle = size.map(|side| half * T::count(side - 1));
                let (from_y, from_x) = (fy - middle[0], fx - middle[1]);
                [middle[0] + sine * from_x + cosine * from_y, middle[1] + cosine * from_x - sine * from_y]
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All kinds are equally frequent, and so are strengths and signs.
    #[test]
    fn every_change_is_drawn() {
        let mut kinds = [0; KINDS];
        for row in 0..14_000 {
            let change = Change::<f64>::drawn(&Step::new(3, 64, 9), row);
            let kind = (0..KINDS).find(|&kind| {
                std::mem::discriminant(&Change::<f64>::of(kind, 0, false)) == std::mem::discriminant(&change)
            });
            kinds[kind.expect("a kind")] += 1;
            if let Change::TranslateX(by) = change {
                assert!((-32..=32).contains(&by));
            }
        }
        assert!(kinds.iter().all(|count| (880..1120).contains(count)), "{kinds:?}");
    }

    /// torchvision's `TrivialAugmentWide._augmentation_space(31)`.
    #[test]
    fn strengths_are_those_of_torchvision() {
        assert_eq!(Change::<f64>::of(1, 15, true), Change::ShearX(-0.495));
        assert_eq!(Change::<f64>::of(4, 16, false), Change::TranslateY(17));
        assert_eq!(Change::<f64>::of(5, 15, false), Change::Rotate(67.5_f64.to_radians()));
        assert_eq!(Change::<f64>::of(9, 30, true), Change::Sharpness(1.0 - 0.99));
        let bits = [0, 3, 15, 27, 28, 30].map(|level| Change::<f64>::of(10, level, false));
        assert_eq!(bits, [0, 1, 3, 5, 6, 6].map(Change::Posterize));
        assert_eq!(Change::<f64>::of(11, 15, true), Change::Solarize(127.5));
    }
}
