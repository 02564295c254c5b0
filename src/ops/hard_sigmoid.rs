//! Hard sigmoid, element by element: a sigmoid of straight lines (M. Courbariaux, Y. Bengio, J.-P. David, 2015), with PyTorch's slope.

use crate::Result;
use crate::graph::{Graph, NodeId, TensorType};
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::{Map, Unary};

/// min(max(x + 3, 0), 6) / 6.
#[derive(Clone, Debug, PartialEq)]
pub struct HardSigmoid;

/// The slope between the corners, as PyTorch has it in both precisions.
const SLOPE: f32 = 1.0 / 6.0;

impl Unary for HardSigmoid {
    const NAMES: [&'static str; 2] = ["hard_sigmoid", "hard_sigmoid_backward"];
    const WGSL: &'static str = include_str!("../../shaders/hard_sigmoid.wgsl");
    const FLOPS: [u64; 2] = [4, 3];

    /// What is not a number stays so.
    fn value<T: Real>(&self, x: T) -> T {
        let six = T::of(6.0);
        let raised = x + T::of(3.0);
        let raised = if raised < T::zero() { T::zero() } else { raised };
        (if raised > six { six } else { raised }) / six
    }

    /// dy / 6 between the corners, otherwise 0, as in PyTorch. From the result the corners could not be told: near them it rounds to 0
    /// or 1.
    fn derivative<T: Real>(&self, x: T, dy: T) -> T {
        let corner = T::of(3.0);
        if x > -corner && x < corner { dy * T::of(f64::from(SLOPE)) } else { T::zero() }
    }
}

impl Graph {
    /// `slope` x + `middle` between 0 and 1, of each element. With 1/6 and 1/2 it is PyTorch's `hardsigmoid`, a function of its own;
    /// with other numbers it is composed of others.
    ///
    /// # Errors
    /// When `x` does not hold floats.
    pub fn hard_sigmoid(&mut self, x: NodeId, slope: f32, middle: f32) -> Result<NodeId> {
        if [slope, middle] == [SLOPE, 0.5] {
            return self.apply(Map::of(HardSigmoid), &[x]);
        }
        let middle = self.constant(TensorType::f32([1]), vec![middle]);
        let sloped = self.scale(x, slope)?;
        let line = self.add(sloped, middle)?;
        self.clip(line, 0.0, 1.0)
    }
}

/// Cases of a function with corners at -3 and 3: all shapes between them, and some with all values below or above.
pub(super) fn between_corners(
    function: impl Fn(&mut Graph, NodeId) -> Result<NodeId> + Copy + Send + Sync + 'static,
) -> Vec<Case> {
    let some = |low: f64, high: f64, label: &str| {
        let cases = crate::ops::case::unary(low, high, function).into_iter().take(4);
        cases.map(|case| case.labelled(label)).collect::<Vec<_>>()
    };
    let between = crate::ops::case::unary(-2.9, 2.9, function);
    between.into_iter().chain(some(-9.0, -3.1, "below")).chain(some(3.1, 9.0, "above")).collect()
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    between_corners(|graph, x| graph.hard_sigmoid(x, SLOPE, 0.5))
}
