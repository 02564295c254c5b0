//! Images of datasets and weights: as PNG files and embedded in a page.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{GrayImage, ImageFormat, RgbImage};
use maud::{Markup, html};

use crate::{Error, Result};

/// Images with no side longer than this are embedded as PNG in full size.
const EXACT: u32 = 64;
/// Larger images are scaled down to this longest side.
const SHRUNK: u32 = 96;
/// Their JPEG quality, of 100.
const QUALITY: u8 = 82;

/// An image as the bytes of a PNG.
///
/// # Errors
/// When they cannot be written.
pub fn png(image: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    // A gray image takes a third of the bytes.
    let grey = image.pixels().all(|pixel| pixel.0[0] == pixel.0[1] && pixel.0[1] == pixel.0[2]);
    let written = match grey {
        true => to_grey(image).write_to(&mut bytes, ImageFormat::Png),
        false => image.write_to(&mut bytes, ImageFormat::Png),
    };
    written.map_err(|error| Error::data(format!("An image cannot be written: {error}.")))?;
    Ok(bytes.into_inner())
}

fn to_grey(image: &RgbImage) -> GrayImage {
    GrayImage::from_fn(image.width(), image.height(), |x, y| image::Luma([image.get_pixel(x, y).0[0]]))
}

/// An RGB image from values `[channels, height, width]` between 0 and 1; one channel becomes gray.
pub fn pixels(values: &[f32], [channels, height, width]: [usize; 3]) -> RgbImage {
    let plane = height * width;
    let byte = |channel: usize, at: usize| {
        let value = values.get(channel.min(channels.saturating_sub(1)) * plane + at).copied().unwrap_or(0.0);
        (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8
    };
    RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let at = y as usize * width + x as usize;
        image::Rgb([byte(0, at), byte(1, at), byte(2, at)])
    })
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
        let side = |side: u32| (side * SHRUNK / longer).max(1);
        let small = imageops::resize(image, side(image.width()), side(image.height()), FilterType::Triangle);
        let mut bytes = Vec::new();
        let written = small.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, QUALITY));
        written.map_err(|error| Error::data(format!("An image cannot be written: {error}.")))?;
        data_uri("jpeg", &bytes)
    };
    Ok(html! { img src=(source) alt=(described) width="64"; })
}

/// The bytes of an image file as a data URI.
pub fn data_uri(kind: &str, bytes: &[u8]) -> String {
    format!("data:image/{kind};base64,{}", BASE64_STANDARD.encode(bytes))
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
