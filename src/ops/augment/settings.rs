//! The values of settings that are not plain numbers.

use std::str::FromStr;

use crate::{Error, Result};

/// Whether images are mirrored left to right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "WrittenFlip", into = "WrittenFlip")]
pub enum Flip {
    /// Never.
    #[default]
    Never,
    /// Each image with probability 1/2, each time it is shown.
    Random,
    /// Half of the images in the first epoch, chosen by the image's number. The other half in the next epoch, and so
    /// on (K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024).
    Alternate,
}

/// In a recipe: `true`, `false` or `"alternate"`.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
enum WrittenFlip {
    Whether(bool),
    Named(String),
}

impl TryFrom<WrittenFlip> for Flip {
    type Error = Error;
    fn try_from(written: WrittenFlip) -> Result<Self> {
        match written {
            WrittenFlip::Whether(true) => Ok(Self::Random),
            WrittenFlip::Whether(false) => Ok(Self::Never),
            WrittenFlip::Named(name) if name == "alternate" => Ok(Self::Alternate),
            WrittenFlip::Named(name) => {
                Err(Error::out_of_range("[augment] flip", format!("{name:?}"), "true, false or \"alternate\""))
            }
        }
    }
}

impl FromStr for Flip {
    type Err = Error;
    /// In command-line flags: `random`, `alternate` or `never`. Other words give an [`Error::Usage`].
    fn from_str(word: &str) -> Result<Self> {
        crate::error::named(
            "flip",
            word,
            &[("random", Self::Random), ("alternate", Self::Alternate), ("never", Self::Never)],
        )
    }
}

impl From<Flip> for WrittenFlip {
    fn from(flip: Flip) -> Self {
        match flip {
            Flip::Never => Self::Whether(false),
            Flip::Random => Self::Whether(true),
            Flip::Alternate => Self::Named("alternate".into()),
        }
    }
}

/// Pixel values outside the image's edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// Black: a value of 0 before normalisation.
    #[default]
    Zero,
    /// Mirrored pixels of the image. The outermost row or column is the axis.
    Reflect,
}

impl FromStr for Padding {
    type Err = Error;
    /// `zero` or `reflect`. Other words give an [`Error::Usage`].
    fn from_str(word: &str) -> Result<Self> {
        crate::error::named("padding", word, &[("zero", Self::Zero), ("reflect", Self::Reflect)])
    }
}

/// Pixel values in the cutout square.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CutoutFill {
    /// Black: a value of 0 before normalisation.
    #[default]
    Zero,
    /// The mean of each channel. Normalisation makes it 0.
    Mean,
}

impl CutoutFill {
    /// The value, before normalisation, for a channel with this mean.
    pub(super) fn value(self, mean: f64) -> f64 {
        if self == Self::Mean { mean } else { 0.0 }
    }
}

impl FromStr for CutoutFill {
    type Err = Error;
    /// `zero` or `mean`. Other words give an [`Error::Usage`].
    fn from_str(word: &str) -> Result<Self> {
        crate::error::named("fill", word, &[("zero", Self::Zero), ("mean", Self::Mean)])
    }
}

/// The range of the random crops of [`Augment::resized_crop`](super::Augment::resized_crop).
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResizedCrop {
    /// Smallest and largest fraction of the image's area.
    pub scale: [f64; 2],
    /// Smallest and largest aspect ratio: width divided by height.
    pub ratio: [f64; 2],
}

impl Default for ResizedCrop {
    /// The default values of torchvision.
    fn default() -> Self {
        Self { scale: [0.08, 1.0], ratio: [0.75, 4.0 / 3.0] }
    }
}

impl ResizedCrop {
    /// Checks that the numbers are in range. `field` names the setting.
    pub(super) fn validate(&self, field: &str) -> Result<()> {
        let Self { scale: [small, large], ratio: [low, high] } = *self;
        let check = |what: &str, value: f64, good: bool, range: &str| match good && value.is_finite() {
            true => Ok(()),
            false => Err(Error::out_of_range(&format!("[augment] {field}'s {what}"), value, range)),
        };
        check("first scale", small, small > 0.0 && small <= 1.0, "above 0 and at most 1")?;
        check("second scale", large, (small..=1.0).contains(&large), "from the first to 1")?;
        check("first ratio", low, (0.1..=10.0).contains(&low), "from 0.1 to 10")?;
        check("second ratio", high, (low..=10.0).contains(&high), "from the first to 10")
    }
}
