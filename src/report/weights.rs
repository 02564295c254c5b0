//! The first layer's weights as a sheet of images: what each unit looks for.

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

use crate::data::Dataset;
use crate::nn::{Model, Parameter, Weights};
use crate::runs::first_weights;
use crate::train::Checkpoint;
use crate::{Error, Result};

/// Units that are shown at most.
const MOST: usize = 256;
/// The side that small images are enlarged to about.
const SHOWN: usize = 48;
const GAP: u32 = 4;
/// Neither light nor dark, so that it is no weight.
const PAPER: Rgb<u8> = Rgb([94, 110, 134]);

/// Sheets of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Sheets {
    /// The parameter's name and shape.
    pub layer: String,
    /// Units there are, and how many of them are shown.
    pub units: [usize; 2],
    /// As the run began, and the largest size of a weight; else why it cannot be had.
    pub before: std::result::Result<(RgbImage, f32), String>,
    /// As it ended.
    pub after: (RgbImage, f32),
}

/// One weight of each unit as images `[channels, height, width]`.
#[derive(Clone, Debug, PartialEq)]
struct Units<'a> {
    parameter: &'a Parameter,
    shape: [usize; 3],
}

/// The sheets of a checkpoint's first layer with weights, before and after; what it began with is drawn again from the seed,
/// and from the training images where the layer begins by them.
///
/// # Errors
/// When the layer's weights are no images, or the checkpoint is of another model.
pub fn sheets(model: &Model, checkpoint: &Checkpoint, dataset: Option<&Dataset>, imported: bool) -> Result<Sheets> {
    let units = Units::of(model)?;
    let after = checkpoint.weights_in_use(model.parameters())?;
    let recipe = &checkpoint.recipe;
    let before = match imported {
        true => Err(Error::usage("the weights were imported")),
        false => recipe.open_pretrained(None).and_then(|file| first_weights(model, recipe, dataset, file.as_ref())),
    };
    let count = units.count();
    Ok(Sheets {
        layer: format!("{} ({})", units.parameter.name, units.parameter.shape),
        units: [count, count.min(MOST)],
        before: before.map(|before| units.sheet(&before)).map_err(|error| error.to_string()),
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
                return Err(Error::usage(format!("the first weights, {name} ({shape}), do not stand over pixels")));
            }
        };
        Ok(Self { parameter, shape })
    }

    /// Images: one a unit in grey or colour, else one for each of its channels.
    fn count(&self) -> usize {
        let [_, height, width] = self.shape;
        self.parameter.shape.elements() / (self.channels() * height * width).max(1)
    }

    fn channels(&self) -> usize {
        if self.shape[0] == 3 { 3 } else { 1 }
    }

    /// The sheet, and the size of a weight that is white (or, below 0, black): the largest there is. 0 is mid-grey.
    fn sheet(&self, weights: &Weights) -> (RgbImage, f32) {
        let values = &weights.learned[self.parameter.range()];
        let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let scale = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        let [_, height, width] = self.shape;
        let (plane, channels) = (height * width, self.channels());
        let unit = channels * plane;
        let grow = (SHOWN / height.max(width).max(1)).max(1) as u32;
        let (cell_width, cell_height) = (width as u32 * grow + GAP, height as u32 * grow + GAP);
        let count = self.count().min(MOST);
        let columns = columns(count, cell_width);
        let rows = (count as u32).div_ceil(columns.max(1));
        let mut sheet = RgbImage::from_pixel(columns * cell_width + GAP, rows * cell_height + GAP, PAPER);
        for (number, values) in (0..).zip(values.chunks_exact(unit.max(1)).take(count)) {
            let byte =
                |channel: usize, at: usize| (128.0 + scale * values[channel.min(channels - 1) * plane + at]) as u8;
            let small = RgbImage::from_fn(width as u32, height as u32, |x, y| {
                let at = y as usize * width + x as usize;
                Rgb([byte(0, at), byte(1, at), byte(2, at)])
            });
            let shown = imageops::resize(&small, width as u32 * grow, height as u32 * grow, FilterType::Nearest);
            let (x, y) = (GAP + number % columns * cell_width, GAP + number / columns * cell_height);
            imageops::replace(&mut sheet, &shown, i64::from(x), i64::from(y));
        }
        (sheet, largest)
    }
}

/// As many columns as make a sheet about as wide as a page's half, but no more than make it a square's width.
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
        assert_eq!((sheet.get_pixel(10, 10).0, sheet.get_pixel(0, 0)), ([128; 3], &PAPER));
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
