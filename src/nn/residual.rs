//! The residual block.

use super::activation::Activation;
use super::build::{Build, Mode};
use super::layer::{Child, Layer, dims};
use super::parameters::Parameters;
use super::sequence::{Sequence, forward_part, join};
use crate::Result;
use crate::graph::NodeId;

/// y = activation(body(x) + shortcut(x)), from K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image
/// recognition", CVPR 2016. The names of the body's layers begin with `NAME`, those of the shortcut's with
/// `NAME.downsample`. A shortcut without layers is x itself.
///
/// With a drop rate, training drops the body for some images: y = activation(shortcut(x)), as torchvision's `StochasticDepth`. A block
/// whose parameters are all frozen drops nothing, as a frozen batch norm uses its running statistics: its output for an image never
/// changes.
#[derive(Debug)]
pub struct Residual {
    /// The layers whose output is added to the shortcut's.
    pub body: Sequence,
    /// The layers that give x the shape of the body's output. Without layers, x has this shape already.
    pub shortcut: Sequence,
    /// The shortcut's part of its parameters' names: `downsample`, as in torchvision's ResNets.
    pub shortcut_name: &'static str,
    /// The probability that the body is dropped for an image in training, from 0 to below 1.
    pub drop_rate: f32,
    /// The activation after the sum.
    pub activation: Option<Activation>,
}

impl Default for Residual {
    fn default() -> Self {
        let (body, shortcut) = (Sequence::new(), Sequence::new());
        Self { body, shortcut, shortcut_name: "downsample", drop_rate: 0.0, activation: None }
    }
}

impl Residual {
    /// Drops rows of the body's output, in the training of a block that learns.
    fn dropped(&self, build: &mut Build, name: &str, body: NodeId) -> Result<NodeId> {
        if self.drop_rate == 0.0 {
            return Ok(body);
        }
        // Taken in both modes, so that a layer has the same random stream in every graph.
        let stream = build.next_dropout();
        match build.mode == Mode::Training && build.learns(name) {
            true => build.stochastic_depth(body, self.drop_rate, stream),
            false => Ok(body),
        }
    }
}

impl Layer for Residual {
    fn label(&self) -> String {
        let activation = self.activation.map_or_else(String::new, |activation| format!(", {activation}"));
        let dropped = if self.drop_rate > 0.0 { format!(", drop rate {}", self.drop_rate) } else { String::new() };
        format!("residual{activation}{dropped}")
    }

    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        if !(0.0..1.0).contains(&self.drop_rate) {
            return Err(format!("its drop rate is {}, but has to be from 0 to below 1", self.drop_rate));
        }
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
        self.shortcut.declare(&join(name, self.shortcut_name, "."), shape, parameters);
    }

    fn forward(&self, build: &mut Build, name: &str, x: NodeId) -> Result<NodeId> {
        let body = self.body.forward(build, name, x)?;
        let body = self.dropped(build, name, body)?;
        let shortcut = forward_part(build, name, self.shortcut_name, &self.shortcut, x)?;
        let y = build.add(body, shortcut)?;
        self.activation.map_or(Ok(y), |activation| activation.forward(build, name, y))
    }

    fn children(&self, shape: &[usize]) -> Vec<Child<'_>> {
        vec![self.body.child("", shape), self.shortcut.child(self.shortcut_name, shape)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::TensorType;
    use crate::nn::models::ModelConfig;
    use crate::nn::{Model, Unfreeze};

    /// The number of blocks that a graph drops.
    fn drops(model: &Model, mode: Mode) -> Result<usize> {
        let mut build = Build::new(model.parameters(), mode)?;
        let x = build.leaf("x", 0, TensorType::f32([2, 3, 64, 64]))?;
        model.forward(&mut build, x)?;
        let ops = build.ids().filter_map(|id| build.node(id).op());
        Ok(ops.filter(|op| op.name() == "stochastic_depth").count())
    }

    #[test]
    fn only_blocks_that_learn_are_dropped_and_only_in_training() -> Result<()> {
        // Nine of EfficientNet-B0's sixteen blocks keep the shape, and so do all eighteen of ConvNeXt tiny, the first of which is
        // never dropped.
        for (name, blocks, of_last_three) in [("efficientnet_b0", 9, 0), ("convnext_tiny", 17, 1)] {
            let of =
                |unfreeze| ModelConfig { unfreeze: Some(unfreeze), ..ModelConfig::named(name) }.build([3, 64, 64], 5);
            let all = of(Unfreeze::All)?;
            assert_eq!((drops(&all, Mode::Training)?, drops(&all, Mode::Evaluation)?), (blocks, 0), "{name}");
            let last = of(Unfreeze::Last(3))?;
            assert_eq!(drops(&last, Mode::Training)?, of_last_three, "{name}");
            let classifier = of(Unfreeze::Classifier)?;
            assert_eq!(drops(&classifier, Mode::Training)?, 0, "{name}");
            let none = ModelConfig { stochastic_depth: Some(0.0), ..ModelConfig::named(name) }.build([3, 64, 64], 5)?;
            assert_eq!(drops(&none, Mode::Training)?, 0, "{name}");
        }
        Ok(())
    }
}
