//! Converting one image into a network's input.

use super::grey::{INK_MARGIN, bounds_above, centred, grey_on_white};
use super::preprocessing::on_white;
use super::scale::{resized, resized_pixels};
use image::{DynamicImage, GrayImage, imageops};

/// A pixel is ink when its brightness exceeds the darkest one by this fraction of the range.
const INK: f32 = 0.25;
/// The longest side of ink in pixels that is centred at its size.
const LONGEST_INK: u64 = 6000;

/// Converts an image into a network's input: channels x height x width values from 0 to 1.
///
/// Transparent pixels become white. With three channels the image is only resized. With one channel it is taken for a character. It becomes grey. If its edge
/// is light it is inverted, so that ink is light on dark as in the training data. The bounding box of the ink is centred in
/// a square whose side is [`INK_MARGIN`] times the longer side of the box.
pub fn prepare(image: &DynamicImage, input: [usize; 3]) -> Vec<f32> {
    let [channels, height, width] = input;
    let (to_width, to_height) = (width as u32, height as u32);
    if channels != 1 {
        let resized = resized(&on_white(image.clone()), (to_width, to_height)).to_rgb8();
        let plane = |channel: usize| resized.pixels().map(move |pixel| f32::from(pixel.0[channel.min(2)]) / 255.0);
        return (0..channels).flat_map(plane).collect();
    }
    let mut grey = grey_on_white(image);
    if edge_mean(&grey) > 127.5 {
        imageops::invert(&mut grey);
    }
    let resized = match ink_box(&grey) {
        Some(ink) => {
            let (grey, ink) = reduced(grey, ink);
            let [left, top, right, bottom] = ink;
            let longer = (right - left).max(bottom - top);
            let side = ((longer as f32 * INK_MARGIN).round() as u32).max(1);
            resized_pixels(&centred(&grey, ink, side), (to_width, to_height))
        }
        None => resized_pixels(&grey, (to_width, to_height)),
    };
    resized.pixels().map(|pixel| f32::from(pixel.0[0]) / 255.0).collect()
}

/// Reduces ink whose longer side exceeds [`LONGEST_INK`], because a square of that side is allocated. The box is that of the result.
fn reduced(grey: GrayImage, ink: [u32; 4]) -> (GrayImage, [u32; 4]) {
    let [left, top, right, bottom] = ink;
    let (width, height) = (right - left, bottom - top);
    let longer = u64::from(width.max(height));
    if longer <= LONGEST_INK {
        return (grey, ink);
    }
    let side = |side: u32| (u64::from(side) * LONGEST_INK / longer).max(1) as u32;
    let (to_width, to_height) = (side(width), side(height));
    let cropped = imageops::crop_imm(&grey, left, top, width, height);
    (imageops::thumbnail(&*cropped, to_width, to_height), [0, 0, to_width, to_height])
}

/// The mean of the pixels at the edge of an image.
fn edge_mean(grey: &GrayImage) -> f32 {
    let (width, height) = grey.dimensions();
    let at_edge = |x: u32, y: u32| x == 0 || y == 0 || x + 1 == width || y + 1 == height;
    let edge = grey.enumerate_pixels().filter(|(x, y, _)| at_edge(*x, *y)).map(|(.., pixel)| f32::from(pixel.0[0]));
    let (sum, count) = edge.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

/// The bounding box of the ink: left, top, right and bottom, the last two exclusive. `None` for a blank image.
fn ink_box(grey: &GrayImage) -> Option<[u32; 4]> {
    let (low, high) = grey.pixels().fold((255, 0), |(low, high), pixel| (pixel.0[0].min(low), pixel.0[0].max(high)));
    // Paper alone has this much contrast.
    if high.saturating_sub(low) < 16 {
        return None;
    }
    bounds_above(grey, f32::from(low) + INK * f32::from(high - low))
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
    fn ink_of_extreme_shape_takes_little_memory() {
        let strip = GrayImage::from_fn(60_000, 40, |_, y| image::Luma([if y < 20 { 200 } else { 0 }]));
        let (image, ink) = reduced(strip.clone(), [0, 0, 60_000, 20]);
        assert_eq!((image.dimensions(), ink), ((6000, 2), [0, 0, 6000, 2]));
        assert!(image.pixels().all(|pixel| pixel.0 == [200]));
        // Letters of photos stay as they are.
        assert_eq!(reduced(strip.clone(), [0, 0, 6000, 20]), (strip, [0, 0, 6000, 20]));
        // The square around this line of ink would have 10^14 pixels.
        let line = GrayImage::from_fn(9_000_000, 2, |_, y| image::Luma([if y == 0 { 20 } else { 250 }]));
        assert_eq!(prepare(&DynamicImage::ImageLuma8(line), [1, 32, 32]).len(), 1024);
    }

    #[test]
    fn transparent_pixels_are_white_with_any_number_of_channels() {
        let glass = image::RgbaImage::from_pixel(8, 8, image::Rgba([10, 20, 30, 0]));
        let glass = DynamicImage::ImageRgba8(glass);
        assert_eq!(prepare(&glass, [3, 4, 4]), [1.0; 48]);
        // White paper without ink, inverted as all paper is.
        assert_eq!(prepare(&glass, [1, 4, 4]), [0.0; 16]);
    }

    #[test]
    fn a_blank_page_is_no_ink() {
        assert_eq!(ink_box(&GrayImage::from_pixel(9, 9, image::Luma([7]))), None);
        assert_eq!(prepare(&DynamicImage::new_luma8(5, 5), [1, 28, 28]).len(), 784);
    }
}
