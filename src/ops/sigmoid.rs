//! Logistic sigmoid, y = 1 / (1 + e^-x), element by element.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::{Formula, Map};

/// y = 1 / (1 + e^-x).
#[derive(Clone, Debug, PartialEq)]
pub struct Sigmoid;

impl Formula for Sigmoid {
    const NAME: &'static str = "sigmoid";
    const ARITY: usize = 1;
    const WGSL: &'static str = include_str!("../../shaders/sigmoid.wgsl");
    const FLOPS: u64 = 4;

    fn value<T: Real>(&self, [x, ..]: [T; 3]) -> T {
        T::one() / (T::one() + (-x).exponential())
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(graph.apply(Map::of(SigmoidBackward), &[at.y, at.dy])?)])
    }
}

/// y (1 - y) dy. It needs only the result, so x need not be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct SigmoidBackward;

impl Formula for SigmoidBackward {
    const NAME: &'static str = "sigmoid_backward";
    const ARITY: usize = 2;
    const WGSL: &'static str = include_str!("../../shaders/sigmoid.wgsl");
    const FLOPS: u64 = 3;

    fn value<T: Real>(&self, [y, dy, _]: [T; 3]) -> T {
        dy * y * (T::one() - y)
    }
}

impl Graph {
    /// The logistic sigmoid of each element.
    ///
    /// # Errors
    /// When `x` does not hold floats.
    pub fn sigmoid(&mut self, x: NodeId) -> Result<NodeId> {
        self.apply(Map::of(Sigmoid), &[x])
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::unary(-6.0, 6.0, Graph::sigmoid)
}
