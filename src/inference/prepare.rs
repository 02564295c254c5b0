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

/// What distinguishes the images and classes of another checkpoint from those of the first one, also how image files are prepared, without
/// a full stop. `None` if nothing does, so that both can be given the same prepared images and their probabilities averaged.
pub fn difference(first: &Checkpoint, other: &Checkpoint) -> Option<String> {
    let rule = |checkpoint: &Checkpoint| {
        let data = &checkpoint.recipe.data;
        preprocessing(&data.name, &data.asked()).filter(|rule| rule.input() == checkpoint.input)
    };
    let ink = |checkpoint: &Checkpoint| has_dark_ink(&checkpoint.recipe.data.name);
    let words = |checkpoint: &Checkpoint| match (rule(checkpoint), ink(checkpoint)) {
        (Some(rule), _) => format!("brought to their size by {}", rule.fit),
        (None, true) => "dark characters on a light background".into(),
        (None, false) => "characters, light on a dark background, or of any dataset of a fixed size".into(),
    };
    first.difference(other).or_else(|| {
        let differs = rule(first) != rule(other) || ink(first) != ink(other);
        differs.then(|| format!("its images are {}, those of the first are {}", words(other), words(first)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocking::block_on;
    use crate::data::{Fit, glyphs};
    use crate::train::Recipe;

    #[test]
    fn networks_whose_images_are_prepared_differently_differ() {
        let fresh = |dataset: &str, fit: Option<Fit>| {
            let trainer = Recipe::new("mlp").trainer(&glyphs::dataset());
            let mut made = block_on(trainer.expect("a trainer").checkpoint()).expect("a checkpoint");
            made.recipe.data.name = dataset.into();
            made.recipe.data.fit = fit;
            if preprocessing(dataset, &made.recipe.data.asked()).is_some() {
                made.input = [3, 64, 64];
            }
            made
        };
        let (middle, whole) = (fresh("pets", Some(Fit::CentreCrop)), fresh("cars", Some(Fit::Resize)));
        assert_eq!(difference(&middle, &fresh("cars", Some(Fit::CentreCrop))), None);
        let found = difference(&middle, &whole).expect("they differ");
        assert_eq!(
            found,
            "its images are brought to their size by resize, those of the first are brought to their size by centre-crop"
        );
        let found = difference(&fresh("glyphs", None), &fresh("nist36", None)).expect("they differ");
        assert!(found.starts_with("its images are dark characters on a light background"), "{found}");
        assert!(difference(&middle, &fresh("glyphs", None)).expect("they differ").contains("channels, height, width"));
    }
}
