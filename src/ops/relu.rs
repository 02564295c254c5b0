//! Rectified linear unit, y = max(x, 0), element by element.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::{Formula, Map};

/// max(x, 0).
#[derive(Clone, Debug, PartialEq)]
pub struct Relu;

impl Formula for Relu {
    const NAME: &'static str = "relu";
    const ARITY: usize = 1;
    const WGSL: &'static str = include_str!("../../shaders/relu.wgsl");

    fn value<T: Real>(&self, [x, ..]: [T; 3]) -> T {
        x.max(T::zero())
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(graph.apply(Map::of(ReluBackward), &[at.y, at.dy])?)])
    }
}

/// dy if the result is positive, otherwise 0.
#[derive(Clone, Debug, PartialEq)]
pub struct ReluBackward;

impl Formula for ReluBackward {
    const NAME: &'static str = "relu_backward";
    const ARITY: usize = 2;
    const WGSL: &'static str = include_str!("../../shaders/relu.wgsl");

    fn value<T: Real>(&self, [y, dy, _]: [T; 3]) -> T {
        if y > T::zero() { dy } else { T::zero() }
    }
}

impl Graph {
    /// max(x, 0) of each element.
    ///
    /// # Errors
    /// When `x` does not hold floats.
    pub fn relu(&mut self, x: NodeId) -> Result<NodeId> {
        self.apply(Map::of(Relu), &[x])
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::kinked(-2.0, 2.0, Graph::relu)
}
