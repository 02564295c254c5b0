//! The augmentation flags: a recipe's section `[augment]`, except `mean` and `std`.

use crate::data::Size;
use crate::ops::augment::{Augment, CutoutFill, Flip, Padding, ResizedCrop};
use crate::{Error, Result};

use super::numbers::{real, whole};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Augmentation")]
pub struct AugmentArgs {
    /// Flip images horizontally: random (probability 1/2), alternate (each image in every second epoch) or never; --flip alone means random
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "random")]
    flip: Option<Flip>,
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
    /// Probability, from 0 to 1, that an image is rotated, scaled and sheared
    #[arg(long, value_name = "SHARE", value_parser = real::<f64>)]
    affine_chance: Option<f64>,
    /// Multiply pixel values by a random factor between 1 - X and 1 + X
    #[arg(long, value_name = "X", value_parser = real::<f64>)]
    brightness: Option<f64>,
    /// Scale the contrast around the channels' mean in [augment], else 0.5, by a random factor between 1 - X and 1 + X
    #[arg(long, value_name = "X", value_parser = real::<f64>)]
    contrast: Option<f64>,
    /// Scale the color saturation by a random factor between 1 - X and 1 + X; needs --resized-crop
    #[arg(long, value_name = "X", value_parser = real::<f64>)]
    saturation: Option<f64>,
    /// Make strokes thicker or thinner: blend each pixel with its largest or smallest neighbor, with a weight of up to X (0 to 1)
    #[arg(long, value_name = "X", value_parser = real::<f64>)]
    stroke: Option<f64>,
    /// Add noise with a standard deviation of up to X; pixel values go from 0 to 1
    #[arg(long, value_name = "X", value_parser = real::<f64>)]
    noise: Option<f64>,
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
            translate: self.translate.unwrap_or(was.translate),
            padding: self.padding.unwrap_or(was.padding),
            crop: self.crop.map(Size::sides).or(was.crop),
            cutout: self.cutout.unwrap_or(was.cutout),
            cutout_fill: self.cutout_fill.unwrap_or(was.cutout_fill),
            rotate: self.rotate.unwrap_or(was.rotate),
            scale: self.scale.or(was.scale),
            shear: self.shear.unwrap_or(was.shear),
            affine_chance: self.affine_chance.or(was.affine_chance),
            brightness: self.brightness.unwrap_or(was.brightness),
            contrast: self.contrast.unwrap_or(was.contrast),
            saturation: self.saturation.unwrap_or(was.saturation),
            stroke: self.stroke.unwrap_or(was.stroke),
            noise: self.noise.unwrap_or(was.noise),
            resized_crop: self.resized_crop.map(shares).or(was.resized_crop),
            ..was
        };
        if before.is_none() && asked == Augment::default() { None } else { Some(asked) }
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
