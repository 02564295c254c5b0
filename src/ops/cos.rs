//! Cosine, element by element.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::{Case, Sample};
use crate::ops::elementwise::Formula;
use crate::ops::sin::Sin;

/// cos(x), of x in radians. On GPUs the error grows with x beyond 10,000; at 100,000 it is 1e-6.
#[derive(Clone, Debug, PartialEq)]
pub struct Cos;

impl Formula for Cos {
    const NAME: &'static str = "cos";
    const FUNCTION: &'static str = "cosine";
    const ARITY: usize = 1;
    const WGSL: &'static str = Sin::WGSL;
    const FLOPS: u64 = 24;

    fn value<T: Real>(&self, [x, ..]: [T; 3]) -> T {
        x.cos()
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let sine = graph.sin(at.inputs[0])?;
        let product = graph.mul(at.dy, sine)?;
        Ok(vec![Some(graph.scale(product, -1.0)?)])
    }
}

/// Shapes to test and to time, and many turns.
pub fn cases() -> Vec<Case> {
    let mut cases = crate::ops::case::unary(-7.0, 7.0, Graph::cos);
    let far = vec![Sample::between(&[1031], -1e5, 1e5)];
    cases.push(Case::new(far, |graph, x| graph.cos(x[0])).labelled("far").differentiable(&[]));
    cases
}
