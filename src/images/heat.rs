//! Heat maps over images.

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma, Rgb, RgbImage};

use super::sheet::{CaptionedImage, GAP, PAPER, captioned_sheet};
use crate::train::HeatMap;

/// The longer side of an image on a sheet.
const SHOWN: u32 = 256;
/// Images side by side on a sheet, each with its map.
const COLUMNS: usize = 3;
/// Lines below an image.
const LINES: usize = 3;
/// The opacity of the colors over the image.
const OPACITY: f32 = 0.5;
/// Colors from the lowest value to the highest: some of matplotlib's `inferno`, which is ordered by lightness, so that it can be read
/// without telling colors apart.
const COLOURS: [[f32; 3]; 6] = [
    [0.0, 0.0, 4.0],
    [66.0, 10.0, 104.0],
    [147.0, 38.0, 103.0],
    [221.0, 81.0, 58.0],
    [252.0, 165.0, 10.0],
    [252.0, 255.0, 164.0],
];

/// Draws a map over an image, scaled to its largest value. `seen` are the height and width of the middle of the image, as fractions of
/// the image's, to which the map belongs; the image beyond is only darkened.
pub fn heat_over(image: &RgbImage, map: &HeatMap, seen: [f32; 2]) -> RgbImage {
    let (width, height) = image.dimensions();
    let side = |whole: u32, fraction: f32| ((whole as f32 * fraction).round() as u32).clamp(1, whole.max(1));
    let (inner_width, inner_height) = (side(width, seen[1]), side(height, seen[0]));
    let scale = if map.largest() > 0.0 { 1.0 / map.largest() } else { 0.0 };
    let scaled: Vec<f32> = map.values.iter().map(|value| value * scale).collect();
    let grid = ImageBuffer::<Luma<f32>, _>::from_raw(map.width as u32, map.height as u32, scaled);
    let Some(grid) = grid.filter(|grid| !grid.is_empty()) else { return image.clone() };
    // The triangle filter is bilinear where it enlarges.
    let grid = imageops::resize(&grid, inner_width, inner_height, FilterType::Triangle);
    let (left, top) = ((width - inner_width) / 2, (height - inner_height) / 2);
    RgbImage::from_fn(width, height, |x, y| {
        let at = x.checked_sub(left).zip(y.checked_sub(top));
        let value = at.and_then(|(x, y)| grid.get_pixel_checked(x, y)).map_or(0.0, |pixel| pixel.0[0]);
        let (under, over) = (image.get_pixel(x, y).0, colour(value));
        Rgb([0, 1, 2].map(|at| ((1.0 - OPACITY) * f32::from(under[at]) + OPACITY * over[at] + 0.5) as u8))
    })
}

/// An image of a sheet.
#[derive(Clone, Debug)]
pub struct ExplainedImage {
    /// The image as the network takes it.
    pub image: RgbImage,
    /// The image with its map, of the same size.
    pub heat: RgbImage,
    /// The lines below.
    pub lines: [String; LINES],
}

/// Draws images of one size, each beside its map and above its lines. Lines that are too long are shortened.
pub fn explanation_sheet(images: &[ExplainedImage]) -> RgbImage {
    let (width, height) = images.first().map_or((1, 1), |first| shown_size(first.image.dimensions()));
    let pair = |shown: &ExplainedImage| {
        let mut pair = RgbImage::from_pixel(2 * width + GAP, height, PAPER);
        for (image, left) in [(&shown.image, 0), (&shown.heat, width + GAP)] {
            let image = imageops::resize(image, width, height, FilterType::Triangle);
            imageops::replace(&mut pair, &image, i64::from(left), 0);
        }
        CaptionedImage { image: pair, lines: shown.lines.to_vec() }
    };
    captioned_sheet(&images.iter().map(pair).collect::<Vec<_>>(), COLUMNS)
}

/// The width and height at which an image is shown.
fn shown_size((width, height): (u32, u32)) -> (u32, u32) {
    let longer = width.max(height).max(1);
    let scaled = |side: u32| ((side * SHOWN + longer / 2) / longer).max(1);
    (scaled(width), scaled(height))
}

/// The color of a value from 0 to 1, each channel from 0 to 255.
fn colour(value: f32) -> [f32; 3] {
    let place = value.clamp(0.0, 1.0) * (COLOURS.len() - 1) as f32;
    let below = (place as usize).min(COLOURS.len() - 2);
    let share = place - below as f32;
    [0, 1, 2].map(|at| COLOURS[below][at] * (1.0 - share) + COLOURS[below + 1][at] * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hottest_place_is_the_lightest_and_the_edge_that_is_not_seen_is_cold() {
        let image = RgbImage::from_pixel(80, 40, Rgb([100; 3]));
        let mut map = HeatMap { height: 2, width: 2, values: vec![0.0, 0.0, 3.0, 0.0] };
        let light = |image: &RgbImage, x, y| image.get_pixel(x, y).0.iter().map(|&byte| u32::from(byte)).sum::<u32>();
        let drawn = heat_over(&image, &map, [0.5, 0.5]);
        // The lower left quarter of the middle.
        assert!(light(&drawn, 22, 28) > 2 * light(&drawn, 58, 12));
        assert_eq!((drawn.get_pixel(2, 38), drawn.get_pixel(58, 12)), (&Rgb([50, 50, 52]), &Rgb([50, 50, 52])));
        map.values = vec![0.0; 4];
        assert!(heat_over(&image, &map, [1.0, 1.0]).pixels().all(|pixel| pixel == &Rgb([50, 50, 52])));
    }
}
