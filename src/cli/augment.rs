//! The flags for what becomes of images before the network sees them: a recipe's section `[augment]`, but for the levels.

use gpunn::data::Size;
use gpunn::ops::augment::{Augment, CutoutFill, Flip, Padding, ResizedCrop};
use gpunn::{Error, Result};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Augmentation")]
pub struct AugmentArgs {
    /// Mirror images left to right: random (each time by chance), alternate (in turn by epoch) or never
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "random")]
    flip: Option<Flip>,
    /// Move images by up to so many pixels
    #[arg(long, value_name = "N")]
    translate: Option<usize>,
    /// What moved and turned images leave open: zero (black) or reflect
    #[arg(long, value_name = "HOW")]
    padding: Option<Padding>,
    /// Cut a part of this size from a place drawn at random, from the middle when measuring: 28 or HEIGHTxWIDTH
    #[arg(long, value_name = "SIZE")]
    crop: Option<Size>,
    /// Cover a square with this side
    #[arg(long, value_name = "N")]
    cutout: Option<usize>,
    /// What covers it: zero (black) or mean
    #[arg(long, value_name = "WHAT")]
    cutout_fill: Option<CutoutFill>,
    /// Turn images by up to so many degrees either way
    #[arg(long, value_name = "DEGREES", allow_negative_numbers = true)]
    rotate: Option<f64>,
    /// Scale images by a factor between these two
    #[arg(long, value_name = "LOW,HIGH", value_parser = pair, allow_negative_numbers = true)]
    scale: Option<[f64; 2]>,
    /// Slant images by up to so many degrees either way
    #[arg(long, value_name = "DEGREES", allow_negative_numbers = true)]
    shear: Option<f64>,
    /// Turn, scale and slant this share of images only, from 0 to 1
    #[arg(long, value_name = "SHARE")]
    affine_chance: Option<f64>,
    /// Multiply images by a number between 1 - X and 1 + X
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    brightness: Option<f64>,
    /// Stretch images about their mean by a factor between 1 - X and 1 + X
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    contrast: Option<f64>,
    /// Draw colours away from their grey by a factor between 1 - X and 1 + X, with --resized-crop
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    saturation: Option<f64>,
    /// Make strokes thicker or thinner: by up to this part, from 0 to 1, of the way to the largest or smallest pixel beside
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    stroke: Option<f64>,
    /// Add noise of a deviation of up to this; white is 1
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    noise: Option<f64>,
    /// Show parts of images with these shares of the area, brought to the size of --crop [default shares: 0.08,1]
    #[arg(long, value_name = "LOW,HIGH", value_parser = pair, num_args = 0..=1, require_equals = true, default_missing_value = "0.08,1")]
    resized_crop: Option<[f64; 2]>,
}

impl AugmentArgs {
    /// What the flags ask for; `before` where they leave it open, and as it is where none is given.
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
        _ => {
            Err(Error::usage(format!("`{word}` is not two numbers; give the smallest and the largest, as in 0.9,1.1")))
        }
    }
}
