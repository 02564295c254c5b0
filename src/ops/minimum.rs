//! The smaller of two tensors, element by element, with broadcasting.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::{Formula, Map};
use crate::ops::maximum::gradients;

/// The smaller of a and b.
#[derive(Clone, Debug, PartialEq)]
pub struct Minimum;

impl Formula for Minimum {
    const NAME: &'static str = "minimum";
    const ARITY: usize = 2;
    const WGSL: &'static str = include_str!("../../shaders/minimum.wgsl");

    /// If either is not a number, the result is none.
    fn value<T: Real>(&self, [a, b, _]: [T; 3]) -> T {
        if a > b || b.is_nan() { b } else { a }
    }

    /// a gets it where b is the larger one.
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(gradients(graph, at.inputs[1], at.inputs[0], at.dy)?.map(Some).into())
    }
}

impl Graph {
    /// The smaller of a and b. The smaller operand is broadcast: a row, a channel, a scalar.
    ///
    /// # Errors
    /// When the shapes cannot be broadcast to one another.
    pub fn minimum(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.apply(Map::of(Minimum), &[a, b])
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::binary(Graph::minimum)
}
