//! Power of two tensors, element by element, with broadcasting.

use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::Real;
use crate::ops::case::{Case, Sample, SampleFill};
use crate::ops::elementwise::{Formula, Map};

const WGSL: &str = include_str!("../../shaders/power.wgsl");

/// a^b. Of a negative a it is a number only for a whole b.
#[derive(Clone, Debug, PartialEq)]
pub struct Power;

impl Formula for Power {
    const NAME: &'static str = "power";
    const ARITY: usize = 2;
    const WGSL: &'static str = WGSL;
    const FLOPS: u64 = 8;

    fn value<T: Real>(&self, [a, b, _]: [T; 3]) -> T {
        a.powf(b)
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let known = [at.inputs[0], at.inputs[1], at.dy];
        Ok(vec![Some(graph.apply(Map::of(PowerByBase), &known)?), Some(graph.apply(Map::of(PowerByExponent), &known)?)])
    }
}

/// b a^(b - 1) dy, and 0 where b is 0: of a^0 = 1, even where a^-1 is infinite.
#[derive(Clone, Debug, PartialEq)]
pub struct PowerByBase;

impl Formula for PowerByBase {
    const NAME: &'static str = "power_by_base";
    const ARITY: usize = 3;
    const WGSL: &'static str = WGSL;
    const FLOPS: u64 = 11;

    fn value<T: Real>(&self, [a, b, dy]: [T; 3]) -> T {
        if b == T::zero() { T::zero() } else { dy * b * a.powf(b - T::one()) }
    }
}

/// a^b ln(a) dy, and 0 where a is 0 and b is not negative: 0^b does not change there, but the logarithm is infinite.
#[derive(Clone, Debug, PartialEq)]
pub struct PowerByExponent;

impl Formula for PowerByExponent {
    const NAME: &'static str = "power_by_exponent";
    const ARITY: usize = 3;
    const WGSL: &'static str = WGSL;
    const FLOPS: u64 = 11;

    fn value<T: Real>(&self, [a, b, dy]: [T; 3]) -> T {
        if a == T::zero() && b >= T::zero() { T::zero() } else { dy * a.powf(b) * a.ln() }
    }
}

impl Graph {
    /// The power a^b. The smaller operand is broadcast: a row, a channel, a scalar. Squares and roots have functions of their own,
    /// which are faster.
    ///
    /// # Errors
    /// When the shapes cannot be broadcast to one another.
    pub fn pow(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.apply(Map::of(Power), &[a, b])
    }
}

/// Shapes to test and to time, with bases from 0.5 to 2.5; bases of both signs with whole exponents; powers of 0.
pub fn cases() -> Vec<Case> {
    let positive = crate::ops::case::binary(|graph, a, b| {
        let middle = graph.constant(TensorType::f32([1]), vec![1.5]);
        let (base, exponent) = (graph.add(a, middle)?, graph.scale(b, 2.0)?);
        graph.pow(base, exponent)
    });
    let raised = |bases: Sample, exponents: &'static [f32]| {
        let build = move |graph: &mut Graph, x: &[NodeId]| {
            let exponents = graph.constant(TensorType::f32([exponents.len()]), exponents.to_vec());
            graph.pow(x[0], exponents)
        };
        Case::new(vec![bases], build)
    };
    let signed = Sample { fill: SampleFill::AwayFromZero(-1.5, 1.5), ..Sample::floats(&[31, 6]) };
    let whole =
        raised(Sample { fill: SampleFill::Uniform(-1.5, 1.5), ..signed.clone() }, &[1.0, 2.0, 3.0, 4.0, 5.0, 0.0]);
    let inverse = Sample { fill: SampleFill::Uniform(-1.5, -0.5), ..signed };
    let inverse = raised(inverse, &[-1.0, -2.0, -3.0, 0.0, 6.0, 7.0]);
    let zero = raised(Sample::between(&[6], 0.0, 0.0), &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let of_zero = raised(Sample::between(&[3], 0.0, 0.0), &[0.5, 1.5, 30.0]).differentiable(&[]);
    let others = [
        whole.labelled("whole exponents"),
        inverse.labelled("negative bases"),
        zero.labelled("of 0"),
        of_zero.labelled("of 0"),
    ];
    positive.into_iter().chain(others).collect()
}
