//! The trait of all layers, and the layers that only reshape.

use std::fmt::Debug;

use super::build::Build;
use super::parameters::Parameters;
use crate::Result;
use crate::graph::NodeId;

/// One layer of a [`Model`](super::Model): its output shape, its parameters, and its nodes in a graph.
///
/// Shapes are those of one image, without the batch axis: `[features]` or `[channels, height, width]`.
pub trait Layer: Debug + Send + Sync {
    /// A short description for tables: the kind of layer and its main settings, as in `conv2d 3x3 pad 1x1`.
    fn label(&self) -> String;

    /// The shape of the output for an input of `shape`.
    ///
    /// # Errors
    /// The reason why the input does not fit, as part of a sentence. The model puts the layer's name before it.
    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String>;

    /// Adds the layer's parameters. Their names begin with `name`, as in `fc1.weight`.
    fn declare(&self, _name: &str, _shape: &[usize], _parameters: &mut Parameters) {}

    /// Builds the layer's nodes for x `[batch, shape...]`, with the parameters that it declared under `name`.
    ///
    /// # Errors
    /// When shapes do not fit. [`Layer::output`] has already excluded this.
    fn forward(&self, build: &mut Build, name: &str, x: NodeId) -> Result<NodeId>;

    /// Whether the layer draws random numbers in training, so that the same input can give different outputs.
    fn is_random(&self) -> bool {
        false
    }

    /// Whether the layer only replaces negative values by 0, so that logits after it have no sign.
    fn is_rectifier(&self) -> bool {
        false
    }

    /// Whether some parameters are initialised from the training images: see [`Layer::initialise_from_images`]. Such a
    /// layer has to be the first one of the network, because it reads the images themselves.
    fn is_initialised_from_images(&self) -> bool {
        false
    }

    /// Computes the initial values of those parameters. `images` is a sample of the training images, one after another,
    /// each of `shape`, preprocessed as for evaluation.
    ///
    /// # Errors
    /// The reason why the images cannot be used, as part of a sentence.
    fn initialise_from_images(&self, _shape: &[usize], _images: &[f32]) -> Result<Vec<InitialValues>, String> {
        Ok(Vec::new())
    }

    /// The layers inside this one, for a layer that is made of others.
    fn children(&self, _shape: &[usize]) -> Vec<Child<'_>> {
        Vec::new()
    }
}

/// Initial values of one parameter that were computed from images.
#[derive(Clone, Debug, PartialEq)]
pub struct InitialValues {
    /// The parameter's name within the layer: `weight`.
    pub name: &'static str,
    /// All values of the parameter.
    pub values: Vec<f32>,
}

/// A sequence of layers inside a layer.
#[derive(Clone, Debug)]
pub struct Child<'a> {
    /// The part of a full name between the outer layer's name and an inner layer's name. May be empty.
    pub name: &'static str,
    /// The inner layers by name, in order.
    pub layers: Vec<(&'a str, &'a dyn Layer)>,
    /// The shape of the first inner layer's input.
    pub input: Vec<usize>,
}

/// The default value of a switch that is on.
pub(super) fn yes() -> bool {
    true
}

/// The largest size that a layer may have along any axis.
pub(super) const MAX_SIZE: usize = 65_536;

/// The largest number of values of an image, of a layer's output for it, or of all parameters: with one more, their buffer would have
/// 2 GiB, which GPUs do not bind.
pub(super) const MAX_VALUES: usize = (1 << 29) - 1;

/// Checks that a shape has at most [`MAX_VALUES`] values.
///
/// # Errors
/// The reason, as part of a sentence.
pub(super) fn check_values(what: &str, shape: &[usize]) -> Result<(), String> {
    match shape.iter().fold(1, |values: usize, &size| values.saturating_mul(size)) {
        0..=MAX_VALUES => Ok(()),
        _ => Err(format!("{what} {shape:?} has more than {MAX_VALUES} values")),
    }
}

/// Checks that a layer has at least one output and at most [`MAX_SIZE`].
///
/// # Errors
/// The reason, as part of a sentence.
pub(super) fn check_outputs(outputs: usize) -> Result<(), String> {
    match outputs {
        1..=MAX_SIZE => Ok(()),
        0 => Err("it needs at least one output".into()),
        _ => Err(format!("it has {outputs} outputs, but may have {MAX_SIZE} at most")),
    }
}

/// The channels, height and width of an image.
///
/// # Errors
/// When the shape is not that of an image: a part of a sentence that states it.
pub(super) fn image(shape: &[usize]) -> Result<[usize; 3], String> {
    shape.try_into().map_err(|_| format!("it takes channels x height x width, but gets {}", dims(shape)))
}

/// A shape for messages and tables: `3x32x32`.
pub(super) fn dims(shape: &[usize]) -> String {
    crate::graph::Shape::from(shape).to_string()
}

/// Reshapes `[channels, height, width]` to `[features]`, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Flatten;

impl Layer for Flatten {
    fn label(&self) -> String {
        "flatten".into()
    }
    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        Ok(vec![shape.iter().product()])
    }
    fn forward(&self, build: &mut Build, _: &str, x: NodeId) -> Result<NodeId> {
        let &[batch, ref rest @ ..] = build.dims(x) else { return Ok(x) };
        if rest.len() == 1 {
            return Ok(x);
        }
        let features: usize = rest.iter().product();
        build.reshape(x, [batch, features])
    }
}

/// Reshapes `[features]` to `[channels, height, width]`: the inverse of [`Flatten`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unflatten {
    /// Channels, height and width.
    pub shape: [usize; 3],
}

impl Layer for Unflatten {
    fn label(&self) -> String {
        format!("unflatten to {}", dims(&self.shape))
    }
    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        match shape == [self.shape.iter().product::<usize>()] {
            true => Ok(self.shape.to_vec()),
            false => Err(format!("{} features cannot become {}", dims(shape), dims(&self.shape))),
        }
    }
    fn forward(&self, build: &mut Build, _: &str, x: NodeId) -> Result<NodeId> {
        let batch = build.dims(x)[0];
        let [channels, height, width] = self.shape;
        build.reshape(x, [batch, channels, height, width])
    }
}
