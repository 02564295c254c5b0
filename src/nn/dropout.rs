//! Dropout.

use super::build::{Build, Mode};
use super::layer::Layer;
use crate::Result;
use crate::graph::NodeId;

/// In training, sets each element to zero with probability `rate` and divides the others by 1 - `rate`. In evaluation it
/// does nothing.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// The probability, from 0 to below 1.
    pub rate: f32,
}

impl Layer for Dropout {
    fn label(&self) -> String {
        format!("dropout {}", self.rate)
    }
    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        match (0.0..1.0).contains(&self.rate) {
            true => Ok(shape.to_vec()),
            false => Err(format!("a dropout of {} is not from 0 to below 1", self.rate)),
        }
    }
    fn is_random(&self) -> bool {
        true
    }
    fn forward(&self, build: &mut Build, _: &str, x: NodeId) -> Result<NodeId> {
        // Taken in both modes, so that a layer has the same random stream in every graph.
        let stream = build.next_dropout();
        match build.mode {
            Mode::Training if self.rate > 0.0 => build.dropout(x, self.rate, stream),
            _ => Ok(x),
        }
    }
}
