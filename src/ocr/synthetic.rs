//! Synthetic pages of handwriting with known text, for the evaluation of reading. The letters are images of a dataset.
//!
//! A page has paper with noise, uneven light, shadows and ruled lines. Lines slope and drift. Words of letters and of digits
//! have irregular spacing. Ink is dark on light paper, sometimes light on dark. Random numbers are counter-based: a page
//! depends only on the images, the seed and its number.

use image::{GrayImage, Luma};

use super::page::BoundingBox;
use crate::data::Dataset;
use crate::data::Split;
use crate::data::glyphs::Hand;
use crate::random::{CounterRng, Purpose};
use crate::{Error, Result};

/// Words of everyday notes. Every letter occurs.
const WORDS: &str = "THE OF AND TO IN IS YOU THAT IT HE WAS FOR ON ARE AS WITH HIS THEY AT BE THIS HAVE FROM OR ONE HAD BY WORD BUT \
    NOT WHAT ALL WERE WE WHEN YOUR CAN SAID THERE USE AN EACH WHICH SHE DO HOW THEIR IF WILL UP OTHER ABOUT OUT MANY THEN THEM \
    THESE SO SOME HER WOULD MAKE LIKE HIM INTO TIME HAS LOOK TWO MORE WRITE GO SEE NUMBER NO WAY COULD PEOPLE MY THAN FIRST \
    WATER BEEN CALL WHO OIL ITS NOW FIND LONG DOWN DAY DID GET COME MADE MAY PART QUIZ JUMP ZERO SIX BOX QUEUE JAZZ VIVID \
    QUICK BROWN LAZY DOG FIXED MAJOR JOB PROXY BUZZ KEEP WEEK BOOK MILK BREAD APPLE CHECK LIST BUY GROCERY KITCHEN PHONE";
/// The fraction of words that are numbers.
const NUMBERS: f32 = 0.2;
/// The width of a page in pixels. The height follows from the lines.
const WIDTH: u32 = 1400;
/// Lines of a page.
pub const LINES: usize = 8;

/// A synthetic page and its text.
#[derive(Clone, Debug)]
pub struct SyntheticPage {
    /// The photo of the page.
    pub image: GrayImage,
    /// The lines from top to bottom.
    pub lines: Vec<SyntheticLine>,
}

/// A line of a synthetic page.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct SyntheticLine {
    /// Its words, separated by spaces.
    pub text: String,
    /// Its characters from left to right, each with the box around its ink.
    pub characters: Vec<(char, BoundingBox)>,
}

/// The images of characters that pages are drawn from. Ink is 1, paper is 0.
#[derive(Clone, Debug)]
pub struct Glyphs {
    side: usize,
    of: Vec<(char, Vec<Vec<f32>>)>,
}

impl Glyphs {
    /// Takes the images from a split of a dataset of characters.
    ///
    /// # Errors
    /// [`Error::Usage`] when the dataset is not one of capitals and digits in square images of one channel.
    pub fn of(dataset: &Dataset, split: &Split) -> Result<Self> {
        let [channels, height, side] = dataset.input;
        let wanted: Vec<char> = ('A'..='Z').chain('0'..='9').collect();
        let class = |character: &char| dataset.classes.iter().position(|class| *class == character.to_string());
        let numbers: Option<Vec<usize>> = wanted.iter().map(class).collect();
        let Some(numbers) = numbers.filter(|_| channels == 1 && height == side) else {
            return Err(Error::usage(format!(
                "Synthetic pages need square grey images of the classes A to Z and 0 to 9, but {} has others.",
                dataset.name
            )));
        };
        let dark = crate::datasets::has_dark_ink(&dataset.name);
        let images = |number: usize| -> Vec<Vec<f32>> {
            let of_class = (0..split.len()).filter(|&i| split.labels[i] as usize == number);
            let ink = |image: Vec<f32>| image.into_iter().map(|v| if dark { 1.0 - v } else { v }).collect();
            of_class.filter_map(|i| split.image(i)).map(ink).collect()
        };
        let of: Vec<(char, Vec<Vec<f32>>)> = wanted.into_iter().zip(numbers.into_iter().map(images)).collect();
        if let Some((character, _)) = of.iter().find(|(_, images)| images.is_empty()) {
            return Err(Error::usage(format!(
                "The split of {} has no image of {character}, which synthetic pages need.",
                dataset.name
            )));
        }
        Ok(Self { side, of })
    }

    /// Chooses an image of a character at random.
    fn pick(&self, character: char, hand: &mut Hand) -> Option<&[f32]> {
        let (_, images) = self.of.iter().find(|(known, _)| *known == character)?;
        let number = hand.between(0.0, images.len() as f32) as usize;
        images.get(number.min(images.len() - 1)).map(Vec::as_slice)
    }
}

/// The style of a page.
struct Style {
    /// The height of letters in pixels.
    height: f32,
    /// The distance of baselines.
    leading: f32,
    slope: f32,
    /// The gap between letters, and the additional gap between words.
    gap: f32,
    space: f32,
    /// The fraction of light that the ink absorbs.
    ink: f32,
    ruled: bool,
    light_ink: bool,
}

impl Style {
    fn of(hand: &mut Hand) -> Self {
        let height = hand.between(30.0, 62.0);
        let gap = height * hand.between(0.12, 0.5);
        Self {
            height,
            leading: height * hand.between(1.7, 2.4),
            slope: hand.about(0.025),
            gap,
            space: 0.9 * gap + height * hand.between(0.7, 1.3),
            ink: hand.between(0.4, 0.8),
            ruled: hand.between(0.0, 1.0) < 0.3,
            light_ink: hand.between(0.0, 1.0) < 0.12,
        }
    }
}

/// The ink on a page, from 0 to 1, and the size of the page.
struct Sheet {
    width: u32,
    height: u32,
    ink: Vec<f32>,
}

/// Draws page `number` of a seed.
pub fn draw(glyphs: &Glyphs, seed: u64, number: u32) -> SyntheticPage {
    let mut hand = Hand::new(CounterRng::new(seed, Purpose::Pages, 0, number));
    let style = Style::of(&mut hand);
    let tilt = style.slope.abs() * WIDTH as f32;
    let height = (style.leading * (LINES as f32 + 1.0) + tilt) as u32;
    let mut sheet = Sheet { width: WIDTH, height, ink: vec![0.0; (WIDTH * height) as usize] };
    let first = style.leading + if style.slope < 0.0 { tilt } else { 0.0 };
    let lines = (0..LINES)
        .map(|line| write(&mut sheet, glyphs, &style, first + line as f32 * style.leading, &mut hand))
        .collect();
    let image = photograph(&sheet, &style, CounterRng::new(seed, Purpose::Pages, 1, number), &mut hand);
    SyntheticPage { image, lines }
}

/// Chooses the next word.
fn word(hand: &mut Hand) -> String {
    if hand.between(0.0, 1.0) < NUMBERS {
        let digits = hand.between(1.0, 5.0) as usize;
        return (0..digits).filter_map(|_| char::from_digit(hand.between(0.0, 10.0) as u32 % 10, 10)).collect();
    }
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    words[(hand.between(0.0, words.len() as f32) as usize).min(words.len() - 1)].to_owned()
}

/// Writes a line on a baseline.
fn write(sheet: &mut Sheet, glyphs: &Glyphs, style: &Style, baseline: f32, hand: &mut Hand) -> SyntheticLine {
    let mut line = SyntheticLine::default();
    let mut x = style.height * hand.between(0.6, 3.0);
    let slope = style.slope + hand.about(0.004);
    let end = WIDTH as f32 - style.height;
    loop {
        let next = word(hand);
        let room = x + next.len() as f32 * (style.height + style.gap);
        if room > end && !line.text.is_empty() {
            return line;
        }
        if !line.text.is_empty() {
            line.text.push(' ');
        }
        for character in next.chars() {
            let Some(glyph) = glyphs.pick(character, hand) else { continue };
            let size = style.height * hand.between(0.85, 1.12);
            let drop = hand.about(0.05) * style.height;
            let place = [x, baseline + slope * x + drop];
            let Some(bounds) = draw_glyph(sheet, glyph, glyphs.side, size, place, hand) else { continue };
            // Gaps of handwriting vary.
            x = bounds.right() as f32 + (style.gap * (1.0 + hand.about(0.25))).max(0.04 * style.height);
            line.text.push(character);
            line.characters.push((character, bounds));
        }
        x += style.space * hand.between(0.85, 1.3);
    }
}

/// Draws a glyph on the sheet. The longer side of its box is `size` pixels, and `place` is its left bottom corner. Returns the
/// box around the clearly visible ink, or `None` without ink.
fn draw_glyph(
    sheet: &mut Sheet,
    glyph: &[f32],
    side: usize,
    size: f32,
    place: [f32; 2],
    hand: &mut Hand,
) -> Option<BoundingBox> {
    const CLEAR: f32 = 0.4;
    let clear = (0..side * side).filter(|&i| glyph[i] > CLEAR).map(|i| (i % side, i / side));
    let cells: Vec<BoundingBox> =
        clear.map(|(x, y)| BoundingBox { left: x as u32, top: y as u32, width: 1, height: 1 }).collect();
    let from = BoundingBox::around(&cells)?;
    let scale = size / from.width.max(from.height) as f32;
    let slant = hand.about(0.06);
    let at = |x: f32, y: f32| -> f32 {
        let (column, row) = (x.floor(), y.floor());
        let pixel = |dx: f32, dy: f32| {
            let (x, y) = (column + dx, row + dy);
            let inside = (0.0..side as f32).contains(&x) && (0.0..side as f32).contains(&y);
            if inside { glyph[y as usize * side + x as usize] } else { 0.0 }
        };
        let (right, down) = (x - column, y - row);
        let upper = pixel(0.0, 0.0) * (1.0 - right) + pixel(1.0, 0.0) * right;
        let lower = pixel(0.0, 1.0) * (1.0 - right) + pixel(1.0, 1.0) * right;
        upper * (1.0 - down) + lower * down
    };
    let (width, height) = (from.width as f32 * scale, from.height as f32 * scale);
    let (left, top) = (place[0], place[1] - height);
    let mut found: Option<BoundingBox> = None;
    let margin = 0.2 * size;
    for y in (top - margin).max(0.0) as u32..((top + height + margin).max(0.0) as u32).min(sheet.height) {
        for x in (left - margin).max(0.0) as u32..((left + width + margin).max(0.0) as u32).min(sheet.width) {
            let (right, down) = (x as f32 + 0.5 - left, y as f32 + 0.5 - top);
            let right = right + slant * (down - height / 2.0);
            let ink = at(right / scale + from.left as f32 - 0.5, down / scale + from.top as f32 - 0.5);
            if ink > CLEAR {
                let pixel = BoundingBox { left: x, top: y, width: 1, height: 1 };
                found = Some(found.map_or(pixel, |bounds| bounds.with(&pixel)));
            }
            let under = &mut sheet.ink[(y * sheet.width + x) as usize];
            *under = under.max(ink);
        }
    }
    found
}

/// The light on a page: brightness at the corners, a shadow, and ruled lines.
struct Light {
    corners: [f32; 4],
    /// The shadow: its edge as `x * a + y * b > c`, the softness of the edge, and the fraction of light that is left.
    shadow: [f32; 5],
    /// Ruled lines: distance, darkness and slope.
    rules: [f32; 3],
}

impl Light {
    fn of(sheet: &Sheet, style: &Style, hand: &mut Hand) -> Self {
        let brightness = hand.between(0.62, 0.95);
        let corners = std::array::from_fn(|_| brightness * hand.between(0.8, 1.05));
        let orientation = hand.between(0.0, std::f32::consts::TAU);
        let (a, b) = (orientation.cos(), orientation.sin());
        let (x, y) = (hand.between(0.2, 0.8) * sheet.width as f32, hand.between(0.2, 0.8) * sheet.height as f32);
        let left = if hand.between(0.0, 1.0) < 0.4 { hand.between(0.55, 0.85) } else { 1.0 };
        let shadow = [a, b, a * x + b * y, hand.between(15.0, 90.0), left];
        let dark = if style.ruled { style.ink * hand.between(0.25, 0.7) } else { 0.0 };
        Self { corners, shadow, rules: [style.leading, dark, style.slope] }
    }

    /// The brightness of the paper at a position.
    fn at(&self, x: f32, y: f32, width: f32, height: f32) -> f32 {
        let (right, down) = (x / width, y / height);
        let [a, b, c, d] = self.corners;
        let even = (a * (1.0 - right) + b * right) * (1.0 - down) + (c * (1.0 - right) + d * right) * down;
        let [across, along, edge, soft, left] = self.shadow;
        let inside = ((x * across + y * along - edge) / soft + 0.5).clamp(0.0, 1.0);
        let [distance, dark, slope] = self.rules;
        // Ruled lines are a little below the baselines.
        let from_rule = (y - slope * x - 0.12 * distance).rem_euclid(distance);
        let rule = if from_rule < 2.2 { 1.0 - dark } else { 1.0 };
        even * (1.0 - inside * (1.0 - left)) * rule
    }
}

/// Renders a photo of the sheet.
fn photograph(sheet: &Sheet, style: &Style, grain: CounterRng, hand: &mut Hand) -> GrayImage {
    let light = Light::of(sheet, style, hand);
    let noise = hand.between(0.004, 0.03);
    let (width, height) = (sheet.width as f32, sheet.height as f32);
    GrayImage::from_fn(sheet.width, sheet.height, |x, y| {
        let place = y * sheet.width + x;
        let words = grain.block(place);
        // The sum of four uniform numbers is approximately normal.
        let sum: f32 = words.iter().map(|&word| crate::random::unit(word) - 0.5).sum();
        let ink = sheet.ink[place as usize];
        let paper = light.at(x as f32, y as f32, width, height);
        let seen = if style.light_ink {
            let board = 0.35 * paper;
            board + (0.95 * paper - board) * ink * (0.4 + style.ink)
        } else {
            paper * (1.0 - style.ink * ink)
        };
        Luma([((seen + noise * 1.7 * sum) * 255.0 + 0.5).clamp(0.0, 255.0) as u8])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_reproducible_and_their_boxes_fit_their_text() {
        let set = crate::data::glyphs::dataset();
        let glyphs = Glyphs::of(&set, set.test.as_ref().expect("there")).expect("characters");
        let page = draw(&glyphs, 1, 3);
        assert_eq!(page.image, draw(&glyphs, 1, 3).image);
        assert_ne!(page.lines, draw(&glyphs, 1, 4).lines);
        assert_eq!(page.lines.len(), LINES);
        for line in &page.lines {
            let text: String = line.characters.iter().map(|(character, _)| character).collect();
            assert_eq!(text, line.text.replace(' ', ""));
            assert!(line.characters.windows(2).all(|pair| pair[0].1.left < pair[1].1.left));
        }
    }

    #[test]
    fn a_dataset_of_other_classes_is_refused() {
        let mut set = crate::data::glyphs::dataset();
        set.classes[3] = "cat".into();
        let split = set.test.clone().expect("there");
        assert!(Glyphs::of(&set, &split).is_err());
    }
}
