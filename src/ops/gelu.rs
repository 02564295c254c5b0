//! Gaussian error linear unit in its tanh form (Hendrycks and Gimpel 2016), element by element.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::{Formula, Map};

/// 2 sqrt(2 / pi). The tanh form equals x times the sigmoid of twice the argument of tanh.
const SLOPE: f64 = 1.595_769_121_605_730_7;
const CUBE: f64 = 0.044_715;

fn gate<T: Real>(x: T) -> T {
    T::one() / (T::one() + (-T::of(SLOPE) * (x + T::of(CUBE) * x * x * x)).exponential())
}

/// x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
#[derive(Clone, Debug, PartialEq)]
pub struct Gelu;

impl Formula for Gelu {
    const NAME: &'static str = "gelu";
    const ARITY: usize = 1;
    const WGSL: &'static str = include_str!("../../shaders/gelu.wgsl");
    const FLOPS: u64 = 10;

    fn value<T: Real>(&self, [x, ..]: [T; 3]) -> T {
        x * gate(x)
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(graph.apply(Map::of(GeluBackward), &[at.inputs[0], at.dy])?)])
    }
}

/// The derivative times dy. It needs x.
#[derive(Clone, Debug, PartialEq)]
pub struct GeluBackward;

impl Formula for GeluBackward {
    const NAME: &'static str = "gelu_backward";
    const ARITY: usize = 2;
    const WGSL: &'static str = include_str!("../../shaders/gelu.wgsl");
    const FLOPS: u64 = 20;

    fn value<T: Real>(&self, [x, dy, _]: [T; 3]) -> T {
        let open = gate(x);
        let slope = T::of(SLOPE) * (T::one() + T::of(3.0 * CUBE) * x * x);
        dy * (open + x * open * (T::one() - open) * slope)
    }
}

impl Graph {
    /// The Gaussian error linear unit of each element, in its tanh form.
    ///
    /// # Errors
    /// When `x` does not hold floats.
    pub fn gelu(&mut self, x: NodeId) -> Result<NodeId> {
        self.apply(Map::of(Gelu), &[x])
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::unary(-3.0, 3.0, Graph::gelu)
}
