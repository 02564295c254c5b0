//! A model: its layers, their shapes and their parameters.

use super::build::{Build, Mode};
use super::layer::{Layer, MAX_VALUES, check_values};
use super::models::Task;
use super::parameters::{Parameters, Weights, is_of};
use super::sequence::{Sequence, does_not_fit, join, walk};
use crate::graph::{NodeId, TensorType};
use crate::{Error, Result};

/// A network for images of one shape: its layers, and the names, shapes and offsets of their parameters.
#[derive(Debug)]
pub struct Model {
    name: String,
    input: Vec<usize>,
    layers: Sequence,
    output: Vec<usize>,
    parameters: Parameters,
    bottleneck: Option<Bottleneck>,
    /// How many of the first layers are left out. The model's input is then their output.
    left_out: usize,
}

/// The bottleneck of an autoencoder, between its encoder and its decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bottleneck {
    /// The number of layers of the encoder, which come first. The others are the decoder.
    pub encoder: usize,
    /// The length of the code of one image.
    pub width: usize,
}

/// A line of a model's summary.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Description {
    /// The layer's full name, as in `layer1.0.conv1`.
    pub name: String,
    /// The number of layers around this one.
    pub depth: usize,
    /// The layer's label: see [`Layer::label`].
    pub layer: String,
    /// The output's shape for one image.
    pub output: Vec<usize>,
    /// The number of parameters, including those of inner layers.
    pub parameters: usize,
    /// Floating-point operations of the forward pass of one image, including those of inner layers.
    pub flops: u64,
}

impl Model {
    /// A model made of these layers, for images of shape `input`: `[channels, height, width]`.
    ///
    /// # Errors
    /// When a layer's input does not fit, when two parameters have the same name, or when a layer that is initialised from
    /// images is not the first one.
    pub fn new(name: impl Into<String>, input: &[usize], layers: Sequence) -> Result<Self> {
        let name = name.into();
        check_values("an image", input)
            .map_err(|reason| Error::Shape(format!("The model {name} does not fit its input: {reason}.")))?;
        let output = layers.output(input).map_err(|reason| does_not_fit(&name, &reason))?;
        let misplaced = (1..).zip(layers.iter()).find_map(|(number, (inner, layer))| match number {
            1 if layer.is_initialised_from_images() => None,
            _ => misplaced_within(inner, layer, input),
        });
        if let Some(reason) = misplaced {
            return Err(does_not_fit(&name, &reason));
        }
        let mut parameters = Parameters::default();
        layers.declare("", input, &mut parameters);
        if parameters.flat_len() > MAX_VALUES {
            return Err(Error::Shape(format!(
                "The model {name} has {} parameters, but may have {MAX_VALUES} at most.",
                parameters.count()
            )));
        }
        if let Some(repeated) = parameters.repeated() {
            return Err(Error::Shape(format!(
                "The model {name} has two parameters '{repeated}'; give its layers other names."
            )));
        }
        let mut model = Self { name, input: input.to_vec(), layers, output, parameters, bottleneck: None, left_out: 0 };
        model.mark_head();
        Ok(model)
    }

    /// The same model as an autoencoder, whose encoder is the first `encoder` layers.
    ///
    /// # Errors
    /// When the output of those layers is not a list of features.
    pub fn with_bottleneck(mut self, encoder: usize) -> Result<Self> {
        let mut shapes = Vec::new();
        let walked = self.layers.walk(&self.input, |_, _, _, output| shapes.push(output.to_vec()));
        walked.map_err(|reason| does_not_fit(&self.name, &reason))?;
        let Some(&[width]) = encoder.checked_sub(1).and_then(|last| shapes.get(last)).map(Vec::as_slice) else {
            return Err(Error::Shape(format!(
                "The model {} has no bottleneck: its encoder's output is not a list of features.",
                self.name
            )));
        };
        self.bottleneck = Some(Bottleneck { encoder, width });
        Ok(self)
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The shape of an input image.
    pub fn input(&self) -> &[usize] {
        &self.input
    }
    /// The shape of the output for one image.
    pub fn output(&self) -> &[usize] {
        &self.output
    }
    /// The model's parameters and running statistics.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }
    pub(super) fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }
    pub(super) fn layers(&self) -> &Sequence {
        &self.layers
    }

    /// The same model without rectifiers after its last layer with parameters. SqueezeNets end with one, with which no probability of
    /// a label would be below one half.
    #[must_use]
    pub fn with_signed_logits(mut self) -> Self {
        self.layers.remove_last_rectifiers(&self.input);
        self
    }

    /// The bottleneck, if the model is an autoencoder.
    pub fn bottleneck(&self) -> Option<Bottleneck> {
        self.bottleneck
    }

    /// What the model is trained for: reconstruction if it has a [`Bottleneck`], else classification. A recipe may say that the answers
    /// of a classifier are any number of labels: [`Recipe::task_of`](crate::train::Recipe::task_of).
    pub fn task(&self) -> Task {
        if self.bottleneck.is_some() { Task::Reconstruct } else { Task::Classify }
    }

    /// Whether some parameters are initialised from the training images: see [`Model::initialise_from_images`].
    pub fn is_initialised_from_images(&self) -> bool {
        self.layers.iter().next().is_some_and(|(_, layer)| layer.is_initialised_from_images())
    }

    /// Computes initial values from training images for the parameters that need them. `images` holds images of the
    /// model's input shape, one after another, preprocessed as for evaluation.
    ///
    /// # Errors
    /// When the images cannot be used.
    pub fn initialise_from_images(&self, weights: &mut Weights, images: &[f32]) -> Result<()> {
        let Some((name, layer)) = self.layers.iter().next().filter(|_| self.is_initialised_from_images()) else {
            return Ok(());
        };
        let initial = layer.initialise_from_images(&self.input, images).map_err(|reason| {
            Error::data(format!(
                "The model {} cannot be initialised: '{name}' ({}): {reason}.",
                self.name,
                layer.label()
            ))
        })?;
        for values in initial {
            let name = join(name, values.name, ".");
            let parameter = self.parameters.find(&name);
            let parameter = parameter.ok_or_else(|| Error::usage(format!("the model has no parameter '{name}'")))?;
            weights.learned[parameter.range()].copy_from_slice(&values.values);
        }
        Ok(())
    }

    /// Builds the model's nodes for x `[batch, input...]` or `[batch, features]`. The result is `[batch, output...]`.
    ///
    /// # Errors
    /// When x has another shape.
    pub fn forward(&self, build: &mut Build, x: NodeId) -> Result<NodeId> {
        let batch = build.dims(x).first().copied().unwrap_or(1);
        let features: usize = self.input.iter().product();
        if build.ty(x).elements() != batch * features {
            let message = format!("the model {} takes images {:?}, but gets {}", self.name, self.input, build.ty(x));
            return Err(Error::Shape(message));
        }
        let own: Vec<usize> = std::iter::once(batch).chain(self.input.iter().copied()).collect();
        // The stored output of layers that are left out is flat.
        let x = if self.left_out > 0 && build.dims(x) != own { build.reshape(x, own)? } else { x };
        self.layers.forward_some(self.left_out..self.layers.iter().len(), build, "", x)
    }

    /// Builds only the first `count` layers.
    ///
    /// # Errors
    /// As [`Model::forward`].
    pub fn forward_first(&self, count: usize, build: &mut Build, x: NodeId) -> Result<NodeId> {
        self.layers.forward_some(0..count, build, "", x)
    }

    /// The same model without its first `count` layers. Its input is their output. It still has all parameters.
    ///
    /// # Errors
    /// When the model has fewer layers.
    pub fn without_first(mut self, count: usize) -> Result<Self> {
        let mut shapes = vec![self.input.clone()];
        let walked = self.layers.walk(&self.input, |_, _, _, output| shapes.push(output.to_vec()));
        walked.map_err(|reason| does_not_fit(&self.name, &reason))?;
        let all = shapes.len() - 1;
        let input = shapes.into_iter().nth(count);
        self.input = input.ok_or_else(|| {
            Error::Shape(format!("The model {} has only {all} layers; {count} cannot be left out.", self.name))
        })?;
        self.left_out = count;
        Ok(self)
    }

    /// Builds the encoder for x `[batch, input...]`. The result is the codes `[batch, width]`.
    ///
    /// # Errors
    /// When x has another shape, or the model is no autoencoder.
    pub fn encode(&self, build: &mut Build, x: NodeId) -> Result<NodeId> {
        let encoder = self.need_bottleneck()?.encoder;
        self.layers.forward_some(0..encoder, build, "", x)
    }

    /// Builds the decoder for codes `[batch, width]`. The result is `[batch, output...]`.
    ///
    /// # Errors
    /// When the codes have another shape, or the model is no autoencoder.
    pub fn decode(&self, build: &mut Build, codes: NodeId) -> Result<NodeId> {
        let encoder = self.need_bottleneck()?.encoder;
        self.layers.forward_some(encoder..self.layers.iter().len(), build, "", codes)
    }

    fn need_bottleneck(&self) -> Result<Bottleneck> {
        let none = || Error::usage(format!("The model {} is no autoencoder: it has no bottleneck.", self.name));
        self.bottleneck.ok_or_else(none)
    }

    /// One line for each layer. Inner layers come after the layer that contains them.
    ///
    /// # Errors
    /// When a layer cannot be built for one image. [`Model::new`] has already excluded this.
    pub fn describe(&self) -> Result<Vec<Description>> {
        let mut build = Build::new(&self.parameters, Mode::Evaluation)?;
        let shape: Vec<usize> = std::iter::once(1).chain(self.input.iter().copied()).collect();
        let x = build.leaf("input", 0, TensorType::f32(shape))?;
        self.forward(&mut build, x)?;
        let mut lines = Vec::new();
        let describer = Describer { build: &build, parameters: &self.parameters };
        let outer = Outer { name: String::new(), scope: String::new(), depth: 0 };
        describer
            .add(&self.layers.iter().collect::<Vec<_>>(), &self.input, &outer, &mut lines)
            .map_err(|reason| does_not_fit(&self.name, &reason))?;
        Ok(lines)
    }
}

/// The reason why a layer that is not the network's first one is refused: it, or a layer inside it, is initialised from
/// images.
fn misplaced_within(name: &str, layer: &dyn Layer, shape: &[usize]) -> Option<String> {
    if layer.is_initialised_from_images() {
        let label = layer.label();
        return Some(format!(
            "'{name}' ({label}): it is initialised from the training images, so it has to be the first layer"
        ));
    }
    let parts = layer.children(shape);
    parts
        .iter()
        .flat_map(|part| part.layers.iter())
        .find_map(|&(inner, layer)| misplaced_within(&join(name, inner, "."), layer, shape))
}

/// The data from which the lines of a summary are made.
struct Describer<'a> {
    build: &'a Build<'a>,
    parameters: &'a Parameters,
}

/// The surroundings of the layers to describe: the prefix of their parameters' and nodes' names, and their depth.
struct Outer {
    name: String,
    scope: String,
    depth: usize,
}

impl Describer<'_> {
    fn add(
        &self,
        layers: &[(&str, &dyn Layer)],
        shape: &[usize],
        outer: &Outer,
        lines: &mut Vec<Description>,
    ) -> Result<(), String> {
        let mut inside = Vec::new();
        walk(layers.iter().copied(), shape, |inner, layer, input, output| {
            inside.push((inner, layer, input.to_vec(), output.to_vec()));
        })?;
        for (inner, layer, input, output) in inside {
            let (name, scope) = (join(&outer.name, inner, "."), join(&outer.scope, inner, "/"));
            let in_scope = |full: &str| full.strip_prefix(scope.as_str()).is_some_and(|rest| rest.starts_with('/'));
            let nodes = self.build.ids().filter(|&id| in_scope(&self.build.node(id).name));
            let learned = self.parameters.iter().filter(|parameter| is_of(&parameter.name, &name));
            lines.push(Description {
                name: name.clone(),
                depth: outer.depth,
                layer: layer.label(),
                output,
                parameters: learned.map(|parameter| parameter.shape.elements()).sum(),
                flops: nodes.map(|id| self.build.flops_of(id)).sum(),
            });
            for part in layer.children(&input) {
                let (name, scope) = (join(&name, part.name, "."), join(&scope, part.name, "/"));
                self.add(&part.layers, &part.input, &Outer { name, scope, depth: outer.depth + 1 }, lines)?;
            }
        }
        Ok(())
    }
}
