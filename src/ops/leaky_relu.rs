//! Leaky rectified linear unit, element by element: y = x if x is positive, otherwise slope x.

use crate::Result;
use crate::graph::{Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::{Map, Unary};

/// x if x is positive, otherwise slope x.
#[derive(Clone, Debug, PartialEq)]
pub struct LeakyRelu {
    /// The factor of negative x. It is positive, so the result has the sign of x.
    pub slope: f32,
}

impl Unary for LeakyRelu {
    const NAMES: [&'static str; 2] = ["leaky_relu", "leaky_relu_backward"];
    const WGSL: &'static str = include_str!("../../shaders/leaky_relu.wgsl");
    const OF_RESULT: bool = true;

    fn value<T: Real>(&self, x: T) -> T {
        if x > T::zero() { x } else { T::of(f64::from(self.slope)) * x }
    }

    /// dy if the result is positive, otherwise slope dy.
    fn derivative<T: Real>(&self, y: T, dy: T) -> T {
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
