//! Sum of two tensors, element by element, with broadcasting.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::{Case, Sample};
use crate::ops::elementwise::{Formula, Map};

/// a + b.
#[derive(Clone, Debug, PartialEq)]
pub struct Add;

impl Formula for Add {
    const NAME: &'static str = "add";
    const ARITY: usize = 2;
    const WGSL: &'static str = include_str!("../../shaders/add.wgsl");

    fn value<T: Real>(&self, [a, b, _]: [T; 3]) -> T {
        a + b
    }

    fn gradient(&self, _: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(at.dy), Some(at.dy)])
    }
}

impl Graph {
    /// The sum. The smaller operand is broadcast: a row, a channel, a scalar.
    ///
    /// # Errors
    /// When the shapes cannot be broadcast to one another.
    pub fn add(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.apply(Map::of(Add), &[a, b])
    }
}

/// Shapes to test and to time; the last is the bias of a convolution.
pub fn cases() -> Vec<Case> {
    let biased = vec![Sample::floats(&[64, 32, 32, 32]), Sample::floats(&[32, 1, 1])];
    let mut cases = crate::ops::case::binary(Graph::add);
    cases.push(Case::new(biased, |graph, x| graph.add(x[0], x[1])).differentiable(&[]).timed());
    cases
}
