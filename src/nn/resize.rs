//! Resizing of images.

use super::build::Build;
use super::layer::{Layer, image};
use super::pair::Pair;
use crate::Result;
use crate::graph::NodeId;
use crate::ops::resize2d::Resize as Interpolation;

/// Resizes images to a given height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// The new height and width.
    pub size: Pair,
    /// How new pixels are computed from old ones.
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
