//! Maps of explanations over their images.

use image::RgbImage;

use crate::images::{from_values, heat_over};
use crate::train::{Explainer, HeatMap};

/// The image that was explained, from its values, and a copy of it under the map.
pub fn heat_image(values: &[f32], input: [usize; 3], explainer: &Explainer, map: &HeatMap) -> (RgbImage, RgbImage) {
    let ([_, height, width], seen) = (input, explainer.seen());
    let image = from_values(values, input);
    let heat = heat_over(&image, map, [seen[0] as f32 / height as f32, seen[1] as f32 / width as f32]);
    (image, heat)
}
