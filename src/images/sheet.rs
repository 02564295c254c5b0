//! Contact sheets: example images of each class of a dataset, or several versions of the same images.

use super::encode::from_values;
use super::text::{self, LETTER_HEIGHT, SIZE};
use crate::data::{Dataset, Split};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

pub(super) const GAP: u32 = 4;
pub(super) const PAPER: Rgb<u8> = Rgb([24, 26, 32]);
const LETTER: Rgb<u8> = Rgb([235, 220, 160]);
/// Images whose longer side is shorter than this are shown at twice their size.
const SMALL: usize = 48;
/// Larger images are reduced to this longer side.
const LARGE: usize = 128;
/// Rows of a block. More classes make several blocks side by side.
const BLOCK: usize = 18;
/// The largest width of a name at the left. Longer names are shortened in their middle.
const NAME_WIDTH: u32 = 176;

/// Draws a sheet of `split`, a split of `dataset`. Each class is a row: its name, then its first `per_class` images.
/// Images smaller than 48 pixels are shown at twice their size, those larger than 128 are reduced to 128. One channel is
/// shown in grey, three in red, green and blue.
pub fn sheet(dataset: &Dataset, split: &Split, per_class: usize) -> RgbImage {
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); dataset.classes.len()];
    for (i, &label) in split.labels.iter().enumerate() {
        if let Some(row) = rows.get_mut(label as usize).filter(|row| row.len() < per_class) {
            row.push(i);
        }
    }
    let (height, width) = shown_size(dataset.input);
    let (cell_height, cell_width) = (height + GAP, width + GAP);
    let row_height = cell_height.max(LETTER_HEIGHT + GAP);
    let margin = names_width(dataset.classes.iter().map(String::as_str)) + 2 * GAP;
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0) as u32;
    let block_width = margin + columns * cell_width;
    let blocks = rows.len().div_ceil(BLOCK) as u32;
    let size = (blocks * block_width + GAP, rows.len().min(BLOCK) as u32 * row_height + GAP);
    let mut sheet = RgbImage::from_pixel(size.0, size.1, PAPER);
    for (class, images) in rows.iter().enumerate() {
        let top = GAP + (class % BLOCK) as u32 * row_height;
        let block = (class / BLOCK) as u32 * block_width;
        let middle = top + (row_height - GAP - LETTER_HEIGHT) / 2;
        write(&mut sheet, &dataset.classes[class], NAME_WIDTH, (block + GAP, middle));
        for (column, &i) in images.iter().enumerate() {
            let Some(image) = split.image(i) else { continue };
            let left = block + margin + column as u32 * cell_width;
            imageops::replace(&mut sheet, &drawn(&image, dataset.input), i64::from(left), i64::from(top));
        }
    }
    sheet
}

/// Draws several versions of the same images `[channels, height, width]`. Each image is a column with a name above it, each
/// version a row with a name to its left. Sizes and colours are those of [`sheet`]. Names that are too long are shortened.
pub fn comparison_sheet(input: [usize; 3], columns: &[&str], rows: &[(&str, Vec<Vec<f32>>)]) -> RgbImage {
    let (height, width) = shown_size(input);
    let names = names_width(rows.iter().map(|(name, _)| *name));
    let (left, top) = (names + 2 * GAP, LETTER_HEIGHT + 2 * GAP);
    let row_height = height.max(LETTER_HEIGHT) + GAP;
    let size = (left + columns.len() as u32 * (width + GAP), top + rows.len() as u32 * row_height);
    let mut sheet = RgbImage::from_pixel(size.0, size.1, PAPER);
    for (column, name) in (0..).zip(columns) {
        write(&mut sheet, name, width, (left + column * (width + GAP), GAP));
    }
    for (row, (name, images)) in (0..).zip(rows) {
        let top = top + row * row_height;
        write(&mut sheet, name, NAME_WIDTH, (GAP, top + (row_height - GAP - LETTER_HEIGHT) / 2));
        for (column, image) in (0..).zip(images.iter().take(columns.len())) {
            let place = (i64::from(left + column * (width + GAP)), i64::from(top));
            imageops::replace(&mut sheet, &drawn(image, input), place.0, place.1);
        }
    }
    sheet
}

/// An image of a sheet, with lines below it.
#[derive(Clone, Debug)]
pub struct CaptionedImage {
    /// The image, at the size at which it is shown.
    pub image: RgbImage,
    /// The lines below.
    pub lines: Vec<String>,
}

/// Draws images in rows of `columns`, each above its lines. Lines that are too long are shortened.
pub fn captioned_sheet(images: &[CaptionedImage], columns: usize) -> RgbImage {
    let most = |of: &dyn Fn(&CaptionedImage) -> u32| images.iter().map(of).max().unwrap_or(1);
    let (width, height) = (most(&|shown| shown.image.width()), most(&|shown| shown.image.height()));
    let line_height = LETTER_HEIGHT + GAP;
    let lines = most(&|shown| shown.lines.len() as u32) * line_height;
    let (cell_width, cell_height) = (width + 3 * GAP, height + lines + 3 * GAP);
    let columns = images.len().clamp(1, columns.max(1));
    let rows = images.len().div_ceil(columns) as u32;
    let mut sheet = RgbImage::from_pixel(columns as u32 * cell_width + GAP, rows * cell_height + GAP, PAPER);
    for (number, CaptionedImage { image, lines }) in images.iter().enumerate() {
        let left = 2 * GAP + (number % columns) as u32 * cell_width;
        let top = 2 * GAP + (number / columns) as u32 * cell_height;
        imageops::replace(&mut sheet, image, i64::from(left), i64::from(top + height - image.height()));
        for (line, text) in (0..).zip(lines) {
            write(&mut sheet, text, width, (left, top + height + GAP + line * line_height));
        }
    }
    sheet
}

/// The width of the widest name, as it is written.
fn names_width<'a>(names: impl Iterator<Item = &'a str>) -> u32 {
    names.map(|name| text::width(&text::shortened(name, SIZE, NAME_WIDTH), SIZE)).max().unwrap_or(0)
}

/// Writes a name, with at most `width` pixels.
fn write(sheet: &mut RgbImage, name: &str, width: u32, at: (u32, u32)) {
    text::draw(sheet, &text::shortened(name, SIZE, width), at, LETTER);
}

/// The height and width at which an image is shown.
fn shown_size([_, height, width]: [usize; 3]) -> (u32, u32) {
    let longer = height.max(width).max(1);
    let shown = if longer < SMALL { 2 * longer } else { longer.min(LARGE) };
    let scaled = |side: usize| ((side * shown + longer / 2) / longer).max(1) as u32;
    (scaled(height), scaled(width))
}

/// Draws an image of channels x height x width values at the size at which it is shown.
fn drawn(image: &[f32], input: [usize; 3]) -> RgbImage {
    let whole = from_values(image, input);
    let (to_height, to_width) = shown_size(input);
    // Nearest-neighbour keeps the pixels of enlarged images sharp.
    let filter = if to_width > whole.width() { FilterType::Nearest } else { FilterType::Triangle };
    if (to_width, to_height) == whole.dimensions() {
        whole
    } else {
        imageops::resize(&whole, to_width, to_height, filter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Pixels, Split};

    #[test]
    fn a_sheet_has_a_row_a_class_and_shows_images_upright() {
        let set = Dataset {
            name: "x".into(),
            input: [3, 60, 50],
            classes: vec!["A".into(), "cat".into()],
            sets: None,
            train: Split::new(Pixels::F32(vec![0.0; 3 * 9000]), vec![1, 1, 0]),
            val: None,
            test: None,
            folder: None,
            skipped: Vec::new(),
            absent: Vec::new(),
        };
        let mut split = set.train.clone();
        let Pixels::F32(pixels) = &mut split.pixels else { panic!("made so") };
        pixels[9000 + 3000 + 2 * 50 + 7] = 2.0; // image 1, green, row 2, column 7: beyond 1 is shown as 1
        let sheet = sheet(&set, &split, 5);
        let margin = text::width("cat", SIZE) + 8;
        assert_eq!(sheet.dimensions(), (margin + 2 * 54 + 4, 2 * 64 + 4));
        assert_eq!(*sheet.get_pixel(margin + 54 + 7, 68 + 2), Rgb([0, 255, 0]));
    }

    #[test]
    fn versions_of_images_are_rows() {
        let forms = |value: f32| vec![vec![0.0; 12], vec![value; 12]];
        let sheet = comparison_sheet([1, 3, 4], &["A", "long"], &[("in", forms(1.0)), ("out", forms(0.5))]);
        // Doubled to 8 x 6, in rows as high as the letters.
        let margin = text::width("out", SIZE) + 8;
        assert_eq!(sheet.dimensions(), (margin + 2 * 12, 16 + 8 + 2 * 20));
        let at = |column: u32, row: u32| sheet.get_pixel(margin + column * 12 + 7, 24 + row * 20 + 5).0[0];
        assert_eq!([at(0, 0), at(1, 0), at(0, 1), at(1, 1)], [0, 255, 0, 128]);
    }

    #[test]
    fn captioned_images_stand_on_their_lines() {
        let cell = |side: u32, lines: usize| CaptionedImage {
            image: RgbImage::from_pixel(side, side, Rgb([9; 3])),
            lines: vec!["name".into(); lines],
        };
        let sheet = captioned_sheet(&[cell(40, 1), cell(20, 2), cell(40, 0)], 2);
        let (cell_width, cell_height) = (40 + 12, 40 + 2 * (LETTER_HEIGHT + 4) + 12);
        assert_eq!(sheet.dimensions(), (2 * cell_width + 4, 2 * cell_height + 4));
        // The small image stands at the bottom of its row.
        assert_eq!([27, 28, 47, 48].map(|y| sheet.get_pixel(cell_width + 8, y).0[0]), [24, 9, 9, 24]);
        assert_eq!(sheet.get_pixel(8, cell_height + 8).0[0], 9);
        assert_eq!(captioned_sheet(&[], 3).dimensions(), (1 + 12 + 4, 4));
    }

    #[test]
    fn a_split_without_images_gives_a_sheet_without_images() {
        let set = crate::data::glyphs::dataset();
        let widest = set.classes.iter().map(|name| text::width(name, SIZE)).max().unwrap_or(0);
        assert_eq!(sheet(&set, &Split::empty(), 3).width(), 2 * (widest + 8) + 4);
    }
}
