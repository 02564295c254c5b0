//! Contact sheets: example images of each class of a dataset, or several versions of the same images.

use super::encode::from_values;
use crate::data::{Dataset, Split, glyphs};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

const GAP: u32 = 4;
const PAPER: Rgb<u8> = Rgb([24, 26, 32]);
const LETTER: Rgb<u8> = Rgb([235, 220, 160]);
/// The height of the letters of a name, and the width of one letter.
const LETTER_HEIGHT: f32 = 12.0;
const LETTER_WIDTH: u32 = 11;
/// Images whose longer side is shorter than this are shown at twice their size.
const SMALL: usize = 48;
/// Larger images are reduced to this longer side.
const LARGE: usize = 128;
/// Rows of a block. More classes make several blocks side by side.
const BLOCK: usize = 18;
/// Longer names are truncated.
const MAX_LETTERS: usize = 16;

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
    let row_height = cell_height.max(LETTER_HEIGHT as u32 + 4 + GAP);
    let longest = dataset.classes.iter().map(|name| name.chars().count().min(MAX_LETTERS)).max().unwrap_or(0);
    let margin = longest as u32 * LETTER_WIDTH + 2 * GAP;
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0) as u32;
    let block_width = margin + columns * cell_width;
    let blocks = rows.len().div_ceil(BLOCK) as u32;
    let size = (blocks * block_width + GAP, rows.len().min(BLOCK) as u32 * row_height + GAP);
    let mut sheet = RgbImage::from_pixel(size.0, size.1, PAPER);
    for (class, images) in rows.iter().enumerate() {
        let top = GAP + (class % BLOCK) as u32 * row_height;
        let block = (class / BLOCK) as u32 * block_width;
        let middle = top + (row_height - GAP - LETTER_HEIGHT as u32) / 2 - 2;
        write(&mut sheet, &dataset.classes[class], MAX_LETTERS, (block + GAP, middle));
        for (column, &i) in images.iter().enumerate() {
            let Some(image) = split.image(i) else { continue };
            let left = block + margin + column as u32 * cell_width;
            imageops::replace(&mut sheet, &drawn(&image, dataset.input), i64::from(left), i64::from(top));
        }
    }
    sheet
}

/// Draws several versions of the same images `[channels, height, width]`. Each image is a column with a name above it, each
/// version a row with a name to its left. Sizes and colours are those of [`sheet`]. Names that are too long are truncated.
pub fn comparison_sheet(input: [usize; 3], columns: &[&str], rows: &[(&str, Vec<Vec<f32>>)]) -> RgbImage {
    let (height, width) = shown_size(input);
    let letter = LETTER_HEIGHT as u32;
    let longest = rows.iter().map(|(name, _)| name.chars().count().min(MAX_LETTERS)).max().unwrap_or(0);
    let (left, top) = (longest as u32 * LETTER_WIDTH + 2 * GAP, letter + 4 + 2 * GAP);
    let row_height = height.max(letter + 4) + GAP;
    let size = (left + columns.len() as u32 * (width + GAP), top + rows.len() as u32 * row_height);
    let mut sheet = RgbImage::from_pixel(size.0, size.1, PAPER);
    let fits = MAX_LETTERS.min((width / LETTER_WIDTH).max(1) as usize);
    for (column, name) in (0..).zip(columns) {
        write(&mut sheet, name, fits, (left + column * (width + GAP), GAP));
    }
    for (row, (name, images)) in (0..).zip(rows) {
        let top = top + row * row_height;
        write(&mut sheet, name, MAX_LETTERS, (GAP, top + (row_height - GAP - letter) / 2 - 2));
        for (column, image) in (0..).zip(images.iter().take(columns.len())) {
            let place = (i64::from(left + column * (width + GAP)), i64::from(top));
            imageops::replace(&mut sheet, &drawn(image, input), place.0, place.1);
        }
    }
    sheet
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

/// Writes the first `letters` characters of a name, with the letters of the embedded dataset. Characters that it lacks
/// (spaces, signs) are left blank.
fn write(sheet: &mut RgbImage, name: &str, letters: usize, (left, top): (u32, u32)) {
    for (i, letter) in name.chars().take(letters).enumerate() {
        let Some(ink) = glyphs::plain(letter.to_ascii_uppercase(), LETTER_HEIGHT) else { continue };
        for y in 0..LETTER_HEIGHT as u32 + 4 {
            for x in 0..LETTER_WIDTH {
                let (to_x, to_y) = (left + i as u32 * LETTER_WIDTH + x, top + y);
                let share = ink[y as usize][x as usize];
                if let Some(pixel) = sheet.get_pixel_mut_checked(to_x, to_y).filter(|_| share > 0.0) {
                    let mix = |k: usize| f32::from(PAPER[k]) * (1.0 - share) + f32::from(LETTER[k]) * share;
                    *pixel = Rgb([mix(0) as u8, mix(1) as u8, mix(2) as u8]);
                }
            }
        }
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
        assert_eq!(sheet.dimensions(), (3 * 11 + 8 + 2 * 54 + 4, 2 * 64 + 4));
        assert_eq!(*sheet.get_pixel(41 + 54 + 7, 68 + 2), Rgb([0, 255, 0]));
    }

    #[test]
    fn versions_of_images_are_rows() {
        let forms = |value: f32| vec![vec![0.0; 12], vec![value; 12]];
        let sheet = comparison_sheet([1, 3, 4], &["A", "long"], &[("in", forms(1.0)), ("out", forms(0.5))]);
        // Doubled to 8 x 6, in rows as high as the letters.
        assert_eq!(sheet.dimensions(), (3 * 11 + 8 + 2 * 12, 12 + 4 + 8 + 2 * 20));
        let at = |column: u32, row: u32| sheet.get_pixel(41 + column * 12 + 7, 24 + row * 20 + 5).0[0];
        assert_eq!([at(0, 0), at(1, 0), at(0, 1), at(1, 1)], [0, 255, 0, 128]);
    }

    #[test]
    fn a_split_without_images_gives_a_sheet_without_images() {
        let set = glyphs::dataset();
        assert_eq!(sheet(&set, &Split::empty(), 3).width(), 2 * (11 + 8) + 4);
    }
}
