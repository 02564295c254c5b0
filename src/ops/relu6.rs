//! Rectified linear unit limited to 6, element by element: y = min(max(x, 0), 6). MobileNet uses it.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::Real;
use crate::ops::case::{Case, kinked};
use crate::ops::elementwise::{Formula, Map};

/// min(max(x, 0), 6).
#[derive(Clone, Debug, PartialEq)]
pub struct Relu6;

impl Formula for Relu6 {
    const NAME: &'static str = "relu6";
    const ARITY: usize = 1;
    const WGSL: &'static str = include_str!("../../shaders/relu6.wgsl");

    fn value<T: Real>(&self, [x, ..]: [T; 3]) -> T {
        x.max(T::zero()).min(T::of(6.0))
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(graph.apply(Map::of(Relu6Backward), &[at.y, at.dy])?)])
    }
}

/// dy if the result is between 0 and 6, otherwise 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Relu6Backward;

impl Formula for Relu6Backward {
    const NAME: &'static str = "relu6_backward";
    const ARITY: usize = 2;
    const WGSL: &'static str = include_str!("../../shaders/relu6.wgsl");

    fn value<T: Real>(&self, [y, dy, _]: [T; 3]) -> T {
        if y > T::zero() && y < T::of(6.0) { dy } else { T::zero() }
    }
}

impl Graph {
    /// min(max(x, 0), 6) of each element.
    ///
    /// # Errors
    /// When `x` does not hold floats.
    pub fn relu6(&mut self, x: NodeId) -> Result<NodeId> {
        self.apply(Map::of(Relu6), &[x])
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
