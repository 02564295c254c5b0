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

/// Draws a box around every character: green if it is sure, orange if it is likely, red if it is a guess. The character is
/// drawn above the box, or below it at the upper edge of the image.
pub fn overlay(image: &DynamicImage, page: &PageText) -> RgbImage {
    let mut drawn = image.to_rgb8();
    let longer = drawn.width().max(drawn.height());
    let thickness = (longer / 1200).max(1);
    for character in page.characters() {
        let confidence = character.best.confidence;
        let colour = COLOURS[if confidence > SURE { 0 } else { usize::from(confidence <= LIKELY) + 1 }];
        let bounds = character.bounds;
        for step in 0..thickness {
            let near = |side: u32| i64::from(side) - i64::from(step);
            let far = |side: u32| i64::from(side) + i64::from(step);
            let corners = [(near(bounds.left), near(bounds.top)), (far(bounds.right()), far(bounds.bottom()))];
            frame(&mut drawn, corners, colour);
        }
        let height = (bounds.height as f32 * 0.5).max(14.0);
        write(&mut drawn, character.best.character, &bounds, height, colour);
    }
    drawn
}

/// Draws the outline of a rectangle through two opposite corners (x, y). Parts outside of the image are left out.
fn frame(drawn: &mut RgbImage, [(left, top), (right, bottom)]: [(i64, i64); 2], colour: Rgb<u8>) {
    let across = (left..=right).flat_map(|x| [(x, top), (x, bottom)]);
    let down = (top..=bottom).flat_map(|y| [(left, y), (right, y)]);
    for (x, y) in across.chain(down) {
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { continue };
        if let Some(pixel) = drawn.get_pixel_mut_checked(x, y) {
            *pixel = colour;
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
        let word = Word::of(vec![Character { best, second: None, alone: 'A', bounds }]).expect("a character");
        let lines = vec![TextLine::of(vec![word]).expect("a word")];
        let page = PageText { width: 60, height: 60, lines, ..PageText::default() };
        let drawn = overlay(&DynamicImage::new_luma8(60, 60), &page);
        let below = (32..60).any(|y| (10..30).any(|x| drawn.get_pixel(x, y) == &COLOURS[2]));
        assert!(below, "there is no room above the box");
        assert_eq!((drawn.get_pixel(10, 5), drawn.get_pixel(22, 5)), (&COLOURS[2], &COLOURS[2]));
        assert_eq!(drawn.get_pixel(15, 15), &Rgb([0; 3]));
    }

    #[test]
    fn a_frame_is_clipped_to_the_image() {
        let drawn = |corners| {
            let mut image = RgbImage::new(5, 4);
            frame(&mut image, corners, COLOURS[0]);
            let row = |y: u32| (0..5).map(|x| if image.get_pixel(x, y) == &COLOURS[0] { '#' } else { '.' }).collect();
            (0..4).map(row).collect::<Vec<String>>()
        };
        assert_eq!(drawn([(1, 0), (4, 2)]), [".####", ".#..#", ".####", "....."]);
        assert_eq!(drawn([(-2, 1), (2, 9)]), [".....", "###..", "..#..", "..#.."]);
        assert_eq!(drawn([(3, 3), (3, 3)]), [".....", ".....", ".....", "...#."]);
        assert_eq!(drawn([(-1, -1), (5, 4)]), ["....."; 4]);
    }
}
