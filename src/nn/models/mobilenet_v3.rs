//! MobileNetV3, small and large, with the parameter names of torchvision.

use super::ModelConfig;
use super::inverted::{Inverted, conv, conv_norm_act};
use crate::Result;
use crate::nn::{
    Activation, BatchNorm2d, Dropout, GlobalPool, Linear, Model, Pooling, Scheme, Sequence, SqueezeExcitation,
};

const RE: Activation = Activation::Relu;
const HS: Activation = Activation::Hardswish;

/// A block: kernel, channels of its depthwise convolution, output channels, whether it has squeeze and excitation, activation, stride.
type Block = (usize, usize, usize, bool, Activation, usize);

const SMALL: [Block; 11] = [
    (3, 16, 16, true, RE, 2),
    (3, 72, 24, false, RE, 2),
    (3, 88, 24, false, RE, 1),
    (5, 96, 40, true, HS, 2),
    (5, 240, 40, true, HS, 1),
    (5, 240, 40, true, HS, 1),
    (5, 120, 48, true, HS, 1),
    (5, 144, 48, true, HS, 1),
    (5, 288, 96, true, HS, 2),
    (5, 576, 96, true, HS, 1),
    (5, 576, 96, true, HS, 1),
];

const LARGE: [Block; 15] = [
    (3, 16, 16, false, RE, 1),
    (3, 64, 24, false, RE, 2),
    (3, 72, 24, false, RE, 1),
    (5, 72, 40, true, RE, 2),
    (5, 120, 40, true, RE, 1),
    (5, 120, 40, true, RE, 1),
    (3, 240, 80, false, HS, 2),
    (3, 200, 80, false, HS, 1),
    (3, 184, 80, false, HS, 1),
    (3, 184, 80, false, HS, 1),
    (3, 480, 112, true, HS, 1),
    (3, 672, 112, true, HS, 1),
    (5, 672, 160, true, HS, 2),
    (5, 960, 160, true, HS, 1),
    (5, 960, 160, true, HS, 1),
];

/// Of all batch norms, as in torchvision.
const NORM: BatchNorm2d = BatchNorm2d { momentum: 0.01, epsilon: 1e-3, learn_scale: true };

/// The channels after the first convolution.
const FIRST: usize = 16;

/// MobileNetV3 small (A. Howard et al., "Searching for MobileNetV3", ICCV 2019).
///
/// # Errors
/// When a size is 0.
pub(super) fn small(config: &ModelConfig, input: [usize; 3], classes: usize) -> Result<Model> {
    build("mobilenet_v3_small", &SMALL, 1024, config, (input, classes))
}

/// MobileNetV3 large, by the same authors.
///
/// # Errors
/// When a size is 0.
pub(super) fn large(config: &ModelConfig, input: [usize; 3], classes: usize) -> Result<Model> {
    build("mobilenet_v3_large", &LARGE, 1280, config, (input, classes))
}

/// The first convolution, the blocks, a convolution to six times as many channels, and the classifier with a hidden layer.
fn build(
    name: &str,
    blocks: &[Block],
    hidden: usize,
    config: &ModelConfig,
    (input, classes): ([usize; 3], usize),
) -> Result<Model> {
    let scheme = config.init;
    let mut first = conv(FIRST, 3, scheme);
    first.stride = 2.into();
    let mut layers = conv_norm_act(Sequence::new(), "features.0", first, NORM, Some(HS));
    let mut inputs = FIRST;
    for (number, &(kernel, expanded, outputs, squeezes, activation, stride)) in (1..).zip(blocks) {
        let squeeze = squeezes.then(|| squeeze_excitation(expanded, scheme));
        let block =
            Inverted { inputs, expanded, outputs, kernel, stride, squeeze, activation, norm: NORM, drop_rate: 0.0 };
        layers.push(format!("features.{number}"), block.layer(scheme));
        inputs = outputs;
    }
    let last = format!("features.{}", blocks.len() + 1);
    layers = conv_norm_act(layers, &last, conv(6 * inputs, 1, scheme), NORM, Some(HS));
    layers = layers.with("avgpool", GlobalPool(Pooling::Average));
    layers = layers.with("classifier.0", Linear::new(hidden, scheme)).with("classifier.1", HS);
    if config.dropout > 0.0 {
        layers = layers.with("classifier.2", Dropout { rate: config.dropout });
    }
    Model::new(name, &input, layers.with("classifier.3", Linear::new(classes, scheme)))
}

/// To a quarter of the channels, rounded to a multiple of eight that is not below nine tenths of it.
fn squeeze_excitation(channels: usize, scheme: Scheme) -> SqueezeExcitation {
    let quarter = channels / 4;
    let rounded = ((quarter + 4) / 8 * 8).max(8);
    let squeeze = if 10 * rounded < 9 * quarter { rounded + 8 } else { rounded };
    SqueezeExcitation { gate: Activation::Hardsigmoid, ..SqueezeExcitation::new(squeeze, scheme) }
}
