//! Images as bytes of PNG and JPEG files.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, RgbImage};

use super::scale::resized_pixels;
use crate::{Error, Result};

fn not_encoded(error: &image::ImageError) -> Error {
    Error::data(format!("The image cannot be encoded: {error}."))
}

/// Encodes an image as PNG.
///
/// # Errors
/// [`Error::Data`] for an image without pixels or one that is too large for the format.
pub fn png(image: &DynamicImage) -> Result<Vec<u8>> {
    encoded(image, ImageFormat::Png)
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).map_err(|error| not_encoded(&error))?;
    Ok(bytes.into_inner())
}

/// Quality of JPEG files whose quality nobody chose.
#[cfg(feature = "files")]
const QUALITY: u8 = 90;

/// The format of an image file with this name: by its ending, PNG without one.
///
/// # Errors
/// [`Error::Usage`] for the ending of another format.
#[cfg(feature = "files")]
fn format_of(path: &std::path::Path) -> Result<ImageFormat> {
    use ImageFormat::{Bmp, Jpeg, Png, WebP};
    let Some(ending) = path.extension() else { return Ok(Png) };
    let written = ImageFormat::from_extension(ending).filter(|format| matches!(format, Png | Jpeg | Bmp | WebP));
    written.ok_or_else(|| {
        Error::usage(format!(
            "{} cannot be written: images are written as PNG, JPEG, BMP or WebP. Choose a name that ends in .png, .jpg, .bmp \
             or .webp.",
            path.display()
        ))
    })
}

/// Checks that an image can be written into a file with this name, before the work for it begins. With the feature `files`.
///
/// # Errors
/// [`Error::Usage`] for the ending of a format that is not written.
#[cfg(feature = "files")]
pub fn check_name(path: &std::path::Path) -> Result<()> {
    format_of(path).map(|_| ())
}

/// Writes an image as a PNG, JPEG, BMP or WebP file: the ending decides, PNG is written without one. The file is written as
/// [`files::write_atomic`](crate::files::write_atomic) does. With the feature `files`.
///
/// # Errors
/// As [`png`] and [`check_name`], and [`Error::File`] when the file cannot be written.
#[cfg(feature = "files")]
pub fn write(image: &DynamicImage, path: &std::path::Path) -> Result<()> {
    let bytes = match format_of(path)? {
        ImageFormat::Jpeg => jpeg(&image.to_rgb8(), QUALITY)?,
        format => encoded(image, format)?,
    };
    crate::files::write_atomic(path, &bytes)
}

/// Encodes an image as JPEG with a quality from 1 to 100.
///
/// # Errors
/// [`Error::Data`] for an image without pixels or one that is too large for the format.
pub fn jpeg(image: &RgbImage, quality: u8) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
    image.write_with_encoder(encoder).map_err(|error| not_encoded(&error))?;
    Ok(bytes)
}

/// Resizes an image so that its longer side has `longest` pixels. The aspect ratio stays.
pub fn resize_longer_side(image: &RgbImage, longest: u32) -> RgbImage {
    let longer = image.width().max(image.height()).max(1);
    let side = |side: u32| (u64::from(side) * u64::from(longest) / u64::from(longer)).max(1) as u32;
    resized_pixels(image, (side(image.width()), side(image.height())))
}

/// An image file's bytes as a `data:` URI, so that an HTML page needs no other file. `format` is `png` or `jpeg`.
#[cfg(feature = "reports")]
pub fn data_uri(format: &str, bytes: &[u8]) -> String {
    use base64::Engine;
    format!("data:image/{format};base64,{}", base64::prelude::BASE64_STANDARD.encode(bytes))
}

/// Converts values of `[channels, height, width]` from 0 to 1 into pixels. One channel becomes grey, three become red,
/// green and blue.
pub fn from_values(values: &[f32], [channels, height, width]: [usize; 3]) -> RgbImage {
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
