//! The residual block.

use super::activation::Activation;
use super::build::Build;
use super::layer::{Child, Layer, dims};
use super::parameters::Parameters;
use super::sequence::{Sequence, forward_part, join};
use crate::Result;
use crate::graph::NodeId;

/// The shortcut's part of its parameters' names, as in torchvision's ResNets.
const SHORTCUT: &str = "downsample";

/// y = activation(body(x) + shortcut(x)), from K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image
/// recognition", CVPR 2016. The names of the body's layers begin with `NAME`, those of the shortcut's with
/// `NAME.downsample`. A shortcut without layers is x itself.
#[derive(Debug, Default)]
pub struct Residual {
    /// The layers whose output is added to the shortcut's.
    pub body: Sequence,
    /// The layers that give x the shape of the body's output. Without layers, x has this shape already.
    pub shortcut: Sequence,
    /// The activation after the sum.
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
                "its layers give {}, but its shortcut gives {}; add a shortcut that turns {} into the first shape, as a \
                 conv2d with kernel 1",
                dims(&body),
                dims(&shortcut),
                dims(shape)
            )),
        }
    }

    fn declare(&self, name: &str, shape: &[usize], parameters: &mut Parameters) {
        self.body.declare(name, shape, parameters);
        self.shortcut.declare(&join(name, SHORTCUT, "."), shape, parameters);
    }

    fn forward(&self, build: &mut Build, name: &str, x: NodeId) -> Result<NodeId> {
        let body = self.body.forward(build, name, x)?;
        let shortcut = forward_part(build, name, SHORTCUT, &self.shortcut, x)?;
        let y = build.add(body, shortcut)?;
        self.activation.map_or(Ok(y), |activation| activation.forward(build, name, y))
    }

    fn children(&self, shape: &[usize]) -> Vec<Child<'_>> {
        vec![self.body.child("", shape), self.shortcut.child(SHORTCUT, shape)]
    }
}
