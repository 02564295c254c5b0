//! The exponential moving average (EMA) of weights (B. T. Polyak and A. B. Juditsky, 1992). Evaluation uses the
//! average instead of the weights.

use crate::graph::TensorType;
use crate::graph::kernel::{Kernel, Lowering, Slot};
use crate::ops::case::{Case, Sample};
use crate::ops::op::defined_by;
use crate::ops::update::BLOCK;
use crate::ops::{Call, Lower, Op, Real, Types, expect_inputs};

/// Moves an average towards the weights: average += (1 - d) (weights - average). Here d is the decay, or (1 + t) /
/// (10 + t) at step t while that is smaller. States: the weights, which do not change, and the average. Because the
/// weights are a state, the op runs after their update. Both are flat, in blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct Average {
    /// The fraction of the old average that remains, at least 0 and below 1.
    pub decay: f32,
}

impl Average {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let time = T::count(call.step.number as usize);
        let decay = T::of(f64::from(self.decay)).min((T::one() + time) / (T::of(10.0) + time));
        let [weights, averages] = call.states else { return };
        if !call.step.updates() {
            return;
        }
        for (average, &weight) in averages.iter_mut().zip(weights.iter()) {
            *average += (T::one() - decay) * (weight - *average);
        }
    }
}

impl Op for Average {
    fn name(&self) -> &'static str {
        "average"
    }
    fn output(&self, inputs: &[TensorType], states: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 0)?;
        let [weights, average] = states else { return Err("it updates weights and their average".into()) };
        let len = weights.elements();
        if weights != average || *weights != TensorType::f32([len]) || !len.is_multiple_of(BLOCK) {
            return Err(format!("weights and average must be flat and of equal length, in blocks of {BLOCK}"));
        }
        if !(0.0..1.0).contains(&self.decay) {
            return Err(format!("a decay of {} is not at least 0 and below 1", self.decay));
        }
        Ok(TensorType::f32([0]))
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let quarters = at.types.states[0].elements() / 4;
        let kernel = Kernel::built_in("average", include_str!("../../shaders/average.wgsl"), &[at.edges(quarters)]);
        let dims = [quarters, self.decay.to_bits() as usize];
        at.linear(self, kernel, &[Slot::State(0), Slot::State(1)], &dims, quarters).into()
    }
    fn flops(&self, types: &Types) -> u64 {
        3 * types.states[0].elements() as u64
    }
}

/// Shapes to test and to time. In some cases the decay applies, in others the smaller one of the first steps.
pub fn cases() -> Vec<Case> {
    let of = |blocks: usize, decay: f32| {
        let states = vec![Sample::floats(&[blocks * BLOCK]); 2];
        Case::updating(Vec::new(), states, move |graph, x, states| graph.update(Average { decay }, x, states))
            .labelled(&format!("decay {decay}"))
            .valid(1)
    };
    vec![of(1, 0.1), of(3, 0.999), of(4, 0.2), of(301, 0.9), of(16_384, 0.999).timed()]
}
