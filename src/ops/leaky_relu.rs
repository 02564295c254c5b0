//! Leaky rectified linear unit, element by element: y = x if x is positive, otherwise slope x.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::{Formula, Map};

/// x if x is positive, otherwise slope x.
#[derive(Clone, Debug, PartialEq)]
pub struct LeakyRelu {
    /// The factor of negative x. It is positive, so the result has the sign of x.
    pub slope: f32,
}

impl Formula for LeakyRelu {
    const NAME: &'static str = "leaky_relu";
    const ARITY: usize = 1;
    const WGSL: &'static str = include_str!("../../shaders/leaky_relu.wgsl");

    fn value<T: Real>(&self, [x, ..]: [T; 3]) -> T {
        if x > T::zero() { x } else { T::of(f64::from(self.slope)) * x }
    }

    fn parameters(&self) -> Vec<f32> {
        vec![self.slope]
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let backward = LeakyReluBackward { slope: self.slope };
        Ok(vec![Some(graph.apply(Map::of(backward), &[at.y, at.dy])?)])
    }
}

/// dy if the result is positive, otherwise slope dy.
#[derive(Clone, Debug, PartialEq)]
pub struct LeakyReluBackward {
    /// As in the forward function.
    pub slope: f32,
}

impl Formula for LeakyReluBackward {
    const NAME: &'static str = "leaky_relu_backward";
    const ARITY: usize = 2;
    const WGSL: &'static str = include_str!("../../shaders/leaky_relu.wgsl");

    fn value<T: Real>(&self, [y, dy, _]: [T; 3]) -> T {
        if y > T::zero() { dy } else { T::of(f64::from(self.slope)) * dy }
    }

    fn parameters(&self) -> Vec<f32> {
        vec![self.slope]
    }
}

impl Graph {
    /// x if x is positive, otherwise `slope` x, for each element. The slope must be positive.
    ///
    /// # Errors
    /// When `x` does not hold floats.
    pub fn leaky_relu(&mut self, x: NodeId, slope: f32) -> Result<NodeId> {
        self.apply(Map::of(LeakyRelu { slope }), &[x])
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::kinked(-2.0, 2.0, |graph, x| graph.leaky_relu(x, 0.1))
}
