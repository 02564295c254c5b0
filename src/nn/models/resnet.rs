//! Residual networks.

use super::{ModelConfig, head};
use crate::Result;
use crate::nn::{
    Activation, BatchNorm2d, Conv2d, GlobalPool, Linear, Model, Pool2d, Pooling, Residual, Scale, Scheme, Sequence,
};

/// A 3x3 convolution that keeps the image's size at stride 1, without a bias: batch norm follows.
pub(super) fn conv3x3(outputs: usize, stride: usize, scheme: Scheme) -> Conv2d {
    Conv2d { stride: stride.into(), padding: 1.into(), bias: false, ..Conv2d::new(outputs, 3, scheme) }
}

/// Adds a convolution, batch norm and an activation: `convN`, `bnN`, `actN`.
fn conv_bn_act(layers: Sequence, number: usize, outputs: usize, scheme: Scheme, activation: Activation) -> Sequence {
    layers
        .with(format!("conv{number}"), conv3x3(outputs, 1, scheme))
        .with(format!("bn{number}"), BatchNorm2d::default())
        .with(format!("act{number}"), activation)
}

/// The residual network of nine layers from D. Page, "How to train your ResNet" (2018). It has four convolutions, with a
/// max-pool after each of the last three. A residual block of two convolutions comes after the second and the fourth. A
/// global max-pool follows, and logits that are scaled down.
///
/// # Errors
/// When a size is 0 or the images are below 8 pixels a side.
pub(super) fn resnet9(config: &ModelConfig, input: [usize; 3], classes: usize) -> Result<Model> {
    let widths = config.stages([64, 128, 256, 512])?;
    let activation = config.activation.unwrap_or(Activation::Relu);
    let mut layers = Sequence::new();
    for (number, width) in (1..).zip(widths) {
        layers = conv_bn_act(layers, number, width, config.init, activation);
        if number > 1 {
            layers = layers.with(format!("pool{number}"), Pool2d::new(Pooling::Max, 2));
        }
        if number % 2 == 0 {
            let body = conv_bn_act(Sequence::new(), 1, width, config.init, activation);
            let body = conv_bn_act(body, 2, width, config.init, activation);
            layers = layers.with(format!("res{number}"), Residual { body, ..Residual::default() });
        }
    }
    layers = layers.with("pool", GlobalPool(Pooling::Max));
    let layers = head(layers, config, Linear { bias: false, ..Linear::new(classes, config.init) });
    let layers = layers.with("scale", Scale { factor: config.logit_scale.unwrap_or(0.125) });
    Model::new("resnet9", &input, layers)
}

/// The stages of a ResNet after its first layers.
struct Stages {
    /// The number of blocks of each stage.
    blocks: [usize; 4],
    /// A block of so many input channels, with this width and stride.
    block: fn(usize, usize, usize, Scheme) -> Residual,
    /// The output channels of a block, as a multiple of its width.
    expansion: usize,
}

const RESNET18: Stages = Stages { blocks: [2; 4], block: basic_block, expansion: 1 };
const RESNET34: Stages = Stages { blocks: [3, 4, 6, 3], block: basic_block, expansion: 1 };
const RESNET50: Stages = Stages { blocks: [3, 4, 6, 3], block: bottleneck, expansion: 4 };

/// ResNet-18 (He et al., CVPR 2016) for images of about 32x32 pixels: the first convolution is 3x3 with stride 1, and no
/// max-pool follows it. Parameter names are those of torchvision.
///
/// # Errors
/// When a size is 0.
pub(super) fn resnet18_small(config: &ModelConfig, input: [usize; 3], classes: usize) -> Result<Model> {
    let widths = config.stages([64, 128, 256, 512])?;
    let layers = conv_bn_act(Sequence::new(), 1, widths[0], config.init, Activation::Relu);
    in_stages("resnet18-small", layers, (&RESNET18, widths), config, (input, classes))
}

/// ResNet-18, with the same architecture as torchvision's.
///
/// # Errors
/// When a size is 0.
pub(super) fn resnet18(config: &ModelConfig, input: [usize; 3], classes: usize) -> Result<Model> {
    for_photos("resnet18", &RESNET18, config, (input, classes))
}

/// ResNet-34, with the same architecture as torchvision's.
///
/// # Errors
/// When a size is 0.
pub(super) fn resnet34(config: &ModelConfig, input: [usize; 3], classes: usize) -> Result<Model> {
    for_photos("resnet34", &RESNET34, config, (input, classes))
}

/// ResNet-50, with the same architecture as torchvision's: its blocks have the stride in the 3x3 convolution.
///
/// # Errors
/// When a size is 0.
pub(super) fn resnet50(config: &ModelConfig, input: [usize; 3], classes: usize) -> Result<Model> {
    for_photos("resnet50", &RESNET50, config, (input, classes))
}

/// A ResNet (He et al., CVPR 2016) for photos: the first convolution is 7x7, then comes a max-pool, each with stride 2.
fn for_photos(name: &str, stages: &Stages, config: &ModelConfig, images: ([usize; 3], usize)) -> Result<Model> {
    let widths = config.stages([64, 128, 256, 512])?;
    let conv = Conv2d { stride: 2.into(), padding: 3.into(), bias: false, ..Conv2d::new(widths[0], 7, config.init) };
    let pool = Pool2d { stride: Some(2.into()), padding: 1.into(), ..Pool2d::new(Pooling::Max, 3) };
    let layers = Sequence::new()
        .with("conv1", conv)
        .with("bn1", BatchNorm2d::default())
        .with("relu", Activation::Relu)
        .with("maxpool", pool);
    in_stages(name, layers, (stages, widths), config, images)
}

/// The common end of all ResNets: four stages of blocks, a global average-pool, and `fc`.
fn in_stages(
    name: &str,
    mut layers: Sequence,
    (stages, widths): (&Stages, [usize; 4]),
    config: &ModelConfig,
    (input, classes): ([usize; 3], usize),
) -> Result<Model> {
    let mut inputs = widths[0];
    for (stage, width) in (1_usize..).zip(widths) {
        for block in 0..stages.blocks[stage - 1] {
            let stride = if stage > 1 && block == 0 { 2 } else { 1 };
            layers = layers.with(format!("layer{stage}.{block}"), (stages.block)(inputs, width, stride, config.init));
            inputs = width * stages.expansion;
        }
    }
    let layers = layers.with("avgpool", GlobalPool(Pooling::Average));
    let layers = head(layers, config, Linear::new(classes, config.init));
    Model::new(name, &input, layers)
}

/// Two convolutions with batch norm, and a shortcut.
fn basic_block(inputs: usize, outputs: usize, stride: usize, scheme: Scheme) -> Residual {
    let body = Sequence::new()
        .with("conv1", conv3x3(outputs, stride, scheme))
        .with("bn1", BatchNorm2d::default())
        .with("relu", Activation::Relu)
        .with("conv2", conv3x3(outputs, 1, scheme))
        .with("bn2", BatchNorm2d::default());
    residual(body, [inputs, outputs], stride, scheme)
}

/// A 1x1 convolution to `width` channels, a 3x3 convolution and a 1x1 convolution to four times as many, each with batch norm, and a
/// shortcut.
fn bottleneck(inputs: usize, width: usize, stride: usize, scheme: Scheme) -> Residual {
    let outputs = width * RESNET50.expansion;
    let pointwise = |outputs: usize| Conv2d { bias: false, ..Conv2d::new(outputs, 1, scheme) };
    let body = Sequence::new()
        .with("conv1", pointwise(width))
        .with("bn1", BatchNorm2d::default())
        .with("relu1", Activation::Relu)
        .with("conv2", conv3x3(width, stride, scheme))
        .with("bn2", BatchNorm2d::default())
        .with("relu2", Activation::Relu)
        .with("conv3", pointwise(outputs))
        .with("bn3", BatchNorm2d::default());
    residual(body, [inputs, outputs], stride, scheme)
}

/// A block with a ReLU after the sum. Where the shape changes, the shortcut is a 1x1 convolution with batch norm.
fn residual(body: Sequence, [inputs, outputs]: [usize; 2], stride: usize, scheme: Scheme) -> Residual {
    let projection = Conv2d { stride: stride.into(), bias: false, ..Conv2d::new(outputs, 1, scheme) };
    let shortcut = match stride != 1 || inputs != outputs {
        true => Sequence::new().with("0", projection).with("1", BatchNorm2d::default()),
        false => Sequence::new(),
    };
    Residual { body, shortcut, activation: Some(Activation::Relu), ..Residual::default() }
}
