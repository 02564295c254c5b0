//! Lookahead (M. R. Zhang, J. Lucas, G. Hinton and J. Ba, "Lookahead optimizer: k steps forward, 1 step back", NeurIPS 2019):
//! the weights go back to an average of themselves every few steps.

use crate::graph::TensorType;
use crate::graph::kernel::{Kernel, Lowering, Slot};
use crate::ops::case::{Case, Sample};
use crate::ops::op::defined_by;
use crate::ops::update::BLOCK;
use crate::ops::{Call, Lower, Op, Real, Types, expect_inputs};

/// Joins weights and slow weights: slow += (1 - d) (weights - slow); weights = slow. Here d is
/// [`Step::lookahead`](crate::ops::Step::lookahead). In a step where it is below 0, nothing changes. States: the weights and
/// the slow weights, flat and in blocks. Because the weights are a state, the op runs after their update.
#[derive(Clone, Debug, PartialEq)]
pub struct Lookahead;

impl Lookahead {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let decay = T::of(f64::from(call.step.lookahead));
        let [weights, slow] = call.states else { return };
        if decay < T::zero() {
            return;
        }
        for (weight, slow) in weights.iter_mut().zip(slow.iter_mut()) {
            *slow += (T::one() - decay) * (*weight - *slow);
            *weight = *slow;
        }
    }
}

impl Op for Lookahead {
    fn name(&self) -> &'static str {
        "lookahead"
    }
    fn output(&self, inputs: &[TensorType], states: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 0)?;
        let [weights, slow] = states else { return Err("it updates weights and slow weights".into()) };
        let len = weights.elements();
        if weights != slow || *weights != TensorType::f32([len]) || !len.is_multiple_of(BLOCK) {
            return Err(format!("weights and slow weights must be flat and of equal length, in blocks of {BLOCK}"));
        }
        Ok(TensorType::f32([0]))
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let quarters = at.types.states[0].elements() / 4;
        let source = include_str!("../../shaders/lookahead.wgsl");
        let kernel = Kernel::built_in("lookahead", source, &[at.edges(quarters)]);
        at.linear(self, kernel, &[Slot::State(0), Slot::State(1)], &[quarters], quarters).into()
    }
    fn flops(&self, types: &Types) -> u64 {
        3 * types.states[0].elements() as u64
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    let of = |blocks: usize| {
        let states = vec![Sample::floats(&[blocks * BLOCK]); 2];
        Case::updating(Vec::new(), states, |graph, x, states| graph.update(Lookahead, x, states)).valid(1)
    };
    vec![of(1), of(3), of(4), of(301), of(16_384).timed()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Oracle, Value};
    use crate::graph::Graph;
    use crate::ops::Step;

    #[test]
    fn only_steps_that_join_change_something() -> crate::Result<()> {
        let mut graph = Graph::new();
        let weights = graph.leaf("weights", 0, TensorType::f32([BLOCK]))?;
        let slow = graph.leaf("slow", 0, TensorType::f32([BLOCK]))?;
        graph.update(Lookahead, &[], &[weights, slow])?;
        let after = |decay: f32| -> crate::Result<[f64; 2]> {
            let mut oracle = Oracle::default();
            oracle.set("weights", Value::Real(vec![3.0; BLOCK]));
            oracle.set("slow", Value::Real(vec![1.0; BLOCK]));
            oracle.run(&graph, graph.ids(), &Step { lookahead: decay, ..Step::new(0, 1, 1) });
            Ok([oracle.get("weights")?.numbers()[0], oracle.get("slow")?.numbers()[0]])
        };
        assert_eq!(after(-1.0)?, [3.0, 1.0]);
        assert_eq!(after(0.75)?, [1.5, 1.5]);
        assert_eq!(after(1.0)?, [1.0, 1.0]);
        Ok(())
    }
}
