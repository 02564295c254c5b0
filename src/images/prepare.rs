//! One image from outside as a network's input.

use image::{DynamicImage, GrayImage, imageops};

/// The side of the square that a character is centred in, over the longer side of its ink, as in the training data.
const MARGIN: f32 = 1.35;
/// A pixel is ink when it is that far above the background, of the whole range.
const INK: f32 = 0.25;

/// Brings an image into a network's input: channels x height x width values from 0 to 1.
///
/// For one channel it becomes grey; where its edge is light it is inverted, so that ink is light on dark as in the training
/// data; and the box around its ink is centred in a square of 1.35 times the box's longer side. For three channels it is
/// scaled as it is.
pub fn prepare(image: &DynamicImage, input: [usize; 3]) -> Vec<f32> {
    let [channels, height, width] = input;
    let (to_width, to_height) = (width as u32, height as u32);
    if channels != 1 {
        let resized = image.resize_exact(to_width, to_height, imageops::FilterType::Triangle).to_rgb8();
        let plane = |channel: usize| resized.pixels().map(move |pixel| f32::from(pixel.0[channel.min(2)]) / 255.0);
        return (0..channels).flat_map(plane).collect();
    }
    let mut grey = grey_on_white(image);
    if edge_mean(&grey) > 127.5 {
        imageops::invert(&mut grey);
    }
    let resized = match ink_box(&grey) {
        Some([left, top, right, bottom]) => {
            let (ink_width, ink_height) = (right - left, bottom - top);
            let side = ((ink_width.max(ink_height) as f32 * MARGIN).round() as u32).max(1);
            let mut square = GrayImage::new(side, side);
            let cut = imageops::crop_imm(&grey, left, top, ink_width, ink_height).to_image();
            let (x, y) = ((side - ink_width.min(side)) / 2, (side - ink_height.min(side)) / 2);
            imageops::replace(&mut square, &cut, i64::from(x), i64::from(y));
            imageops::resize(&square, to_width, to_height, imageops::FilterType::Triangle)
        }
        None => imageops::resize(&grey, to_width, to_height, imageops::FilterType::Triangle),
    };
    resized.pixels().map(|pixel| f32::from(pixel.0[0]) / 255.0).collect()
}

/// Grey; what is transparent is white, as it is on a page.
fn grey_on_white(image: &DynamicImage) -> GrayImage {
    let mut pixels = image.to_luma_alpha8();
    for pixel in pixels.pixels_mut() {
        let [luma, alpha] = pixel.0.map(u32::from);
        pixel.0[0] = ((luma * alpha + 255 * (255 - alpha)) / 255) as u8;
    }
    let values = pixels.pixels().map(|pixel| pixel.0[0]).collect();
    GrayImage::from_raw(pixels.width(), pixels.height(), values).unwrap_or_default()
}

/// The mean of the pixels at the image's edge.
fn edge_mean(grey: &GrayImage) -> f32 {
    let (width, height) = grey.dimensions();
    let at_edge = |x: u32, y: u32| x == 0 || y == 0 || x + 1 == width || y + 1 == height;
    let edge = grey.enumerate_pixels().filter(|(x, y, _)| at_edge(*x, *y)).map(|(.., pixel)| f32::from(pixel.0[0]));
    let (sum, count) = edge.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

/// Left, top, right and bottom (exclusive) of what is clearly lighter than the darkest; `None` for a blank image.
fn ink_box(grey: &GrayImage) -> Option<[u32; 4]> {
    let (low, high) = grey.pixels().fold((255, 0), |(low, high), pixel| (pixel.0[0].min(low), pixel.0[0].max(high)));
    // Less contrast than paper has by itself is no ink.
    if high.saturating_sub(low) < 16 {
        return None;
    }
    let threshold = f32::from(low) + INK * f32::from(high - low);
    let ink = grey.enumerate_pixels().filter(|(.., pixel)| f32::from(pixel.0[0]) > threshold);
    ink.fold(None, |found: Option<[u32; 4]>, (x, y, _)| {
        let [left, top, right, bottom] = found.unwrap_or([x, y, x + 1, y + 1]);
        Some([left.min(x), top.min(y), right.max(x + 1), bottom.max(y + 1)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dark_ink_on_light_paper_becomes_a_centred_light_character() {
        let mut page = GrayImage::from_pixel(90, 60, image::Luma([250]));
        for y in 5..45 {
            for x in 10..14 {
                page.put_pixel(x, y, image::Luma([20]));
            }
        }
        let values = prepare(&DynamicImage::ImageLuma8(page), [1, 32, 32]);
        assert_eq!(values.len(), 1024);
        let column = |x: usize| (0..32).map(|y| values[y * 32 + x]).sum::<f32>();
        assert!(column(16) > 15.0 && column(4) < 1.0 && column(28) < 1.0, "{} {}", column(16), column(4));
        let top: f32 = values[..96].iter().sum();
        assert!(top < 0.5, "{top}");
    }

    #[test]
    fn a_blank_page_is_no_ink() {
        assert_eq!(ink_box(&GrayImage::from_pixel(9, 9, image::Luma([7]))), None);
        assert_eq!(prepare(&DynamicImage::new_luma8(5, 5), [1, 28, 28]).len(), 784);
    }
}
