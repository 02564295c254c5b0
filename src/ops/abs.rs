//! Absolute value, element by element.

use crate::graph::Graph;
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::Unary;

/// |x|.
#[derive(Clone, Debug, PartialEq)]
pub struct Abs;

impl Unary for Abs {
    const NAMES: [&'static str; 2] = ["abs", "abs_backward"];
    const FUNCTION: &'static str = "magnitude";
    const WGSL: &'static str = include_str!("../../shaders/abs.wgsl");

    fn value<T: Real>(&self, x: T) -> T {
        x.abs()
    }

    /// dy with the sign of x, and 0 at 0.
    fn derivative<T: Real>(&self, x: T, dy: T) -> T {
        dy * x.sign()
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::kinked(-2.0, 2.0, Graph::abs)
}
