//! The larger of two tensors, element by element, with broadcasting.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::{Formula, Map};

/// The larger of a and b.
#[derive(Clone, Debug, PartialEq)]
pub struct Maximum;

impl Formula for Maximum {
    const NAME: &'static str = "maximum";
    const ARITY: usize = 2;
    const WGSL: &'static str = include_str!("../../shaders/maximum.wgsl");

    /// If either is not a number, the result is none.
    fn value<T: Real>(&self, [a, b, _]: [T; 3]) -> T {
        if a < b || b.is_nan() { b } else { a }
    }

    /// Equal numbers get half of it each.
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(gradients(graph, at.inputs[0], at.inputs[1], at.dy)?.map(Some).into())
    }
}

/// The gradient of the larger number a of two: dy, half of it if b is equal, and 0 if b is larger.
#[derive(Clone, Debug, PartialEq)]
pub struct LargerGradient;

impl Formula for LargerGradient {
    const NAME: &'static str = "larger_gradient";
    const ARITY: usize = 3;
    const WGSL: &'static str = <Maximum as Formula>::WGSL;

    fn value<T: Real>(&self, [a, b, dy]: [T; 3]) -> T {
        let share = if a == b { T::of(0.5) * dy } else { dy };
        if a < b { T::zero() } else { share }
    }
}

/// The gradients of both numbers, if the larger one is the result.
pub(super) fn gradients(graph: &mut Graph, a: NodeId, b: NodeId, dy: NodeId) -> Result<[NodeId; 2]> {
    Ok([graph.apply(Map::of(LargerGradient), &[a, b, dy])?, graph.apply(Map::of(LargerGradient), &[b, a, dy])?])
}

impl Graph {
    /// The larger of a and b. The smaller operand is broadcast: a row, a channel, a scalar.
    ///
    /// # Errors
    /// When the shapes cannot be broadcast to one another.
    pub fn maximum(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.apply(Map::of(Maximum), &[a, b])
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::binary(Graph::maximum)
}
