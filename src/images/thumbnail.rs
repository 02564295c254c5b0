//! Small images for pages.

use image::{DynamicImage, GrayImage, RgbImage};

use super::{jpeg, png, resize_longer_side};
use crate::Result;

/// Images with no side longer than this are shown in full size, as PNG.
pub const EXACT: u32 = 64;
/// Larger images are scaled down to this longest side.
pub const SHRUNK: u32 = 160;
/// Their JPEG quality, of 100.
const QUALITY: u8 = 82;

/// The kind and the bytes of a small file of an image: `png` of a small image, `jpeg` of a larger one, which is scaled down.
///
/// # Errors
/// When they cannot be written.
pub fn thumbnail(image: &RgbImage) -> Result<(&'static str, Vec<u8>)> {
    match image.width().max(image.height()) <= EXACT {
        true => Ok(("png", compact_png(image)?)),
        false => Ok(("jpeg", jpeg(&resize_longer_side(image, SHRUNK), QUALITY)?)),
    }
}

/// An image as the bytes of a PNG. A gray image takes a third of the bytes.
///
/// # Errors
/// When they cannot be written.
pub fn compact_png(image: &RgbImage) -> Result<Vec<u8>> {
    let grey = image.pixels().all(|pixel| pixel.0[0] == pixel.0[1] && pixel.0[1] == pixel.0[2]);
    let image: DynamicImage = if grey { to_grey(image).into() } else { image.clone().into() };
    png(&image)
}

fn to_grey(image: &RgbImage) -> GrayImage {
    GrayImage::from_fn(image.width(), image.height(), |x, y| image::Luma([image.get_pixel(x, y).0[0]]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::from_values;

    #[test]
    fn grey_images_are_written_grey_and_large_ones_small() {
        let grey = from_values(&[0.0, 0.5, 1.0, 2.0], [1, 2, 2]);
        let (kind, bytes) = thumbnail(&grey).expect("written");
        let read = image::load_from_memory(&bytes).expect("a PNG");
        assert_eq!((kind, read.color(), read.to_rgb8()), ("png", image::ColorType::L8, grey.clone()));
        assert_eq!(grey.get_pixel(1, 1).0, [255; 3]);
        let (kind, bytes) = thumbnail(&from_values(&[0.2; 3 * 300 * 200], [3, 300, 200])).expect("written");
        let read = image::load_from_memory(&bytes).expect("a JPEG");
        // Two thirds of 160 lie between 106 and 107.
        assert_eq!((kind, read.height()), ("jpeg", SHRUNK));
        assert!((106..=107).contains(&read.width()), "{}", read.width());
    }
}
