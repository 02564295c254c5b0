//! To which size images are to be brought, and how: what recipes and the command line say of it.

use crate::{Error, Result};

/// The largest side that is taken for meant, in pixels.
const MAX_SIDE: usize = 4096;

/// How an image is brought to the size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Its middle is cut out, unscaled. One that is too small for that is treated as by `ResizeCrop`.
    CentreCrop,
    /// It is scaled to the size whatever its proportions, which may stretch it.
    Resize,
    /// The largest part of its middle that has the size's proportions is scaled: for a square size, its shorter side
    /// becomes the size's and the ends of the longer are cut off.
    ResizeCrop,
    /// It is scaled until it reaches 8/7 of the size both ways, and its middle is cut out: how networks trained on ImageNet
    /// are measured (a shorter side of 256, then the middle 224), with torchvision's rounding.
    ResizeMiddle,
}

impl std::str::FromStr for Fit {
    type Err = Error;
    /// `centre-crop` (or `center-crop`), `resize`, `resize-crop` or `resize-middle`; an [`Error::Usage`] for other words.
    fn from_str(word: &str) -> Result<Self> {
        let names = [
            ("centre-crop", Self::CentreCrop),
            ("resize", Self::Resize),
            ("resize-crop", Self::ResizeCrop),
            ("resize-middle", Self::ResizeMiddle),
        ];
        crate::error::named("fit", if word == "center-crop" { "centre-crop" } else { word }, &names)
    }
}

/// A size as recipes write it: `size = 64` for a square, or `size = [height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(untagged, expecting = "a size is a number, as in `size = 64`, or height and width, as in `size = [48, 64]`")]
pub enum Size {
    /// The same height and width.
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
    /// As flags write it: `64`, or `48x64` for height and width; an [`Error::Usage`] for other words.
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

/// What a recipe or the command line asks for; what it leaves open, the set decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageOptions {
    /// The size.
    pub size: Option<Size>,
    /// How to get there.
    pub fit: Option<Fit>,
    /// 3 for colours, 1 for grey.
    pub channels: Option<usize>,
}

impl ImageOptions {
    /// Refuses a size or a number of channels that no image has.
    ///
    /// # Errors
    /// [`Error::Usage`] that says what was asked and what it may be.
    pub fn validate(&self) -> Result<()> {
        if let Some([height, width]) = self.size.map(Size::sides)
            && [height, width].iter().any(|side| !(1..=MAX_SIDE).contains(side))
        {
            return Err(Error::usage(format!(
                "A size of {height} x {width} pixels was asked for, but both have to be from 1 to {MAX_SIDE}."
            )));
        }
        match self.channels {
            None | Some(1 | 3) => Ok(()),
            Some(other) => Err(Error::usage(format!(
                "{other} channels were asked for, but images have 3 (red, green, blue) or 1 (grey)."
            ))),
        }
    }
}
