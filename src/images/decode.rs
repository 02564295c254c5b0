//! Decoding image files.

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use super::FORMATS;
use crate::{Error, Result};

/// Decodes an image file. Its content decides the format, not its name. The EXIF orientation is applied.
///
/// # Errors
/// [`Error::File`] when the file cannot be read, [`Error::Data`] when it is not an image or is truncated.
pub fn open(path: &Path) -> Result<DynamicImage> {
    let bytes = std::fs::read(path).map_err(Error::file("cannot read the image", path))?;
    decode(bytes, &path.display().to_string())
}

/// Height and width of an image file, in pixels, before the EXIF orientation is applied. Only the file's header is read.
///
/// # Errors
/// As [`open`].
pub fn size(path: &Path) -> Result<[u32; 2]> {
    let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format);
    let dimensions = reader.map_err(Error::file("cannot read the image", path))?.into_dimensions();
    let (width, height) = dimensions.map_err(|error| {
        Error::data(format!("{} is not an image that can be decoded ({FORMATS}): {error}.", path.display()))
    })?;
    Ok([height, width])
}

/// Whether a file with these bytes is an image of a known format, whole or not.
pub fn is_image(bytes: &[u8]) -> bool {
    image::guess_format(bytes).is_ok()
}

/// Decodes the bytes of an image file, as [`open`] does. Error messages call it `name`.
///
/// # Errors
/// [`Error::Data`] when it is not an image or is truncated.
pub fn decode(bytes: Vec<u8>, name: &str) -> Result<DynamicImage> {
    let upright = || {
        let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format()?;
        let jpeg = reader.format() == Some(ImageFormat::Jpeg);
        let mut decoder = reader.into_decoder()?;
        let orientation = decoder.orientation()?;
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        Ok((image, jpeg))
    };
    let unreadable = |reason: &str| {
        let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
        Error::data(format!(
            "{name} is not an image that can be decoded ({FORMATS}): {}.",
            reason.trim_end_matches([' ', '.'])
        ))
    };
    match upright() {
        // The decoder fills the missing part with grey and reports no error.
        Ok((_, true)) if !jpeg_ends(&bytes) => Err(unreadable("the JPEG was cut short")),
        Ok((image, _)) => Ok(image),
        Err(error) => Err(unreadable(&image::ImageError::to_string(&error))),
    }
}

/// Whether the end-of-image marker follows the first scan of a JPEG. A thumbnail has its own marker, in an earlier segment,
/// which is skipped.
fn jpeg_ends(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xda;
    const END_OF_IMAGE: u8 = 0xd9;
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
        let length = match marker {
            // Padding bytes of 0xff may precede a marker.
            0xff => {
                at += 1;
                continue;
            }
            START_OF_SCAN => return bytes[at..].windows(2).any(|pair| pair == [0xff, END_OF_IMAGE]),
            _ => usize::from(u16::from_be_bytes([high, low])),
        };
        at += 2 + length;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jpeg(width: u32, height: u32) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        let image =
            image::RgbImage::from_fn(width, height, |x, y| image::Rgb([(37 * x) as u8, (91 * y) as u8, (x * y) as u8]));
        image.write_to(&mut file, ImageFormat::Jpeg).expect("writing to memory");
        file.into_inner()
    }

    #[test]
    fn images_are_turned_as_the_camera_was_held() {
        // A JPEG of 8 x 16 whose EXIF says: turn by a quarter.
        let plain = jpeg(8, 16);
        let tiff = [b"MM\0*\0\0\0\x08\0\x01", &b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"[..], &b"\0\0\0\0"[..]].concat();
        let exif = [&b"Exif\0\0"[..], &tiff].concat();
        let length = (exif.len() as u16 + 2).to_be_bytes();
        let turned = [&plain[..2], &[0xff, 0xe1], &length, &exif, &plain[2..]].concat();
        let seen = decode(turned, "photo.jpg").expect("an image");
        assert_eq!((seen.width(), seen.height()), (16, 8));
    }

    #[test]
    fn a_jpeg_that_was_cut_anywhere_is_refused() {
        let whole = jpeg(40, 30);
        decode(whole.clone(), "whole.jpg").expect("an image");
        decode([&whole[..], b"what a camera appends"].concat(), "more.jpg").expect("an image");
        for length in (0..whole.len() - 1).step_by(7) {
            let sentence = decode(whole[..length].to_vec(), "cut.jpg").expect_err("a part").to_string();
            assert!(sentence.starts_with("cut.jpg is not an image that can be decoded"), "{sentence}");
            assert!(!sentence.contains('\n'), "{sentence}");
        }
    }
}
