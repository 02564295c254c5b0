//! Sigmoid linear unit, y = x / (1 + e^-x), element by element (S. Elfwing, E. Uchibe, K. Doya, 2018; also known as swish).

use crate::graph::Graph;
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::Unary;
use crate::ops::sigmoid::Sigmoid;

/// x times its sigmoid.
#[derive(Clone, Debug, PartialEq)]
pub struct Silu;

impl Unary for Silu {
    const NAMES: [&'static str; 2] = ["silu", "silu_backward"];
    const WGSL: &'static str = include_str!("../../shaders/silu.wgsl");
    const FLOPS: [u64; 2] = [4, 8];

    fn value<T: Real>(&self, x: T) -> T {
        x * Sigmoid.value(x)
    }

    /// The derivative times dy. It needs x.
    fn derivative<T: Real>(&self, x: T, dy: T) -> T {
        let open = Sigmoid.value(x);
        dy * open * (T::one() + x * (T::one() - open))
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::unary(-6.0, 6.0, Graph::silu)
}
