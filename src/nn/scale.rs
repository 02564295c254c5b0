//! Multiplication by a constant.

use super::build::Build;
use super::layer::Layer;
use crate::Result;
use crate::graph::NodeId;

/// Multiplies each element by a constant. Some networks scale their logits down with it.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// The constant.
    pub factor: f32,
}

impl Layer for Scale {
    fn label(&self) -> String {
        format!("times {}", self.factor)
    }
    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        match self.factor.is_finite() && self.factor != 0.0 {
            true => Ok(shape.to_vec()),
            false => Err(format!("its factor is {}, but has to be a finite number other than 0", self.factor)),
        }
    }
    fn forward(&self, build: &mut Build, _: &str, x: NodeId) -> Result<NodeId> {
        build.scale(x, self.factor)
    }
}
