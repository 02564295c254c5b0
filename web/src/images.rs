//! The user's images.

use gpunn::data::{Dataset, SplitName};
use gpunn::train::Recipe;
use wasm_bindgen::prelude::*;

use crate::recipes::with_name;
use crate::thrown;

/// The share of a user's images that is held out for validation, as in `gpunn train`, unless a recipe says another.
const HELD_OUT: f64 = 0.15;
/// Height and width of images whose recipe says no size.
const SIDE: usize = 32;

/// A user's images, of one size.
#[wasm_bindgen]
pub struct Images {
    side: usize,
    /// 3, or 1 if the images are gray.
    channels: usize,
    pixels: Vec<u8>,
    labels: Vec<u32>,
    classes: Vec<String>,
}

#[wasm_bindgen]
impl Images {
    /// No images yet, of `side` x `side` pixels, in colour or gray, for these classes.
    #[wasm_bindgen(constructor)]
    pub fn new(side: usize, gray: bool, classes: Vec<String>) -> Images {
        Self { side, channels: if gray { 1 } else { 3 }, pixels: Vec::new(), labels: Vec::new(), classes }
    }

    /// Adds an image of a class: red, green, blue and alpha of each pixel, as a canvas gives them. Of a gray image red counts.
    pub fn add(&mut self, rgba: &[u8], class: u32) {
        for channel in 0..self.channels {
            self.pixels.extend(rgba.chunks_exact(4).map(|pixel| pixel[channel]));
        }
        self.labels.push(class);
    }
}

impl Images {
    /// The images, of which this part is held out for validation.
    pub(crate) fn dataset(self, seed: u64, part: Option<f64>) -> gpunn::Result<Dataset> {
        let mut dataset =
            Dataset::from_images(self.pixels, [self.channels, self.side, self.side], self.labels, self.classes)?;
        dataset.name = "your images".into();
        dataset.hold_out(SplitName::Val, part.unwrap_or(HELD_OUT), seed)
    }
}

/// Height and width of the square images that a recipe takes. `recipe` is as for `Session::begin`.
#[wasm_bindgen]
pub fn image_side(recipe: &str) -> Result<usize, JsError> {
    side_of(&with_name(recipe).map_err(thrown)?)
}

/// As [`image_side`].
pub(crate) fn side_of(recipe: &Recipe) -> Result<usize, JsError> {
    match recipe.data.size.map(gpunn::data::Size::sides) {
        None => Ok(SIDE),
        Some([height, width]) if height == width => Ok(height),
        Some([height, width]) => Err(JsError::new(&format!(
            "The page takes square images, but the recipe says {height} x {width}: change its `size`."
        ))),
    }
}
