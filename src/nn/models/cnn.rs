//! The plain convolutional network.

use super::ModelConfig;
use super::fully_connected::classifier;
use crate::Result;
use crate::nn::{Activation, Conv2d, Flatten, Model, Pool2d, Pooling, Sequence};

/// The default sizes of a `cnn` for one kind of images.
struct CnnSizes {
    channels: &'static [usize],
    kernel: usize,
    padding: usize,
    hidden: usize,
}

/// For grey images, such as characters: recipe `nist36-cnn`.
const CHARACTERS: CnnSizes = CnnSizes { channels: &[20, 40, 30], kernel: 3, padding: 0, hidden: 64 };
/// For small colour images: recipe `cifar10-cnn`.
const SMALL: CnnSizes = CnnSizes { channels: &[32, 64, 16], kernel: 4, padding: 1, hidden: 50 };
/// For photos: recipe `sun8-cnn`.
const PHOTOS: CnnSizes = CnnSizes { channels: &[32, 64, 16, 8], kernel: 3, padding: 1, hidden: 512 };

/// Convolutions, each with an activation and a 2x2 max-pool, then fully connected layers: `conv1`, `conv2`, ..., `fc1`,
/// and so on. Sizes that are left out depend on the shape of the images.
///
/// # Errors
/// When a size is 0, or the images are too small for this number of convolutions.
pub(super) fn cnn(config: &ModelConfig, input: [usize; 3], classes: usize) -> Result<Model> {
    let default = match input {
        [1, ..] => CHARACTERS,
        [_, height, width] if height.min(width) >= 128 => PHOTOS,
        _ => SMALL,
    };
    let channels = config.channels.as_deref().unwrap_or(default.channels);
    let kernel = config.kernel.unwrap_or(default.kernel);
    let padding = config.padding.unwrap_or(default.padding);
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
    let hidden = config.hidden.clone().unwrap_or_else(|| vec![default.hidden]);
    let layers = layers.with("flatten", Flatten);
    let layers = classifier(layers, config, &hidden, Activation::Relu, classes, channels.len() + 1);
    Model::new("cnn", &input, layers)
}
