//! The count of rows whose answers are all right.

use super::{lower, rows_and_targets};
use crate::Result;
use crate::graph::TensorType;
use crate::graph::kernel::Lowering;
use crate::ops::cross_entropy::Objective;
use crate::ops::op::defined_by;
use crate::ops::{Call, Lower, Op, Real, Types, expect_inputs};

/// 1 for each valid row whose logits are at least 0, a probability of one half, exactly where its targets are above one half; otherwise
/// 0. Inputs: logits and targets, `[rows, classes]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ExactMatch {
    /// Whether images are mixed. Then the targets are those of the larger share: the row's own or the next row's.
    pub mixed: bool,
}

impl ExactMatch {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let (x, targets, step, columns) = (call.real(0), call.real(1), call.step, call.dims(0)[1]);
        for (row, y) in call.out().iter_mut().enumerate() {
            let is_other = self.mixed && step.share < 0.5;
            let labelled = if is_other { Objective::partner(row, step) } else { row };
            let pairs = x[row * columns..][..columns].iter().zip(&targets[labelled * columns..]);
            // Not a number is no answer.
            let is_right = |(&x, &target): (&T, &T)| if target > T::of(0.5) { x >= T::zero() } else { x < T::zero() };
            let all = row < step.valid as usize && pairs.into_iter().all(is_right);
            *y = if all { T::one() } else { T::zero() };
        }
    }
}

impl Op for ExactMatch {
    fn name(&self) -> &'static str {
        "exact_match"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 2)?;
        Ok(TensorType::f32([rows_and_targets(inputs)?[0]]))
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let source = include_str!("../../../shaders/exact_match.wgsl");
        lower(self, at, ("exact_match", source), (0.0, self.mixed))
    }
    fn flops(&self, types: &Types) -> u64 {
        types.inputs[0].elements() as u64
    }
}
