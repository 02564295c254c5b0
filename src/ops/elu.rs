//! Exponential linear unit, element by element (D.-A. Clevert, T. Unterthiner, S. Hochreiter, 2016).

use crate::Result;
use crate::graph::{Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::{Map, Unary};

/// x if x is positive, otherwise alpha (e^x - 1).
#[derive(Clone, Debug, PartialEq)]
pub struct Elu {
    /// The factor of negative results.
    pub alpha: f32,
}

impl Unary for Elu {
    const NAMES: [&'static str; 2] = ["elu", "elu_backward"];
    const WGSL: &'static str = include_str!("../../shaders/elu.wgsl");
    const FLOPS: [u64; 2] = [4, 3];

    fn value<T: Real>(&self, x: T) -> T {
        // The exponential of a large number is not needed, and would overflow.
        let curve = T::of(f64::from(self.alpha)) * x.min(T::zero()).exponential_less_one();
        if x > T::zero() { x } else { curve }
    }

    /// dy if x is positive, otherwise alpha e^x dy. From the result it would be dy (y + alpha), which loses digits near -alpha, and
    /// with a negative alpha the result does not tell the sign of x.
    fn derivative<T: Real>(&self, x: T, dy: T) -> T {
        let slope = T::of(f64::from(self.alpha)) * x.min(T::zero()).exponential();
        if x > T::zero() { dy } else { slope * dy }
    }

    fn parameters(&self) -> Vec<f32> {
        vec![self.alpha]
    }
}

impl Graph {
    /// x if x is positive, otherwise `alpha` (e^x - 1), for each element.
    ///
    /// # Errors
    /// When `x` does not hold floats.
    pub fn elu(&mut self, x: NodeId, alpha: f32) -> Result<NodeId> {
        self.apply(Map::of(Elu { alpha }), &[x])
    }
}

/// Shapes to test and to time, and arguments whose exponential overflows or is 0.
pub fn cases() -> Vec<Case> {
    let far = |graph: &mut Graph, x: NodeId| {
        let far = graph.scale(x, 100.0)?;
        graph.elu(far, -0.5)
    };
    let far = crate::ops::case::kinked(-2.0, 2.0, far).into_iter().take(3).map(|case| case.labelled("far"));
    crate::ops::case::kinked(-4.0, 4.0, |graph, x| graph.elu(x, 1.5)).into_iter().chain(far).collect()
}
