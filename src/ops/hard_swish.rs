//! Hard swish, x times its hard sigmoid, element by element (A. Howard et al., "Searching for MobileNetV3", 2019).

use crate::graph::Graph;
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::Unary;
use crate::ops::hard_sigmoid::{HardSigmoid, between_corners};

/// x min(max(x + 3, 0), 6) / 6.
#[derive(Clone, Debug, PartialEq)]
pub struct HardSwish;

impl Unary for HardSwish {
    const NAMES: [&'static str; 2] = ["hard_swish", "hard_swish_backward"];
    const WGSL: &'static str = include_str!("../../shaders/hard_swish.wgsl");
    const FLOPS: [u64; 2] = [5, 4];

    fn value<T: Real>(&self, x: T) -> T {
        x * HardSigmoid.value(x)
    }

    /// 0 up to -3, dy from 3 on, (x / 3 + 1/2) dy between them: at the corners as in PyTorch.
    fn derivative<T: Real>(&self, x: T, dy: T) -> T {
        let corner = T::of(3.0);
        let above = if x >= corner { dy } else { dy * (x / corner + T::of(0.5)) };
        if x <= -corner { T::zero() } else { above }
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    between_corners(Graph::hard_swish)
}
