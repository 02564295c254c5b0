//! Reading of any image: noise, patterns, extreme shapes, damaged photos and pages of writing.

use gpunn::Engine;
use gpunn::data::glyphs;
use gpunn::ocr::synthetic::{Glyphs, draw};
use gpunn::ocr::{Reader, read};
use image::{DynamicImage, GrayImage, Luma, RgbImage};

use super::{change, files, images};
use crate::common::fuzz::{Dice, Fuzz};

/// A size: usual, of one row or column, or extreme.
fn size(dice: &mut Dice) -> (u32, u32) {
    let side = |dice: &mut Dice| {
        let most = *dice.one_of(&[3, 60, 400, 1200]);
        1 + dice.below(most) as u32
    };
    let (short, long) = (1 + dice.below(4) as u32, *dice.one_of(&[1, 1000, 65_535, 500_000, 2_000_000]));
    match dice.below(8) {
        0 => (long, short),
        1 => (short, long),
        _ => (side(dice), side(dice)),
    }
}

/// A grey image of a pattern.
fn pattern(dice: &mut Dice) -> GrayImage {
    let (width, height) = size(dice);
    let (low, high) = (dice.below(256) as u8, dice.below(256) as u8);
    let (right, down) = (1 + dice.below(40) as u32, 1 + dice.below(40) as u32);
    let seed = dice.below(1 << 20) as u32;
    let random = move |x: u32, y: u32| {
        let mixed = (x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77)).wrapping_add(seed);
        (mixed ^ (mixed >> 15)).wrapping_mul(0x2c1b_3c6d) >> 16
    };
    let rarity = *dice.one_of(&[2, 10, 100, 5000]);
    let kind = dice.below(8);
    GrayImage::from_fn(width, height, |x, y| {
        let ink = match kind {
            0 => false,
            1 => random(x, y) % rarity == 0,
            2 => x / right % 2 == 0,
            3 => y / down % 2 == 0,
            4 => (x / right + y / down) % 2 == 0,
            // Boxes as large as letters, in rows.
            5 => {
                x % (right + 3) < right
                    && y % (2 * down + 3) < down
                    && random(x / (right + 3), y / (2 * down + 3)) % 5 > 0
            }
            6 => x % (right + 3) < right && y % (down + 3) < down,
            _ => return Luma([(random(x, y) % 256) as u8]),
        };
        Luma([if ink { low } else { high }])
    })
}

/// Draws rectangles over an image, and turns it.
fn spoilt(mut image: GrayImage, dice: &mut Dice) -> DynamicImage {
    let (width, height) = image.dimensions();
    for _ in 0..dice.below(20) {
        let (left, top) = (dice.below(width as usize) as u32, dice.below(height as usize) as u32);
        let (right, bottom) = (left + dice.below(200) as u32, top + dice.below(60) as u32);
        let value = dice.below(256) as u8;
        for y in top..bottom.min(height) {
            (left..right.min(width)).for_each(|x| image.put_pixel(x, y, Luma([value])));
        }
    }
    let image = DynamicImage::ImageLuma8(image);
    match dice.below(6) {
        0 => image.rotate90(),
        1 => image.rotate180(),
        2 => DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |x, y| {
            let value = image.as_luma8().map_or(0, |grey| grey.get_pixel(x, y).0[0]);
            image::Rgb([value, value.wrapping_mul(3), 255 - value])
        })),
        _ => image,
    }
}

#[test]
fn reading() {
    let Some(fuzz) = Fuzz::alone("fuzz::reading::reading") else { return };
    gpunn::images::set_most_pixels(images::MOST_PIXELS);
    let dataset = glyphs::dataset();
    let letters = Glyphs::of(&dataset, &dataset.train).expect("letters");
    let pages: Vec<GrayImage> = (0..3).map(|number| draw(&letters, 5, number).image).collect();
    let photos = [files("tests/reading"), files("tests/images")].concat();
    let mut reader = Reader::new(Engine::cpu()).expect("a reader");
    fuzz.inputs(
        |dice| match dice.below(8) {
            0 => {
                let bytes = change::bytes(dice.one_of::<Vec<u8>>(&photos), dice);
                gpunn::images::decode(bytes, "a photo").unwrap_or_default()
            }
            1 => spoilt(dice.one_of(&pages).clone(), dice),
            _ => {
                let image = pattern(dice);
                spoilt(image, dice)
            }
        },
        |image| {
            if let Ok(page) = gpunn::blocking::block_on(read(&image, &mut reader)) {
                let _ = gpunn::ocr::overlay(&image, &page);
            }
        },
    );
}
