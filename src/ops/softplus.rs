//! Softplus, y = ln(1 + e^x), element by element (C. Dugas and others, 2000): a smooth max(x, 0).

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::{Case, Sample};
use crate::ops::elementwise::{Formula, Map};

/// max(x, 0) + ln(1 + e^-|x|). This form cannot overflow.
#[derive(Clone, Debug, PartialEq)]
pub struct Softplus;

impl Formula for Softplus {
    const NAME: &'static str = "softplus";
    const ARITY: usize = 1;
    const WGSL: &'static str = include_str!("../../shaders/softplus.wgsl");
    const FLOPS: u64 = 7;

    fn value<T: Real>(&self, [x, ..]: [T; 3]) -> T {
        x.max(T::zero()) + (-x.abs()).exp().ln_1p()
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(graph.apply(Map::of(SoftplusBackward), &[at.inputs[0], at.dy])?)])
    }
}

/// The derivative, which is the sigmoid of x, times dy. It also equals 1 - e^-y, but that cancels if y is small.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftplusBackward;

impl Formula for SoftplusBackward {
    const NAME: &'static str = "softplus_backward";
    const ARITY: usize = 2;
    const WGSL: &'static str = include_str!("../../shaders/softplus.wgsl");
    const FLOPS: u64 = 7;

    fn value<T: Real>(&self, [x, dy, _]: [T; 3]) -> T {
        let small = (-x.abs()).exp();
        dy * if x >= T::zero() { T::one() } else { small } / (T::one() + small)
    }
}

impl Graph {
    /// ln(1 + e^x) of each element.
    ///
    /// # Errors
    /// When `x` does not hold floats.
    pub fn softplus(&mut self, x: NodeId) -> Result<NodeId> {
        self.apply(Map::of(Softplus), &[x])
    }
}

/// Shapes to test and to time, and arguments whose exponential overflows.
pub fn cases() -> Vec<Case> {
    let mut cases = crate::ops::case::unary(-6.0, 6.0, Graph::softplus);
    cases.push(Case::new(vec![Sample::between(&[257], -200.0, 200.0)], |graph, x| graph.softplus(x[0])));
    cases
}
