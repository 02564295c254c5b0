//! Sine, element by element.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::{Case, Sample};
use crate::ops::elementwise::Formula;

/// sin(x), of x in radians. On GPUs the error grows with x beyond 10,000; at 100,000 it is 1e-6.
#[derive(Clone, Debug, PartialEq)]
pub struct Sin;

impl Formula for Sin {
    const NAME: &'static str = "sin";
    const FUNCTION: &'static str = "sine";
    const ARITY: usize = 1;
    const WGSL: &'static str = include_str!("../../shaders/sin.wgsl");
    const FLOPS: u64 = 24;

    fn value<T: Real>(&self, [x, ..]: [T; 3]) -> T {
        x.sin()
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let slope = graph.cos(at.inputs[0])?;
        Ok(vec![Some(graph.mul(at.dy, slope)?)])
    }
}

/// Shapes to test and to time, and many turns.
pub fn cases() -> Vec<Case> {
    let mut cases = crate::ops::case::unary(-7.0, 7.0, Graph::sin);
    let far = vec![Sample::between(&[1031], -1e5, 1e5)];
    cases.push(Case::new(far, |graph, x| graph.sin(x[0])).labelled("far").differentiable(&[]));
    cases
}
