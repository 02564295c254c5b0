//! Squeeze and excitation.

use super::activation::Activation;
use super::build::Build;
use super::conv2d::Conv2d;
use super::initialiser::Scheme;
use super::layer::{Layer, check_outputs, image};
use super::parameters::Parameters;
use super::sequence::join;
use crate::Result;
use crate::graph::NodeId;

/// Multiplies each channel by a number that depends on the means of all channels (J. Hu, L. Shen and G. Sun, "Squeeze-and-excitation
/// networks", CVPR 2018), as torchvision's `SqueezeExcitation`: a 1x1 convolution `NAME.fc1` to few channels, an activation, a 1x1
/// convolution `NAME.fc2` back to all channels, and the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqueezeExcitation {
    /// The number of channels between the two convolutions.
    pub squeeze: usize,
    /// The activation between the two convolutions.
    #[serde(default = "relu")]
    pub activation: Activation,
    /// The function that makes the factors of the channels: a sigmoid, or another one from 0 to 1.
    #[serde(default = "sigmoid")]
    pub gate: Activation,
    /// How its parameters are initialised.
    #[serde(skip)]
    pub scheme: Scheme,
}

fn relu() -> Activation {
    Activation::Relu
}
fn sigmoid() -> Activation {
    Activation::Sigmoid
}

impl SqueezeExcitation {
    /// With a ReLU and a sigmoid.
    pub fn new(squeeze: usize, scheme: Scheme) -> Self {
        Self { squeeze, activation: relu(), gate: sigmoid(), scheme }
    }

    /// Both convolutions, for so many channels.
    fn convolutions(&self, channels: usize) -> [(&'static str, Conv2d); 2] {
        [("fc1", Conv2d::new(self.squeeze, 1, self.scheme)), ("fc2", Conv2d::new(channels, 1, self.scheme))]
    }
}

impl Layer for SqueezeExcitation {
    fn label(&self) -> String {
        format!("squeeze and excitation, {}", self.squeeze)
    }

    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        image(shape)?;
        check_outputs(self.squeeze)?;
        Ok(shape.to_vec())
    }

    fn declare(&self, name: &str, shape: &[usize], parameters: &mut Parameters) {
        let mut inputs = [shape[0], 1, 1];
        for (own, conv) in self.convolutions(shape[0]) {
            conv.declare(&join(name, own, "."), &inputs, parameters);
            inputs[0] = conv.outputs;
        }
    }

    fn forward(&self, build: &mut Build, name: &str, x: NodeId) -> Result<NodeId> {
        let &[batch, channels, ..] = build.dims(x) else { return Ok(x) };
        let means = build.global_average_pool(x)?;
        let mut y = build.reshape(means, [batch, channels, 1, 1])?;
        for ((own, conv), function) in self.convolutions(channels).into_iter().zip([self.activation, self.gate]) {
            build.enter(own);
            let sums = conv.forward(build, &join(name, own, "."), y);
            let gated = sums.and_then(|sums| function.forward(build, name, sums));
            build.leave();
            y = gated?;
        }
        build.mul(x, y)
    }
}
