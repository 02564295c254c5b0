//! A network as a list of named layers.

use super::build::{Build, Mode};
use super::layer::Layer;
use super::parameters::Parameters;
use crate::graph::{NodeId, TensorType};
use crate::{Error, Result};

/// Layers one after another, with their shapes worked out and their parameters placed.
#[derive(Debug)]
pub struct Model {
    name: String,
    input: Vec<usize>,
    layers: Vec<Named>,
    parameters: Parameters,
}

#[derive(Debug)]
struct Named {
    name: String,
    layer: Box<dyn Layer>,
    output: Vec<usize>,
    parameters: usize,
}

/// A line of a model's summary.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Description {
    /// The layer's name.
    pub name: String,
    /// What it is.
    pub layer: String,
    /// Its output's shape for one picture.
    pub output: Vec<usize>,
    /// How many numbers it learns.
    pub parameters: usize,
    /// Floating-point operations of one picture's forward pass.
    pub flops: u64,
}

impl Model {
    /// A model without layers, for pictures of a shape: `[channels, height, width]`.
    pub fn new(name: impl Into<String>, input: &[usize]) -> Self {
        Self { name: name.into(), input: input.to_vec(), layers: Vec::new(), parameters: Parameters::default() }
    }

    /// Puts a layer after the others.
    ///
    /// # Errors
    /// When its input does not fit, or there is a layer of that name.
    pub fn with(mut self, name: &str, layer: impl Layer + 'static) -> Result<Self> {
        if self.layers.iter().any(|other| other.name == name) {
            return Err(Error::Shape(format!("the model {} has two layers '{name}'", self.name)));
        }
        let shape = self.output().to_vec();
        let output = layer.output(&shape).map_err(|reason| {
            Error::Shape(format!("the layer '{name}' of the model {} does not fit: {reason}", self.name))
        })?;
        let before = self.parameters.count();
        layer.declare(name, &shape, &mut self.parameters);
        let parameters = self.parameters.count() - before;
        self.layers.push(Named { name: name.into(), layer: Box::new(layer), output, parameters });
        Ok(self)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// A picture's shape.
    pub fn input(&self) -> &[usize] {
        &self.input
    }
    /// The output's shape for one picture.
    pub fn output(&self) -> &[usize] {
        self.layers.last().map_or(&self.input, |layer| &layer.output)
    }
    /// What it learns.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Builds its nodes for x `[batch, input...]` or `[batch, features]`; the result is `[batch, output...]`.
    ///
    /// # Errors
    /// When x has another shape.
    pub fn forward(&self, build: &mut Build, x: NodeId) -> Result<NodeId> {
        let batch = build.dims(x).first().copied().unwrap_or(1);
        let features: usize = self.input.iter().product();
        if build.ty(x).elements() != batch * features {
            let message = format!("the model {} takes pictures {:?}, but gets {}", self.name, self.input, build.ty(x));
            return Err(Error::Shape(message));
        }
        let mut x = x;
        for Named { name, layer, .. } in &self.layers {
            build.enter(name);
            let y = layer.forward(build, name, x);
            build.leave();
            x = y?;
        }
        Ok(x)
    }

    /// A line a layer.
    ///
    /// # Errors
    /// When a layer cannot be built for one picture, which [`Model::with`] has excluded.
    pub fn describe(&self) -> Result<Vec<Description>> {
        let mut build = Build::new(&self.parameters, Mode::Evaluation)?;
        let shape: Vec<usize> = std::iter::once(1).chain(self.input.iter().copied()).collect();
        let x = build.leaf("input", 0, TensorType::f32(shape))?;
        self.forward(&mut build, x)?;
        let flops_of = |name: &str| {
            let within = format!("{name}/");
            let of_layer = build.ids().filter(|&id| build.node(id).name.starts_with(&within));
            of_layer.map(|id| build.flops_of(id)).sum()
        };
        let describe = |layer: &Named| Description {
            name: layer.name.clone(),
            layer: layer.layer.label(),
            output: layer.output.clone(),
            parameters: layer.parameters,
            flops: flops_of(&layer.name),
        };
        Ok(self.layers.iter().map(describe).collect())
    }
}
