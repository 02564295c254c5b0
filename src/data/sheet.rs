//! A picture of a data set: some examples of each class.

use super::{Dataset, Split, glyphs};
use image::{Rgb, RgbImage};

const GAP: u32 = 4;
const PAPER: Rgb<u8> = Rgb([24, 26, 32]);
const LETTER: Rgb<u8> = Rgb([235, 220, 160]);
/// Height of the letters of a class's name, and the width that one takes.
const LETTER_HEIGHT: f32 = 12.0;
const LETTER_WIDTH: u32 = 11;
/// Rows of a block; more classes stand in blocks side by side.
const BLOCK: usize = 18;
/// Longer names are cut.
const MAX_LETTERS: usize = 16;

/// Draws a sheet of `split`, a split of `dataset`: a row a class, its name first, then its first `per_class` pictures,
/// upright. Pictures smaller than 48 pixels are doubled; one channel is shown grey, three as red, green and blue.
pub fn sheet(dataset: &Dataset, split: &Split, per_class: usize) -> RgbImage {
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); dataset.classes.len()];
    for (i, &label) in split.labels.iter().enumerate() {
        if let Some(row) = rows.get_mut(label as usize).filter(|row| row.len() < per_class) {
            row.push(i);
        }
    }
    let [channels, height, width] = dataset.input;
    let scale = if height.max(width) < 48 { 2 } else { 1 };
    let (cell_height, cell_width) = ((height * scale) as u32 + GAP, (width * scale) as u32 + GAP);
    let row_height = cell_height.max(LETTER_HEIGHT as u32 + 4 + GAP);
    let longest = dataset.classes.iter().map(|name| name.chars().count().min(MAX_LETTERS)).max().unwrap_or(0);
    let margin = longest as u32 * LETTER_WIDTH + 2 * GAP;
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0) as u32;
    let block_width = margin + columns * cell_width;
    let blocks = rows.len().div_ceil(BLOCK) as u32;
    let size = (blocks * block_width + GAP, rows.len().min(BLOCK) as u32 * row_height + GAP);
    let mut sheet = RgbImage::from_pixel(size.0, size.1, PAPER);
    for (class, pictures) in rows.iter().enumerate() {
        let top = GAP + (class % BLOCK) as u32 * row_height;
        let block = (class / BLOCK) as u32 * block_width;
        write(
            &mut sheet,
            &dataset.classes[class],
            block + GAP,
            top + (row_height - GAP - LETTER_HEIGHT as u32) / 2 - 2,
        );
        for (column, &i) in pictures.iter().enumerate() {
            let Some(picture) = split.picture(i) else { continue };
            let left = block + margin + column as u32 * cell_width;
            let plane = height * width;
            for y in 0..height * scale {
                for x in 0..width * scale {
                    let at = y / scale * width + x / scale;
                    let byte = |channel: usize| {
                        let value = picture[channel.min(channels - 1) * plane + at];
                        (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8
                    };
                    sheet.put_pixel(left + x as u32, top + y as u32, Rgb([byte(0), byte(1), byte(2)]));
                }
            }
        }
    }
    sheet
}

/// Writes a name in the embedded set's own letters; what they lack (spaces, signs) is left blank.
fn write(sheet: &mut RgbImage, name: &str, left: u32, top: u32) {
    for (i, letter) in name.chars().take(MAX_LETTERS).enumerate() {
        let Some(ink) = glyphs::plain(letter.to_ascii_uppercase(), LETTER_HEIGHT) else { continue };
        for y in 0..LETTER_HEIGHT as u32 + 4 {
            for x in 0..LETTER_WIDTH {
                let (to_x, to_y) = (left + i as u32 * LETTER_WIDTH + x, top + y);
                let share = ink[y as usize * glyphs::SIDE + x as usize];
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
    use super::super::{Pixels, Split};
    use super::*;

    #[test]
    fn a_sheet_has_a_row_a_class_and_shows_pictures_upright() {
        let set = Dataset {
            name: "x".into(),
            input: [3, 60, 50],
            classes: vec!["A".into(), "cat".into()],
            train: Split { pixels: Pixels::F32(vec![0.0; 3 * 9000]), labels: vec![1, 1, 0] },
            val: None,
            test: None,
            folder: None,
        };
        let mut split = set.train.clone();
        let Pixels::F32(pixels) = &mut split.pixels else { panic!("made so") };
        pixels[9000 + 3000 + 2 * 50 + 7] = 2.0; // picture 1, green, row 2, column 7: beyond 1 is shown as 1
        let sheet = sheet(&set, &split, 5);
        assert_eq!(sheet.dimensions(), (3 * 11 + 8 + 2 * 54 + 4, 2 * 64 + 4));
        assert_eq!(*sheet.get_pixel(41 + 54 + 7, 68 + 2), Rgb([0, 255, 0]));
    }

    #[test]
    fn a_split_without_pictures_gives_a_sheet_without_pictures() {
        let set = glyphs::dataset();
        assert_eq!(sheet(&set, &Split::empty(), 3).width(), 2 * (11 + 8) + 4);
    }
}
