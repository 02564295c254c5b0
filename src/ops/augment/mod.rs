//! Augmentation: what an image of the data set becomes before the network sees it, in one op with the gather of the batch.
//!
//! In this order: a small affine map (rotation, scale, shear) about the image's middle, a translation, a crop, a mirror
//! image; then brightness and contrast, normalisation by channel, and a square that is cut out. Instead of what moves an image a
//! part of it may be brought to size ([`resized`]), and strokes and noise come last ([`roughen`]). All draws are counted: a
//! row's numbers depend on the seed, the training step and the row alone, so that the CPU replays any GPU step.

mod cases;
mod define;
mod draw;
mod op;
pub mod resized;
pub mod roughen;

pub use cases::cases;
pub use op::Augmented;

use std::str::FromStr;

use crate::{Error, Result};

/// Whether images are mirrored left to right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "WrittenFlip", into = "WrittenFlip")]
pub enum Flip {
    /// Never.
    #[default]
    Never,
    /// Each with probability 1/2, each time it is seen.
    Random,
    /// Half of them in the first epoch, chosen by the image's number; the other half in the next, and so on (K. Jordan,
    /// "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024).
    Alternate,
}

/// As it stands in a recipe: `true`, `false` or `"alternate"`.
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
                Err(Error::usage(format!("flip is \"{name}\", but has to be true, false or \"alternate\"")))
            }
        }
    }
}

impl FromStr for Flip {
    type Err = Error;
    /// As flags write it: `random`, `alternate` or `never`; an [`Error::Usage`] for other words.
    fn from_str(word: &str) -> Result<Self> {
        named("flip", word, &[("random", Self::Random), ("alternate", Self::Alternate), ("never", Self::Never)])
    }
}

/// What a word stands for, of these; an [`Error::Usage`] for others.
fn named<T: Copy>(kind: &str, word: &str, known: &[(&str, T)]) -> Result<T> {
    let found = known.iter().find(|(name, _)| *name == word).map(|&(_, value)| value);
    found.ok_or_else(|| crate::error::unknown(kind, word, &known.iter().map(|&(name, _)| name).collect::<Vec<_>>()))
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

/// What stands beyond an image's edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// Black: a value of 0 before normalisation.
    #[default]
    Zero,
    /// The image's own pixels, mirrored at its outermost row and column.
    Reflect,
}

impl FromStr for Padding {
    type Err = Error;
    /// `zero` or `reflect`; an [`Error::Usage`] for other words.
    fn from_str(word: &str) -> Result<Self> {
        named("padding", word, &[("zero", Self::Zero), ("reflect", Self::Reflect)])
    }
}

/// What stands in the square that is cut out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CutoutFill {
    /// Black: a value of 0 before normalisation.
    #[default]
    Zero,
    /// The mean of each channel, which normalisation makes 0.
    Mean,
}

impl FromStr for CutoutFill {
    type Err = Error;
    /// `zero` or `mean`; an [`Error::Usage`] for other words.
    fn from_str(word: &str) -> Result<Self> {
        named("fill", word, &[("zero", Self::Zero), ("mean", Self::Mean)])
    }
}

/// Which parts of images are shown.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResizedCrop {
    /// Smallest and largest share of the image's area.
    pub scale: [f64; 2],
    /// Smallest and largest proportions, width over height.
    pub ratio: [f64; 2],
}

impl Default for ResizedCrop {
    /// As torchvision has it.
    fn default() -> Self {
        Self { scale: [0.08, 1.0], ratio: [0.75, 4.0 / 3.0] }
    }
}

/// The longest side of an image that parts are cut from: sides are counted in whole numbers of 32 bits.
const LONGEST_RESIZED: usize = 4096;

/// What becomes of images. The section `[augment]` of a recipe; the default changes nothing.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// Mirrors images left to right.
    pub flip: Flip,
    /// Moves each by up to so many pixels, down or up and right or left, independently.
    pub translate: usize,
    /// What a moved, turned or shrunken image leaves open.
    pub padding: Padding,
    /// Height and width of a part that is cut from a place drawn at random, from the middle when measuring: what the
    /// network takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<[usize; 2]>,
    /// Side of a square that is covered; its middle lies anywhere in the image, so that part of it may lie outside. 0 is none.
    pub cutout: usize,
    /// What covers it.
    pub cutout_fill: CutoutFill,
    /// Turns each by up to so many degrees either way.
    pub rotate: f64,
    /// Smallest and largest factor of size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<[f64; 2]>,
    /// Slants each by up to so many degrees either way.
    pub shear: f64,
    /// The share of images that are turned, scaled and slanted; all by itself. An image that is resampled is blurred a little:
    /// a network that sees no others learns to need that, and fails on images as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affine_chance: Option<f64>,
    /// Multiplies each by a number between 1 - this and 1 + this. Values are not clamped.
    pub brightness: f64,
    /// Stretches each about the channels' means (0.5 where none are given) by a factor between 1 - this and 1 + this.
    pub contrast: f64,
    /// Draws colours away from their grey by a factor between 1 - this and 1 + this; with `resized_crop`.
    pub saturation: f64,
    /// Shows a part of each, of a size and proportions drawn at random, brought to the size of `crop`, else of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resized_crop: Option<ResizedCrop>,
    /// Moves each image's pixels by up to this part of the way to the largest or the smallest of the 3x3 about them: strokes
    /// grow thicker or thinner.
    pub stroke: f64,
    /// Adds noise of a deviation of up to this, drawn for each image; white is 1. Values are not clamped.
    pub noise: f64,
    /// Taken from each channel, for images of 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<f64>>,
    /// What each channel is divided by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<Vec<f64>>,
}

/// How much of it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AugmentMode {
    /// All, as drawn for the step.
    Random,
    /// What is not random: crop at the middle and normalisation.
    Still(View),
}

/// From where an image is seen when it is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Whether it is mirrored left to right.
    pub mirrored: bool,
    /// By how many pixels what is seen of it lies further down and to the right, before it is mirrored. Beyond the image's
    /// edge stand its own pixels, mirrored.
    pub shift: i32,
}

impl AugmentMode {
    /// The image's middle, as it is.
    pub const MIDDLE: Self = Self::Still(View { mirrored: false, shift: 0 });
}

impl Augment {
    /// Refuses numbers out of range.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the field, what it is and what it may be.
    pub fn validate(&self) -> Result<()> {
        let check = |field: &str, value: f64, good: bool, range: &str| match good && value.is_finite() {
            true => Ok(()),
            false => Err(Error::usage(format!("[augment] {field} is {value}, but has to be {range}."))),
        };
        check("rotate", self.rotate, (0.0..=180.0).contains(&self.rotate), "from 0 to 180 degrees")?;
        check("shear", self.shear, (0.0..=60.0).contains(&self.shear), "from 0 to 60 degrees")?;
        let chance = self.affine_chance.unwrap_or(1.0);
        check("affine_chance", chance, (0.0..=1.0).contains(&chance), "from 0 to 1")?;
        check("brightness", self.brightness, (0.0..=1.0).contains(&self.brightness), "from 0 to 1")?;
        check("contrast", self.contrast, (0.0..=1.0).contains(&self.contrast), "from 0 to 1")?;
        if let Some([low, high]) = self.scale {
            check("scale's first number", low, (0.1..=10.0).contains(&low), "from 0.1 to 10")?;
            check("scale's second number", high, (low..=10.0).contains(&high), "from the first to 10")?;
        }
        check("stroke", self.stroke, (0.0..=1.0).contains(&self.stroke), "from 0 to 1")?;
        check("noise", self.noise, (0.0..=1.0).contains(&self.noise), "from 0 to 1")?;
        check("saturation", self.saturation, (0.0..=1.0).contains(&self.saturation), "from 0 to 1")?;
        if let Some(ResizedCrop { scale: [small, large], ratio: [low, high] }) = self.resized_crop {
            check("resized_crop's first scale", small, small > 0.0 && small <= 1.0, "above 0 and at most 1")?;
            check("resized_crop's second scale", large, (small..=1.0).contains(&large), "from the first to 1")?;
            check("resized_crop's first ratio", low, (0.1..=10.0).contains(&low), "from 0.1 to 10")?;
            check("resized_crop's second ratio", high, (low..=10.0).contains(&high), "from the first to 10")?;
        }
        self.validate_together()?;
        for &value in self.mean.iter().flatten() {
            check("mean", value, true, "finite numbers")?;
        }
        for &value in self.std.iter().flatten() {
            check("std", value, value > 1e-6, "numbers above 0.000001")?;
        }
        if self.mean.is_some() != self.std.is_some() {
            return Err(Error::usage("[augment] needs mean and std together, or neither."));
        }
        if self.cutout_fill == CutoutFill::Mean && self.mean.is_none() {
            return Err(Error::usage("[augment] cutout_fill = \"mean\" needs the channels' mean and std."));
        }
        Ok(())
    }

    /// Refuses what does not go with one another.
    fn validate_together(&self) -> Result<()> {
        let moved = self.translate > 0 || self.cutout > 0 || self.is_affine();
        if self.resized_crop.is_some() && moved {
            return Err(Error::usage(
                "[augment] resized_crop goes with flip, brightness, contrast and saturation; leave translate, cutout, rotate, \
                 scale and shear out.",
            ));
        }
        if self.resized_crop.is_none() && self.saturation > 0.0 {
            return Err(Error::usage("[augment] saturation goes with resized_crop; add `resized_crop = {}`."));
        }
        Ok(())
    }

    /// Channels, height and width of what images `[channels, height, width]` become.
    ///
    /// # Errors
    /// [`Error::Usage`] when the images are too small or have another number of channels.
    pub fn output(&self, [channels, height, width]: [usize; 3]) -> Result<[usize; 3]> {
        let images = format!("the images are {channels}x{height}x{width}");
        for (field, values) in [("mean", &self.mean), ("std", &self.std)] {
            if let Some(values) = values.as_ref().filter(|values| values.len() != channels) {
                let count = values.len();
                return Err(Error::usage(format!("[augment] {field} has {count} numbers, but {images}.")));
            }
        }
        let [to_height, to_width] = self.crop.unwrap_or([height, width]);
        if to_height == 0 || to_width == 0 || to_height > height || to_width > width {
            return Err(Error::usage(format!("[augment] crop is {to_height}x{to_width}, but {images}.")));
        }
        if self.translate >= height.min(width) && self.translate > 0 {
            let by = self.translate;
            return Err(Error::usage(format!("[augment] translate moves by up to {by} pixels, but {images}.")));
        }
        if self.cutout > height.max(width) {
            let side = self.cutout;
            return Err(Error::usage(format!("[augment] cutout covers a square of {side}, but {images}.")));
        }
        if self.saturation > 0.0 && channels != 3 {
            return Err(Error::usage(format!("[augment] saturation is for images in colour, but {images}.")));
        }
        if self.resized_crop.is_some() && height.max(width) > LONGEST_RESIZED {
            return Err(Error::usage(format!(
                "[augment] resized_crop takes images of up to {LONGEST_RESIZED} pixels a side, but {images}."
            )));
        }
        Ok([channels, to_height, to_width])
    }

    /// Whether an image `[channels, height, width]` may look another way each time it is seen.
    pub fn is_random(&self, [_, height, width]: [usize; 3]) -> bool {
        // What is left when nothing is drawn: normalisation, and a cut that takes all.
        let Self { padding, cutout_fill, mean, std, .. } = self.clone();
        let crop = self.crop.filter(|&crop| crop == [height, width]);
        *self != Self { padding, cutout_fill, crop, mean, std, ..Self::default() }
    }

    /// Whether images are turned, scaled or slanted.
    fn is_affine(&self) -> bool {
        self.rotate > 0.0 || self.shear > 0.0 || self.scale.is_some_and(|scale| scale != [1.0, 1.0])
    }

    /// Of 2^24 draws, those that turn, scale and slant.
    fn chance(&self) -> u32 {
        (self.affine_chance.unwrap_or(1.0) * f64::from(1 << 24)).round() as u32
    }

    /// For each channel: what is taken off, what is multiplied by then, about which value contrast stretches, and what
    /// covers a square that is cut out.
    fn table(&self, channels: usize) -> Vec<f32> {
        let at = |values: &Option<Vec<f64>>, channel: usize, other: f64| {
            values.as_ref().and_then(|values| values.get(channel)).copied().unwrap_or(other)
        };
        let of = |channel: usize| {
            let (mean, inverse) = (at(&self.mean, channel, 0.0), 1.0 / at(&self.std, channel, 1.0));
            let covered = if self.cutout_fill == CutoutFill::Mean { 0.0 } else { -mean * inverse };
            [mean, inverse, at(&self.mean, channel, 0.5), covered].map(|value| value as f32)
        };
        (0..channels).flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_read_and_written() {
        let text =
            "flip = \"alternate\"\ntranslate = 2\npadding = \"reflect\"\ncrop = [28, 30]\nmean = [0.5]\nstd = [0.25]\n";
        let augment: Augment = toml::from_str(text).expect("a section");
        assert_eq!((augment.flip, augment.padding, augment.crop), (Flip::Alternate, Padding::Reflect, Some([28, 30])));
        let again: Augment = toml::from_str(&toml::to_string(&augment).expect("text")).expect("a section");
        assert_eq!(again, augment);
        assert_eq!(toml::from_str::<Augment>("flip = true").expect("a section").flip, Flip::Random);
        let text =
            "crop = [24, 24]\nresized_crop = { scale = [0.3, 1.0] }\nsaturation = 0.4\nstroke = 0.5\nnoise = 0.1\n";
        let augment: Augment = toml::from_str(text).expect("a section");
        let crop = ResizedCrop { scale: [0.3, 1.0], ratio: [0.75, 4.0 / 3.0] };
        assert_eq!((augment.resized_crop, augment.saturation), (Some(crop), 0.4));
        assert_eq!((augment.stroke, augment.noise), (0.5, 0.1));
        assert_eq!(toml::from_str::<Augment>("").expect("a section"), Augment::default());
        let sentence = toml::from_str::<Augment>("flip = \"alternat\"").expect_err("refused").to_string();
        assert!(sentence.contains("\"alternate\""), "{sentence}");
    }

    #[test]
    fn numbers_out_of_range_and_images_that_do_not_fit_are_refused_by_name() {
        let none = Augment::default;
        let parts = |scale, ratio| Some(ResizedCrop { scale, ratio });
        let cases = [
            (Augment { rotate: -1.0, ..none() }, "rotate"),
            (Augment { shear: f64::NAN, ..none() }, "shear"),
            (Augment { affine_chance: Some(80.0), ..none() }, "affine_chance"),
            (Augment { scale: Some([1.2, 0.8]), ..none() }, "scale"),
            (Augment { brightness: 1.5, ..none() }, "brightness"),
            (Augment { mean: Some(vec![0.5]), ..none() }, "together"),
            (Augment { mean: Some(vec![0.5]), std: Some(vec![0.0]), ..none() }, "std"),
            (Augment { cutout_fill: CutoutFill::Mean, ..none() }, "cutout_fill"),
            (Augment { stroke: 1.5, ..none() }, "stroke"),
            (Augment { noise: -0.1, ..none() }, "noise"),
            (Augment { saturation: 0.2, ..none() }, "resized_crop"),
            (Augment { resized_crop: Some(ResizedCrop::default()), translate: 2, ..none() }, "translate"),
            (Augment { resized_crop: parts([0.0, 1.0], [1.0, 1.0]), ..none() }, "first scale"),
            (Augment { resized_crop: parts([0.5, 0.4], [1.0, 1.0]), ..none() }, "second scale"),
            (Augment { resized_crop: parts([0.5, 1.0], [1.0, 11.0]), ..none() }, "second ratio"),
        ];
        for (augment, part) in cases {
            let sentence = augment.validate().expect_err("refused").to_string();
            assert!(sentence.contains(part), "{sentence}");
        }
        let cases = [
            (Augment { crop: Some([33, 32]), ..none() }, "crop"),
            (Augment { translate: 32, ..none() }, "translate"),
            (Augment { cutout: 40, ..none() }, "cutout"),
            (Augment { mean: Some(vec![0.5]), std: Some(vec![0.2]), ..none() }, "mean"),
        ];
        for (augment, part) in cases {
            let sentence = augment.output([3, 32, 32]).expect_err("refused").to_string();
            assert!(sentence.contains(part) && sentence.contains("3x32x32"), "{sentence}");
        }
        let cropped = Augment { crop: Some([24, 28]), ..none() };
        assert!(cropped.is_random([3, 32, 32]) && !cropped.is_random([3, 24, 28]) && !none().is_random([3, 32, 32]));
        let normalised = Augment { mean: Some(vec![0.5]), std: Some(vec![0.25]), padding: Padding::Reflect, ..none() };
        assert!(!normalised.is_random([1, 8, 8]));
        assert!(Augment { flip: Flip::Random, ..normalised }.is_random([1, 8, 8]));
        assert_eq!(cropped.output([3, 32, 32]).expect("a shape"), [3, 24, 28]);
    }
}
