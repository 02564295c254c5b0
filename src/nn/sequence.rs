//! Layers one after another, for models and for layers that are made of layers.

use std::ops::Range;

use super::build::Build;
use super::layer::{Child, Layer, check_values};
use super::parameters::Parameters;
use crate::graph::NodeId;
use crate::{Error, Result};

/// Named layers. Each reads the output of the one before it, as in PyTorch's `Sequential`.
#[derive(Debug, Default)]
pub struct Sequence {
    layers: Vec<(String, Box<dyn Layer>)>,
}

impl Sequence {
    /// Without layers: the output is the input.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a layer and returns the sequence.
    pub fn with(mut self, name: impl Into<String>, layer: impl Layer + 'static) -> Self {
        self.push(name, Box::new(layer));
        self
    }

    /// Appends a layer.
    pub fn push(&mut self, name: impl Into<String>, layer: Box<dyn Layer>) {
        self.layers.push((name.into(), layer));
    }

    /// Removes the rectifiers after the last layer with parameters, for inputs of this shape.
    pub(super) fn remove_last_rectifiers(&mut self, shape: &[usize]) {
        let (mut learned, mut number) = (0, 0);
        let walked = self.walk(shape, |_, layer, input, _| {
            let mut parameters = Parameters::default();
            layer.declare("", input, &mut parameters);
            number += 1;
            learned = if parameters.count() > 0 { number } else { learned };
        });
        // The shapes were checked when the model was made.
        debug_assert!(walked.is_ok());
        let mut number = 0;
        self.layers.retain(|(_, layer)| {
            number += 1;
            number <= learned || !layer.is_rectifier()
        });
    }

    /// All layers with their names, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &dyn Layer)> {
        self.layers.iter().map(|(name, layer)| (name.as_str(), layer.as_ref()))
    }

    /// Calls `visit` with each layer's name, the layer, and the shapes of its input and output.
    ///
    /// # Errors
    /// The name of the first layer that does not fit, with the reason.
    pub fn walk<'a>(
        &'a self,
        shape: &[usize],
        visit: impl FnMut(&'a str, &'a dyn Layer, &[usize], &[usize]),
    ) -> Result<Vec<usize>, String> {
        walk(self.iter(), shape, visit)
    }

    /// The layers as a part of an outer layer: see [`Child`].
    pub(super) fn child(&self, name: &'static str, input: &[usize]) -> Child<'_> {
        Child { name, layers: self.iter().collect(), input: input.to_vec() }
    }

    /// Builds a range of the layers. [`Layer::forward`] builds all of them.
    pub(super) fn forward_some(&self, some: Range<usize>, build: &mut Build, name: &str, x: NodeId) -> Result<NodeId> {
        let mut x = x;
        for (inner, layer) in self.iter().take(some.end).skip(some.start) {
            build.enter(inner);
            let y = layer.forward(build, &join(name, inner, "."), x);
            build.leave();
            x = y?;
        }
        Ok(x)
    }
}

/// As [`Sequence::walk`], for layers in any list.
pub(super) fn walk<'a>(
    layers: impl IntoIterator<Item = (&'a str, &'a dyn Layer)>,
    shape: &[usize],
    mut visit: impl FnMut(&'a str, &'a dyn Layer, &[usize], &[usize]),
) -> Result<Vec<usize>, String> {
    let mut shape = shape.to_vec();
    for (name, layer) in layers {
        let output = layer.output(&shape).and_then(|output| check_values("its output", &output).map(|()| output));
        let output = output.map_err(|reason| format!("'{name}' ({}): {reason}", layer.label()))?;
        visit(name, layer, &shape, &output);
        shape = output;
    }
    Ok(shape)
}

/// The full name of an inner layer: the outer layer's name, a separator, its own name.
pub(super) fn join(outer: &str, inner: &str, between: &str) -> String {
    match (outer, inner) {
        ("", name) | (name, "") => name.to_owned(),
        (outer, inner) => format!("{outer}{between}{inner}"),
    }
}

impl Layer for Sequence {
    fn label(&self) -> String {
        "layers".into()
    }

    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        self.walk(shape, |_, _, _, _| {})
    }

    fn declare(&self, name: &str, shape: &[usize], parameters: &mut Parameters) {
        let declared = self.walk(shape, |inner, layer, shape, _| {
            layer.declare(&join(name, inner, "."), shape, parameters);
        });
        // [`Layer::output`] has already checked the shapes.
        debug_assert!(declared.is_ok());
    }

    fn forward(&self, build: &mut Build, name: &str, x: NodeId) -> Result<NodeId> {
        self.forward_some(0..self.layers.len(), build, name, x)
    }

    fn children(&self, shape: &[usize]) -> Vec<Child<'_>> {
        vec![self.child("", shape)]
    }
}

/// Builds a part of a layer. If the part has a name, the names of its nodes and parameters include it.
pub(super) fn forward_part(build: &mut Build, outer: &str, name: &str, layers: &Sequence, x: NodeId) -> Result<NodeId> {
    if name.is_empty() {
        return layers.forward(build, outer, x);
    }
    build.enter(name);
    let y = layers.forward(build, &join(outer, name, "."), x);
    build.leave();
    y
}

/// The error for a model whose layers do not fit.
pub(super) fn does_not_fit(model: &str, reason: &str) -> Error {
    Error::Shape(format!("The model {model} does not fit its input: the layer {reason}."))
}
