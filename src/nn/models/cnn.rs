//! The plain convolutional network.

use super::ModelConfig;
use super::fully_connected::classifier;
use crate::Result;
use crate::nn::{Activation, Conv2d, Flatten, Model, Pool2d, Pooling, Sequence};

/// The sizes of one of the source's networks.
struct CnnSizes {
    channels: &'static [usize],
    kernel: usize,
    padding: usize,
    hidden: usize,
}

/// For characters: `nist36-cnn`.
const CHARACTERS: CnnSizes = CnnSizes { channels: &[20, 40, 30], kernel: 3, padding: 0, hidden: 64 };
/// For small coloured images: `cifar10-cnn`.
const SMALL: CnnSizes = CnnSizes { channels: &[32, 64, 16], kernel: 4, padding: 1, hidden: 50 };
/// For photos: `sun8-cnn`.
const PHOTOS: CnnSizes = CnnSizes { channels: &[32, 64, 16, 8], kernel: 3, padding: 1, hidden: 512 };

/// Convolutions, each with an activation and a max-pool of 2, then fully connected layers: `conv1`, `conv2`, ..., `fc1`,
/// ... What is left out is that of the source's network for such images.
///
/// # Errors
/// When a size is 0, or the images are too small for so many convolutions.
pub(super) fn cnn(config: &ModelConfig, input: [usize; 3], classes: usize) -> Result<Model> {
    let own = match input {
        [1, ..] => CHARACTERS,
        [_, height, width] if height.min(width) >= 128 => PHOTOS,
        _ => SMALL,
    };
    let channels = config.channels.as_deref().unwrap_or(own.channels);
    let kernel = config.kernel.unwrap_or(own.kernel);
    let padding = config.padding.unwrap_or(own.padding);
    let mut layers = Sequence::new();
    for (number, &outputs) in (1..).zip(channels) {
        layers = layers
            .with(
                format!("conv{number}"),
                Conv2d { padding: padding.into(), ..Conv2d::new(outputs, kernel, config.init) },
            )
            .with(format!("act{number}"), config.activation.unwrap_or(Activation::Relu))
            .with(format!("pool{number}"), Pool2d::new(Pooling::Max, 2));
    }
    let hidden = config.hidden.clone().unwrap_or_else(|| vec![own.hidden]);
    let layers = layers.with("flatten", Flatten);
    let layers = classifier(layers, config, &hidden, Activation::Relu, classes, channels.len() + 1);
    Model::new("cnn", &input, layers)
}
