//! Hyperbolic tangent, element by element.

use crate::graph::Graph;
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::Unary;

/// tanh(x).
#[derive(Clone, Debug, PartialEq)]
pub struct Tanh;

impl Unary for Tanh {
    const NAMES: [&'static str; 2] = ["tanh", "tanh_backward"];
    const FUNCTION: &'static str = "hyperbolic_tangent";
    const WGSL: &'static str = include_str!("../../shaders/tanh.wgsl");
    const OF_RESULT: bool = true;
    const FLOPS: [u64; 2] = [8, 3];

    fn value<T: Real>(&self, x: T) -> T {
        x.hyperbolic_tangent()
    }

    /// (1 - y^2) dy.
    fn derivative<T: Real>(&self, y: T, dy: T) -> T {
        dy * (T::one() - y * y)
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::unary(-4.0, 4.0, Graph::tanh)
}
