//! Convolutions.

use super::build::Build;
use super::initialiser::Scheme;
use super::layer::{Layer, check_outputs, image, yes};
use super::pair::Pair;
use super::parameters::{GROUP_NO_DECAY, GROUP_WEIGHTS, Parameters};
use crate::Result;
use crate::graph::{NodeId, TensorType};
use crate::ops::conv2d::{Conv2dShape, Geometry};

/// PyTorch's `Conv2d`. Parameters: `NAME.weight` `[outputs, channels / groups, height, width]` and `NAME.bias`
/// `[outputs]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// Number of output channels.
    pub outputs: usize,
    /// Height and width of the kernel.
    pub kernel: Pair,
    /// Distance in pixels from one output to the next.
    #[serde(default = "Pair::one")]
    pub stride: Pair,
    /// Number of zeros on each side of the image.
    #[serde(default = "Pair::zero")]
    pub padding: Pair,
    /// Distance in pixels from one weight of the kernel to the next.
    #[serde(default = "Pair::one")]
    pub dilation: Pair,
    /// Number of groups of channels. Each group of outputs reads only its own group of inputs.
    #[serde(default = "one")]
    pub groups: usize,
    /// Whether there is a bias.
    #[serde(default = "yes")]
    pub bias: bool,
    /// How its parameters are initialised.
    #[serde(skip)]
    pub scheme: Scheme,
}

fn one() -> usize {
    1
}

impl Conv2d {
    /// A square kernel with stride 1, no padding and a bias.
    pub fn new(outputs: usize, kernel: usize, scheme: Scheme) -> Self {
        Self {
            outputs,
            kernel: kernel.into(),
            stride: Pair::one(),
            padding: Pair::zero(),
            dilation: Pair::one(),
            groups: 1,
            bias: true,
            scheme,
        }
    }

    pub(super) fn geometry(&self) -> Geometry {
        Geometry { stride: self.stride.0, padding: self.padding.0, dilation: self.dilation.0, groups: self.groups }
    }

    fn sizes(&self, shape: &[usize]) -> Result<Conv2dShape, String> {
        let [channels, height, width] = image(shape)?;
        check_outputs(self.outputs)?;
        for (pair, what) in
            [(self.kernel, "kernel"), (self.stride, "stride"), (self.padding, "padding"), (self.dilation, "dilation")]
        {
            pair.check(what)?;
        }
        let inputs = channels.checked_div(self.groups).unwrap_or(0);
        let weight = TensorType::f32([self.outputs, inputs, self.kernel.0[0], self.kernel.0[1]]);
        Conv2dShape::forward(&TensorType::f32([1, channels, height, width]), &weight, self.geometry())
    }
}

impl Layer for Conv2d {
    fn label(&self) -> String {
        let part = |is: bool, text: String| if is { text } else { String::new() };
        format!(
            "conv2d {}{}{}{}{}",
            self.kernel,
            part(self.stride != Pair::one(), format!(" stride {}", self.stride)),
            part(self.padding != Pair::zero(), format!(" pad {}", self.padding)),
            part(self.dilation != Pair::one(), format!(" dilation {}", self.dilation)),
            part(self.groups != 1, format!(" groups {}", self.groups)),
        )
    }

    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        Ok(self.sizes(shape)?.output_dims()[1..].to_vec())
    }

    fn declare(&self, name: &str, shape: &[usize], parameters: &mut Parameters) {
        let channels = shape[0];
        let weight = [self.outputs, channels / self.groups, self.kernel.0[0], self.kernel.0[1]];
        declare(name, weight, self.outputs, self.bias, self.scheme, parameters);
    }

    fn forward(&self, build: &mut Build, name: &str, x: NodeId) -> Result<NodeId> {
        let weight = build.parameter(&format!("{name}.weight"))?;
        let y = build.conv2d(x, weight, self.geometry())?;
        add_bias(build, name, y, self.bias)
    }
}

/// Declares the weight of a convolution, and its bias if `bias` is true. As in PyTorch, the bias's fan in is the weight's
/// second axis times the kernel, for transposed convolutions too.
pub(super) fn declare(
    name: &str,
    weight: [usize; 4],
    outputs: usize,
    bias: bool,
    scheme: Scheme,
    parameters: &mut Parameters,
) {
    let taps = weight[2] * weight[3];
    parameters.add(format!("{name}.weight"), weight, scheme.convolution(weight), GROUP_WEIGHTS);
    if bias {
        parameters.add(format!("{name}.bias"), [outputs], scheme.bias(weight[1] * taps), GROUP_NO_DECAY);
    }
}

/// Adds the bias of each channel to y `[batch, channels, height, width]`, if `bias` is true.
pub(super) fn add_bias(build: &mut Build, name: &str, y: NodeId, bias: bool) -> Result<NodeId> {
    if !bias {
        return Ok(y);
    }
    let bias = build.parameter(&format!("{name}.bias"))?;
    let channels = build.dims(bias)[0];
    let bias = build.reshape(bias, [channels, 1, 1])?;
    build.add(y, bias)
}
