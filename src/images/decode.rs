//! Decoding image files.

use std::io::Cursor;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use super::formats::{CONVERT, FORMATS, FileKind};
use super::jpeg;
use crate::{Error, Result};

/// The largest number of pixels of an image, unless [`set_most_pixels`] gives another: more than usual cameras have.
pub const MOST_PIXELS: u64 = 128_000_000;

/// The reason why an image is refused that has no pixels. Some formats can say so.
const NO_PIXELS: &str = "it has no pixels";

static MOST: AtomicU64 = AtomicU64::new(MOST_PIXELS);

/// Sets the largest number of pixels of an image, for the whole program. An image that claims more is refused before memory is taken
/// for it.
pub fn set_most_pixels(most: u64) {
    MOST.store(most, Ordering::Relaxed);
}

/// The largest number of pixels of an image.
pub fn most_pixels() -> u64 {
    MOST.load(Ordering::Relaxed)
}

/// Decodes an image file. Its content decides the format, not its name. The EXIF orientation is applied.
///
/// # Errors
/// [`Error::File`] when the file cannot be read, [`Error::Data`] when it is not an image, is truncated, or is a JPEG of a kind that the
/// decoder mixes up.
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
    let (width, height) = dimensions.map_err(|error| not_decoded(&path.display().to_string(), &error.to_string()))?;
    if width == 0 || height == 0 {
        return Err(not_decoded(&path.display().to_string(), NO_PIXELS));
    }
    Ok([height, width])
}

/// Decodes the bytes of an image file, as [`open`] does. Error messages call it `name`. Of an animation the first image is taken.
///
/// # Errors
/// [`Error::Data`] when it is not an image, is truncated, or is a JPEG of a kind that the
/// decoder mixes up.
pub fn decode(bytes: Vec<u8>, name: &str) -> Result<DynamicImage> {
    let sentence = match FileKind::of(&bytes) {
        FileKind::Image(_) => return guarded(&bytes).map_err(|reason| not_decoded(name, &reason)),
        FileKind::Empty => format!("{name} is empty, so it is not an image."),
        FileKind::OtherImage(format) => {
            format!("{name} has the format {format}, which is not read ({FORMATS}): {CONVERT}.")
        }
        FileKind::File(format) => format!("{name} is not an image ({FORMATS}): its format is {format}."),
        FileKind::Unknown => format!("{name} is not an image ({FORMATS})."),
    };
    Err(Error::data(sentence))
}

/// The error for an image of a known format. A decoder's reason may have several lines.
fn not_decoded(name: &str, reason: &str) -> Error {
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    Error::data(format!("{name} is not an image that can be decoded: {}.", reason.trim_end_matches([' ', '.'])))
}

/// As [`upright`]. A fault of a decoder, which would end the program, is an error of this file.
fn guarded(bytes: &[u8]) -> std::result::Result<DynamicImage, String> {
    crate::error::without_panic(|| upright(bytes)).unwrap_or_else(|said| Err(format!("the decoder failed: {said}")))
}

/// Decodes an image and applies its orientation. An error is a clause.
fn upright(bytes: &[u8]) -> std::result::Result<DynamicImage, String> {
    let reason = |error: image::ImageError| error.to_string();
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    let is_jpeg = reader.format() == Some(ImageFormat::Jpeg);
    let mut decoder = reader.into_decoder().map_err(reason)?;
    // A file of few bytes may claim any size, and the decoder would ask for that much memory.
    let (width, height) = decoder.dimensions();
    let most = most_pixels();
    if u64::from(width) * u64::from(height) > most {
        return Err(format!("it claims {width} x {height} pixels, but at most {most} pixels are read (--max-pixels)"));
    }
    if width == 0 || height == 0 {
        return Err(NO_PIXELS.into());
    }
    let orientation = decoder.orientation().map_err(reason)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(reason)?;
    if let Some(fault) = jpeg::fault(bytes).filter(|_| is_jpeg) {
        return Err(fault.into());
    }
    image.apply_orientation(orientation);
    Ok(image)
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

    /// Each two and four bytes of each test image are set to 0, the width and the height among them.
    #[test]
    fn images_without_pixels_are_refused() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images");
        let mut refused = 0;
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let whole = std::fs::read(entry.expect("an entry").path()).expect("it reads");
            for (at, width) in (0..whole.len().min(400) - 4).flat_map(|at| [(at, 2), (at, 4)]) {
                let mut changed = whole.clone();
                changed[at..at + width].fill(0);
                match decode(changed, "it") {
                    Ok(image) => assert!(image.width() > 0 && image.height() > 0),
                    Err(error) => refused += u32::from(error.to_string().contains(NO_PIXELS)),
                }
            }
        }
        assert!(refused > 0, "no decoder gives images without pixels any more");
    }

    #[test]
    fn a_jpeg_that_was_cut_anywhere_is_refused() {
        let whole = jpeg(40, 30);
        decode(whole.clone(), "whole.jpg").expect("an image");
        decode([&whole[..], b"what a camera appends"].concat(), "more.jpg").expect("an image");
        for length in (0..whole.len() - 1).step_by(7) {
            let sentence = decode(whole[..length].to_vec(), "cut.jpg").expect_err("a part").to_string();
            // The third byte shows that it is a JPEG.
            let says = match length {
                0 => "cut.jpg is empty",
                1..3 => "cut.jpg is not an image (",
                _ => "cut.jpg is not an image that can be decoded",
            };
            assert!(sentence.starts_with(says), "{sentence}");
            assert!(!sentence.contains('\n'), "{sentence}");
        }
    }

    /// A JPEG of three components, with a header as `sampling` and `interval` say, and a first scan of `first_scan` components.
    /// Only its markers matter.
    fn markers(frame: u8, sampling: [u8; 3], interval: u8, first_scan: u8) -> Vec<u8> {
        let mut file = vec![0xff, 0xd8, 0xff, frame, 0, 17, 8, 0, 16, 0, 16, 3];
        for (number, factors) in (1..).zip(sampling) {
            file.extend([number, factors, 0]);
        }
        file.extend([0xff, 0xdd, 0, 4, 0, interval]);
        file.extend([0xff, 0xda, 0, 6 + 2 * first_scan, first_scan]);
        file.extend((1..=first_scan).flat_map(|number| [number, 0]));
        file.extend([0, 63, 0, 0, 0xff, 0xd9]);
        file
    }

    #[test]
    fn jpegs_whose_scans_would_be_mixed_up_are_refused() {
        // Whether the decoder reads the files of `cjpeg -scans` (libjpeg-turbo 2.1.5) as `djpeg` does.
        const FLAT: [u8; 3] = [0x11; 3];
        for (frame, sampling, interval, first_scan, right) in [
            (0xc0, FLAT, 0, 3, true),
            (0xc0, [0x22, 0x11, 0x11], 5, 3, true),
            (0xc0, FLAT, 0, 1, true),
            (0xc0, FLAT, 0, 2, true),
            (0xc0, FLAT, 5, 1, false),
            (0xc0, [0x21, 0x11, 0x11], 0, 1, true),
            (0xc0, [0x21, 0x11, 0x11], 0, 2, false),
            (0xc0, [0x12, 0x11, 0x11], 0, 1, false),
            (0xc1, [0x22, 0x11, 0x11], 0, 1, false),
            (0xc2, [0x22, 0x11, 0x11], 5, 1, true),
        ] {
            let fault = jpeg::fault(&markers(frame, sampling, interval, first_scan));
            assert_eq!(fault.is_none(), right, "{frame:x} {sampling:x?} {interval} {first_scan}: {fault:?}");
        }
    }

    #[test]
    fn a_small_file_that_claims_a_huge_image_is_refused_at_once() {
        // The header of a JPEG of 65,535 x 65,535 pixels, as the decoder reads it before it allocates.
        let mut huge = jpeg(16, 16);
        let frame = huge.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a frame header");
        huge[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
        let sentence = decode(huge, "huge.jpg").expect_err("refused").to_string();
        assert!(sentence.contains("it claims 65535 x 65535 pixels"), "{sentence}");
    }
}
