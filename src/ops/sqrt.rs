//! Square root, element by element.

use crate::graph::Graph;
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::Unary;

/// The square root, of positive x.
#[derive(Clone, Debug, PartialEq)]
pub struct Sqrt;

impl Unary for Sqrt {
    const NAMES: [&'static str; 2] = ["sqrt", "sqrt_backward"];
    const FUNCTION: &'static str = "square_root";
    const WGSL: &'static str = include_str!("../../shaders/sqrt.wgsl");
    const OF_RESULT: bool = true;
    const FLOPS: [u64; 2] = [1, 2];

    fn value<T: Real>(&self, x: T) -> T {
        x.sqrt()
    }

    /// dy / (2 y).
    fn derivative<T: Real>(&self, y: T, dy: T) -> T {
        T::of(0.5) * dy / y
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::unary(0.2, 5.0, Graph::sqrt)
}
