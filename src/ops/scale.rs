//! Product with a constant factor, element by element.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::{Formula, Map};

/// factor x.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    /// The factor.
    pub factor: f32,
}

impl Formula for Scale {
    const NAME: &'static str = "scale";
    const ARITY: usize = 1;
    const WGSL: &'static str = include_str!("../../shaders/scale.wgsl");

    fn value<T: Real>(&self, [x, ..]: [T; 3]) -> T {
        T::of(f64::from(self.factor)) * x
    }

    fn parameters(&self) -> Vec<f32> {
        vec![self.factor]
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(graph.scale(at.dy, self.factor)?)])
    }
}

impl Graph {
    /// Each element times `factor`.
    ///
    /// # Errors
    /// When `x` does not hold floats.
    pub fn scale(&mut self, x: NodeId, factor: f32) -> Result<NodeId> {
        self.apply(Map::of(Scale { factor }), &[x])
    }
}

/// Shapes to test and to time. One shape needs more than 65,535 workgroups, which are folded over two axes.
pub fn cases() -> Vec<Case> {
    let mut cases = crate::ops::case::unary(-2.0, 2.0, |graph, x| graph.scale(x, -1.5));
    let long = vec![crate::ops::case::Sample::floats(&[65_537 * 64 + 1])];
    cases.push(Case::new(long, |graph, x| graph.scale(x[0], -1.5)).differentiable(&[]));
    cases
}
