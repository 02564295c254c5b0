//! Resizing with a triangle filter, in little memory for images of any shape.
//!
//! The crate `image` scales the height first and holds the result as floats: of an image of a million columns and one row, 16 bytes
//! for each column and each row of the target. Where that is much, the width is scaled first.

use image::imageops::{self, FilterType};
use image::{DynamicImage, GenericImageView, ImageBuffer, Pixel};

/// The most pixels that are held as floats where scaling the width first would hold less.
const MOST_FLOATS: u64 = 1 << 24;

/// Whether the width of an image is scaled first.
fn width_first((width, height): (u32, u32), (to_width, to_height): (u32, u32)) -> bool {
    let held = |side: u32, to: u32| u64::from(side) * u64::from(to);
    held(width, to_height) > MOST_FLOATS && held(height, to_width) < held(width, to_height)
}

/// Resizes an image to `(width, height)`.
pub(crate) fn resized(image: &DynamicImage, (width, height): (u32, u32)) -> DynamicImage {
    match width_first(image.dimensions(), (width, height)) {
        true => image.rotate90().resize_exact(height, width, FilterType::Triangle).rotate270(),
        false => image.resize_exact(width, height, FilterType::Triangle),
    }
}

/// Resizes pixels to `(width, height)`.
pub(super) fn resized_pixels<I>(
    image: &I,
    (width, height): (u32, u32),
) -> ImageBuffer<I::Pixel, Vec<<I::Pixel as Pixel>::Subpixel>>
where
    I: GenericImageView,
    I::Pixel: 'static,
{
    match width_first(image.dimensions(), (width, height)) {
        true => imageops::rotate270(&imageops::resize(&imageops::rotate90(image), height, width, FilterType::Triangle)),
        false => imageops::resize(image, width, height, FilterType::Triangle),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, Luma};

    #[test]
    fn either_side_first_gives_the_same_pixels() {
        let image = GrayImage::from_fn(900, 3, |x, y| Luma([(x / 4 + 9 * y) as u8]));
        let plain = imageops::resize(&image, 20, 10, FilterType::Triangle);
        let turned = imageops::resize(&imageops::rotate90(&image), 10, 20, FilterType::Triangle);
        let turned = imageops::rotate270(&turned);
        assert!(plain.pixels().zip(turned.pixels()).all(|(a, b)| a.0[0].abs_diff(b.0[0]) <= 1));
    }

    #[test]
    fn the_width_of_strips_is_scaled_first() {
        assert!(width_first((8_000_000, 1), (64, 64)) && !width_first((1, 8_000_000), (64, 64)));
        // Photos are scaled as ever.
        assert!(!width_first((16_000, 8_000), (224, 224)) && !width_first((4000, 3000), (4096, 4096)));
        // Of the triangle over the half of a pixel, a seventh is over the other half.
        let strip = GrayImage::from_fn(200_000, 1, |x, _| Luma([if x < 100_000 { 10 } else { 200 }]));
        let wanted = [37, 173].repeat(100);
        assert_eq!(resized_pixels(&strip, (2, 100)).into_raw(), wanted);
        assert_eq!(resized(&DynamicImage::ImageLuma8(strip), (2, 100)).into_luma8().into_raw(), wanted);
    }
}
