//! Draws a piece of ink as an input of the network. The result looks like the training data for any pen and distance.
//!
//! The box of the ink is centred in a square of 1.35 times its longer side. The stroke width is brought into the range of the
//! training data, with the distance of each pixel from the edges of the strokes. The edges are as soft as in the training
//! data.

use image::{GrayImage, Luma};

use super::components::Component;
use super::distance;
use crate::images::grey::INK_MARGIN;

/// The range of stroke widths, relative to the image's side: the 25th to the 75th percentile of emnist36.
const STROKES: (f32, f32) = (2.5 / 32.0, 3.7 / 32.0);
/// The width of the transition from paper to ink in emnist36, relative to the image's side.
const SOFT: f32 = 1.7 / 32.0;
/// Supersampling: cells along the side of a pixel.
const FINE: usize = 2;

/// Draws ink into an image of `side` x `side` values in row-major order. Ink is 1 and paper is 0, or the reverse with `dark`.
pub(super) fn draw(component: &Component, side: usize, dark: bool) -> Vec<f32> {
    let cells = side * FINE;
    let whole = cells as f32;
    let longer = component.bounds.width.max(component.bounds.height) as f32;
    // The stroke width of a dot is limited by the size of the dot.
    let stroke = component.stroke_width.min(0.8 * longer);
    let box_side = whole / INK_MARGIN;
    // The scale at which the ink fills its box after its strokes have been brought to the target width.
    let wanted = (stroke * box_side / longer).clamp(STROKES.0 * whole, STROKES.1 * whole);
    let scale = (box_side - wanted) / (longer - stroke).max(1.0);
    let grow = (wanted - stroke * scale) / 2.0;
    let mask = place(component, cells, scale);
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

/// Draws the pixels of the ink into a square of cells, with its box in the centre.
fn place(component: &Component, cells: usize, scale: f32) -> GrayImage {
    let bounds = component.bounds;
    let mut mask = GrayImage::new(cells as u32, cells as u32);
    let [left, top] = [bounds.width, bounds.height].map(|length| (cells as f32 - length as f32 * scale) / 2.0);
    let edge = |pixel: u32, first: u32, offset: f32| {
        // The first cell whose centre is beyond the near edge of the pixel.
        ((pixel - first) as f32 * scale + offset - 0.5).ceil().clamp(0.0, cells as f32) as u32
    };
    for run in &component.runs {
        let (from, to) = (edge(run.from, bounds.left, left), edge(run.to, bounds.left, left));
        for y in edge(run.y, bounds.top, top)..edge(run.y + 1, bounds.top, top) {
            for x in from..to {
                mask.put_pixel(x, y, Luma([255]));
            }
        }
    }
    mask
}

/// The signed distance of each cell from the edge of the ink: positive inside, negative outside.
fn edges(mask: &GrayImage) -> Vec<f32> {
    let width = mask.width() as usize;
    let outside = distance::squared(mask, width, |value| value > 0);
    let inside = distance::squared(mask, width, |value| value == 0);
    let far = f64::from(mask.width());
    // Distances are between cell centres, so the edge is half a cell nearer. Without any ink, or paper, they are infinite.
    let length = |squared: f64| squared.sqrt().min(far) as f32;
    let signed = |(out, within): (&f64, &f64)| {
        if *out > 0.0 { 0.5 - length(*out) } else { length(*within) - 0.5 }
    };
    outside.iter().zip(&inside).map(signed).collect()
}

#[cfg(test)]
mod tests {
    use super::super::components::PixelRun;
    use super::*;

    /// A vertical bar.
    fn bar(width: u32, height: u32) -> Component {
        Component::of((0..height).map(|y| PixelRun { y: y + 7, from: 11, to: 11 + width }).collect()).expect("ink")
    }

    #[test]
    fn strokes_of_any_width_are_drawn_alike_and_centred() {
        for (width, height) in [(1, 40), (4, 90), (30, 200)] {
            let image = draw(&bar(width, height), 32, false);
            let row: f32 = image[16 * 32..17 * 32].iter().sum();
            assert!((2.0..4.5).contains(&row), "{width}: {row}");
            let middle: f32 = image[16 * 32..17 * 32].iter().zip(0_u8..).map(|(v, x)| v * (f32::from(x) + 0.5)).sum();
            assert!((middle / row - 16.0).abs() < 0.3, "{width}: {}", middle / row);
            // The centre of the bar may be on the border of two pixels, so lengths are relative to the fuller one.
            let along = |y: usize| image[y * 32 + 15].max(image[y * 32 + 16]);
            let column = (0..32).map(along).sum::<f32>() / along(16);
            assert!((column - 32.0 / INK_MARGIN).abs() < 1.5, "{height}: {column}");
        }
    }

    #[test]
    fn dark_ink_is_the_reverse() {
        let (light, dark) = (draw(&bar(3, 30), 28, false), draw(&bar(3, 30), 28, true));
        assert!(light.iter().zip(&dark).all(|(a, b)| (a + b - 1.0).abs() < 1e-6));
    }
}
