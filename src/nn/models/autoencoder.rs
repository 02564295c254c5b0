//! Networks that give images back through few numbers.

use super::ModelConfig;
use crate::nn::{Activation, BatchNorm2d, Conv2d, ConvTranspose2d, Flatten, Linear, Model, Pair, Sequence, Unflatten};
use crate::{Error, Result};

use super::resnet::conv3x3;

/// An autoencoder of fully connected layers: as many outputs as pixels, with a sigmoid after the last layer. Its bottleneck
/// is the narrowest hidden layer, of several the middle one, after its activation.
///
/// # Errors
/// When a size is 0, or there is no hidden layer.
pub(super) fn autoencoder(config: &ModelConfig, input: [usize; 3], _: usize) -> Result<Model> {
    let hidden = config.hidden.clone().unwrap_or_else(|| vec![32; 3]);
    let narrowest: Vec<usize> = (0..hidden.len()).filter(|&at| Some(&hidden[at]) == hidden.iter().min()).collect();
    let Some(&middle) = narrowest.get(narrowest.len().saturating_sub(1) / 2) else {
        return Err(Error::usage(
            "An autoencoder without a hidden layer has no bottleneck; name one, as in --hidden 32.",
        ));
    };
    let mut layers = Sequence::new().with("flatten", Flatten);
    let mut encoder = 0;
    let sizes: Vec<usize> = hidden.into_iter().chain([input.iter().product()]).collect();
    for (number, &outputs) in (1..).zip(&sizes) {
        let last = number == sizes.len();
        let activation = if last { Activation::Sigmoid } else { config.activation.unwrap_or(Activation::Relu) };
        layers = layers
            .with(format!("fc{number}"), Linear::new(outputs, config.init))
            .with(format!("act{number}"), activation);
        if number == middle + 1 {
            encoder = layers.iter().len();
        }
    }
    Model::new("autoencoder", &input, layers)?.with_bottleneck(encoder)
}

/// A convolutional autoencoder of our own: 3x3 convolutions of stride 2, each with batch norm and an activation, down to a
/// small image of many channels; a linear layer to the few numbers in the middle, and back from them by another; then
/// transposed convolutions that mirror the first ones, size by size, and a sigmoid. The numbers in the middle have no
/// activation.
///
/// # Errors
/// When a size is 0, or more or fewer than one width is asked for the middle.
pub(super) fn convolutional(config: &ModelConfig, input: [usize; 3], _: usize) -> Result<Model> {
    let channels = config.channels.clone().unwrap_or_else(|| vec![32, 64, 128]);
    let activation = config.activation.unwrap_or(Activation::Relu);
    let width = match config.hidden.as_deref() {
        None => 32,
        Some(&[width]) => width,
        Some(widths) => {
            return Err(Error::usage(format!(
                "The model autoencoder-conv takes one number of hidden features, those in its middle, but {widths:?} was given."
            )));
        }
    };
    let mut layers = Sequence::new();
    // The images that go into each convolution, so that the way back has the same sizes, and the last one's result.
    let mut sizes = vec![input];
    for (number, &outputs) in (1..).zip(&channels) {
        layers = layers
            .with(format!("conv{number}"), conv3x3(outputs, 2, config.init))
            .with(format!("bn{number}"), BatchNorm2d::default())
            .with(format!("act{number}"), activation);
        let [_, height, breadth] = sizes[sizes.len() - 1];
        sizes.push([outputs, height.div_ceil(2), breadth.div_ceil(2)]);
    }
    let layers = layers.with("flatten", Flatten).with("encode", Linear::new(width, config.init));
    let encoder = layers.iter().len();
    let smallest = sizes[channels.len()];
    let mut layers = layers
        .with("decode", Linear::new(smallest.iter().product(), config.init))
        .with("unflatten", Unflatten { shape: smallest })
        .with("bn", BatchNorm2d::default())
        .with("act", activation);
    for (number, pair) in (1..=channels.len()).rev().zip(sizes.windows(2).rev()) {
        let (to, from) = (pair[0], pair[1]);
        let back = ConvTranspose2d { bias: number == 1, ..widened(from, to, config) };
        layers = layers.with(format!("deconv{number}"), back);
        if number > 1 {
            layers =
                layers.with(format!("debn{number}"), BatchNorm2d::default()).with(format!("deact{number}"), activation);
        }
    }
    let layers = layers.with("sigmoid", Activation::Sigmoid).with("image", Flatten);
    Model::new("autoencoder-conv", &input, layers)?.with_bottleneck(encoder)
}

/// The transposed convolution that brings an image back to the size from which [`conv3x3`] with stride 2 made its own.
fn widened([_, height, width]: [usize; 3], to: [usize; 3], config: &ModelConfig) -> ConvTranspose2d {
    let [outputs, to_height, to_width] = to;
    let Conv2d { kernel, stride, padding, scheme, .. } = conv3x3(outputs, 2, config.init);
    // Without more, (size - 1) 2 - 2 + 3 pixels.
    let more = |to: usize, size: usize| (to + 1).saturating_sub(2 * size);
    let output_padding = Pair([more(to_height, height), more(to_width, width)]);
    ConvTranspose2d { outputs, kernel, stride, padding, output_padding, bias: true, scheme }
}
