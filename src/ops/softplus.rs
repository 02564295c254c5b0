//! Softplus, y = ln(1 + e^x), element by element (C. Dugas and others, 2000): a smooth max(x, 0).

use crate::graph::Graph;
use crate::ops::Real;
use crate::ops::case::{Case, Sample};
use crate::ops::elementwise::Unary;

/// max(x, 0) + ln(1 + e^-|x|). This form cannot overflow.
#[derive(Clone, Debug, PartialEq)]
pub struct Softplus;

impl Unary for Softplus {
    const NAMES: [&'static str; 2] = ["softplus", "softplus_backward"];
    const WGSL: &'static str = include_str!("../../shaders/softplus.wgsl");
    const FLOPS: [u64; 2] = [7, 7];

    fn value<T: Real>(&self, x: T) -> T {
        x.max(T::zero()) + (-x.abs()).exp().ln_1p()
    }

    /// The derivative, which is the sigmoid of x, times dy. It also equals 1 - e^-y, but that cancels if y is small.
    fn derivative<T: Real>(&self, x: T, dy: T) -> T {
        let small = (-x.abs()).exp();
        dy * if x >= T::zero() { T::one() } else { small } / (T::one() + small)
    }
}

/// Shapes to test and to time, and arguments whose exponential overflows.
pub fn cases() -> Vec<Case> {
    let mut cases = crate::ops::case::unary(-6.0, 6.0, Graph::softplus);
    cases.push(Case::new(vec![Sample::between(&[257], -200.0, 200.0)], |graph, x| graph.softplus(x[0])));
    cases
}
