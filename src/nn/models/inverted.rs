//! Parts of torchvision's mobile networks: a convolution with batch norm and activation, and the inverted residual block with squeeze and
//! excitation.

use crate::nn::{Activation, BatchNorm2d, Conv2d, Layer, Residual, Scheme, Sequence, SqueezeExcitation};

/// A convolution that keeps the image's size at stride 1, without a bias: batch norm follows.
pub(super) fn conv(outputs: usize, kernel: usize, scheme: Scheme) -> Conv2d {
    Conv2d { padding: (kernel / 2).into(), bias: false, ..Conv2d::new(outputs, kernel, scheme) }
}

/// As [`conv`], for each channel by itself.
pub(super) fn depthwise(channels: usize, kernel: usize, stride: usize, scheme: Scheme) -> Conv2d {
    Conv2d { stride: stride.into(), groups: channels, ..conv(channels, kernel, scheme) }
}

/// Adds a convolution, its batch norm and an activation: `NAME.0`, `NAME.1`, `NAME.2`.
pub(super) fn conv_norm_act(
    layers: Sequence,
    name: &str,
    conv: Conv2d,
    norm: BatchNorm2d,
    activation: Option<Activation>,
) -> Sequence {
    let layers = layers.with(format!("{name}.0"), conv).with(format!("{name}.1"), norm);
    match activation {
        Some(activation) => layers.with(format!("{name}.2"), activation),
        None => layers,
    }
}

/// An inverted residual block: a 1x1 convolution to more channels, a depthwise convolution, squeeze and excitation, and a 1x1 convolution
/// to fewer channels without an activation. All have batch norm. Its layers are `block.0`, `block.1`, ....
#[derive(Clone, Copy, Debug)]
pub(super) struct Inverted {
    pub inputs: usize,
    /// The channels of the depthwise convolution. If they are as many as the inputs, there is no convolution before it.
    pub expanded: usize,
    pub outputs: usize,
    /// Height and width of the depthwise convolution's kernel.
    pub kernel: usize,
    pub stride: usize,
    pub squeeze: Option<SqueezeExcitation>,
    pub activation: Activation,
    pub norm: BatchNorm2d,
    /// Of stochastic depth, where the block is residual.
    pub drop_rate: f32,
}

impl Inverted {
    /// The block. Where it keeps the shape, its input is added to its output.
    pub fn layer(self, scheme: Scheme) -> Box<dyn Layer> {
        let body = self.body(scheme);
        match self.stride == 1 && self.inputs == self.outputs {
            true => Box::new(Residual { body, drop_rate: self.drop_rate, ..Residual::default() }),
            false => Box::new(body),
        }
    }

    fn body(&self, scheme: Scheme) -> Sequence {
        let mut number = 0..;
        let mut name = || format!("block.{}", number.next().unwrap_or_default());
        let act = Some(self.activation);
        let mut layers = Sequence::new();
        if self.expanded != self.inputs {
            layers = conv_norm_act(layers, &name(), conv(self.expanded, 1, scheme), self.norm, act);
        }
        let middle = depthwise(self.expanded, self.kernel, self.stride, scheme);
        layers = conv_norm_act(layers, &name(), middle, self.norm, act);
        if let Some(squeeze) = self.squeeze {
            layers = layers.with(name(), squeeze);
        }
        conv_norm_act(layers, &name(), conv(self.outputs, 1, scheme), self.norm, None)
    }
}
