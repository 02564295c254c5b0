//! Error function, element by element.

use crate::graph::Graph;
use crate::ops::Real;
use crate::ops::case::{Case, Sample};
use crate::ops::elementwise::Unary;

/// 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x.
#[derive(Clone, Debug, PartialEq)]
pub struct Erf;

impl Unary for Erf {
    const NAMES: [&'static str; 2] = ["erf", "erf_backward"];
    const FUNCTION: &'static str = "error_function";
    const WGSL: &'static str = include_str!("../../shaders/erf.wgsl");
    const FLOPS: [u64; 2] = [28, 4];

    fn value<T: Real>(&self, x: T) -> T {
        x.error_function()
    }

    /// 2 / sqrt(pi) e^(-x^2) dy.
    fn derivative<T: Real>(&self, x: T, dy: T) -> T {
        T::of(std::f64::consts::FRAC_2_SQRT_PI) * (-x * x).exponential() * dy
    }
}

/// Shapes to test and to time, and arguments whose square overflows.
pub fn cases() -> Vec<Case> {
    let mut cases = crate::ops::case::unary(-3.0, 3.0, Graph::erf);
    cases.push(Case::new(vec![Sample::between(&[257], -3e38, 3e38)], |graph, x| graph.erf(x[0])).differentiable(&[]));
    cases
}
