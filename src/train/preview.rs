//! A preview of augmented images, as the network gets them.

use crate::Result;
use crate::data::{Pixels, Split};
use crate::ops::augment::{Augment, AugmentMode};

use super::inputs;

/// The first `per_class` images `[channels, height, width]` of each class, augmented as in the first training step of a run
/// with this seed, and their shape. The normalisation is reversed, so that 0 is black and 1 is white.
///
/// # Errors
/// When the augmentation does not fit the images, or they cannot be read.
pub fn augmented(
    augment: &Augment,
    split: &Split,
    input: [usize; 3],
    per_class: usize,
    seed: u64,
) -> Result<(Split, [usize; 3])> {
    let shape = augment.output(input)?;
    let chosen = split.select(&split.first_of_each(per_class));
    let mut values = inputs::seen(augment, &chosen, input, AugmentMode::Random, seed)?;
    let level = |levels: &Option<Vec<f64>>, channel: usize, other: f64| {
        levels.as_ref().and_then(|levels| levels.get(channel)).map_or(other as f32, |&level| level as f32)
    };
    for (plane, values) in values.chunks_mut(shape[1] * shape[2]).enumerate() {
        let channel = plane % shape[0];
        let (mean, std) = (level(&augment.mean, channel, 0.0), level(&augment.std, channel, 1.0));
        values.iter_mut().for_each(|value| *value = *value * std + mean);
    }
    Ok((Split { pixels: Pixels::F32(values), ..chosen }, shape))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_takes_normalisation_back_and_keeps_a_few_of_each_class() {
        let split = Split::new(Pixels::U8((0..48).map(|i| i * 5).collect()), vec![0, 0, 1]);
        let augment = Augment { mean: Some(vec![0.4]), std: Some(vec![0.2]), crop: Some([4, 4]), ..Augment::default() };
        let (seen, shape) = augmented(&augment, &split, [1, 4, 4], 1, 3).expect("images");
        assert_eq!((shape, seen.labels.as_slice()), ([1, 4, 4], &[0, 1][..]));
        for (number, original) in [(0, 0), (1, 2)] {
            let (seen, original) = (seen.image(number).expect("one"), split.image(original).expect("one"));
            assert!(seen.iter().zip(&original).all(|(a, b)| (a - b).abs() < 1e-6), "{seen:?} {original:?}");
        }
    }
}
