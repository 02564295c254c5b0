//! Bringing images of any size to one size.

use image::{DynamicImage, GenericImageView};

use super::scale::resized;
use crate::data::{Fit, ImageOptions, Size};

/// How the images of a dataset are brought to one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Preprocessing {
    /// Height and width.
    pub size: [usize; 2],
    /// How images are resized and cropped.
    pub fit: Fit,
    /// 3 or 1.
    pub channels: usize,
}

impl Preprocessing {
    /// The default for folders of images: 64 x 64, in colour, fitted with `ResizeCrop`.
    pub const DEFAULT: Self = Self { size: [64, 64], fit: Fit::ResizeCrop, channels: 3 };

    /// This rule, with the requested options. A new size without a fit uses `ResizeCrop`, so that a crop never removes most of an
    /// image unless that was requested.
    pub fn with(self, asked: &ImageOptions) -> Self {
        let size = asked.size.map_or(self.size, Size::sides);
        let fit = if size == self.size { self.fit } else { Fit::ResizeCrop };
        Self { size, fit: asked.fit.unwrap_or(fit), channels: asked.channels.unwrap_or(self.channels) }
    }

    /// An image's channels, height and width.
    pub fn input(&self) -> [usize; 3] {
        [self.channels, self.size[0], self.size[1]]
    }

    /// Preprocesses an image to channels x height x width bytes. Transparent pixels become white. Resizing is antialiased with
    /// a triangle filter.
    pub fn apply(&self, image: &DynamicImage) -> Vec<u8> {
        let (height, width) = (self.size[0] as u32, self.size[1] as u32);
        let [x, y, cut_width, cut_height] = self.cut(image.dimensions());
        let mut scaled = on_white(image.crop_imm(x, y, cut_width, cut_height));
        if self.fit == Fit::ResizeMiddle {
            scaled = middle_of(scaled, (width, height));
        } else if scaled.dimensions() != (width, height) {
            scaled = resized(&scaled, (width, height));
        }
        if self.channels == 1 {
            return scaled.into_luma8().into_raw();
        }
        let pixels = scaled.into_rgb8().into_raw();
        (0..self.channels).flat_map(|channel| pixels.iter().skip(channel).step_by(3).copied()).collect()
    }

    /// The part of an image of `(width, height)` that is kept: left, top, width, height.
    fn cut(&self, (width, height): (u32, u32)) -> [u32; 4] {
        let (to_height, to_width) = (self.size[0] as u32, self.size[1] as u32);
        let middle = |cut_width: u32, cut_height: u32| {
            [(width - cut_width) / 2, (height - cut_height) / 2, cut_width, cut_height]
        };
        match self.fit {
            Fit::Resize => [0, 0, width, height],
            // The whole image. Of very long strips, the ends are removed before resizing, because they would be cropped anyway.
            Fit::ResizeMiddle => {
                let (most_width, most_height) = (height.saturating_mul(8), width.saturating_mul(8));
                middle(width.min(most_width), height.min(most_height))
            }
            Fit::CentreCrop if width >= to_width && height >= to_height => middle(to_width, to_height),
            Fit::CentreCrop | Fit::ResizeCrop => {
                // The largest centred box with the target aspect ratio. Sides are rounded and at least 1.
                let share = |side: u32, over: u32, under: u32| {
                    ((u64::from(side) * u64::from(over) + u64::from(under) / 2) / u64::from(under)).max(1)
                };
                let cut_width = share(height, to_width, to_height).min(u64::from(width)) as u32;
                let cut_height = share(width, to_height, to_width).min(u64::from(height)) as u32;
                middle(cut_width, cut_height)
            }
        }
    }
}

/// Resizes an image so that its shorter side is 8/7 of the target, and crops the centre `(width, height)`.
fn middle_of(image: DynamicImage, (width, height): (u32, u32)) -> DynamicImage {
    // Rounded as in torchvision: the shorter side to the nearest integer, the longer one down, and offsets half to even.
    let reach = |side: u32| (u64::from(side) * 8 + 3) / 7;
    let (to_width, to_height) = (reach(width), reach(height));
    let (from_width, from_height) = (u64::from(image.width()), u64::from(image.height()));
    let (scaled_width, scaled_height) = match from_width * to_height < from_height * to_width {
        true => (to_width, to_width * from_height / from_width),
        false => (to_height * from_width / from_height, to_height),
    };
    let (scaled_width, scaled_height) = (scaled_width as u32, scaled_height as u32);
    let scaled = match image.dimensions() == (scaled_width, scaled_height) {
        true => image,
        false => resized(&image, (scaled_width, scaled_height)),
    };
    let offset = |side: u32, cut: u32| {
        let rest = side - cut;
        rest / 2 + u32::from(rest % 4 == 3)
    };
    scaled.crop_imm(offset(scaled_width, width), offset(scaled_height, height), width, height)
}

/// Blends an image onto white, which removes transparency.
pub(super) fn on_white(image: DynamicImage) -> DynamicImage {
    if !image.color().has_alpha() {
        return image;
    }
    let mut pixels = image.into_rgba8();
    for pixel in pixels.pixels_mut() {
        let alpha = u32::from(pixel.0[3]);
        let mixed = pixel.0.map(|value| ((u32::from(value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8);
        pixel.0 = [mixed[0], mixed[1], mixed[2], 255];
    }
    DynamicImage::ImageRgba8(pixels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage, Rgba, RgbaImage};

    fn preprocessing(size: [usize; 2], fit: Fit) -> Preprocessing {
        Preprocessing { size, fit, channels: 3 }
    }

    /// An image whose red is x and whose green is y.
    fn ramp(width: u32, height: u32) -> DynamicImage {
        DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, 7])))
    }

    #[test]
    fn a_centre_crop_takes_the_middle_as_it_is_in_planes() {
        let bytes = preprocessing([2, 3], Fit::CentreCrop).apply(&ramp(9, 6));
        assert_eq!(bytes, [[3, 4, 5, 3, 4, 5], [2, 2, 2, 3, 3, 3], [7; 6]].concat());
    }

    #[test]
    fn the_part_that_is_kept_has_the_aspect_ratio_of_the_target() {
        let square = preprocessing([64, 64], Fit::ResizeCrop);
        assert_eq!(square.cut((300, 200)), [50, 0, 200, 200]);
        assert_eq!(square.cut((10, 40)), [0, 15, 10, 10]);
        let wide = preprocessing([50, 100], Fit::ResizeCrop);
        assert_eq!(wide.cut((300, 200)), [0, 25, 300, 150]);
        assert_eq!(wide.cut((1, 60_000)), [0, 29_999, 1, 1]);
        assert_eq!(preprocessing([64, 64], Fit::CentreCrop).cut((50, 90)), [0, 20, 50, 50]);
        assert_eq!(preprocessing([64, 64], Fit::Resize).cut((50, 90)), [0, 0, 50, 90]);
    }

    #[test]
    fn scaling_is_antialiased() {
        // Black and white columns in turn: a scaling that skips pixels would give one of them.
        let stripes = RgbImage::from_fn(256, 256, |x, _| Rgb([(x % 2 * 255) as u8; 3]));
        let bytes = preprocessing([16, 16], Fit::Resize).apply(&DynamicImage::ImageRgb8(stripes));
        assert_eq!(bytes.len(), 3 * 256);
        assert!(bytes.iter().all(|value| (115..=140).contains(value)), "{bytes:?}");
    }

    #[test]
    fn the_middle_is_cut_as_torchvision_cuts_it() {
        let cut = |width: u32, height: u32| {
            let preprocessing = preprocessing([224, 224], Fit::ResizeMiddle);
            preprocessing.apply(&ramp(width, height)).len()
        };
        for (width, height) in [(256, 256), (500, 257), (3, 200), (1, 40_000), (60, 50)] {
            assert_eq!(cut(width, height), 3 * 224 * 224, "{width} x {height}");
        }
        // Unscaled: 8/7 of 7 are 8; of the 3 columns left over, two go left, as Python rounds 1.5.
        let bytes = preprocessing([7, 7], Fit::ResizeMiddle).apply(&ramp(10, 8));
        assert_eq!((&bytes[..7], bytes[49]), (&[2, 3, 4, 5, 6, 7, 8][..], 0));
    }

    #[test]
    fn grey_and_transparent_images_are_converted() {
        let glass = RgbaImage::from_pixel(4, 4, Rgba([10, 20, 30, 0]));
        let half = RgbaImage::from_pixel(4, 4, Rgba([0, 0, 0, 128]));
        let seen = |image, channels| Preprocessing { size: [4, 4], fit: Fit::Resize, channels }.apply(&image);
        assert_eq!(seen(DynamicImage::ImageRgba8(glass), 3), [255; 48]);
        assert_eq!(seen(DynamicImage::ImageRgba8(half), 1), [127; 16]);
        let grey = DynamicImage::ImageLuma16(image::ImageBuffer::from_pixel(4, 4, image::Luma([0x8080])));
        assert_eq!(seen(grey, 3), [128; 48]);
    }

    #[test]
    fn requested_options_change_the_preprocessing() {
        let asked = ImageOptions { size: Some(Size::Square(32)), ..ImageOptions::default() };
        let known = preprocessing([256, 256], Fit::CentreCrop);
        assert_eq!(known.with(&asked), preprocessing([32, 32], Fit::ResizeCrop));
        assert_eq!(known.with(&ImageOptions::default()), known);
        let grey = ImageOptions { channels: Some(1), fit: Some(Fit::Resize), ..asked };
        assert_eq!(known.with(&grey).input(), [1, 32, 32]);
        assert_eq!("48x64".parse::<Size>().expect("a size").sides(), [48, 64]);
        assert!("64x".parse::<Size>().expect_err("none").to_string().contains("48x64"));
        assert!("crop".parse::<Fit>().expect_err("none").to_string().contains("centre-crop"));
    }

    #[test]
    fn impossible_sizes_and_channels_are_errors() {
        let says = |asked: ImageOptions| asked.validate().expect_err("refused").to_string();
        for size in [Size::Square(0), Size::Sides([0, 5]), Size::Sides([5, 0]), Size::Sides([5, 5000])] {
            assert!(says(ImageOptions { size: Some(size), ..ImageOptions::default() }).contains("from 1 to 4096"));
        }
        assert!(says(ImageOptions { channels: Some(2), ..ImageOptions::default() }).contains("2 channels"));
        assert!(ImageOptions { size: Some(Size::Square(4096)), channels: Some(1), fit: None }.validate().is_ok());
    }
}
