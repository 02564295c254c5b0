//! The first layer's weights as a sheet of images, one image per unit or filter.

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

use crate::data::Dataset;
use crate::nn::{Model, Parameter, Weights};
use crate::runs::first_weights;
use crate::train::Checkpoint;
use crate::{Error, Result};

/// The largest number of units shown.
const MAX_UNITS: usize = 256;
/// Smaller images are enlarged to about this side.
const SHOWN_SIDE: usize = 48;
const SPACING: u32 = 4;
/// Background: blue-gray, so that it differs from every weight.
const BACKGROUND: Rgb<u8> = Rgb([94, 110, 134]);

/// Why a layer's weights are the same before and after training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unchanged {
    /// The layer is not trained.
    Frozen,
    /// The layer is trained, but its weights are equal.
    Equal,
}

/// The weight images of one layer, before and after training.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightSheets {
    /// The parameter's name and shape.
    pub layer: String,
    /// Number of units, and how many of them are shown.
    pub units: [usize; 2],
    /// Whether the weights are the same before and after training.
    pub unchanged: Option<Unchanged>,
    /// Initial weights and their largest absolute value, unless they are the weights at the end; if they cannot be computed, the
    /// reason.
    pub before: std::result::Result<Option<(RgbImage, f32)>, String>,
    /// Weights at the end and their largest absolute value.
    pub after: (RgbImage, f32),
}

/// A weight tensor seen as one image `[channels, height, width]` per unit.
#[derive(Clone, Debug, PartialEq)]
struct Units<'a> {
    parameter: &'a Parameter,
    shape: [usize; 3],
}

/// The weights of a checkpoint's first layer with weights, before and after training. The initial weights are computed again
/// from the seed, and from the training images if the layer's initialization needs them.
///
/// # Errors
/// When the weights cannot be shown as images, or the checkpoint belongs to another model.
pub fn sheets(
    model: &Model,
    checkpoint: &Checkpoint,
    dataset: Option<&Dataset>,
    imported: bool,
) -> Result<WeightSheets> {
    let units = Units::of(model)?;
    let after = checkpoint.weights_in_use(model.parameters())?;
    let recipe = &checkpoint.recipe;
    let before = match imported {
        true => Err(Error::usage("the weights were imported")),
        false => {
            recipe.clone().open_pretrained(None).and_then(|file| first_weights(model, recipe, dataset, file.as_ref()))
        }
    };
    let range = units.parameter.range();
    let equal = before.as_ref().is_ok_and(|before| before.learned[range.clone()] == after.learned[range.clone()]);
    let frozen = model.parameters().is_frozen(units.parameter);
    let count = units.count();
    Ok(WeightSheets {
        layer: format!("{} ({})", units.parameter.name, units.parameter.shape),
        units: [count, count.min(MAX_UNITS)],
        unchanged: equal.then_some(if frozen { Unchanged::Frozen } else { Unchanged::Equal }),
        before: before.map(|before| (!equal).then(|| units.sheet(&before))).map_err(|error| error.to_string()),
        after: units.sheet(&after),
    })
}

impl<'a> Units<'a> {
    fn of(model: &'a Model) -> Result<Self> {
        let fits = |parameter: &&Parameter| parameter.name.ends_with("weight") && parameter.shape.dims().len() > 1;
        let parameter = model.parameters().iter().find(fits);
        let parameter = parameter.ok_or_else(|| Error::usage("no layer of the network has weights"))?;
        let input: Vec<usize> = model.input().to_vec();
        let shape = match (parameter.shape.dims(), input.as_slice()) {
            (&[_, inputs], &[channels, height, width]) if inputs == channels * height * width => {
                [channels, height, width]
            }
            (&[_, channels, height, width], _) => [channels, height, width],
            _ => {
                let (name, shape) = (&parameter.name, &parameter.shape);
                return Err(Error::usage(format!(
                    "the first layer's weights, {name} ({shape}), do not apply to pixels"
                )));
            }
        };
        Ok(Self { parameter, shape })
    }

    /// Number of images: one per unit for gray or RGB weights, else one per input channel of each unit.
    fn count(&self) -> usize {
        let [_, height, width] = self.shape;
        self.parameter.shape.elements() / (self.channels() * height * width).max(1)
    }

    fn channels(&self) -> usize {
        if self.shape[0] == 3 { 3 } else { 1 }
    }

    /// The sheet, and the largest absolute weight. That value is white, its negative is black, and 0 is mid-gray.
    fn sheet(&self, weights: &Weights) -> (RgbImage, f32) {
        let values = &weights.learned[self.parameter.range()];
        let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let scale = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        let [_, height, width] = self.shape;
        let (plane, channels) = (height * width, self.channels());
        let unit = channels * plane;
        let grow = (SHOWN_SIDE / height.max(width).max(1)).max(1) as u32;
        let (cell_width, cell_height) = (width as u32 * grow + SPACING, height as u32 * grow + SPACING);
        let count = self.count().min(MAX_UNITS);
        let columns = columns(count, cell_width);
        let rows = (count as u32).div_ceil(columns.max(1));
        let mut sheet = RgbImage::from_pixel(columns * cell_width + SPACING, rows * cell_height + SPACING, BACKGROUND);
        for (number, values) in (0..).zip(values.chunks_exact(unit.max(1)).take(count)) {
            let byte =
                |channel: usize, at: usize| (128.0 + scale * values[channel.min(channels - 1) * plane + at]) as u8;
            let small = RgbImage::from_fn(width as u32, height as u32, |x, y| {
                let at = y as usize * width + x as usize;
                Rgb([byte(0, at), byte(1, at), byte(2, at)])
            });
            let shown = imageops::resize(&small, width as u32 * grow, height as u32 * grow, FilterType::Nearest);
            let (x, y) = (SPACING + number % columns * cell_width, SPACING + number / columns * cell_height);
            imageops::replace(&mut sheet, &shown, i64::from(x), i64::from(y));
        }
        (sheet, largest)
    }
}

/// Columns of a sheet: about square, at most 800 pixels wide.
fn columns(count: usize, cell: u32) -> u32 {
    let square = (count as f64).sqrt().ceil() as u32;
    square.max(4).min((800 / cell.max(1)).max(1)).min(count.max(1) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Recipe;

    fn sample(model: &Model) -> Weights {
        let mut weights = model.parameters().initial_weights(3);
        weights.learned.iter_mut().for_each(|value| *value = 0.0);
        weights
    }

    #[test]
    fn a_unit_of_an_mlp_is_a_image_and_zero_is_mid_grey() {
        let recipe = Recipe::find("glyphs-mlp").expect("a recipe");
        let model = recipe.build_model([1, 32, 32], 36).expect("a model");
        let units = Units::of(&model).expect("units");
        assert_eq!((units.shape, units.count()), ([1, 32, 32], 64));
        let mut weights = sample(&model);
        (weights.learned[0], weights.learned[33]) = (2.0, -1.0);
        let (sheet, largest) = units.sheet(&weights);
        assert_eq!((largest, sheet.get_pixel(4, 4).0, sheet.get_pixel(5, 5).0), (2.0, [255; 3], [64; 3]));
        assert_eq!((sheet.get_pixel(10, 10).0, sheet.get_pixel(0, 0)), ([128; 3], &BACKGROUND));
    }

    #[test]
    fn filters_over_three_channels_are_in_colour() {
        let recipe = Recipe::find("cifar10-cnn").expect("a recipe");
        let model = recipe.build_model([3, 32, 32], 10).expect("a model");
        let units = Units::of(&model).expect("units");
        assert_eq!((units.shape, units.count()), ([3, 4, 4], 32));
        let mut weights = sample(&model);
        weights.learned[16] = -1.0; // green of the first filter's first pixel
        let (sheet, _) = units.sheet(&weights);
        assert_eq!((sheet.get_pixel(4, 4).0, sheet.get_pixel(4 + 12, 4).0), ([128, 1, 128], [128; 3]));
    }
}
