//! Batch normalisation.

use super::build::{Build, Mode};
use super::initialiser::Initialiser;
use super::layer::{Layer, image};
use super::parameters::{GROUP_FROZEN, GROUP_SCALES, GROUP_SHIFTS, Parameters};
use crate::Result;
use crate::graph::NodeId;

/// S. Ioffe and C. Szegedy, "Batch normalization", ICML 2015, as PyTorch's `BatchNorm2d`. Each channel is normalised to
/// mean 0 and variance 1, then scaled and shifted. Training uses the batch's mean and variance, evaluation the running
/// ones. Parameters: `NAME.weight` and `NAME.bias`, without weight decay. Running statistics: `NAME.running_mean` and
/// `NAME.running_var`.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchNorm2d {
    /// The weight of the batch's mean and variance in the new running ones, as in PyTorch.
    pub momentum: f32,
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether `NAME.weight` is learned; else it stays at 1.
    pub learn_scale: bool,
}

impl Default for BatchNorm2d {
    fn default() -> Self {
        Self { momentum: 0.1, epsilon: 1e-5, learn_scale: true }
    }
}

impl Layer for BatchNorm2d {
    fn label(&self) -> String {
        "batch norm".into()
    }

    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        image(shape)?;
        if !(self.momentum > 0.0 && self.momentum <= 1.0) {
            return Err(format!("its momentum is {}, but has to be above 0 and at most 1", self.momentum));
        }
        if !(self.epsilon > 0.0 && self.epsilon.is_finite()) {
            return Err(format!("its epsilon is {}, but has to be a finite number above 0", self.epsilon));
        }
        Ok(shape.to_vec())
    }

    fn declare(&self, name: &str, shape: &[usize], parameters: &mut Parameters) {
        let channels = shape[0];
        let scales = if self.learn_scale { GROUP_SCALES } else { GROUP_FROZEN };
        parameters.add(format!("{name}.weight"), [channels], Initialiser::Constant(1.0), scales);
        parameters.add(format!("{name}.bias"), [channels], Initialiser::Zeros, GROUP_SHIFTS);
        parameters.add_statistic(format!("{name}.running_mean"), [channels], 0.0);
        parameters.add_statistic(format!("{name}.running_var"), [channels], 1.0);
    }

    fn forward(&self, build: &mut Build, name: &str, x: NodeId) -> Result<NodeId> {
        let gamma = build.parameter(&format!("{name}.weight"))?;
        let beta = build.parameter(&format!("{name}.bias"))?;
        let mean = build.statistic(&format!("{name}.running_mean"))?;
        let variance = build.statistic(&format!("{name}.running_var"))?;
        // A frozen layer uses its running statistics and does not change them.
        if build.mode == Mode::Evaluation || build.is_frozen(&format!("{name}.bias")) {
            return build.batch_norm_inference(x, mean, variance, gamma, beta, self.epsilon);
        }
        let normed = build.batch_norm(x, gamma, beta, self.epsilon)?;
        build.note_statistics(normed, [mean, variance], self.momentum)?;
        Ok(normed.y)
    }
}
