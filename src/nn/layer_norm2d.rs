//! Layer norm over channels.

use super::build::Build;
use super::initialiser::Initialiser;
use super::layer::{Layer, dims};
use super::parameters::{GROUP_SCALES, GROUP_SHIFTS, Parameters};
use crate::Result;
use crate::graph::NodeId;

/// The `LayerNorm2d` of torchvision and timm: the channels of each pixel are normalised to mean 0 and variance 1, then scaled and
/// shifted. A list of features is treated as one pixel. Parameters: `NAME.weight` and `NAME.bias`, without weight decay.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LayerNorm2d {
    /// Added to the variance.
    pub epsilon: f32,
}

impl Default for LayerNorm2d {
    fn default() -> Self {
        Self { epsilon: 1e-6 }
    }
}

impl Layer for LayerNorm2d {
    fn label(&self) -> String {
        "layer norm".into()
    }

    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        if !(self.epsilon > 0.0 && self.epsilon.is_finite()) {
            return Err(format!("its epsilon is {}, but has to be a finite number above 0", self.epsilon));
        }
        match shape.len() {
            1 | 3 => Ok(shape.to_vec()),
            _ => Err(format!("it takes images or a list of features, but gets {}", dims(shape))),
        }
    }

    fn declare(&self, name: &str, shape: &[usize], parameters: &mut Parameters) {
        let channels = shape[0];
        parameters.add(format!("{name}.weight"), [channels], Initialiser::Constant(1.0), GROUP_SCALES);
        parameters.add(format!("{name}.bias"), [channels], Initialiser::Zeros, GROUP_SHIFTS);
    }

    fn forward(&self, build: &mut Build, name: &str, x: NodeId) -> Result<NodeId> {
        let gamma = build.parameter(&format!("{name}.weight"))?;
        let beta = build.parameter(&format!("{name}.bias"))?;
        let &[batch, channels] = build.dims(x) else { return build.layer_norm2d(x, gamma, beta, self.epsilon) };
        let pixels = build.reshape(x, [batch, channels, 1, 1])?;
        let y = build.layer_norm2d(pixels, gamma, beta, self.epsilon)?;
        build.reshape(y, [batch, channels])
    }
}
