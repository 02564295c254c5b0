//! A learned factor for each channel.

use super::build::Build;
use super::initialiser::Initialiser;
use super::layer::{Layer, dims};
use super::parameters::{GROUP_SCALES, Parameters};
use crate::Result;
use crate::graph::NodeId;

/// Multiplies each channel by a learned factor: the layer scale of H. Touvron et al., "Going deeper with image transformers", ICCV 2021.
/// The only parameter has the layer's name, and no weight decay.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelScale {
    /// The initial factor.
    pub initial: f32,
    /// Whether the parameter's shape is `[channels, 1, 1]`, as in torchvision; otherwise it is `[channels]`, as in timm.
    #[serde(default)]
    pub with_pixels: bool,
}

impl Layer for ChannelScale {
    fn label(&self) -> String {
        "channel scale".into()
    }

    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        if !self.initial.is_finite() {
            return Err(format!("its initial factor is {}, but has to be a finite number", self.initial));
        }
        match shape.len() {
            1 | 3 => Ok(shape.to_vec()),
            _ => Err(format!("it takes images or a list of features, but gets {}", dims(shape))),
        }
    }

    fn declare(&self, name: &str, shape: &[usize], parameters: &mut Parameters) {
        let own = if self.with_pixels { vec![shape[0], 1, 1] } else { vec![shape[0]] };
        parameters.add(name, own, Initialiser::Constant(self.initial), GROUP_SCALES);
    }

    fn forward(&self, build: &mut Build, name: &str, x: NodeId) -> Result<NodeId> {
        let factors = build.parameter(name)?;
        let channels = build.dims(factors)[0];
        let factors = match build.dims(x).len() {
            2 => build.reshape(factors, [channels])?,
            _ => build.reshape(factors, [channels, 1, 1])?,
        };
        build.mul(x, factors)
    }
}
