//! Square root, element by element.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::{Formula, Map};

/// The square root, of positive x.
#[derive(Clone, Debug, PartialEq)]
pub struct Sqrt;

impl Formula for Sqrt {
    const NAME: &'static str = "sqrt";
    const FUNCTION: &'static str = "square_root";
    const ARITY: usize = 1;
    const WGSL: &'static str = include_str!("../../shaders/sqrt.wgsl");

    fn value<T: Real>(&self, [x, ..]: [T; 3]) -> T {
        x.sqrt()
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(graph.apply(Map::of(SqrtBackward), &[at.y, at.dy])?)])
    }
}

/// dy / (2 y).
#[derive(Clone, Debug, PartialEq)]
pub struct SqrtBackward;

impl Formula for SqrtBackward {
    const NAME: &'static str = "sqrt_backward";
    const ARITY: usize = 2;
    const WGSL: &'static str = include_str!("../../shaders/sqrt.wgsl");
    const FLOPS: u64 = 2;

    fn value<T: Real>(&self, [y, dy, _]: [T; 3]) -> T {
        T::of(0.5) * dy / y
    }
}

impl Graph {
    /// The square root of each element, which must be positive.
    ///
    /// # Errors
    /// When `x` does not hold floats.
    pub fn sqrt(&mut self, x: NodeId) -> Result<NodeId> {
        self.apply(Map::of(Sqrt), &[x])
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::unary(0.2, 5.0, Graph::sqrt)
}
