//! Natural logarithm, element by element.

use crate::graph::Graph;
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::Unary;

/// ln(x), for positive x.
#[derive(Clone, Debug, PartialEq)]
pub struct Log;

impl Unary for Log {
    const NAMES: [&'static str; 2] = ["log", "log_backward"];
    const FUNCTION: &'static str = "logarithm";
    const WGSL: &'static str = include_str!("../../shaders/log.wgsl");

    fn value<T: Real>(&self, x: T) -> T {
        x.ln()
    }

    /// dy / x.
    fn derivative<T: Real>(&self, x: T, dy: T) -> T {
        dy / x
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::unary(0.2, 5.0, Graph::log)
}
