//! The smallest whole number that is not below each element.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::{Formula, zeros};

/// The smallest whole number that is not below x.
#[derive(Clone, Debug, PartialEq)]
pub struct Ceil;

impl Formula for Ceil {
    const NAME: &'static str = "ceil";
    const FUNCTION: &'static str = "whole_above";
    const ARITY: usize = 1;
    const WGSL: &'static str = include_str!("../../shaders/ceil.wgsl");

    fn value<T: Real>(&self, [x, ..]: [T; 3]) -> T {
        x.ceil()
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        zeros(graph, at)
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::unary(-3.0, 3.0, Graph::ceil)
}
