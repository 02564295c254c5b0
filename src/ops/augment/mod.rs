//! Augmentation: random changes of an image before the network sees it. One op gathers the batch and augments it.
//!
//! The order is: a small affine map about the image's middle (rotation, scale, shear), a translation, a crop,
//! mirroring. Then follow brightness and contrast, normalisation by channel, and cutout. Instead of the geometric
//! changes, a random crop may be resized ([`resized`]). Changes of stroke width and noise come last ([`roughen`]).
//! Random numbers are counter-based: they depend only on the seed, the training step and the row. So the CPU can
//! repeat any GPU step.

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

impl FromStr for CutoutFill {
    type Err = Error;
    /// `zero` or `mean`. Other words give an [`Error::Usage`].
    fn from_str(word: &str) -> Result<Self> {
        crate::error::named("fill", word, &[("zero", Self::Zero), ("mean", Self::Mean)])
    }
}

/// The range of the random crops of [`Augment::resized_crop`].
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

/// The largest height or width of an image, in pixels, for a resized crop. Crop sides are computed in 32-bit
/// integers.
const LONGEST_RESIZED: usize = 4096;

/// The augmentation of images: the section `[augment]` of a recipe. The default changes nothing.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// Mirrors images left to right.
    pub flip: Flip,
    /// Shifts each image by up to this many pixels, vertically and horizontally, independently.
    pub translate: usize,
    /// Pixel values where a shifted, rotated or scaled image leaves a gap.
    pub padding: Padding,
    /// Height and width of a crop, in pixels: the input size of the network. Its position is random in training and
    /// central in evaluation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<[usize; 2]>,
    /// Side of the cutout square in pixels. Its centre may be anywhere in the image, so part of it may be outside. 0
    /// means no cutout.
    pub cutout: usize,
    /// The fill of the cutout square.
    pub cutout_fill: CutoutFill,
    /// Rotates each image by up to this many degrees in either direction.
    pub rotate: f64,
    /// Smallest and largest scale factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<[f64; 2]>,
    /// Shears each image by up to this many degrees in either direction.
    pub shear: f64,
    /// The fraction of images that are rotated, scaled and sheared. The default is all. Resampling blurs an image
    /// slightly. A network that sees only resampled images may fail on sharp ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affine_chance: Option<f64>,
    /// Brightness: multiplies each image by a factor between 1 - this and 1 + this. Values are not clamped.
    pub brightness: f64,
    /// Contrast: scales each image about the channels' means (0.5 if none are given) by a factor between 1 - this and
    /// 1 + this.
    pub contrast: f64,
    /// Saturation: scales colours about their grey value by a factor between 1 - this and 1 + this. Requires
    /// `resized_crop`.
    pub saturation: f64,
    /// Crops an area of random size, aspect ratio and position, and resizes it to `crop`, or to the image's size
    /// without `crop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resized_crop: Option<ResizedCrop>,
    /// Makes strokes thicker or thinner. Each pixel moves by up to this fraction towards the maximum or the minimum
    /// of its 3x3 neighbourhood.
    pub stroke: f64,
    /// Adds noise with a standard deviation of up to this, drawn for each image. White is 1. Values are not clamped.
    pub noise: f64,
    /// The mean of each channel, subtracted from images with values from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<f64>>,
    /// The standard deviation of each channel. Values are divided by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<Vec<f64>>,
}

/// Whether the random part of an augmentation is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AugmentMode {
    /// Everything, with the random draws of the step.
    Random,
    /// Only what is not random: the central crop and normalisation. The view may be mirrored and shifted.
    Still(View),
}

/// A view of an image for evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Whether it is mirrored left to right.
    pub mirrored: bool,
    /// The shift of the view in pixels, down and to the right, before mirroring. Pixels outside the image are
    /// mirrored at its edge.
    pub shift: i32,
}

impl AugmentMode {
    /// The central view, without mirroring or shift.
    pub const MIDDLE: Self = Self::Still(View { mirrored: false, shift: 0 });
}

impl Augment {
    /// Checks that numbers are in range.
    ///
    /// # Errors
    /// [`Error::Usage`] with the field, its value and the allowed range.
    pub fn validate(&self) -> Result<()> {
        let check = |field: &str, value: f64, good: bool, range: &str| match good && value.is_finite() {
            true => Ok(()),
            false => Err(Error::out_of_range(&format!("[augment] {field}"), value, range)),
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

    /// Checks that the settings can be combined.
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

    /// Channels, height and width after augmentation of images `[channels, height, width]`.
    ///
    /// # Errors
    /// [`Error::Usage`] when the images are too small or have a different number of channels.
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

    /// Whether an image `[channels, height, width]` may look different each time it is shown.
    pub fn is_random(&self, [_, height, width]: [usize; 3]) -> bool {
        // Without draws, only normalisation and a crop of the full size remain.
        let Self { padding, cutout_fill, mean, std, .. } = self.clone();
        let crop = self.crop.filter(|&crop| crop == [height, width]);
        *self != Self { padding, cutout_fill, crop, mean, std, ..Self::default() }
    }

    /// Whether images are rotated, scaled or sheared.
    fn is_affine(&self) -> bool {
        self.rotate > 0.0 || self.shear > 0.0 || self.scale.is_some_and(|scale| scale != [1.0, 1.0])
    }

    /// The number of draws out of 2^24 that rotate, scale and shear.
    fn chance(&self) -> u32 {
        (self.affine_chance.unwrap_or(1.0) * f64::from(1 << 24)).round() as u32
    }

    /// For each channel, four values: the subtracted value, the factor, the centre of contrast, and the fill of the
    /// cutout square.
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
