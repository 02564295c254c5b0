//! MobileNetV2, with the parameter names of torchvision.

use super::ModelConfig;
use super::inverted::{conv, conv_norm_act, depthwise};
use crate::Result;
use crate::nn::{
    Activation, BatchNorm2d, Conv2d, Dropout, GlobalPool, Linear, Model, Pooling, Residual, Scheme, Sequence,
};

/// Stages of blocks: the expansion factor of the channels, output channels, number of blocks, and stride of the first block.
const STAGES: [[usize; 4]; 7] =
    [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]];

/// MobileNetV2 (M. Sandler, A. Howard, M. Zhu, A. Zhmoginov and L.-C. Chen, "MobileNetV2: Inverted residuals and linear
/// bottlenecks", CVPR 2018) with width multiplier 1.
///
/// # Errors
/// When a size is 0.
pub(super) fn mobilenet_v2(config: &ModelConfig, input: [usize; 3], classes: usize) -> Result<Model> {
    let scheme = config.init;
    let first = Conv2d { stride: 2.into(), ..conv(32, 3, scheme) };
    let mut layers = conv_bn_act(Sequence::new(), "features.0", first);
    let (mut inputs, mut number) = (32, 1);
    for [expansion, outputs, blocks, stride] in STAGES {
        for block in 0..blocks {
            let stride = if block == 0 { stride } else { 1 };
            let body = inverted(inputs, expansion, outputs, stride, scheme);
            layers = match stride == 1 && inputs == outputs {
                true => layers.with(format!("features.{number}"), Residual { body, ..Residual::default() }),
                false => layers.with(format!("features.{number}"), body),
            };
            (inputs, number) = (outputs, number + 1);
        }
    }
    layers = conv_bn_act(layers, &format!("features.{number}"), conv(1280, 1, scheme));
    layers = layers.with("pool", GlobalPool(Pooling::Average));
    if config.dropout > 0.0 {
        layers = layers.with("classifier.0", Dropout { rate: config.dropout });
    }
    Model::new("mobilenet_v2", &input, layers.with("classifier.1", Linear::new(classes, scheme)))
}

/// Adds a convolution, its batch norm and a ReLU6: `NAME.0`, `NAME.1`, `NAME.2`.
fn conv_bn_act(layers: Sequence, name: &str, conv: Conv2d) -> Sequence {
    conv_norm_act(layers, name, conv, BatchNorm2d::default(), Some(Activation::Relu6))
}

/// An inverted residual block: a 1x1 convolution to more channels, a depthwise 3x3 convolution, and a 1x1 convolution to
/// fewer channels without an activation.
fn inverted(inputs: usize, expansion: usize, outputs: usize, stride: usize, scheme: Scheme) -> Sequence {
    let wide = inputs * expansion;
    let (layers, depthwise_at) = match expansion {
        1 => (Sequence::new(), 0),
        _ => (conv_bn_act(Sequence::new(), "conv.0", conv(wide, 1, scheme)), 1),
    };
    conv_bn_act(layers, &format!("conv.{depthwise_at}"), depthwise(wide, 3, stride, scheme))
        .with(format!("conv.{}", depthwise_at + 1), conv(outputs, 1, scheme))
        .with(format!("conv.{}", depthwise_at + 2), BatchNorm2d::default())
}
