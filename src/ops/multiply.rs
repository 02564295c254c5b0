//! Product of two tensors, element by element, with broadcasting.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::{Formula, Map};

/// a b.
#[derive(Clone, Debug, PartialEq)]
pub struct Multiply;

impl Formula for Multiply {
    const NAME: &'static str = "multiply";
    const ARITY: usize = 2;
    const WGSL: &'static str = include_str!("../../shaders/multiply.wgsl");

    fn value<T: Real>(&self, [a, b, _]: [T; 3]) -> T {
        a * b
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let (a, b) = (at.inputs[0], at.inputs[1]);
        Ok(vec![Some(graph.mul(at.dy, b)?), Some(graph.mul(at.dy, a)?)])
    }
}

impl Graph {
    /// The product. The smaller operand is broadcast: a row, a channel, a scalar.
    ///
    /// # Errors
    /// When the shapes cannot be broadcast to one another.
    pub fn mul(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.apply(Map::of(Multiply), &[a, b])
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::binary(Graph::mul)
}
