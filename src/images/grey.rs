//! Grey images of ink on paper.

use image::{DynamicImage, GrayImage, Luma, imageops};

/// A character's image is a square. Its side is the longer side of the character's ink times this factor.
pub const INK_MARGIN: f32 = 1.35;

/// Converts an image to grey. Transparent pixels become white, like paper.
pub fn grey_on_white(image: &DynamicImage) -> GrayImage {
    if !image.color().has_alpha() {
        return image.to_luma8();
    }
    let pixels = image.to_luma_alpha8();
    GrayImage::from_fn(pixels.width(), pixels.height(), |x, y| {
        let [luma, alpha] = pixels.get_pixel(x, y).0.map(u32::from);
        Luma([((luma * alpha + 255 * (255 - alpha)) / 255) as u8])
    })
}

/// The bounding box of all pixels above a threshold: left, top, right and bottom, the last two exclusive. `None` where no
/// pixel is above it.
pub fn bounds_above(grey: &GrayImage, threshold: f32) -> Option<[u32; 4]> {
    let ink = grey.enumerate_pixels().filter(|(.., pixel)| f32::from(pixel.0[0]) > threshold);
    ink.fold(None, |found: Option<[u32; 4]>, (x, y, _)| {
        let [left, top, right, bottom] = found.unwrap_or([x, y, x + 1, y + 1]);
        Some([left.min(x), top.min(y), right.max(x + 1), bottom.max(y + 1)])
    })
}

/// Copies a box (as [`bounds_above`] gives it) of an image into the centre of a black square. The square is at least as
/// large as the box.
pub fn centred(grey: &GrayImage, [left, top, right, bottom]: [u32; 4], side: u32) -> GrayImage {
    let (width, height) = (right - left, bottom - top);
    let mut square = GrayImage::new(side, side);
    let cropped = imageops::crop_imm(grey, left, top, width, height).to_image();
    let (x, y) = ((side - width.min(side)) / 2, (side - height.min(side)) / 2);
    imageops::replace(&mut square, &cropped, i64::from(x), i64::from(y));
    square
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageBuffer, Rgb};

    #[test]
    fn images_without_alpha_have_the_grey_values_of_opaque_images() {
        let sample = |x: u32, y: u32| [x * 9 % 256, (x + 7 * y) * 5 % 256, y * 11 % 256].map(|value| value as u8);
        let bytes = ImageBuffer::from_fn(40, 30, |x, y| Rgb(sample(x, y)));
        let words = ImageBuffer::from_fn(40, 30, |x, y| Rgb(sample(x, y).map(|value| u16::from(value) * 251 + 13)));
        let floats = ImageBuffer::from_fn(40, 30, |x, y| Rgb(sample(x, y).map(|value| f32::from(value) / 251.0)));
        for image in
            [DynamicImage::ImageRgb8(bytes), DynamicImage::ImageRgb16(words), DynamicImage::ImageRgb32F(floats)]
        {
            let opaque: Vec<u8> = image.to_luma_alpha8().pixels().map(|pixel| pixel.0[0]).collect();
            assert_eq!(grey_on_white(&image).into_raw(), opaque);
        }
    }
}
