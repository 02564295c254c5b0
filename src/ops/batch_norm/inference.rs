//! The factor of a channel with given statistics: gamma divided by the standard deviation.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::elementwise::{Formula, Map};

/// gamma / sqrt(variance + epsilon).
#[derive(Clone, Debug, PartialEq)]
pub struct NormFactor {
    /// Added to the variance.
    pub epsilon: f32,
}

impl Formula for NormFactor {
    const NAME: &'static str = "norm_factor";
    const ARITY: usize = 2;
    const WGSL: &'static str = include_str!("../../../shaders/norm_factor.wgsl");
    const FLOPS: u64 = 3;

    fn value<T: Real>(&self, [gamma, variance, _]: [T; 3]) -> T {
        gamma / (variance + T::of(f64::from(self.epsilon))).sqrt()
    }

    fn parameters(&self) -> Vec<f32> {
        vec![self.epsilon]
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let variance = at.inputs[1];
        let by_gamma = graph.norm_factor(at.dy, variance, self.epsilon)?;
        let backward = NormFactorBackward { epsilon: self.epsilon };
        let by_variance = graph.apply(Map::of(backward), &[at.y, variance, at.dy])?;
        Ok(vec![Some(by_gamma), Some(by_variance)])
    }
}

/// The gradient with respect to the variance: -y dy / (2 (variance + epsilon)).
#[derive(Clone, Debug, PartialEq)]
pub struct NormFactorBackward {
    /// As in the forward function.
    pub epsilon: f32,
}

impl Formula for NormFactorBackward {
    const NAME: &'static str = "norm_factor_backward";
    const ARITY: usize = 3;
    const WGSL: &'static str = include_str!("../../../shaders/norm_factor.wgsl");
    const FLOPS: u64 = 4;

    fn value<T: Real>(&self, [y, variance, dy]: [T; 3]) -> T {
        T::of(-0.5) * y * dy / (variance + T::of(f64::from(self.epsilon)))
    }

    fn parameters(&self) -> Vec<f32> {
        vec![self.epsilon]
    }
}

impl Graph {
    /// gamma / sqrt(variance + epsilon), element by element.
    ///
    /// # Errors
    /// When the shapes cannot be broadcast to one another.
    pub fn norm_factor(&mut self, gamma: NodeId, variance: NodeId, epsilon: f32) -> Result<NodeId> {
        self.apply(Map::of(NormFactor { epsilon }), &[gamma, variance])
    }
}
