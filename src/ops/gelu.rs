//! Gaussian error linear unit in its tanh form, element by element (Hendrycks and Gimpel 2016).

use crate::graph::Graph;
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::Unary;
use crate::ops::sigmoid::Sigmoid;

/// 2 sqrt(2 / pi). The tanh form equals x times the sigmoid of twice the argument of tanh.
const SLOPE: f64 = 1.595_769_121_605_730_7;
const CUBE: f64 = 0.044_715;

fn gate<T: Real>(x: T) -> T {
    Sigmoid.value(T::of(SLOPE) * (x + T::of(CUBE) * x * x * x))
}

/// x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
#[derive(Clone, Debug, PartialEq)]
pub struct Gelu;

impl Unary for Gelu {
    const NAMES: [&'static str; 2] = ["gelu", "gelu_backward"];
    const WGSL: &'static str = include_str!("../../shaders/gelu.wgsl");
    const FLOPS: [u64; 2] = [10, 20];

    fn value<T: Real>(&self, x: T) -> T {
        x * gate(x)
    }

    /// The derivative times dy. It needs x.
    fn derivative<T: Real>(&self, x: T, dy: T) -> T {
        let open = gate(x);
        let slope = T::of(SLOPE) * (T::one() + T::of(3.0 * CUBE) * x * x);
        dy * (open + x * open * (T::one() - open) * slope)
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::unary(-3.0, 3.0, Graph::gelu)
}
