//! Images for a trained network.

use image::DynamicImage;

use crate::datasets::{has_dark_ink, preprocessing};
use crate::images::prepare;
use crate::train::Checkpoint;

/// Prepares an image like the training images of a checkpoint: channels x height x width values from 0 to 1. Images of a folder are
/// brought to their size by the folder's rule; others as [`prepare`] does.
pub fn prepare_for(image: &DynamicImage, checkpoint: &Checkpoint) -> Vec<f32> {
    let data = &checkpoint.recipe.data;
    match preprocessing(&data.name, &data.asked()).filter(|rule| rule.input() == checkpoint.input) {
        Some(rule) => rule.apply(image).into_iter().map(|byte| f32::from(byte) / 255.0).collect(),
        None if has_dark_ink(&data.name) => prepare(image, checkpoint.input).iter().map(|value| 1.0 - value).collect(),
        None => prepare(image, checkpoint.input),
    }
}
