//! Test-time augmentation: the views of an image in evaluation and prediction, and their weights.

use crate::ops::augment::View;
use crate::{Error, Result};

/// The views of an image whose logits are averaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tta {
    /// The image and its mirror image.
    Flip,
    /// The image and its mirror image, each also shifted by one pixel up and left and by one pixel down and right. The shifted
    /// views together have the same weight as the others (K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024).
    Shift,
    /// The views of `Shift` without mirror images, for images of characters.
    ShiftOnly,
}

impl std::str::FromStr for Tta {
    type Err = Error;
    /// Reads `flip`, `shift` or `shift-only`. Other words give an [`Error::Usage`].
    fn from_str(word: &str) -> Result<Self> {
        let names = [("flip", Self::Flip), ("shift", Self::Shift), ("shift-only", Self::ShiftOnly)];
        crate::error::named("way of averaging", word, &names)
    }
}

impl Tta {
    /// The number of views, including the unchanged image.
    pub fn views(self) -> usize {
        1 + self.others().count()
    }

    /// The views other than the unchanged image, each with a name.
    pub(super) fn others(self) -> impl Iterator<Item = (&'static str, View)> {
        let all = [
            ("mirrored", true, 0),
            ("up", false, -1),
            ("mirrored_up", true, -1),
            ("down", false, 1),
            ("mirrored_down", true, 1),
        ];
        let taken = move |mirrored: bool, shift: i32| match self {
            Self::Flip => shift == 0,
            Self::Shift => true,
            Self::ShiftOnly => !mirrored,
        };
        let views = all.into_iter().filter(move |&(_, mirrored, shift)| taken(mirrored, shift));
        views.map(|(name, mirrored, shift)| (name, View { mirrored, shift }))
    }

    /// The weight of a view's logits. The sum over all views is 1.
    pub(super) fn weight(self, view: View) -> f32 {
        let mirrored = if self == Self::ShiftOnly { 1.0 } else { 0.5 };
        let shifted = match (self, view.shift) {
            (Self::Flip, _) => 1.0,
            (_, 0) => 0.5,
            _ => 0.25,
        };
        mirrored * shifted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_few_and_count_one_together() {
        for (name, count) in [("flip", 2), ("shift", 6), ("shift-only", 3)] {
            let tta: Tta = name.parse().expect("known");
            let views: Vec<View> = std::iter::once(View::default()).chain(tta.others().map(|(_, view)| view)).collect();
            assert_eq!(views.len(), count);
            assert_eq!(views.iter().map(|&view| tta.weight(view)).sum::<f32>(), 1.0);
        }
        let shifted = View { mirrored: true, shift: -1 };
        assert_eq!([Tta::Shift.weight(View::default()), Tta::Shift.weight(shifted)], [0.25, 0.125]);
        assert!("filp".parse::<Tta>().expect_err("unknown").to_string().contains("`flip`"));
    }
}
