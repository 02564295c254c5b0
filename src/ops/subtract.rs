//! Difference of two tensors, element by element, with broadcasting.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::{Formula, Map};

/// a - b.
#[derive(Clone, Debug, PartialEq)]
pub struct Subtract;

impl Formula for Subtract {
    const NAME: &'static str = "subtract";
    const ARITY: usize = 2;
    const WGSL: &'static str = include_str!("../../shaders/subtract.wgsl");

    fn value<T: Real>(&self, [a, b, _]: [T; 3]) -> T {
        a - b
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(at.dy), Some(graph.scale(at.dy, -1.0)?)])
    }
}

impl Graph {
    /// The difference a - b. The smaller operand is broadcast: a row, a channel, a scalar.
    ///
    /// # Errors
    /// When the shapes cannot be broadcast to one another.
    pub fn sub(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.apply(Map::of(Subtract), &[a, b])
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::binary(Graph::sub)
}
