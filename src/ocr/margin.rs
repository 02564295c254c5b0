//! The margin around a photo that a program has turned: triangles of one colour at all four corners.

use std::ops::Range;

use image::GrayImage;

/// The largest difference of the brightness within a margin, of 255. It allows for the noise of JPEG.
const EVEN: u8 = 6;
/// Pixels of the photo that are this close to the margin are mixed with it.
const MIXED: usize = 4;
/// The largest difference of the area of a margin to that of its triangles, as a fraction.
const AREA: f64 = 0.05;

/// Finds the columns of the photo in each row. Without a margin they are all columns.
pub(super) fn photo(grey: &GrayImage) -> Vec<Range<usize>> {
    let width = grey.width() as usize;
    let whole = vec![0..width; grey.height() as usize];
    let rows: Vec<&[u8]> = grey.chunks_exact(width.max(1)).collect();
    let (Some([first, .., last]), true) = (rows.first(), rows.len() > 1) else { return whole };
    let Some([lower_first, .., lower_last]) = rows.last() else { return whole };
    let even = |value: &u8| value.abs_diff(*first) <= EVEN;
    if ![last, lower_first, lower_last].into_iter().all(even) {
        return whole;
    }
    let inside = |row: &&[u8]| {
        let from = row.iter().position(|value| !even(value)).unwrap_or(width);
        from..row.iter().rposition(|value| !even(value)).map_or(from, |last| last + 1)
    };
    let rows: Vec<Range<usize>> = rows.iter().map(inside).collect();
    if !is_turned_rectangle(&rows, width) {
        return whole;
    }
    let near = |y: usize| &rows[y.saturating_sub(MIXED)..(y + MIXED + 1).min(rows.len())];
    let shrunk = |y: usize| {
        let from = near(y).iter().map(|row| row.start).max().unwrap_or(0);
        let to = near(y).iter().map(|row| row.end).min().unwrap_or(0);
        // The sides of the image itself are no margin.
        let from = if from == 0 { 0 } else { (from + MIXED).min(width) };
        from..(if to == width { to } else { to.saturating_sub(MIXED) }).max(from)
    };
    (0..rows.len()).map(shrunk).collect()
}

/// Whether rows fill a turned rectangle that touches all sides of an image of `width` columns. The margin is then four triangles,
/// between the corners of the image and those of the rectangle. Writing on even paper is no rectangle.
fn is_turned_rectangle(rows: &[Range<usize>], width: usize) -> bool {
    let height = rows.len();
    let Some(top) = rows.iter().position(|row| !row.is_empty()) else { return false };
    let Some(bottom) = rows.iter().rposition(|row| !row.is_empty()) else { return false };
    let filled = || (top..).zip(&rows[top..=bottom]);
    let Some((left, from)) = filled().map(|(y, row)| (y, row.start)).min_by_key(|&(_, start)| start) else {
        return false;
    };
    let Some((right, to)) = filled().map(|(y, row)| (y, row.end)).max_by_key(|&(_, end)| end) else { return false };
    if top > MIXED || from > MIXED || to + MIXED < width || bottom + MIXED + 1 < height {
        return false;
    }
    let middle = |row: &Range<usize>| (row.start + row.end) / 2;
    let (upper, lower) = (middle(&rows[top]), middle(&rows[bottom]));
    let twice = upper * left + (width - upper) * right + lower * (height - left) + (width - lower) * (height - right);
    let triangles = twice as f64 / 2.0;
    let margin: usize = rows.iter().map(|row| width - row.len()).sum();
    (margin as f64 - triangles).abs() <= AREA * triangles + (width + height) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Luma;

    #[test]
    fn a_margin_is_found_if_all_corners_have_its_colour() {
        // A diamond with corners in the middle of the sides.
        let inside = |x: u32, y: u32| x.abs_diff(50) + y.abs_diff(50) <= 50;
        let turned = GrayImage::from_fn(101, 101, |x, y| Luma([if inside(x, y) { 180 } else { 3 + (x % 3) as u8 }]));
        let found = photo(&turned);
        assert_eq!((&found[50], &found[30]), (&(8..93), &(28..73)));
        assert!(found[0].is_empty());
        // A disc is no rectangle.
        let inside = |x: u32, y: u32| x.abs_diff(250).pow(2) + y.abs_diff(250).pow(2) <= 250 * 250;
        let disc = GrayImage::from_fn(501, 501, |x, y| Luma([if inside(x, y) { 180 } else { 3 }]));
        assert_eq!(photo(&disc), vec![0..501; 501]);
        let mut other = turned;
        other.put_pixel(100, 100, Luma([60]));
        assert_eq!(photo(&other), vec![0..101; 101]);
        assert!(photo(&GrayImage::new(0, 0)).is_empty());
        assert_eq!(photo(&GrayImage::new(1, 2)), vec![0..1; 2]);
    }
}
