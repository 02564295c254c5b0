//! Image files: decoded, turned, and brought to the size of a network.

use gpunn::data::{Fit, ImageOptions, Size};
use gpunn::images::{self, Preprocessing};

use super::{change, files};
use crate::common::fuzz::Fuzz;

/// The most pixels of an image here. The default allows a gigabyte for one image.
pub const MOST_PIXELS: u64 = 4_000_000;

#[test]
fn images() {
    let Some(fuzz) = Fuzz::alone("fuzz::images::images") else { return };
    images::set_most_pixels(MOST_PIXELS);
    let seeds = files("tests/images");
    fuzz.inputs(
        |dice| {
            let mut bytes = change::bytes(dice.one_of::<Vec<u8>>(&seeds), dice);
            if !dice.once_in(4) {
                change::png_sums(&mut bytes);
            }
            let size = Size::Sides([1 + dice.below(70), 1 + dice.below(70)]);
            let fit = *dice.one_of(&[Fit::CentreCrop, Fit::Resize, Fit::ResizeCrop, Fit::ResizeMiddle]);
            (bytes, ImageOptions { size: Some(size), fit: Some(fit), channels: Some(*dice.one_of(&[1, 3])) })
        },
        |(bytes, options)| {
            if let Ok(image) = images::decode(bytes, "an image") {
                let preprocessing = Preprocessing::DEFAULT.with(&options);
                let values = preprocessing.apply(&image);
                assert_eq!(values.len(), preprocessing.input().iter().product::<usize>());
                let _ = images::prepare(&image, preprocessing.input());
            }
        },
    );
}
