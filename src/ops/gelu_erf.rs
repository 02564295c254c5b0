//! Gaussian error linear unit in its exact form, element by element (Hendrycks and Gimpel 2016): PyTorch's `GELU()`.

use crate::graph::Graph;
use crate::ops::Real;
use crate::ops::case::{Case, Sample};
use crate::ops::elementwise::Unary;

/// 1 / sqrt(2 pi).
const DENSITY: f64 = 0.398_942_280_401_432_7;

/// x / 2 (1 + erf(x / sqrt 2)): x times the part of a standard normal distribution below x. Computed as such, because far below zero
/// 1 + erf loses all digits.
#[derive(Clone, Debug, PartialEq)]
pub struct GeluErf;

impl Unary for GeluErf {
    const NAMES: [&'static str; 2] = ["gelu_erf", "gelu_erf_backward"];
    const WGSL: &'static str = include_str!("../../shaders/gelu_erf.wgsl");
    const FLOPS: [u64; 2] = [26, 32];

    fn value<T: Real>(&self, x: T) -> T {
        x * x.normal_part()
    }

    /// The derivative times dy. It needs x.
    fn derivative<T: Real>(&self, x: T, dy: T) -> T {
        let density = T::of(DENSITY) * (-(x * x) / T::of(2.0)).exponential();
        dy * (x.normal_part() + x * density)
    }
}

/// Shapes to test and to time, and arguments whose square overflows.
pub fn cases() -> Vec<Case> {
    let mut cases = crate::ops::case::unary(-4.0, 4.0, Graph::gelu_erf);
    cases.push(
        Case::new(vec![Sample::between(&[257], -9.0, -4.0)], |graph, x| graph.gelu_erf(x[0])).labelled("far below"),
    );
    let far = Case::new(vec![Sample::between(&[257], -3e18, 3e18)], |graph, x| graph.gelu_erf(x[0]));
    cases.push(far.labelled("far").differentiable(&[]));
    cases
}
