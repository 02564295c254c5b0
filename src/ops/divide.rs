//! Quotient of two tensors, element by element, with broadcasting.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::{Formula, Map};

/// a / b.
#[derive(Clone, Debug, PartialEq)]
pub struct Divide;

impl Formula for Divide {
    const NAME: &'static str = "divide";
    const ARITY: usize = 2;
    const WGSL: &'static str = include_str!("../../shaders/divide.wgsl");

    fn value<T: Real>(&self, [a, b, _]: [T; 3]) -> T {
        a / b
    }

    /// dy / b, and -y dy / b.
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let by_a = graph.div(at.dy, at.inputs[1])?;
        let product = graph.mul(by_a, at.y)?;
        Ok(vec![Some(by_a), Some(graph.scale(product, -1.0)?)])
    }
}

impl Graph {
    /// The quotient a / b. The smaller operand is broadcast: a row, a channel, a scalar. 1 / x is the quotient of a constant.
    ///
    /// # Errors
    /// When the shapes cannot be broadcast to one another.
    pub fn div(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.apply(Map::of(Divide), &[a, b])
    }
}

/// Shapes to test and to time, with divisors from 1 to 3.
pub fn cases() -> Vec<Case> {
    crate::ops::case::binary(|graph, a, b| {
        let two = graph.constant(TensorType::f32([1]), vec![2.0]);
        let divisor = graph.add(b, two)?;
        graph.div(a, divisor)
    })
}
