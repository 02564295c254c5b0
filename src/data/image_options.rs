//! The options of recipes and of the command line for the size and the channels of images.

use crate::{Error, Result};

/// The maximum side in pixels. Larger values are probably typing mistakes.
const MAX_SIDE: usize = 4096;

/// How an image is brought to the target size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Crops the centre without scaling. An image that is smaller than the target is treated as with `ResizeCrop`.
    CentreCrop,
    /// Scales to the target size. This may change the aspect ratio.
    Resize,
    /// Crops the largest centred part with the target's aspect ratio, and scales it. For a square target, both ends of the
    /// longer side are cut off.
    ResizeCrop,
    /// Scales until the image covers 8/7 of the target size in both directions, and crops the centre, with torchvision's
    /// rounding. Networks for ImageNet are evaluated in this way: a shorter side of 256, then a crop of 224.
    ResizeMiddle,
}

impl Fit {
    /// The ways, with their names.
    const NAMES: [(&'static str, Self); 4] = [
        ("centre-crop", Self::CentreCrop),
        ("resize", Self::Resize),
        ("resize-crop", Self::ResizeCrop),
        ("resize-middle", Self::ResizeMiddle),
    ];
}

impl std::fmt::Display for Fit {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let name = Self::NAMES.iter().find(|(_, fit)| fit == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

impl std::str::FromStr for Fit {
    type Err = Error;
    /// Reads `centre-crop` (or `center-crop`), `resize`, `resize-crop` or `resize-middle`. Other words give an
    /// [`Error::Usage`].
    fn from_str(word: &str) -> Result<Self> {
        crate::error::named("fit", if word == "center-crop" { "centre-crop" } else { word }, &Self::NAMES)
    }
}

/// An image size. In a recipe it is `size = 64` for a square, or `size = [height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(untagged, expecting = "a size is a number, as in `size = 64`, or height and width, as in `size = [48, 64]`")]
pub enum Size {
    /// A square with this side.
    Square(usize),
    /// Height and width.
    Sides([usize; 2]),
}

impl Size {
    /// Height and width in pixels.
    pub fn sides(self) -> [usize; 2] {
        match self {
            Self::Square(side) => [side; 2],
            Self::Sides(sides) => sides,
        }
    }
}

impl std::str::FromStr for Size {
    type Err = Error;
    /// Reads the value of a flag: `64`, or `48x64` for height and width. Other words give an [`Error::Usage`].
    fn from_str(word: &str) -> Result<Self> {
        let side = |word: &str| {
            let wrong =
                || Error::usage(format!("`{word}` is no size; give pixels as in 64, or height x width as in 48x64."));
            word.parse::<usize>().map_err(|_| wrong())
        };
        match word.split_once('x') {
            Some((height, width)) => Ok(Self::Sides([side(height)?, side(width)?])),
            None => Ok(Self::Square(side(word)?)),
        }
    }
}

/// The options of a recipe or of the command line. Options without a value depend on the dataset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageOptions {
    /// The target size in pixels, from 1 to 4096.
    pub size: Option<Size>,
    /// How images are brought to this size.
    pub fit: Option<Fit>,
    /// The number of channels: 3 for colour, 1 for grey.
    pub channels: Option<usize>,
}

impl ImageOptions {
    /// Checks the size and the number of channels.
    ///
    /// # Errors
    /// [`Error::Usage`] with the value and the allowed values.
    pub fn validate(&self) -> Result<()> {
        if let Some([height, width]) = self.size.map(Size::sides)
            && [height, width].iter().any(|side| !(1..=MAX_SIDE).contains(side))
        {
            return Err(Error::usage(format!(
                "The size is {height} x {width} pixels, but height and width have to be from 1 to {MAX_SIDE}."
            )));
        }
        match self.channels {
            None | Some(1 | 3) => Ok(()),
            Some(other) => Err(Error::usage(format!(
                "{other} channels are not possible; images have 3 (red, green, blue) or 1 (grey)."
            ))),
        }
    }
}
