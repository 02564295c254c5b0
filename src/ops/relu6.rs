//! Rectified linear unit limited to 6, element by element: y = min(max(x, 0), 6). MobileNet uses it.

use crate::graph::{Graph, NodeId, TensorType};
use crate::ops::Real;
use crate::ops::case::{Case, kinked};
use crate::ops::elementwise::Unary;

/// min(max(x, 0), 6).
#[derive(Clone, Debug, PartialEq)]
pub struct Relu6;

impl Unary for Relu6 {
    const NAMES: [&'static str; 2] = ["relu6", "relu6_backward"];
    const WGSL: &'static str = include_str!("../../shaders/relu6.wgsl");
    const OF_RESULT: bool = true;

    fn value<T: Real>(&self, x: T) -> T {
        x.max(T::zero()).min(T::of(6.0))
    }

    /// dy if the result is between 0 and 6, otherwise 0.
    fn derivative<T: Real>(&self, y: T, dy: T) -> T {
        if y > T::zero() && y < T::of(6.0) { dy } else { T::zero() }
    }
}

/// Shapes to test and to time, with values around 0 and 6.
pub fn cases() -> Vec<Case> {
    let about_six = |graph: &mut Graph, x: NodeId| {
        let six = graph.constant(TensorType::f32([1]), vec![6.0]);
        let moved = graph.add(x, six)?;
        graph.relu6(moved)
    };
    let upper = kinked(-2.0, 2.0, about_six).into_iter().map(|case| case.labelled("about 6")).take(6);
    kinked(-2.0, 2.0, Graph::relu6).into_iter().chain(upper).collect()
}
