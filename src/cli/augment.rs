//! The augmentation flags: a recipe's section `[augment]`, except `mean` and `std`.

use crate::data::Size;
use crate::ops::augment::{Augment, CutoutFill, Erasing, Flip, Padding, ResizedCrop};
use crate::{Error, Result};

use super::numbers::{real, whole};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Augmentation")]
pub struct AugmentArgs {
    /// Flip images horizontally: random (probability 1/2), alternate (each image in every second epoch) or never; --flip alone means random
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "random")]
    flip: Option<Flip>,
    /// Turn images upside down with probability 1/2
    #[arg(long)]
    vertical_flip: bool,
    /// Shift images by up to N pixels in each direction
    #[arg(long, value_name = "N", value_parser = whole::<usize>(0))]
    translate: Option<usize>,
    /// Fill for the border of shifted and rotated images: zero (black) or reflect
    #[arg(long, value_name = "HOW")]
    padding: Option<Padding>,
    /// Crop to this size in pixels, as 28 or HEIGHTxWIDTH: at a random position in training, at the center in evaluation
    #[arg(long, value_name = "SIZE")]
    crop: Option<Size>,
    /// Erase a square with a side of N pixels at a random position
    #[arg(long, value_name = "N", value_parser = whole::<usize>(0))]
    cutout: Option<usize>,
    /// Fill for the erased square: zero (black) or mean
    #[arg(long, value_name = "WHAT")]
    cutout_fill: Option<CutoutFill>,
    /// Rotate images by up to this many degrees in either direction
    #[arg(long, value_name = "DEGREES", value_parser = real::<f64>)]
    rotate: Option<f64>,
    /// Scale images by a random factor between LOW and HIGH
    #[arg(long, value_name = "LOW,HIGH", value_parser = pair)]
    scale: Option<[f64; 2]>,
    /// Shear images by up to this many degrees in either direction
    #[arg(long, value_name = "DEGREES", value_parser = real::<f64>)]
    shear: Option<f64>,
    /// Change the perspective: move each corner inwards by up to this share of half the image's width and height
    #[arg(long, value_name = "SHARE", value_parser = real::<f64>)]
    perspective: Option<f64>,
    /// Probability, from 0 to 1, that an image is rotated, scaled, sheared and seen in perspective
    #[arg(long, value_name = "SHARE", value_parser = real::<f64>)]
    affine_chance: Option<f64>,
    /// Multiply pixel values by a random factor between 1 - X and 1 + X
    #[arg(long, value_name = "X", value_parser = real::<f64>)]
    brightness: Option<f64>,
    /// Scale the contrast around the channels' mean in [augment], else 0.5, by a random factor between 1 - X and 1 + X
    #[arg(long, value_name = "X", value_parser = real::<f64>)]
    contrast: Option<f64>,
    /// Scale the color saturation by a random factor between 1 - X and 1 + X
    #[arg(long, value_name = "X", value_parser = real::<f64>)]
    saturation: Option<f64>,
    /// Turn the hue by up to X of the color circle in either direction; 0.5 reaches every hue
    #[arg(long, value_name = "X", value_parser = real::<f64>)]
    hue: Option<f64>,
    /// Probability, from 0 to 1, that an image loses its colors
    #[arg(long, value_name = "SHARE", value_parser = real::<f64>)]
    grey: Option<f64>,
    /// Blur by a Gaussian with a random standard deviation between 0.1 and X pixels
    #[arg(long, value_name = "X", value_parser = real::<f64>)]
    blur: Option<f64>,
    /// Change each image in one of fourteen ways, with a random strength (TrivialAugment)
    #[arg(long)]
    trivial_augment: bool,
    /// Make strokes thicker or thinner: blend each pixel with its largest or smallest neighbor, with a weight of up to X (0 to 1)
    #[arg(long, value_name = "X", value_parser = real::<f64>)]
    stroke: Option<f64>,
    /// Add noise with a standard deviation of up to X; pixel values go from 0 to 1
    #[arg(long, value_name = "X", value_parser = real::<f64>)]
    noise: Option<f64>,
    /// Erase a random rectangle of each image with this probability; --erase alone means 1
    #[arg(long, value_name = "SHARE", value_parser = real::<f64>, num_args = 0..=1, require_equals = true, default_missing_value = "1")]
    erase: Option<f64>,
    /// The share of the area that --erase covers [default: 0.02,0.33]
    #[arg(long, value_name = "LOW,HIGH", value_parser = pair)]
    erase_scale: Option<[f64; 2]>,
    /// Fill for the erased rectangle: zero (black) or mean
    #[arg(long, value_name = "WHAT")]
    erase_fill: Option<CutoutFill>,
    /// Add each image to the next one of its batch, and mix their labels: the share is drawn from the beta distribution of X; --mixup
    /// alone means 0.2
    #[arg(long, value_name = "X", value_parser = real::<f64>, num_args = 0..=1, require_equals = true, default_missing_value = "0.2")]
    mixup: Option<f64>,
    /// Paste a rectangle of the next image of the batch into each image, and mix their labels by its area; --cutmix alone means 1
    #[arg(long, value_name = "X", value_parser = real::<f64>, num_args = 0..=1, require_equals = true, default_missing_value = "1")]
    cutmix: Option<f64>,
    /// Probability, from 0 to 1, that the images of a batch are mixed
    #[arg(long, value_name = "SHARE", value_parser = real::<f64>)]
    mix_chance: Option<f64>,
    /// Crop a random rectangle with a share of the area between LOW and HIGH, and resize it to --crop; alone it means 0.08,1
    #[arg(long, value_name = "LOW,HIGH", value_parser = pair, num_args = 0..=1, require_equals = true, default_missing_value = "0.08,1")]
    resized_crop: Option<[f64; 2]>,
}

impl AugmentArgs {
    /// `before` with the changes of the flags; `before` itself if no flag is given.
    pub fn or(&self, before: Option<Augment>) -> Option<Augment> {
        let was = before.clone().unwrap_or_default();
        let shares = |scale| ResizedCrop { scale, ..was.resized_crop.unwrap_or_default() };
        let asked = Augment {
            flip: self.flip.unwrap_or(was.flip),
            vertical_flip: self.vertical_flip || was.vertical_flip,
            translate: self.translate.unwrap_or(was.translate),
            padding: self.padding.unwrap_or(was.padding),
            crop: self.crop.map(Size::sides).or(was.crop),
            cutout: self.cutout.unwrap_or(was.cutout),
            cutout_fill: self.cutout_fill.unwrap_or(was.cutout_fill),
            rotate: self.rotate.unwrap_or(was.rotate),
            scale: self.scale.or(was.scale),
            shear: self.shear.unwrap_or(was.shear),
            perspective: self.perspective.unwrap_or(was.perspective),
            affine_chance: self.affine_chance.or(was.affine_chance),
            brightness: self.brightness.unwrap_or(was.brightness),
            contrast: self.contrast.unwrap_or(was.contrast),
            saturation: self.saturation.unwrap_or(was.saturation),
            hue: self.hue.unwrap_or(was.hue),
            grey: self.grey.unwrap_or(was.grey),
            blur: self.blur.unwrap_or(was.blur),
            trivial_augment: self.trivial_augment || was.trivial_augment,
            stroke: self.stroke.unwrap_or(was.stroke),
            noise: self.noise.unwrap_or(was.noise),
            erase: self.erasing(was.erase),
            mixup: self.mixup.unwrap_or(was.mixup),
            cutmix: self.cutmix.unwrap_or(was.cutmix),
            mix_chance: self.mix_chance.or(was.mix_chance),
            resized_crop: self.resized_crop.map(shares).or(was.resized_crop),
            ..was
        };
        if before.is_none() && asked == Augment::default() { None } else { Some(asked) }
    }
}

impl AugmentArgs {
    /// Erasing with the changes of the flags. Each of them asks for it.
    fn erasing(&self, before: Option<Erasing>) -> Option<Erasing> {
        let is_asked = self.erase.is_some() || self.erase_scale.is_some() || self.erase_fill.is_some();
        let was = before.or(is_asked.then(Erasing::default))?;
        Some(Erasing {
            chance: self.erase.unwrap_or(was.chance),
            scale: self.erase_scale.unwrap_or(was.scale),
            fill: self.erase_fill.unwrap_or(was.fill),
            ..was
        })
    }
}

/// Two numbers, as in `0.9,1.1`.
fn pair(word: &str) -> Result<[f64; 2]> {
    let numbers = word.split_once(',').map(|(low, high)| (low.trim().parse(), high.trim().parse()));
    match numbers {
        Some((Ok(low), Ok(high))) => Ok([low, high]),
        _ => Err(Error::usage(format!(
            "`{word}` is not a pair of numbers; give the smallest and the largest value, as in 0.9,1.1"
        ))),
    }
}
