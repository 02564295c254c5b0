//! From a piece of ink to the image that the network takes: as the training data are made, whatever the pen and the distance.
//!
//! The ink's box is centred in a square of 1.35 times its longer side; strokes are brought to a width that the training data
//! have, by the distance of each pixel to the strokes' edges, and those edges are as soft as there.

use image::{GrayImage, Luma};
use imageproc::distance_transform::euclidean_squared_distance_transform;

use super::components::Component;

/// The side of the square that a character is centred in, over the longer side of its ink.
const MARGIN: f32 = 1.35;
/// Between which widths strokes of the training data lie, over the image's side: the middle half of emnist36's.
const STROKES: (f32, f32) = (2.5 / 32.0, 3.7 / 32.0);
/// How far an edge of theirs reaches from paper to ink, over the image's side.
const SOFT: f32 = 1.7 / 32.0;
/// Cells in which a pixel of the image is divided, along a side.
const FINE: usize = 2;

/// Draws ink into an image of `side` x `side` values, row by row: 1 is ink and 0 is paper, or the reverse with `dark`.
pub(super) fn draw(part: &Component, side: usize, dark: bool) -> Vec<f32> {
    let cells = side * FINE;
    let whole = cells as f32;
    let longer = part.area.width.max(part.area.height) as f32;
    // A dot's stroke is the dot.
    let stroke = part.stroke.min(0.8 * longer);
    let box_side = whole / MARGIN;
    // Cells that a pixel becomes, so that the ink fills its box when its strokes have the width that they shall have.
    let wanted = (stroke * box_side / longer).clamp(STROKES.0 * whole, STROKES.1 * whole);
    let scale = (box_side - wanted) / (longer - stroke).max(1.0);
    let grow = (wanted - stroke * scale) / 2.0;
    let mask = place(part, cells, scale);
    let edge = edges(&mask);
    let soft = SOFT * whole;
    let share = |distance: f32| (0.5 + (distance + grow) / soft).clamp(0.0, 1.0);
    let mut image = vec![0.0; side * side];
    for (number, &distance) in edge.iter().enumerate() {
        let (x, y) = (number % cells / FINE, number / cells / FINE);
        image[y * side + x] += share(distance) / (FINE * FINE) as f32;
    }
    if dark {
        image.iter_mut().for_each(|value| *value = 1.0 - *value);
    }
    image
}

/// The ink's pixels in a square of cells, its box in the middle.
fn place(part: &Component, cells: usize, scale: f32) -> GrayImage {
    let area = part.area;
    let mut mask = GrayImage::new(cells as u32, cells as u32);
    let [left, top] = [area.width, area.height].map(|length| (cells as f32 - length as f32 * scale) / 2.0);
    let edge = |pixel: u32, first: u32, offset: f32| {
        // Cells whose middle lies beyond the pixel's near edge.
        ((pixel - first) as f32 * scale + offset - 0.5).ceil().clamp(0.0, cells as f32) as u32
    };
    for run in &part.runs {
        let (from, to) = (edge(run.from, area.left, left), edge(run.to, area.left, left));
        for y in edge(run.y, area.top, top)..edge(run.y + 1, area.top, top) {
            for x in from..to {
                mask.put_pixel(x, y, Luma([255]));
            }
        }
    }
    mask
}

/// How far each cell is inside the ink; below 0 it is outside, by that distance.
fn edges(mask: &GrayImage) -> Vec<f32> {
    let outside = euclidean_squared_distance_transform(mask);
    let mut paper = mask.clone();
    image::imageops::invert(&mut paper);
    let inside = euclidean_squared_distance_transform(&paper);
    let far = f64::from(mask.width());
    // Distances are those of middles: half a cell lies before the edge. Without any ink, or paper, they are infinite.
    let distance = |squared: f64| squared.sqrt().min(far) as f32;
    let signed = |(out, within): (&f64, &f64)| {
        if *out > 0.0 { 0.5 - distance(*out) } else { distance(*within) - 0.5 }
    };
    outside.as_raw().iter().zip(inside.as_raw()).map(signed).collect()
}

#[cfg(test)]
mod tests {
    use super::super::components::Run;
    use super::*;

    /// An upright bar.
    fn bar(width: u32, height: u32) -> Component {
        Component::of((0..height).map(|y| Run { y: y + 7, from: 11, to: 11 + width }).collect()).expect("ink")
    }

    #[test]
    fn strokes_of_any_width_come_out_alike_and_centred() {
        for (width, height) in [(1, 40), (4, 90), (30, 200)] {
            let image = draw(&bar(width, height), 32, false);
            let row: f32 = image[16 * 32..17 * 32].iter().sum();
            assert!((2.0..4.5).contains(&row), "{width}: {row}");
            let middle: f32 = image[16 * 32..17 * 32].iter().zip(0_u8..).map(|(v, x)| v * (f32::from(x) + 0.5)).sum();
            assert!((middle / row - 16.0).abs() < 0.3, "{width}: {}", middle / row);
            // The bar's middle may lie on the border of two pixels, neither of which is then full: in units of the fullest.
            let along = |y: usize| image[y * 32 + 15].max(image[y * 32 + 16]);
            let column = (0..32).map(along).sum::<f32>() / along(16);
            assert!((column - 32.0 / MARGIN).abs() < 1.5, "{height}: {column}");
        }
    }

    #[test]
    fn dark_ink_is_the_reverse() {
        let (light, dark) = (draw(&bar(3, 30), 28, false), draw(&bar(3, 30), 28, true));
        assert!(light.iter().zip(&dark).all(|(a, b)| (a + b - 1.0).abs() < 1e-6));
    }
}
