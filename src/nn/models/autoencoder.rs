//! Autoencoders: networks that reconstruct images from a short code.

use super::ModelConfig;
use crate::nn::{Activation, BatchNorm2d, Conv2d, ConvTranspose2d, Flatten, Linear, Model, Pair, Sequence, Unflatten};
use crate::{Error, Result};

use super::resnet::conv3x3;

/// An autoencoder of fully connected layers. It has as many outputs as the image has values, and a sigmoid after the last
/// layer. The bottleneck is after the activation of the narrowest hidden layer; of several, the middle one.
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

/// A convolutional autoencoder, designed for this project. The encoder has 3x3 convolutions of stride 2, each with batch
/// norm and an activation, then a linear layer to the code, which has no activation. The decoder has a linear layer, then
/// transposed convolutions that undo the changes of size in reverse order, and a sigmoid.
///
/// # Errors
/// When a size is 0, or `hidden` is not exactly one width.
pub(super) fn convolutional(config: &ModelConfig, input: [usize; 3], _: usize) -> Result<Model> {
    let channels = config.channels.clone().unwrap_or_else(|| vec![32, 64, 128]);
    let activation = config.activation.unwrap_or(Activation::Relu);
    let width = match config.hidden.as_deref() {
        None => 32,
        Some(&[width]) => width,
        Some(widths) => {
            return Err(Error::usage(format!(
                "The model autoencoder-conv takes one number of hidden features, the length of its code, but {widths:?} was given."
            )));
        }
    };
    let mut layers = Sequence::new();
    // The shape of each convolution's input and of the last one's output. The decoder needs the same sizes.
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

/// The transposed convolution that undoes the change of size of [`conv3x3`] with stride 2.
fn widened([_, height, width]: [usize; 3], to: [usize; 3], config: &ModelConfig) -> ConvTranspose2d {
    let [outputs, to_height, to_width] = to;
    let Conv2d { kernel, stride, padding, scheme, .. } = conv3x3(outputs, 2, config.init);
    // Without output padding there are (size - 1) 2 - 2 + 3 pixels.
    let more = |to: usize, size: usize| (to + 1).saturating_sub(2 * size);
    let output_padding = Pair([more(to_height, height), more(to_width, width)]);
    ConvTranspose2d { outputs, kernel, stride, padding, output_padding, bias: true, scheme }
}
