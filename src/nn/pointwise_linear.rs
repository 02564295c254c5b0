//! A fully connected layer of each pixel's channels.

use super::build::Build;
use super::conv2d::add_bias;
use super::layer::{Layer, check_outputs, image};
use super::linear::Linear;
use super::parameters::Parameters;
use crate::Result;
use crate::graph::NodeId;
use crate::ops::conv2d::Geometry;

/// PyTorch's `Linear` of images whose channels are the last axis there: a 1x1 convolution whose weight has two axes. Parameters:
/// `NAME.weight` `[outputs, channels]` and `NAME.bias` `[outputs]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PointwiseLinear(pub Linear);

impl Layer for PointwiseLinear {
    fn label(&self) -> String {
        "linear of channels".into()
    }

    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        let [_, height, width] = image(shape)?;
        check_outputs(self.0.outputs)?;
        Ok(vec![self.0.outputs, height, width])
    }

    fn declare(&self, name: &str, shape: &[usize], parameters: &mut Parameters) {
        self.0.declare(name, &shape[..1], parameters);
    }

    fn forward(&self, build: &mut Build, name: &str, x: NodeId) -> Result<NodeId> {
        let weight = build.parameter(&format!("{name}.weight"))?;
        let channels = build.dims(weight)[1];
        let weight = build.reshape(weight, [self.0.outputs, channels, 1, 1])?;
        let y = build.conv2d(x, weight, Geometry::default())?;
        add_bias(build, name, y, self.0.bias)
    }
}
