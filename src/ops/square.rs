//! Square, element by element.

use crate::graph::Graph;
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::Unary;

/// x^2.
#[derive(Clone, Debug, PartialEq)]
pub struct Square;

impl Unary for Square {
    const NAMES: [&'static str; 2] = ["square", "square_backward"];
    const WGSL: &'static str = include_str!("../../shaders/square.wgsl");
    const FLOPS: [u64; 2] = [1, 2];

    fn value<T: Real>(&self, x: T) -> T {
        x * x
    }

    /// 2 x dy.
    fn derivative<T: Real>(&self, x: T, dy: T) -> T {
        T::of(2.0) * x * dy
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::unary(-2.0, 2.0, Graph::square)
}
