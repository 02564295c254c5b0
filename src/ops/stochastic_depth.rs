//! Stochastic depth (G. Huang, Y. Sun, Z. Liu, D. Sedra and K. Weinberger, ECCV 2016): in training, a branch of the network is dropped for
//! some rows of the batch. The op makes a factor for each row, 0 or 1 / (1 - rate), from counter-based random numbers; the product with
//! the branch is an element-wise op, which fuses with its neighbours.

use crate::graph::kernel::{Kernel, Lowering, Slot};
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::dropout::threshold;
use crate::ops::op::defined_by;
use crate::ops::{Call, Lower, Op, Real, expect_inputs};
use crate::random::{CounterRng, Purpose};
use crate::{Error, Result};

/// A factor for each row of a batch: 0 with probability `rate`, otherwise 1 / (1 - `rate`). It reads nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct StochasticDepth {
    /// The probability, at least 0 and below 1.
    pub rate: f32,
    /// A number that distinguishes the branches of one network, and them from its dropout layers.
    pub stream: u32,
    /// The shape of the factors: the rows of the batch, and axes of size 1.
    pub shape: Vec<usize>,
}

impl StochasticDepth {
    fn factor(&self) -> f64 {
        1.0 / (1.0 - f64::from(self.rate))
    }

    /// Row r of the whole batch has word r of the sequence. Earlier parts of a batch have whole blocks of four rows.
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let step = call.step;
        let rng = CounterRng { seed: step.seed(), purpose: Purpose::Dropout, stream: self.stream, step: step.number };
        let (threshold, factor) = (threshold(self.rate), T::of(self.factor()));
        for (block, rows) in (step.row_offset / 4..).zip(call.out().chunks_mut(4)) {
            for (row, word) in rows.iter_mut().zip(rng.block(block)) {
                *row = if word < threshold { T::zero() } else { factor };
            }
        }
    }
}

impl Op for StochasticDepth {
    fn name(&self) -> &'static str {
        "stochastic_depth"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 0)?;
        if !(0.0..1.0).contains(&self.rate) {
            return Err(format!("a rate of {} is not at least 0 and below 1", self.rate));
        }
        Ok(TensorType::f32(self.shape.clone()))
    }
    fn gradient(&self, _: &mut Graph, _: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(Vec::new())
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let rows = at.types.output.elements();
        let fours = rows.div_ceil(4);
        let factor = self.factor() as f32;
        let dims = [fours, rows, threshold(self.rate) as usize, self.stream as usize, factor.to_bits() as usize];
        let kernel = Kernel::built_in("stochastic_depth", include_str!("../../shaders/stochastic_depth.wgsl"), &[]);
        at.linear(self, kernel, &[Slot::Output], &dims, fours).into()
    }
}

impl Graph {
    /// Drops each row of x `[batch, ...]` with probability `rate`, and divides the others by 1 - `rate`: torchvision's `StochasticDepth`
    /// with mode "row". `stream` is a number that distinguishes the branches and dropout layers of one network.
    ///
    /// # Errors
    /// When the rate is not at least 0 and below 1, or x has no axis.
    pub fn stochastic_depth(&mut self, x: NodeId, rate: f32, stream: u32) -> Result<NodeId> {
        let mut shape = self.dims(x).to_vec();
        let [_, rest @ ..] = shape.as_mut_slice() else {
            return Err(Error::Shape(format!("'{}' has no rows to drop", self.node(x).name)));
        };
        rest.fill(1);
        let factors = self.apply(StochasticDepth { rate, stream, shape }, &[])?;
        self.mul(x, factors)
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    let of = |dims: &[usize], rate: f32| {
        Case::new(vec![Sample::floats(dims)], move |graph, x| graph.stochastic_depth(x[0], rate, 3))
            .labelled(&format!("rate {rate}"))
    };
    vec![
        of(&[1, 3], 0.5),
        of(&[7], 0.1),
        of(&[33, 2, 4, 4], 0.5),
        of(&[5, 3, 7], 0.9),
        of(&[10, 31], 0.0),
        of(&[301, 2], 0.2),
        of(&[64, 16, 8, 8], 0.2).timed(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Oracle, Value};
    use crate::ops::Step;

    /// A row is dropped as a whole, in other steps other rows are, and the share of dropped rows is the rate.
    #[test]
    fn rows_are_kept_or_dropped_as_a_whole() -> Result<()> {
        let mut graph = Graph::new();
        let (rows, columns) = (4000, 3);
        let x = graph.leaf("x", 0, TensorType::f32([rows, columns]))?;
        let y = graph.stochastic_depth(x, 0.25, 1)?;
        let mut oracle = Oracle::default();
        oracle.set("x", Value::Real(vec![3.0; rows * columns]));
        let mut dropped = |step: u32| {
            let values = oracle.run(&graph, graph.ids(), &Step::new(step, rows as u32, 7));
            let y = values[y.index()].as_ref().map_or(Vec::new(), Value::numbers);
            assert!(y.chunks(columns).all(|row| row == [4.0; 3] || row == [0.0; 3]));
            y.chunks(columns).map(|row| row[0] == 0.0).collect::<Vec<bool>>()
        };
        let (first, second) = (dropped(0), dropped(1));
        let count = first.iter().filter(|&&dropped| dropped).count();
        // Four standard deviations of a binomial distribution.
        assert!(count.abs_diff(1000) < 110, "{count} of {rows}");
        assert!(first != second && first.iter().zip(&second).any(|(a, b)| a == b));
        Ok(())
    }
}
