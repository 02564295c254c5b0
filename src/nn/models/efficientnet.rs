//! EfficientNet-B0, with the parameter names of torchvision.

use super::ModelConfig;
use super::inverted::{Inverted, conv, conv_norm_act};
use crate::Result;
use crate::nn::{Activation, BatchNorm2d, Dropout, GlobalPool, Linear, Model, Pooling, Sequence, SqueezeExcitation};

/// Stages of blocks: the expansion factor of the channels, kernel, stride of the first block, output channels, number of blocks.
const STAGES: [[usize; 5]; 7] = [
    [1, 3, 1, 16, 1],
    [6, 3, 2, 24, 2],
    [6, 5, 2, 40, 2],
    [6, 3, 2, 80, 3],
    [6, 5, 1, 112, 3],
    [6, 5, 2, 192, 4],
    [6, 3, 1, 320, 1],
];

/// The channels after the first convolution.
const FIRST: usize = 32;

const ACTIVATION: Activation = Activation::Silu;

/// EfficientNet-B0 (M. Tan and Q. Le, "EfficientNet: Rethinking model scaling for convolutional neural networks", ICML 2019). The rate of
/// stochastic depth grows from 0 towards the configured one, block by block.
///
/// # Errors
/// When a size is 0.
pub(super) fn efficientnet_b0(config: &ModelConfig, input: [usize; 3], classes: usize) -> Result<Model> {
    let (scheme, norm) = (config.init, BatchNorm2d::default());
    let drop_rate = config.stochastic_depth.unwrap_or(0.2);
    let mut first = conv(FIRST, 3, scheme);
    first.stride = 2.into();
    let mut layers = conv_norm_act(Sequence::new(), "features.0", first, norm, Some(ACTIVATION));
    let blocks_in_all: usize = STAGES.iter().map(|[.., blocks]| blocks).sum();
    let (mut inputs, mut before) = (FIRST, 0);
    for (stage, [expansion, kernel, stride, outputs, blocks]) in (1..).zip(STAGES) {
        for block in 0..blocks {
            let squeeze = SqueezeExcitation::new((inputs / 4).max(1), scheme);
            let block_of_stage = Inverted {
                inputs,
                expanded: inputs * expansion,
                outputs,
                kernel,
                stride: if block == 0 { stride } else { 1 },
                squeeze: Some(SqueezeExcitation { activation: ACTIVATION, ..squeeze }),
                activation: ACTIVATION,
                norm,
                drop_rate: drop_rate * before as f32 / blocks_in_all as f32,
            };
            layers.push(format!("features.{stage}.{block}"), block_of_stage.layer(scheme));
            (inputs, before) = (outputs, before + 1);
        }
    }
    let last = format!("features.{}", STAGES.len() + 1);
    layers = conv_norm_act(layers, &last, conv(4 * inputs, 1, scheme), norm, Some(ACTIVATION));
    layers = layers.with("avgpool", GlobalPool(Pooling::Average));
    if config.dropout > 0.0 {
        layers = layers.with("classifier.0", Dropout { rate: config.dropout });
    }
    Model::new("efficientnet_b0", &input, layers.with("classifier.1", Linear::new(classes, scheme)))
}
