//! Airbench, a network for very fast CIFAR-10 training.

use super::{ModelConfig, head};
use crate::nn::{
    Activation, BatchNorm2d, GlobalPool, Linear, Model, Pool2d, Pooling, Residual, Scale, Scheme, Sequence, Whitening,
};
use crate::{Error, Result};

use super::resnet::conv3x3;

/// The network of K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU" (2024): a whitening layer, three blocks of
/// two convolutions with a max-pool in each, a global max-pool, and logits that are divided by 9. Its recipe uses
/// `init = "dirac"`. The weights of the batch norms are not learned, and their momentum is 0.4.
///
/// With `depth = 3` a block is that of airbench96: a third convolution, a shortcut around the last two, and the usual momentum
/// of batch norms, 0.1.
///
/// # Errors
/// When the depth is not 2 or 3, a size is 0, or the images are below 9 pixels a side.
pub(super) fn airbench(config: &ModelConfig, input: [usize; 3], classes: usize) -> Result<Model> {
    let widths = config.stages([64, 256, 256])?;
    let depth = config.depth.unwrap_or(2);
    if !(2..=3).contains(&depth) {
        return Err(Error::out_of_range("The number of convolutions in a block of airbench (depth)", depth, "2 or 3"));
    }
    let activation = config.activation.unwrap_or(Activation::Gelu);
    let whitening = Whitening { scheme: config.init, ..Whitening::default() };
    let mut layers = Sequence::new().with("whiten", whitening).with("act", activation);
    for (number, width) in (1..).zip(widths) {
        layers = layers.with(format!("block{number}"), block(width, depth, config.init, activation));
    }
    let layers = layers.with("pool", GlobalPool(Pooling::Max));
    let layers = head(layers, config, Linear { bias: false, ..Linear::new(classes, config.init) });
    let layers = layers.with("scale", Scale { factor: config.logit_scale.unwrap_or(1.0 / 9.0) });
    Model::new("airbench", &input, layers)
}

/// Two or three convolutions, each with batch norm and an activation. A max-pool after the first one halves height and width.
fn block(width: usize, depth: usize, scheme: Scheme, activation: Activation) -> Sequence {
    let momentum = if depth == 2 { 0.4 } else { BatchNorm2d::default().momentum };
    let norm = BatchNorm2d { momentum, learn_scale: false, ..BatchNorm2d::default() };
    let second = |layers: Sequence| {
        let layers = layers.with("conv2", conv3x3(width, 1, scheme)).with("bn2", norm);
        layers.with("act2", activation)
    };
    let first = Sequence::new()
        .with("conv1", conv3x3(width, 1, scheme))
        .with("pool", Pool2d::new(Pooling::Max, 2))
        .with("bn1", norm)
        .with("act1", activation);
    if depth == 2 {
        return second(first);
    }
    let body = second(Sequence::new()).with("conv3", conv3x3(width, 1, scheme)).with("bn3", norm);
    first.with("residual", Residual { body, activation: Some(activation), ..Residual::default() })
}
