//! Draws the characters that were read into the image.

use image::{DynamicImage, Rgb, RgbImage};

use super::page::{BoundingBox, PageText};
use crate::data::glyphs;

/// A character is sure above this confidence.
pub const SURE: f64 = 0.8;
/// A character is likely above this confidence, and a guess below.
pub const LIKELY: f64 = 0.5;
/// The colours of sure, likely and guessed characters.
const COLOURS: [Rgb<u8>; 3] = [Rgb([20, 140, 60]), Rgb([215, 130, 0]), Rgb([210, 30, 40])];
/// The height at which letters of the embedded dataset are drawn before they are resized.
const LETTER: f32 = 24.0;

/// Draws a box around every character, parallel to its line: green if it is sure, orange if it is likely, red if it is a guess. The character is
/// drawn above the box, or below it at the upper edge of the image.
pub fn overlay(image: &DynamicImage, page: &PageText) -> RgbImage {
    let mut drawn = image.to_rgb8();
    let longer = drawn.width().max(drawn.height());
    let thickness = (longer / 1200).max(1) as i32;
    for character in page.characters() {
        let confidence = character.best.confidence;
        let colour = COLOURS[if confidence > SURE { 0 } else { usize::from(confidence <= LIKELY) + 1 }];
        let bounds = character.bounds;
        outline(&mut drawn, character.corners, thickness, colour);
        let height = (bounds.height as f32 * 0.5).max(14.0);
        write(&mut drawn, character.best.character, &bounds, height, colour);
    }
    drawn
}

/// Draws lines of a `thickness` from each corner (x, y) to the next and from the last to the first. Parts outside of the image
/// are left out.
fn outline(drawn: &mut RgbImage, corners: [[i32; 2]; 4], thickness: i32, colour: Rgb<u8>) {
    for (number, [x, y]) in corners.into_iter().enumerate() {
        let [to_x, to_y] = corners[(number + 1) % corners.len()];
        let steps = (to_x - x).abs().max((to_y - y).abs()).max(1);
        for step in 0..=steps {
            let share = f64::from(step) / f64::from(steps);
            let between = |from: i32, to: i32| from + (f64::from(to - from) * share).round() as i32 - thickness / 2;
            let (left, top) = (between(x, to_x), between(y, to_y));
            for (x, y) in (left..left + thickness).flat_map(|x| (top..top + thickness).map(move |y| (x, y))) {
                let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { continue };
                if let Some(pixel) = drawn.get_pixel_mut_checked(x, y) {
                    *pixel = colour;
                }
            }
        }
    }
}

/// Writes a character above a box, with the letters of the embedded dataset. Characters that it lacks are not drawn.
fn write(drawn: &mut RgbImage, character: char, bounds: &BoundingBox, height: f32, colour: Rgb<u8>) {
    let Some(ink) = glyphs::plain(character.to_ascii_uppercase(), LETTER) else { return };
    let scale = height / LETTER;
    let side = (glyphs::SIDE as f32 * scale) as u32;
    let air = (1.5 * scale) as i64;
    let above = i64::from(bounds.top) - i64::from(side) + air;
    // The upper margin of the letter may be outside of the image.
    let top = if above >= -2 * air { above } else { i64::from(bounds.bottom()) - air };
    for y in 0..side {
        for x in 0..side {
            let cell = |place: u32| ((place as f32 / scale) as usize).min(glyphs::SIDE - 1);
            let share = ink[cell(y)][cell(x)];
            let Ok(to_y) = u32::try_from(top + i64::from(y)) else { continue };
            if let Some(pixel) = drawn.get_pixel_mut_checked(bounds.left + x, to_y).filter(|_| share > 0.0) {
                for (value, colour) in pixel.0.iter_mut().zip(colour.0) {
                    *value = (f32::from(*value) * (1.0 - share) + f32::from(colour) * share) as u8;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::{Character, Guess, TextLine, Word};
    use super::*;

    #[test]
    fn boxes_and_letters_are_drawn_even_at_the_edge() {
        let bounds = BoundingBox { left: 10, top: 0, width: 12, height: 30 };
        let best = Guess { character: 'A', confidence: 0.3 };
        let word = Word::of(vec![Character { best, second: None, alone: 'A', bounds, corners: bounds.corners() }])
            .expect("a character");
        let lines = vec![TextLine::of(vec![word]).expect("a word")];
        let page = PageText { width: 60, height: 60, lines, ..PageText::default() };
        let drawn = overlay(&DynamicImage::new_luma8(60, 60), &page);
        let below = (32..60).any(|y| (10..30).any(|x| drawn.get_pixel(x, y) == &COLOURS[2]));
        assert!(below, "there is no room above the box");
        assert_eq!((drawn.get_pixel(10, 5), drawn.get_pixel(22, 5)), (&COLOURS[2], &COLOURS[2]));
        assert_eq!(drawn.get_pixel(15, 15), &Rgb([0; 3]));
    }

    #[test]
    fn an_outline_is_clipped_to_the_image() {
        let drawn = |corners, thickness| {
            let mut image = RgbImage::new(5, 4);
            outline(&mut image, corners, thickness, COLOURS[0]);
            let row = |y: u32| (0..5).map(|x| if image.get_pixel(x, y) == &COLOURS[0] { '#' } else { '.' }).collect();
            (0..4).map(row).collect::<Vec<String>>()
        };
        let square = |left, top, right, bottom| [[left, top], [right, top], [right, bottom], [left, bottom]];
        assert_eq!(drawn(square(1, 0, 4, 2), 1), [".####", ".#..#", ".####", "....."]);
        assert_eq!(drawn(square(-2, 1, 2, 9), 1), [".....", "###..", "..#..", "..#.."]);
        assert_eq!(drawn(square(3, 3, 3, 3), 1), [".....", ".....", ".....", "...#."]);
        assert_eq!(drawn(square(-1, -1, 5, 4), 1), ["....."; 4]);
        assert_eq!(drawn([[2, 0], [4, 2], [2, 4], [0, 2]], 1), ["..#..", ".#.#.", "#...#", ".#.#."]);
        assert_eq!(drawn(square(1, 1, 4, 4), 2), ["#####", "#####", "##.##", "#####"]);
    }
}
