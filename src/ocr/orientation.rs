//! Which way up an image is: the one in which the network is surest of its letters.

use image::{GrayImage, imageops};

use super::components::Component;
use super::page::Area;
use super::reader::Reader;
use crate::Result;

/// Letters that are looked at.
const LETTERS: usize = 40;
/// Where the network is surer of the letters than that on the mean, the image is upright.
const UPRIGHT: f32 = 0.8;
/// By how much it has to be surer of them turned.
const BETTER: f32 = 0.08;

/// By what an image has to be turned clockwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Orientation {
    None,
    Right,
    Around,
    Left,
}

/// How an image has to be turned to be read, by its pieces of about a letter's height.
pub(super) async fn find(components: &[Component], usual: f32, reader: &mut Reader) -> Result<Orientation> {
    let about = |part: &&Component| {
        let longer = part.area.width.max(part.area.height) as f32 / usual;
        let shorter = part.area.width.min(part.area.height) as f32 / usual;
        (0.5..2.0).contains(&longer) && shorter > 0.3
    };
    let letters: Vec<&Component> = components.iter().filter(about).collect();
    // From all over the page.
    let step = letters.len().div_ceil(LETTERS).max(1);
    let letters: Vec<Component> = letters.into_iter().step_by(step).cloned().collect();
    let mut best = (Orientation::None, reader.confidence(&letters, Orientation::None).await?);
    if best.1 > UPRIGHT || letters.len() < 3 {
        return Ok(Orientation::None);
    }
    best.1 += BETTER;
    for orientation in [Orientation::Right, Orientation::Around, Orientation::Left] {
        let confidence = reader.confidence(&letters, orientation).await?;
        if confidence > best.1 {
            best = (orientation, confidence);
        }
    }
    Ok(best.0)
}

impl Orientation {
    /// In degrees, clockwise.
    pub fn degrees(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Right => 90,
            Self::Around => 180,
            Self::Left => 270,
        }
    }

    /// The image turned.
    pub fn apply(self, image: &GrayImage) -> GrayImage {
        match self {
            Self::None => image.clone(),
            Self::Right => imageops::rotate90(image),
            Self::Around => imageops::rotate180(image),
            Self::Left => imageops::rotate270(image),
        }
    }

    /// A square of `side` x `side` values turned.
    pub fn square(self, values: &[f32], side: usize) -> Vec<f32> {
        let last = side - 1;
        let at = |x: usize, y: usize| match self {
            Self::None => values[y * side + x],
            Self::Right => values[(last - x) * side + y],
            Self::Around => values[(last - y) * side + last - x],
            Self::Left => values[x * side + last - y],
        };
        (0..side * side).map(|place| at(place % side, place / side)).collect()
    }

    /// Where a box of the turned image, of `width` x `height` pixels, lay before.
    pub fn back(self, area: &Area, width: u32, height: u32) -> Area {
        let (from_right, from_bottom) = (width - area.right(), height - area.bottom());
        let (left, top) = match self {
            Self::None => (area.left, area.top),
            Self::Right => (area.top, from_right),
            Self::Around => (from_right, from_bottom),
            Self::Left => (from_bottom, area.left),
        };
        let (width, height) = match self {
            Self::None | Self::Around => (area.width, area.height),
            Self::Right | Self::Left => (area.height, area.width),
        };
        Area { left, top, width, height }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Luma;

    #[test]
    fn boxes_come_back_to_where_they_were_and_squares_turn_as_images_do() {
        let area = Area { left: 3, top: 1, width: 2, height: 5 };
        let mut image = GrayImage::new(9, 7);
        for y in area.top..area.bottom() {
            for x in area.left..area.right() {
                image.put_pixel(x, y, Luma([9]));
            }
        }
        let square: Vec<f32> = (0_u8..25).map(f32::from).collect();
        let as_image = GrayImage::from_raw(5, 5, (0..25).collect()).expect("25 bytes");
        for orientation in [Orientation::None, Orientation::Right, Orientation::Around, Orientation::Left] {
            let turned = orientation.apply(&image);
            let inside: Vec<(u32, u32)> =
                turned.enumerate_pixels().filter(|(.., p)| p.0[0] == 9).map(|(x, y, _)| (x, y)).collect();
            let around = Area::around(
                &inside.iter().map(|&(left, top)| Area { left, top, width: 1, height: 1 }).collect::<Vec<_>>(),
            );
            let back = orientation.back(&around.expect("ink"), turned.width(), turned.height());
            assert_eq!(back, area, "{orientation:?}");
            let turned: Vec<f32> = orientation.apply(&as_image).iter().map(|&value| f32::from(value)).collect();
            assert_eq!(orientation.square(&square, 5), turned, "{orientation:?}");
        }
    }
}
