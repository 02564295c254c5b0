//! Sigmoid linear unit, y = x / (1 + e^-x), element by element (S. Elfwing, E. Uchibe, K. Doya, 2018; also known as swish).

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::{Formula, Map};

fn gate<T: Real>(x: T) -> T {
    T::one() / (T::one() + (-x).exponential())
}

/// x times its sigmoid.
#[derive(Clone, Debug, PartialEq)]
pub struct Silu;

impl Formula for Silu {
    const NAME: &'static str = "silu";
    const ARITY: usize = 1;
    const WGSL: &'static str = include_str!("../../shaders/silu.wgsl");
    const FLOPS: u64 = 4;

    fn value<T: Real>(&self, [x, ..]: [T; 3]) -> T {
        x * gate(x)
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(graph.apply(Map::of(SiluBackward), &[at.inputs[0], at.dy])?)])
    }
}

/// The derivative times dy. It needs x.
#[derive(Clone, Debug, PartialEq)]
pub struct SiluBackward;

impl Formula for SiluBackward {
    const NAME: &'static str = "silu_backward";
    const ARITY: usize = 2;
    const WGSL: &'static str = include_str!("../../shaders/silu.wgsl");
    const FLOPS: u64 = 8;

    fn value<T: Real>(&self, [x, dy, _]: [T; 3]) -> T {
        let open = gate(x);
        dy * open * (T::one() + x * (T::one() - open))
    }
}

impl Graph {
    /// The sigmoid linear unit of each element.
    ///
    /// # Errors
    /// When `x` does not hold floats.
    pub fn silu(&mut self, x: NodeId) -> Result<NodeId> {
        self.apply(Map::of(Silu), &[x])
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    crate::ops::case::unary(-6.0, 6.0, Graph::silu)
}
