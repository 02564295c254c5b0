//! Each element rounded to the nearest whole number.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::Real;
use crate::ops::case::{Case, Sample};
use crate::ops::elementwise::{Formula, zeros};

/// The nearest whole number, and of two the even one.
#[derive(Clone, Debug, PartialEq)]
pub struct Round;

impl Formula for Round {
    const NAME: &'static str = "round";
    const FUNCTION: &'static str = "nearest_whole";
    const ARITY: usize = 1;
    const WGSL: &'static str = include_str!("../../shaders/round.wgsl");

    fn value<T: Real>(&self, [x, ..]: [T; 3]) -> T {
        x.round_to_even()
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        zeros(graph, at)
    }
}

/// Shapes to test and to time, and numbers in the middle between two.
pub fn cases() -> Vec<Case> {
    let halves = Case::new(vec![Sample::between(&[8], 0.5, 0.5)], |graph, x| {
        let whole = graph.constant(TensorType::f32([8]), vec![-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]);
        let halves = graph.add(x[0], whole)?;
        graph.round(halves)
    });
    let mut cases = crate::ops::case::unary(-3.0, 3.0, Graph::round);
    cases.push(halves.labelled("halves").differentiable(&[]));
    cases
}
