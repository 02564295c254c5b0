//! Reverse-mode differentiation. It builds the gradient nodes of a scalar, or of a value with a given incoming
//! gradient. Each op builds its own gradient.

use std::collections::HashMap;

use crate::graph::{DType, Differentiate, Graph, NodeId, NodeSource, TensorType};
use crate::{Error, Result};

impl Graph {
    /// The gradients of the scalar `of` with respect to each node in `by`.
    ///
    /// # Errors
    /// When `of` is not a scalar or does not depend on one of the nodes, or when an op on the path has no gradient.
    pub fn gradient(&mut self, of: NodeId, by: &[NodeId]) -> Result<Vec<NodeId>> {
        if self.ty(of).elements() != 1 {
            return Err(Error::Shape(format!(
                "'{}' has the shape {}, but without an incoming gradient only a scalar can be differentiated",
                self.node(of).name,
                self.ty(of)
            )));
        }
        let one = self.constant(TensorType::f32(self.ty(of).shape.clone()), vec![1.0]);
        self.gradient_from(of, one, by)
    }

    /// The gradients with respect to each node in `by`, where `incoming` is the gradient that arrives at `of`.
    ///
    /// # Errors
    /// As [`Graph::gradient`], and when the shapes of `incoming` and `of` differ.
    pub fn gradient_from(&mut self, of: NodeId, incoming: NodeId, by: &[NodeId]) -> Result<Vec<NodeId>> {
        if self.ty(of) != self.ty(incoming) {
            return Err(Error::Shape(format!(
                "the incoming gradient of '{}' has the shape {}, but the value has the shape {}",
                self.node(of).name,
                self.ty(incoming),
                self.ty(of)
            )));
        }
        let depends = self.depends_on(of, by);
        let mut arriving: HashMap<NodeId, NodeId> = HashMap::from([(of, incoming)]);
        for id in (0..=of.0).rev().map(NodeId) {
            if !depends[id.index()] {
                continue;
            }
            let Some(&dy) = arriving.get(&id) else { continue };
            let node = self.node(id).clone();
            let NodeSource::Op { op, inputs, .. } = &node.source else { continue };
            let scope = node.name.rsplit_once('/').map_or("", |(scope, _)| scope);
            let gradients =
                self.scoped(format!("{scope}'"), |graph| op.gradient(graph, &Differentiate { inputs, y: id, dy }))?;
            for (&input, gradient) in inputs.iter().zip(gradients) {
                let (Some(gradient), true) = (gradient, depends[input.index()]) else { continue };
                let sum = match arriving.get(&input) {
                    Some(&already) => self.add(already, gradient)?,
                    None => gradient,
                };
                arriving.insert(input, sum);
            }
        }
        by.iter()
            .map(|id| {
                arriving.get(id).copied().ok_or_else(|| {
                    Error::Shape(format!(
                        "'{}' has no gradient with respect to '{}', because it does not depend on it",
                        self.node(of).name,
                        self.node(*id).name
                    ))
                })
            })
            .collect()
    }

    /// For each node up to `of`: whether it is in `by`, or is a float value computed from such a node.
    fn depends_on(&self, of: NodeId, by: &[NodeId]) -> Vec<bool> {
        let mut depends = vec![false; of.index() + 1];
        for id in self.ids().take(of.index() + 1) {
            let node = self.node(id);
            depends[id.index()] = by.contains(&id)
                || node.ty.dtype == DType::F32 && node.inputs().iter().any(|input| depends[input.index()]);
        }
        depends
    }
}
