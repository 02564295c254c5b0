//! Logistic sigmoid, y = 1 / (1 + e^-x), element by element.

use crate::graph::Graph;
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::Unary;

/// y = 1 / (1 + e^-x).
#[derive(Clone, Debug, PartialEq)]
pub struct Sigmoid;

impl Unary for Sigmoid {
    const NAMES: [&'static str; 2] = ["sigmoid", "sigmoid_backward"];
    const WGSL: &'static str = include_str!("../../shaders/sigmoid.wgsl");
    const OF_RESULT: bool = true;
    const FLOPS: [u64; 2] = [4, 3];

    fn value<T: Real>(&self, x: T) -> T {
        T::one() / (T::one() + (-x).exponential())
    }

    /// y (1 - y) dy. It needs only the result, so x need not be kept.
    fn derivative<T: Real>(&self, y: T, dy: T) -> T {
        dy * y * (T::one() - y)
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::unary(-6.0, 6.0, Graph::sigmoid)
}
