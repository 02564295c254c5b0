//! The sign of each element.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::{Formula, zeros};

/// 1 if x is positive, -1 if it is negative, otherwise 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Sign;

impl Formula for Sign {
    const NAME: &'static str = "sign";
    const FUNCTION: &'static str = "sign_of";
    const ARITY: usize = 1;
    const WGSL: &'static str = include_str!("../../shaders/sign.wgsl");

    fn value<T: Real>(&self, [x, ..]: [T; 3]) -> T {
        x.sign()
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        zeros(graph, at)
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::kinked(-2.0, 2.0, Graph::sign)
}
