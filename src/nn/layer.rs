//! What a layer is, and the layer without parameters or arithmetic.

use std::fmt::Debug;

use super::build::Build;
use super::parameters::Parameters;
use super::sequence::Sequence;
use crate::Result;
use crate::graph::NodeId;

/// One layer of a [`super::Model`]: a rule for shapes, the parameters it learns, and the nodes it builds.
///
/// Shapes are those of one image, without the batch axis: `[features]` or `[channels, height, width]`.
pub trait Layer: Debug + Send + Sync {
    /// What it is, with what distinguishes it, for tables: `linear 1024-64`.
    fn label(&self) -> String;

    /// The shape of its output for an input of `shape`.
    ///
    /// # Errors
    /// The part of a sentence that says what does not fit; the model puts the layer's name before it.
    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String>;

    /// Adds what it learns, named after `name`: `fc1.weight`.
    fn declare(&self, _name: &str, _shape: &[usize], _parameters: &mut Parameters) {}

    /// Builds its nodes for x `[batch, shape...]`, with the parameters it declared under `name`.
    ///
    /// # Errors
    /// When shapes do not fit, which [`Layer::output`] has excluded.
    fn forward(&self, build: &mut Build, name: &str, x: NodeId) -> Result<NodeId>;

    /// Whether it draws random numbers while training, so that it does not give the same for the same twice.
    fn is_random(&self) -> bool {
        false
    }

    /// Whether some of its parameters begin as the training images have them: [`Layer::prepare`]. It has to be the
    /// network's first layer then, which reads the images themselves.
    fn is_prepared(&self) -> bool {
        false
    }

    /// The initial values of those parameters from images of `shape`, one after another, as the network gets them when it
    /// is measured: a sample of the training images.
    ///
    /// # Errors
    /// The part of a sentence that says why the images do not serve.
    fn prepare(&self, _shape: &[usize], _images: &[f32]) -> Result<Vec<Prepared>, String> {
        Ok(Vec::new())
    }

    /// The layers inside it, for a layer made of others.
    fn children(&self, _shape: &[usize]) -> Vec<Child<'_>> {
        Vec::new()
    }
}

/// How a parameter begins, by the images.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// The parameter's name within the layer: `weight`.
    pub name: &'static str,
    /// All its values.
    pub values: Vec<f32>,
}

/// Layers inside a layer.
#[derive(Clone, Debug)]
pub struct Child<'a> {
    /// What stands between the outer layer's name and theirs; may be empty.
    pub name: &'static str,
    /// They.
    pub layers: &'a Sequence,
    /// Their input's shape.
    pub input: Vec<usize>,
}

/// The default of a switch that is on.
pub(super) fn yes() -> bool {
    true
}

/// The largest size of anything in a layer.
pub(super) const MOST: usize = 65_536;

/// Refuses a count of outputs that makes no layer, or none that any device could hold.
///
/// # Errors
/// The part of a sentence that says so.
pub(super) fn check_outputs(outputs: usize) -> Result<(), String> {
    match outputs {
        1..=MOST => Ok(()),
        0 => Err("it needs at least one output".into()),
        _ => Err(format!("it has {outputs} outputs, but may have {MOST} at most")),
    }
}

/// The channels, height and width of an image.
///
/// # Errors
/// The part of a sentence that says what was found instead.
pub(super) fn image(shape: &[usize]) -> Result<[usize; 3], String> {
    shape.try_into().map_err(|_| format!("it takes channels x height x width, but gets {}", dims(shape)))
}

/// A shape for people: `3x32x32`.
pub(super) fn dims(shape: &[usize]) -> String {
    crate::graph::Shape::from(shape).to_string()
}

/// `[channels, height, width]` as `[features]`, row-major.
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

/// `[features]` as `[channels, height, width]`: what [`Flatten`] did, undone.
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
