//! Decides which way up an image is: the orientation in which the network has the highest confidence.

use image::{GrayImage, imageops};

use super::components::Component;
use super::reader::Reader;
use crate::Result;

/// The maximum number of letters that are read.
const LETTERS: usize = 40;
/// The maximum size of a letter in widths of its strokes. A net of ruled lines has more.
const STROKES: f32 = 50.0;
/// An image is upright if the mean confidence exceeds this value.
const UPRIGHT: f32 = 0.8;
/// Another orientation must exceed the confidence of the upright image by this value.
const BETTER: f32 = 0.08;

/// The rotation that makes an image upright.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Orientation {
    Upright,
    Clockwise90,
    Clockwise180,
    Clockwise270,
}

/// Finds the orientation of an image from its components of about the height of a letter. Returns the mean confidence, too, as a
/// fraction of all ink: components of another size count as 0.
pub(super) async fn find(
    components: &[Component],
    letter_height: f32,
    reader: &mut Reader,
) -> Result<(Orientation, f32)> {
    let letter_sized = |component: &&Component| {
        let longer = component.bounds.width.max(component.bounds.height) as f32 / letter_height;
        let shorter = component.bounds.width.min(component.bounds.height) as f32 / letter_height;
        let strokes = longer * letter_height / component.stroke_width;
        (0.5..2.0).contains(&longer) && shorter > 0.3 && strokes < STROKES
    };
    let letters: Vec<&Component> = components.iter().filter(letter_sized).collect();
    let ink = |components: &mut dyn Iterator<Item = &Component>| {
        components.map(|component| component.ink as f32).sum::<f32>()
    };
    let share = ink(&mut letters.iter().copied()) / ink(&mut components.iter()).max(1.0);
    // Letters from the whole page.
    let step = letters.len().div_ceil(LETTERS).max(1);
    let letters: Vec<Component> = letters.into_iter().step_by(step).cloned().collect();
    let mut best = (Orientation::Upright, confidence(reader, &letters, Orientation::Upright).await?);
    if best.1 > UPRIGHT || letters.len() < 3 {
        return Ok((best.0, best.1 * share));
    }
    let wanted = best.1 + BETTER;
    for orientation in [Orientation::Clockwise90, Orientation::Clockwise180, Orientation::Clockwise270] {
        let confidence = confidence(reader, &letters, orientation).await?;
        if confidence > best.1.max(wanted) {
            best = (orientation, confidence);
        }
    }
    Ok((best.0, best.1 * share))
}

async fn confidence(reader: &mut Reader, letters: &[Component], orientation: Orientation) -> Result<f32> {
    reader.confidence(letters, |image, side| orientation.apply_to_square(image, side)).await
}

impl Orientation {
    /// The clockwise rotation in degrees.
    pub fn degrees(self) -> u32 {
        match self {
            Self::Upright => 0,
            Self::Clockwise90 => 90,
            Self::Clockwise180 => 180,
            Self::Clockwise270 => 270,
        }
    }

    /// Rotates an image.
    pub fn apply(self, image: &GrayImage) -> GrayImage {
        match self {
            Self::Upright => image.clone(),
            Self::Clockwise90 => imageops::rotate90(image),
            Self::Clockwise180 => imageops::rotate180(image),
            Self::Clockwise270 => imageops::rotate270(image),
        }
    }

    /// Rotates a square of `side` x `side` values.
    pub fn apply_to_square(self, values: &[f32], side: usize) -> Vec<f32> {
        let last = side - 1;
        let at = |x: usize, y: usize| match self {
            Self::Upright => values[y * side + x],
            Self::Clockwise90 => values[(last - x) * side + y],
            Self::Clockwise180 => values[(last - y) * side + last - x],
            Self::Clockwise270 => values[x * side + last - y],
        };
        (0..side * side).map(|place| at(place % side, place / side)).collect()
    }

    /// Maps a point of the rotated image back to the image before the rotation, of `[width, height]` pixels.
    pub fn back(self, [x, y]: [f32; 2], [width, height]: [f32; 2]) -> [f32; 2] {
        match self {
            Self::Upright => [x, y],
            Self::Clockwise90 => [y, height - x],
            Self::Clockwise180 => [width - x, height - y],
            Self::Clockwise270 => [width - y, x],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Luma;

    #[test]
    fn points_are_mapped_back_and_squares_rotate_like_images() {
        let mut image = GrayImage::new(9, 7);
        image.put_pixel(3, 1, Luma([9]));
        let square: Vec<f32> = (0_u8..25).map(f32::from).collect();
        let as_image = GrayImage::from_raw(5, 5, (0..25).collect()).expect("25 bytes");
        for orientation in
            [Orientation::Upright, Orientation::Clockwise90, Orientation::Clockwise180, Orientation::Clockwise270]
        {
            let turned = orientation.apply(&image);
            let (x, y, _) = turned.enumerate_pixels().find(|(.., pixel)| pixel.0[0] == 9).expect("the pixel");
            let back = orientation.back([x as f32 + 0.5, y as f32 + 0.5], [9.0, 7.0]);
            assert_eq!(back, [3.5, 1.5], "{orientation:?}");
            let turned: Vec<f32> = orientation.apply(&as_image).iter().map(|&value| f32::from(value)).collect();
            assert_eq!(orientation.apply_to_square(&square, 5), turned, "{orientation:?}");
        }
    }
}
