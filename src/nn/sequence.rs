//! Layers one after another: what models and layers made of layers share.

use std::ops::Range;

use super::build::Build;
use super::layer::{Child, Layer};
use super::parameters::Parameters;
use crate::graph::NodeId;
use crate::{Error, Result};

/// Named layers, each reading what the one before it gives.
#[derive(Debug, Default)]
pub struct Sequence {
    layers: Vec<(String, Box<dyn Layer>)>,
}

impl Sequence {
    /// No layers: what comes in goes out.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a layer after the others.
    pub fn with(mut self, name: impl Into<String>, layer: impl Layer + 'static) -> Self {
        self.push(name, Box::new(layer));
        self
    }

    /// Puts a layer after the others.
    pub fn push(&mut self, name: impl Into<String>, layer: Box<dyn Layer>) {
        self.layers.push((name.into(), layer));
    }

    /// All, in order, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &dyn Layer)> {
        self.layers.iter().map(|(name, layer)| (name.as_str(), layer.as_ref()))
    }

    /// Calls `visit` with each layer's name, the layer, and the shapes of its input and output.
    ///
    /// # Errors
    /// The first layer that does not fit, by name, with the reason.
    pub fn walk<'a>(
        &'a self,
        shape: &[usize],
        mut visit: impl FnMut(&'a str, &'a dyn Layer, &[usize], &[usize]),
    ) -> Result<Vec<usize>, String> {
        let mut shape = shape.to_vec();
        for (name, layer) in self.iter() {
            let output = layer.output(&shape).map_err(|reason| format!("'{name}' ({}): {reason}", layer.label()))?;
            visit(name, layer, &shape, &output);
            shape = output;
        }
        Ok(shape)
    }

    /// Builds some of the layers, as [`Layer::forward`] builds all.
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

/// A layer's name within that of the layer around it.
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
        // `output` has excluded that it does not fit.
        debug_assert!(declared.is_ok());
    }

    fn forward(&self, build: &mut Build, name: &str, x: NodeId) -> Result<NodeId> {
        self.forward_some(0..self.layers.len(), build, name, x)
    }

    fn children(&self, shape: &[usize]) -> Vec<Child<'_>> {
        vec![Child { name: "", layers: self, input: shape.to_vec() }]
    }
}

/// Builds a part of a layer: its nodes and parameters stand under the part's name, where it has one.
pub(super) fn forward_part(build: &mut Build, outer: &str, name: &str, layers: &Sequence, x: NodeId) -> Result<NodeId> {
    if name.is_empty() {
        return layers.forward(build, outer, x);
    }
    build.enter(name);
    let y = layers.forward(build, &join(outer, name, "."), x);
    build.leave();
    y
}

/// The error of a model whose layers do not fit.
pub(super) fn does_not_fit(model: &str, reason: &str) -> Error {
    Error::Shape(format!("The model {model} does not fit its input: the layer {reason}."))
}
