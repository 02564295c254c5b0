//! RegNetY-400MF, with the parameter names of torchvision.

use super::inverted::{conv, conv_norm_act};
use super::{ModelConfig, head};
use crate::Result;
use crate::nn::{
    Activation, BatchNorm2d, Conv2d, GlobalPool, Linear, Model, Pooling, Residual, Scheme, Sequence, SqueezeExcitation,
};

/// Stages: channels and number of blocks. Each begins with stride 2.
const STAGES: [[usize; 2]; 4] = [[48, 1], [104, 3], [208, 6], [440, 6]];

/// The channels after the first convolution.
const FIRST: usize = 32;

/// The channels of a group of the 3x3 convolutions.
const GROUP: usize = 8;

/// RegNetY with 400 million multiplications and additions (I. Radosavovic, R. P. Kosaraju, R. Girshick, K. He and P. Dollar, "Designing
/// network design spaces", CVPR 2020).
///
/// # Errors
/// When a size is 0.
pub(super) fn regnet_y_400mf(config: &ModelConfig, input: [usize; 3], classes: usize) -> Result<Model> {
    let scheme = config.init;
    let mut first = conv(FIRST, 3, scheme);
    first.stride = 2.into();
    let mut layers = with_norm(Sequence::new(), "stem", first, true);
    let mut inputs = FIRST;
    for (stage, [outputs, blocks]) in (1..).zip(STAGES) {
        for number in 0..blocks {
            let stride = if number == 0 { 2 } else { 1 };
            let name = format!("trunk_output.block{stage}.block{stage}-{number}");
            layers = layers.with(name, block(inputs, outputs, stride, scheme));
            inputs = outputs;
        }
    }
    let layers = layers.with("avgpool", GlobalPool(Pooling::Average));
    Model::new("regnet_y_400mf", &input, head(layers, config, Linear::new(classes, scheme)))
}

/// Adds a convolution, its batch norm and perhaps a ReLU.
fn with_norm(layers: Sequence, name: &str, conv: Conv2d, active: bool) -> Sequence {
    conv_norm_act(layers, name, conv, BatchNorm2d::default(), active.then_some(Activation::Relu))
}

/// A 1x1 convolution `f.a`, a 3x3 convolution in groups `f.b`, squeeze and excitation `f.se` to a quarter of the block's inputs, a 1x1
/// convolution `f.c`, and a shortcut, which is a 1x1 convolution `proj` where the shape changes.
fn block(inputs: usize, outputs: usize, stride: usize, scheme: Scheme) -> Residual {
    let grouped = Conv2d { stride: stride.into(), groups: outputs / GROUP, ..conv(outputs, 3, scheme) };
    let body = with_norm(Sequence::new(), "f.a", conv(outputs, 1, scheme), true);
    let body = with_norm(body, "f.b", grouped, true).with("f.se", SqueezeExcitation::new(inputs / 4, scheme));
    let body = with_norm(body, "f.c", conv(outputs, 1, scheme), false);
    let projection = Conv2d { stride: stride.into(), ..conv(outputs, 1, scheme) };
    let shortcut = match stride != 1 || inputs != outputs {
        true => Sequence::new().with("0", projection).with("1", BatchNorm2d::default()),
        false => Sequence::new(),
    };
    Residual { body, shortcut, shortcut_name: "proj", activation: Some(Activation::Relu), ..Residual::default() }
}
