//! The image with what was read drawn in.

use image::{DynamicImage, Rgb, RgbImage};
use imageproc::drawing::draw_hollow_rect_mut;
use imageproc::rect::Rect;

use super::page::{Area, Page};
use crate::data::glyphs;

/// A character is sure above that confidence, and likely above the second.
pub const SURE: f64 = 0.8;
/// See [`SURE`].
pub const LIKELY: f64 = 0.5;
/// The colour of what is sure, likely and unsure.
const COLOURS: [Rgb<u8>; 3] = [Rgb([20, 140, 60]), Rgb([215, 130, 0]), Rgb([210, 30, 40])];
/// The height at which the program's own letters are drawn before they are brought to size.
const LETTER: f32 = 24.0;

/// The image with a box around every character, green where it is sure, orange where it is likely and red where it is a guess,
/// and above the box, or below it at the image's upper edge, what it was taken for.
pub fn overlay(image: &DynamicImage, page: &Page) -> RgbImage {
    let mut seen = image.to_rgb8();
    let longer = seen.width().max(seen.height());
    let thickness = (longer / 1200).max(1);
    for character in page.characters() {
        let confidence = character.best.confidence;
        let colour = COLOURS[if confidence > SURE { 0 } else { usize::from(confidence <= LIKELY) + 1 }];
        let area = character.area;
        for step in 0..thickness {
            let (left, top) = (area.left as i32 - step as i32, area.top as i32 - step as i32);
            let frame = Rect::at(left, top).of_size(area.width + 2 * step + 1, area.height + 2 * step + 1);
            draw_hollow_rect_mut(&mut seen, frame, colour);
        }
        let height = (area.height as f32 * 0.5).max(14.0);
        write(&mut seen, character.best.character, &area, height, colour);
    }
    seen
}

/// Writes a character above a box, in the embedded set's own letters; what they lack is left out.
fn write(seen: &mut RgbImage, character: char, area: &Area, height: f32, colour: Rgb<u8>) {
    let Some(ink) = glyphs::plain(character.to_ascii_uppercase(), LETTER) else { return };
    let scale = height / LETTER;
    let side = (glyphs::SIDE as f32 * scale) as u32;
    let air = (1.5 * scale) as i64;
    let above = i64::from(area.top) - i64::from(side) + air;
    // The letter's own upper margin may lie outside.
    let top = if above >= -2 * air { above } else { i64::from(area.bottom()) - air };
    for y in 0..side {
        for x in 0..side {
            let cell = |place: u32| ((place as f32 / scale) as usize).min(glyphs::SIDE - 1);
            let share = ink[cell(y)][cell(x)];
            let Ok(to_y) = u32::try_from(top + i64::from(y)) else { continue };
            if let Some(pixel) = seen.get_pixel_mut_checked(area.left + x, to_y).filter(|_| share > 0.0) {
                for (value, colour) in pixel.0.iter_mut().zip(colour.0) {
                    *value = (f32::from(*value) * (1.0 - share) + f32::from(colour) * share) as u8;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::{Character, Guess, Line, Word};
    use super::*;

    #[test]
    fn boxes_and_letters_are_drawn_and_what_lies_at_the_edge_does_not_matter() {
        let area = Area { left: 10, top: 0, width: 12, height: 30 };
        let best = Guess { character: 'A', confidence: 0.3 };
        let word = Word::of(vec![Character { best, second: None, alone: 'A', area }]).expect("a character");
        let lines = vec![Line::of(vec![word]).expect("a word")];
        let page = Page { width: 60, height: 60, lines, ..Page::default() };
        let seen = overlay(&DynamicImage::new_luma8(60, 60), &page);
        let below = (32..60).any(|y| (10..30).any(|x| seen.get_pixel(x, y) == &COLOURS[2]));
        assert!(below, "there is no room above the box");
        assert_eq!((seen.get_pixel(10, 5), seen.get_pixel(22, 5)), (&COLOURS[2], &COLOURS[2]));
        assert_eq!(seen.get_pixel(15, 15), &Rgb([0; 3]));
    }
}
