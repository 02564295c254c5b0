//! The count of correct rows, whose largest logit is at the label.

use super::{Objective, rows_and_labels};
use crate::Result;
use crate::graph::kernel::{Lowering, Slot};
use crate::graph::{Graph, NodeId, TensorType};
use crate::ops::op::defined_by;
use crate::ops::rows::RowKernel;
use crate::ops::{Call, Lower, Op, Real, Step, expect_inputs};

/// 1 for each valid row whose largest logit is at its label, otherwise 0. Of equal logits, the first counts as the
/// largest.
#[derive(Clone, Debug, PartialEq)]
pub struct Correct {
    /// Whether images are mixed. Then the label is that of the larger share: the row's own or the next row's.
    pub mixed: bool,
}

impl Correct {
    /// The row whose label counts.
    fn labelled(&self, row: usize, step: &Step) -> usize {
        if self.mixed && step.share < 0.5 { Objective::partner(row, step) } else { row }
    }

    fn define<T: Real>(&self, call: &mut Call<T>) {
        let (x, labels, step) = (call.real(0), call.integers(1), call.step);
        let columns = call.dims(0)[1];
        for (row, y) in call.out().iter_mut().enumerate() {
            let x = &x[row * columns..][..columns];
            let best = (1..columns).fold(0, |best, column| if x[column] > x[best] { column } else { best });
            let is_correct = row < step.valid as usize && best == labels[self.labelled(row, step)] as usize;
            *y = if is_correct { T::one() } else { T::zero() };
        }
    }
}

impl Op for Correct {
    fn name(&self) -> &'static str {
        "correct"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 2)?;
        Ok(TensorType::f32([rows_and_labels(inputs)?[0]]))
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let source = include_str!("../../../shaders/correct.wgsl");
        let kernel = RowKernel { name: "correct", source, constants: &[("MIXED", self.mixed.into())] };
        kernel.lower(self, at, &[Slot::Input(0), Slot::Input(1), Slot::Output], at.types.inputs[0].dims())
    }
}

impl Graph {
    /// 1 for each valid row whose largest logit is at its label, otherwise 0, as `[rows]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn correct(&mut self, logits: NodeId, labels: NodeId) -> Result<NodeId> {
        self.apply(Correct { mixed: false }, &[logits, labels])
    }
}
