//! The residual block.

use super::activation::Activation;
use super::build::Build;
use super::layer::{Child, Layer, dims};
use super::parameters::Parameters;
use super::sequence::{Sequence, forward_part, join};
use crate::Result;
use crate::graph::NodeId;

/// What a shortcut's parameters are named after, as in torchvision's ResNets.
const SHORTCUT: &str = "downsample";

/// y = activation(body(x) + shortcut(x)), of K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image
/// recognition", CVPR 2016. The body's layers stand directly under the block's name, the shortcut's under
/// `NAME.downsample`; a shortcut without layers is x itself.
#[derive(Debug, Default)]
pub struct Residual {
    /// What is added to x.
    pub body: Sequence,
    /// What brings x to the body's shape, where it has another.
    pub shortcut: Sequence,
    /// What follows the sum.
    pub activation: Option<Activation>,
}

impl Layer for Residual {
    fn label(&self) -> String {
        match self.activation {
            Some(activation) => format!("residual, {activation}"),
            None => "residual".into(),
        }
    }

    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        let (body, shortcut) = (self.body.output(shape)?, self.shortcut.output(shape)?);
        match body == shortcut {
            true => Ok(body),
            false => Err(format!(
                "its layers give {}, but {} is to be added; give it a shortcut that brings {} to that shape, as a conv2d with \
                 kernel 1",
                dims(&body),
                dims(&shortcut),
                dims(shape)
            )),
        }
    }

    fn declare(&self, name: &str, shape: &[usize], parameters: &mut Parameters) {
        for part in self.children(shape) {
            part.layers.declare(&join(name, part.name, "."), shape, parameters);
        }
    }

    fn forward(&self, build: &mut Build, name: &str, x: NodeId) -> Result<NodeId> {
        let body = self.body.forward(build, name, x)?;
        let shortcut = forward_part(build, name, SHORTCUT, &self.shortcut, x)?;
        let y = build.add(body, shortcut)?;
        self.activation.map_or(Ok(y), |activation| activation.forward(build, name, y))
    }

    fn children(&self, shape: &[usize]) -> Vec<Child<'_>> {
        let part = |name, layers| Child { name, layers, input: shape.to_vec() };
        vec![part("", &self.body), part(SHORTCUT, &self.shortcut)]
    }
}
