//! Images of datasets and weights: as PNG files and embedded in a page.

use image::{DynamicImage, GrayImage, RgbImage};
use maud::{Markup, html};

pub use crate::images::{data_uri, from_values as pixels};
use crate::{Result, images};

/// Images with no side longer than this are embedded as PNG in full size.
pub const EXACT: u32 = 64;
/// Larger images are scaled down to this longest side.
const SHRUNK: u32 = 160;
/// Their JPEG quality, of 100.
const QUALITY: u8 = 82;

/// An image as the bytes of a PNG.
///
/// # Errors
/// When they cannot be written.
pub fn png(image: &RgbImage) -> Result<Vec<u8>> {
    // A gray image takes a third of the bytes.
    let grey = image.pixels().all(|pixel| pixel.0[0] == pixel.0[1] && pixel.0[1] == pixel.0[2]);
    let image: DynamicImage = if grey { to_grey(image).into() } else { image.clone().into() };
    images::png(&image)
}

fn to_grey(image: &RgbImage) -> GrayImage {
    GrayImage::from_fn(image.width(), image.height(), |x, y| image::Luma([image.get_pixel(x, y).0[0]]))
}

/// An `img` element with the image inside it; large images are scaled down.
///
/// # Errors
/// When it cannot be written.
pub fn inside(image: &RgbImage, described: &str) -> Result<Markup> {
    let longer = image.width().max(image.height()).max(1);
    let source = if longer <= EXACT {
        data_uri("png", &png(image)?)
    } else {
        data_uri("jpeg", &images::jpeg(&images::resize_longer_side(image, SHRUNK), QUALITY)?)
    };
    Ok(html! { img src=(source) alt=(described) width=(if longer <= EXACT { EXACT } else { SHRUNK }); })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_images_are_written_grey_and_large_ones_small() {
        let grey = pixels(&[0.0, 0.5, 1.0, 2.0], [1, 2, 2]);
        let read = image::load_from_memory(&png(&grey).expect("written")).expect("a PNG");
        assert_eq!((read.color(), read.to_rgb8()), (image::ColorType::L8, grey.clone()));
        assert_eq!(grey.get_pixel(1, 1).0, [255; 3]);
        let colour = pixels(&[0.2; 3 * 300 * 200], [3, 300, 200]);
        let page = inside(&colour, "a & b").expect("inside").into_string();
        assert!(page.contains("data:image/jpeg;base64,") && page.contains("a &amp; b") && page.len() < 4000, "{page}");
    }
}
