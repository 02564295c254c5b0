//! Augmentation: random changes of an image before the network sees it. One op gathers the batch and augments it.
//!
//! The order is: a perspective, a small affine map about the image's middle (rotation, scale, shear), a translation, a crop,
//! mirroring. Then follow brightness and contrast, normalisation by channel, and cutout. Instead of the geometric
//! changes, a random crop may be resized ([`resized`]). Further ops follow: TrivialAugment ([`trivial`]), saturation, hue and grey ([`recolour`]), blur ([`blur`]),
//! changes of stroke width and noise ([`roughen`]), erasing ([`erase`]), and at last the mixing of images ([`mix`]).
//! Random numbers are counter-based: they depend only on the seed, the training step and the row. So the CPU can
//! repeat any GPU step.

pub mod blur;
mod cases;
mod define;
mod draw;
pub mod erase;
pub mod mix;
mod op;
pub mod recolour;
pub mod resized;
pub mod roughen;
mod settings;
pub mod trivial;
mod validate;

pub use cases::cases;
pub use erase::Erasing;
pub use op::Augmented;
pub use settings::{CutoutFill, Flip, Padding, ResizedCrop};

use crate::graph::{DType, TensorType};
use crate::{Error, Result};

/// The largest height or width of an image, in pixels, for a resized crop. Crop sides are computed in 32-bit
/// integers.
const LONGEST_RESIZED: usize = 4096;

/// The shares of red, green and blue in the grey value of a colour: ITU-R BT.601.
const GREY: [f64; 3] = [0.299, 0.587, 0.114];

/// The axes of images of floats, `[batch, channels, height, width]`.
fn images_of_floats(ty: &TensorType) -> Result<[usize; 4], String> {
    match ty.dims() {
        &[batch, channels, height, width] if ty.dtype == DType::F32 => Ok([batch, channels, height, width]),
        _ => Err("images must be floats [batch, channels, height, width]".into()),
    }
}

/// The augmentation of images: the section `[augment]` of a recipe. The default changes nothing.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// Mirrors images left to right.
    pub flip: Flip,
    /// Whether images are turned upside down with probability 1/2.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub vertical_flip: bool,
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
    /// Changes the perspective: each corner moves inwards by up to this fraction of half the image's width, and of half its height. At most
    /// 0.6: beyond 2/3 the horizon can lie inside the image.
    #[serde(skip_serializing_if = "is_zero")]
    pub perspective: f64,
    /// The fraction of images that are rotated, scaled, sheared and seen in perspective. The default is all. Resampling blurs an image
    /// slightly. A network that sees only resampled images may fail on sharp ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affine_chance: Option<f64>,
    /// Brightness: multiplies each image by a factor between 1 - this and 1 + this. Values are not clamped.
    pub brightness: f64,
    /// Contrast: scales each image about the channels' means (0.5 if none are given) by a factor between 1 - this and
    /// 1 + this.
    pub contrast: f64,
    /// Saturation: scales colours about their grey value by a factor between 1 - this and 1 + this.
    pub saturation: f64,
    /// Turns the hue by up to this part of the colour circle in either direction; 0.5 reaches every hue.
    #[serde(skip_serializing_if = "is_zero")]
    pub hue: f64,
    /// The fraction of images that lose their colours.
    #[serde(skip_serializing_if = "is_zero")]
    pub grey: f64,
    /// Blurs by a Gaussian with a standard deviation between 0.1 and this many pixels, drawn for each image. 0 means no blur.
    #[serde(skip_serializing_if = "is_zero")]
    pub blur: f64,
    /// Crops an area of random size, aspect ratio and position, and resizes it to `crop`, or to the image's size
    /// without `crop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resized_crop: Option<ResizedCrop>,
    /// TrivialAugment: one change of fourteen, of random strength ([`trivial`]).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub trivial_augment: bool,
    /// Makes strokes thicker or thinner. Each pixel moves by up to this fraction towards the maximum or the minimum
    /// of its 3x3 neighbourhood.
    pub stroke: f64,
    /// Adds noise with a standard deviation of up to this, drawn for each image. White is 1. Values are not clamped.
    pub noise: f64,
    /// Covers a rectangle of random area, aspect ratio and place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erase: Option<Erasing>,
    /// mixup: adds each image to the next one of the batch, and mixes their labels alike. The share is of the beta distribution with
    /// this number as both parameters. 0 means none.
    #[serde(skip_serializing_if = "is_zero")]
    pub mixup: f64,
    /// CutMix: pastes a rectangle of the next image of the batch into each image, and mixes their labels by the area. The share is of
    /// the beta distribution with this number as both parameters. 0 means none. With `mixup` too, each batch gets one of both.
    #[serde(skip_serializing_if = "is_zero")]
    pub cutmix: f64,
    /// The fraction of batches whose images are mixed. The default is all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mix_chance: Option<f64>,
    /// The mean of each channel, subtracted from images with values from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<f64>>,
    /// The standard deviation of each channel. Values are divided by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<Vec<f64>>,
}

fn is_zero(number: &f64) -> bool {
    *number == 0.0
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
        let colours = [("saturation", self.saturation), ("hue", self.hue), ("grey", self.grey)];
        if let Some((field, _)) = colours.iter().find(|(_, value)| *value > 0.0 && channels != 3) {
            return Err(Error::usage(format!("[augment] {field} is for images in colour, but {images}.")));
        }
        if self.blur > 0.0 && blur::reach(self.blur) >= to_height.min(to_width) {
            return Err(Error::usage(format!(
                "[augment] blur reaches {} pixels far, but {images} and become {to_height}x{to_width}.",
                blur::reach(self.blur)
            )));
        }
        if self.erase.is_some() && (to_height.min(to_width) < 2 || to_height.max(to_width) > LONGEST_RESIZED) {
            return Err(Error::usage(format!(
                "[augment] erase takes images of 2 to {LONGEST_RESIZED} pixels a side, but {images}."
            )));
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

    /// Whether images are resampled.
    fn is_warped(&self) -> bool {
        self.is_affine() || self.perspective > 0.0
    }

    /// Whether images are rotated, scaled or sheared.
    fn is_affine(&self) -> bool {
        self.rotate > 0.0 || self.shear > 0.0 || self.scale.is_some_and(|scale| scale != [1.0, 1.0])
    }

    /// The number of draws out of 2^24 that rotate, scale and shear.
    fn chance(&self) -> u32 {
        (self.affine_chance.unwrap_or(1.0) * f64::from(1 << 24)).round() as u32
    }

    /// For each channel, the subtracted value and the factor.
    fn levels(&self, channels: usize) -> Vec<[f64; 2]> {
        let at = |values: &Option<Vec<f64>>, channel: usize, other: f64| {
            values.as_ref().and_then(|values| values.get(channel)).copied().unwrap_or(other)
        };
        (0..channels).map(|channel| [at(&self.mean, channel, 0.0), 1.0 / at(&self.std, channel, 1.0)]).collect()
    }

    /// For each channel, four values: the subtracted value, the factor, the centre of contrast, and the fill of the
    /// cutout square.
    fn table(&self, channels: usize) -> Vec<f32> {
        self.table_of(channels, |levels| levels)
    }

    /// The same for images that are not normalised yet.
    fn table_before(&self, channels: usize) -> Vec<f32> {
        self.table_of(channels, |_| [0.0, 1.0])
    }

    fn table_of(&self, channels: usize, normalisation: impl Fn([f64; 2]) -> [f64; 2]) -> Vec<f32> {
        let of = |[mean, inverse]: [f64; 2]| {
            let pivot = if self.mean.is_some() { mean } else { 0.5 };
            let [subtracted, factor] = normalisation([mean, inverse]);
            let fill = (self.cutout_fill.value(mean) - subtracted) * factor;
            [subtracted, factor, pivot, fill].map(|value| value as f32)
        };
        self.levels(channels).into_iter().flat_map(of).collect()
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
}
