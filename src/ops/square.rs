//! Square, element by element.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::{Formula, Map};

/// x^2.
#[derive(Clone, Debug, PartialEq)]
pub struct Square;

impl Formula for Square {
    const NAME: &'static str = "square";
    const ARITY: usize = 1;
    const WGSL: &'static str = include_str!("../../shaders/square.wgsl");

    fn value<T: Real>(&self, [x, ..]: [T; 3]) -> T {
        x * x
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(graph.apply(Map::of(SquareBackward), &[at.inputs[0], at.dy])?)])
    }
}

/// 2 x dy.
#[derive(Clone, Debug, PartialEq)]
pub struct SquareBackward;

impl Formula for SquareBackward {
    const NAME: &'static str = "square_backward";
    const ARITY: usize = 2;
    const WGSL: &'static str = include_str!("../../shaders/square.wgsl");
    const FLOPS: u64 = 2;

    fn value<T: Real>(&self, [x, dy, _]: [T; 3]) -> T {
        T::of(2.0) * x * dy
    }
}

impl Graph {
    /// The square of each element.
    ///
    /// # Errors
    /// When `x` does not hold floats.
    pub fn square(&mut self, x: NodeId) -> Result<NodeId> {
        self.apply(Map::of(Square), &[x])
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::unary(-2.0, 2.0, Graph::square)
}
