//! Rectified linear unit, y = max(x, 0), element by element.

use crate::graph::Graph;
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::Unary;

/// max(x, 0).
#[derive(Clone, Debug, PartialEq)]
pub struct Relu;

impl Unary for Relu {
    const NAMES: [&'static str; 2] = ["relu", "relu_backward"];
    const WGSL: &'static str = include_str!("../../shaders/relu.wgsl");
    const OF_RESULT: bool = true;

    fn value<T: Real>(&self, x: T) -> T {
        x.max(T::zero())
    }

    /// dy if the result is positive, otherwise 0.
    fn derivative<T: Real>(&self, y: T, dy: T) -> T {
        if y > T::zero() { dy } else { T::zero() }
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::kinked(-2.0, 2.0, Graph::relu)
}
