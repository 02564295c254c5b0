//! Hyperbolic tangent, element by element.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::{Formula, Map};

/// tanh(x).
#[derive(Clone, Debug, PartialEq)]
pub struct Tanh;

impl Formula for Tanh {
    const NAME: &'static str = "tanh";
    const FUNCTION: &'static str = "hyperbolic_tangent";
    const ARITY: usize = 1;
    const WGSL: &'static str = include_str!("../../shaders/tanh.wgsl");
    const FLOPS: u64 = 8;

    fn value<T: Real>(&self, [x, ..]: [T; 3]) -> T {
        x.hyperbolic_tangent()
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(graph.apply(Map::of(TanhBackward), &[at.y, at.dy])?)])
    }
}

/// (1 - y^2) dy.
#[derive(Clone, Debug, PartialEq)]
pub struct TanhBackward;

impl Formula for TanhBackward {
    const NAME: &'static str = "tanh_backward";
    const ARITY: usize = 2;
    const WGSL: &'static str = include_str!("../../shaders/tanh.wgsl");
    const FLOPS: u64 = 3;

    fn value<T: Real>(&self, [y, dy, _]: [T; 3]) -> T {
        dy * (T::one() - y * y)
    }
}

impl Graph {
    /// The hyperbolic tangent of each element.
    ///
    /// # Errors
    /// When `x` does not hold floats.
    pub fn tanh(&mut self, x: NodeId) -> Result<NodeId> {
        self.apply(Map::of(Tanh), &[x])
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::unary(-4.0, 4.0, Graph::tanh)
}
