//! Exponential, element by element.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::Formula;

/// e^x.
#[derive(Clone, Debug, PartialEq)]
pub struct Exp;

impl Formula for Exp {
    const NAME: &'static str = "exp";
    const FUNCTION: &'static str = "exponential";
    const ARITY: usize = 1;
    const WGSL: &'static str = include_str!("../../shaders/exp.wgsl");

    fn value<T: Real>(&self, [x, ..]: [T; 3]) -> T {
        x.exponential()
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(graph.mul(at.dy, at.y)?)])
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::unary(-4.0, 4.0, Graph::exp)
}
