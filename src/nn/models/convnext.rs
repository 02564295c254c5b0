//! ConvNeXt: tiny with the parameter names of torchvision, atto with those of timm.

use super::ModelConfig;
use super::inverted::depthwise;
use crate::Result;
use crate::nn::{
    Activation, ChannelScale, Conv2d, Dropout, GlobalPool, LayerNorm2d, Linear, Model, PointwiseLinear, Pooling,
    Residual, Scheme, Sequence,
};

/// The names of layers, and what of the parameters' shapes depends on the library.
struct Names {
    /// Of the first convolution and its norm.
    stem: [&'static str; 2],
    /// Of the norm and the convolution before a stage, by the stage from 1 on.
    downsample: fn(usize) -> [String; 2],
    /// Of a block, by stage and number.
    block: fn(usize, usize) -> String,
    /// Of a block's depthwise convolution, norm, first and second product, and channel scale.
    inside: [&'static str; 5],
    /// Of the norm and the product after the global pool.
    head: [&'static str; 2],
    /// Whether a block's products have weights of two axes, and its scale one of three.
    linear: bool,
}

const TORCHVISION: Names = Names {
    stem: ["features.0.0", "features.0.1"],
    downsample: |stage| [0, 1].map(|part| format!("features.{}.{part}", 2 * stage)),
    block: |stage, number| format!("features.{}.{number}", 2 * stage + 1),
    inside: ["block.0", "block.2", "block.3", "block.5", "layer_scale"],
    head: ["classifier.0", "classifier.2"],
    linear: true,
};

const TIMM: Names = Names {
    stem: ["stem.0", "stem.1"],
    downsample: |stage| [0, 1].map(|part| format!("stages.{stage}.downsample.{part}")),
    block: |stage, number| format!("stages.{stage}.blocks.{number}"),
    inside: ["conv_dw", "norm", "mlp.fc1", "mlp.fc2", "gamma"],
    head: ["head.norm", "head.fc"],
    linear: false,
};

/// A ConvNeXt: the channels and the number of blocks of each stage, and the rate of stochastic depth of its last block.
struct Size {
    name: &'static str,
    channels: [usize; 4],
    blocks: [usize; 4],
    drop_rate: f32,
    names: Names,
}

/// ConvNeXt tiny (Z. Liu, H. Mao, C.-Y. Wu, C. Feichtenhofer, T. Darrell and S. Xie, "A ConvNet for the 2020s", CVPR 2022).
///
/// # Errors
/// When a size is 0 or the images are below 32 pixels a side.
pub(super) fn tiny(config: &ModelConfig, input: [usize; 3], classes: usize) -> Result<Model> {
    let (channels, blocks) = ([96, 192, 384, 768], [3, 3, 9, 3]);
    let size = Size { name: "convnext_tiny", channels, blocks, drop_rate: 0.1, names: TORCHVISION };
    build(&size, config, (input, classes))
}

/// ConvNeXt atto, the smallest of R. Wightman's sizes in timm (2022).
///
/// # Errors
/// When a size is 0 or the images are below 32 pixels a side.
pub(super) fn atto(config: &ModelConfig, input: [usize; 3], classes: usize) -> Result<Model> {
    let (channels, blocks) = ([40, 80, 160, 320], [2, 2, 6, 2]);
    let size = Size { name: "convnext_atto", channels, blocks, drop_rate: 0.0, names: TIMM };
    build(&size, config, (input, classes))
}

/// A convolution of 4x4 patches, and four stages of blocks, before all but the first of which a convolution halves height and width. The
/// rate of stochastic depth grows from 0 to the configured one, block by block.
fn build(size: &Size, config: &ModelConfig, (input, classes): ([usize; 3], usize)) -> Result<Model> {
    let (scheme, names) = (config.init, &size.names);
    let drop_rate = config.stochastic_depth.unwrap_or(size.drop_rate);
    let last = size.blocks.iter().sum::<usize>() - 1;
    let [conv, norm] = names.stem;
    let mut layers =
        Sequence::new().with(conv, patches(size.channels[0], 4, scheme)).with(norm, LayerNorm2d::default());
    let mut before = 0;
    for (stage, (&channels, &blocks)) in size.channels.iter().zip(&size.blocks).enumerate() {
        if stage > 0 {
            let [norm, conv] = (names.downsample)(stage);
            layers = layers.with(norm, LayerNorm2d::default()).with(conv, patches(channels, 2, scheme));
        }
        for number in 0..blocks {
            let drop_rate = drop_rate * before as f32 / last as f32;
            layers = layers.with((names.block)(stage, number), block(names, channels, drop_rate, scheme));
            before += 1;
        }
    }
    let [norm, fc] = names.head;
    layers = layers.with("avgpool", GlobalPool(Pooling::Average)).with(norm, LayerNorm2d::default());
    if config.dropout > 0.0 {
        layers = layers.with("dropout", Dropout { rate: config.dropout });
    }
    Model::new(size.name, &input, layers.with(fc, Linear::new(classes, scheme)))
}

/// A convolution of patches that do not overlap.
fn patches(outputs: usize, side: usize, scheme: Scheme) -> Conv2d {
    Conv2d { stride: side.into(), ..Conv2d::new(outputs, side, scheme) }
}

/// A depthwise 7x7 convolution, a norm, and two products with four times as many channels between them; a scale, and the block's input.
fn block(names: &Names, channels: usize, drop_rate: f32, scheme: Scheme) -> Residual {
    let product = |layers: Sequence, name: &str, outputs: usize| match names.linear {
        true => layers.with(name, PointwiseLinear(Linear::new(outputs, scheme))),
        false => layers.with(name, Conv2d::new(outputs, 1, scheme)),
    };
    let [conv, norm, first, second, scale] = names.inside;
    let conv7x7 = Conv2d { bias: true, ..depthwise(channels, 7, 1, scheme) };
    let body = Sequence::new().with(conv, conv7x7).with(norm, LayerNorm2d::default());
    let body = product(body, first, 4 * channels).with("gelu", Activation::GeluErf);
    let body = product(body, second, channels);
    let body = body.with(scale, ChannelScale { initial: 1e-6, with_pixels: names.linear });
    Residual { body, drop_rate, ..Residual::default() }
}
