//! The largest whole number that is not above each element.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::{Formula, zeros};

/// The largest whole number that is not above x.
#[derive(Clone, Debug, PartialEq)]
pub struct Floor;

impl Formula for Floor {
    const NAME: &'static str = "floor";
    const FUNCTION: &'static str = "whole_below";
    const ARITY: usize = 1;
    const WGSL: &'static str = include_str!("../../shaders/floor.wgsl");

    fn value<T: Real>(&self, [x, ..]: [T; 3]) -> T {
        x.floor()
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        zeros(graph, at)
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::unary(-3.0, 3.0, Graph::floor)
}
