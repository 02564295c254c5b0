//! A value that the ranks of a training compute together, in the middle of a step: statistics of a batch of which each rank has a part.

use crate::graph::TensorType;
use crate::graph::kernel::{Kernel, Lowering, Slot};
use crate::ops::case::{Case, Sample};
use crate::ops::op::defined_by;
use crate::ops::{Call, Lower, Op, Real, TensorOut, expect_inputs};

/// How the values of the ranks make one. The share of a rank is its valid rows, divided by those of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Across {
    /// The sum of share times x over all ranks: a mean over all rows, if x is the mean over the rank's.
    Mean,
    /// The own share times the sum of x over all ranks: what a rank divides by its number of rows for a mean over all.
    ShareOfSum,
}

/// x as it is over all ranks. The executors compute x, as for a rank that is alone; a
/// [`Trainer`](crate::train::Trainer) among ranks stops there, and replaces the value.
#[derive(Clone, Debug, PartialEq)]
pub struct AcrossRanks {
    /// How the values make one.
    pub how: Across,
}

impl AcrossRanks {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let x = call.real(0);
        let TensorOut::Real(y) = &mut call.output else { return };
        y.copy_from_slice(x);
    }
}

impl Op for AcrossRanks {
    fn name(&self) -> &'static str {
        "across_ranks"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 1)?;
        match inputs[0] == TensorType::f32(inputs[0].shape.clone()) {
            true => Ok(inputs[0].clone()),
            false => Err("it takes floats".into()),
        }
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let count = at.types.output.elements();
        let kernel =
            Kernel::built_in("across_ranks", include_str!("../../shaders/across_ranks.wgsl"), &[at.edges(count)]);
        at.linear(self, kernel, &[Slot::Input(0), Slot::Output], &[count], count).into()
    }
}

/// Sizes to test.
pub fn cases() -> Vec<Case> {
    let of = |len: usize| {
        Case::new(vec![Sample::floats(&[len])], |graph, x| graph.apply(AcrossRanks { how: Across::Mean }, x))
            .differentiable(&[])
    };
    [1, 24, 64, 200].map(of).into()
}
