//! Resizing of images.

use super::build::Build;
use super::layer::{Layer, image};
use super::pair::Pair;
use crate::Result;
use crate::graph::NodeId;
use crate::ops::resize2d::Resize as Interpolation;

/// Brings images to another height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// Height and width.
    pub size: Pair,
    /// How pixels between pixels come about.
    #[serde(default = "nearest")]
    pub interpolation: Interpolation,
}

fn nearest() -> Interpolation {
    Interpolation::Nearest
}

impl Layer for Resize {
    fn label(&self) -> String {
        format!("resize to {}", self.size)
    }

    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        let [channels, ..] = image(shape)?;
        self.size.check("size")?;
        match self.size.0 {
            [0, _] | [_, 0] => Err(format!("an image of {} has no pixels", self.size)),
            [height, width] => Ok(vec![channels, height, width]),
        }
    }

    fn forward(&self, build: &mut Build, _: &str, x: NodeId) -> Result<NodeId> {
        build.resize2d(x, self.size.0, self.interpolation)
    }
}
