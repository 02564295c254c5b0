//! Natural logarithm, element by element.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::{Formula, Map};

/// ln(x), for positive x.
#[derive(Clone, Debug, PartialEq)]
pub struct Log;

impl Formula for Log {
    const NAME: &'static str = "log";
    const FUNCTION: &'static str = "logarithm";
    const ARITY: usize = 1;
    const WGSL: &'static str = include_str!("../../shaders/log.wgsl");

    fn value<T: Real>(&self, [x, ..]: [T; 3]) -> T {
        x.ln()
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(graph.apply(Map::of(LogBackward), &[at.inputs[0], at.dy])?)])
    }
}

/// dy / x.
#[derive(Clone, Debug, PartialEq)]
pub struct LogBackward;

impl Formula for LogBackward {
    const NAME: &'static str = "log_backward";
    const ARITY: usize = 2;
    const WGSL: &'static str = include_str!("../../shaders/log.wgsl");

    fn value<T: Real>(&self, [x, dy, _]: [T; 3]) -> T {
        dy / x
    }
}

impl Graph {
    /// The natural logarithm of each element, which must be positive.
    ///
    /// # Errors
    /// When `x` does not hold floats.
    pub fn log(&mut self, x: NodeId) -> Result<NodeId> {
        self.apply(Map::of(Log), &[x])
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::unary(0.2, 5.0, Graph::log)
}
