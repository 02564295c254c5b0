//! The sum of gradients over the parts of a batch, which is then as large as all of them together.

use crate::graph::TensorType;
use crate::graph::kernel::{Kernel, Lowering, Slot};
use crate::ops::case::{Case, Sample};
use crate::ops::op::{defined_by, in_pieces};
use crate::ops::update::BLOCK;
use crate::ops::{Call, Lower, Op, Real, Step, TensorOut, expect_inputs};

/// The sum of a gradient and those of the earlier parts of the batch; in the first part ([`Step::FIRST_PART`]) the
/// gradient itself. Input: the gradient. State: the sum so far, of the same shape, which becomes the value.
#[derive(Clone, Debug, PartialEq)]
pub struct AccumulateGradient;

impl AccumulateGradient {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let (gradients, fresh) = (call.real(0), call.step.part & Step::FIRST_PART != 0);
        in_pieces(call.states[0], 1, |first, sums| {
            for (sum, &gradient) in sums.iter_mut().zip(&gradients[first..]) {
                *sum = if fresh { gradient } else { *sum + gradient };
            }
        });
        let TensorOut::Real(y) = &mut call.output else { return };
        y.copy_from_slice(call.states[0]);
    }
}

impl Op for AccumulateGradient {
    fn name(&self) -> &'static str {
        "accumulate_gradient"
    }
    fn output(&self, inputs: &[TensorType], states: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 1)?;
        match states {
            [sum] if *sum == inputs[0] => Ok(inputs[0].clone()),
            _ => Err("it updates a sum of the gradient's shape".into()),
        }
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let count = at.types.output.elements();
        let source = include_str!("../../shaders/accumulate_gradient.wgsl");
        let kernel = Kernel::built_in("accumulate_gradient", source, &[at.edges(count)]);
        at.linear(self, kernel, &[Slot::Input(0), Slot::State(0), Slot::Output], &[count], count).into()
    }
}

/// Sizes to test and to time.
pub fn cases() -> Vec<Case> {
    let of = |blocks: usize| {
        let flat = [blocks * BLOCK];
        Case::updating(vec![Sample::floats(&flat)], vec![Sample::floats(&flat)], |graph, x, states| {
            graph.update(AccumulateGradient, x, states)
        })
    };
    vec![of(1), of(7), of(301), of(16_384).timed()]
}
