//! Running statistics for inference, moved a little towards those of each batch.

use crate::Result;
use crate::graph::TensorType;
use crate::graph::kernel::{Kernel, Lowering, Slot};
use crate::ops::op::defined_by;
use crate::ops::{Call, Lower, Op, Real, Types, expect_inputs};

/// running = (1 - momentum) running + momentum value. The value and the state are `[channels]`. A batch without valid
/// rows does not change the state.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateRunning {
    /// The weight of the new value.
    pub momentum: f32,
    /// Whether the value is a biased variance, which is multiplied by n / (n - 1) first. A channel has n numbers.
    pub unbias: bool,
    /// The number of pixels of a channel. n is this times the number of valid rows.
    pub pixels: usize,
}

impl UpdateRunning {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let count = call.step.valid as usize * self.pixels;
        if count == 0 {
            return;
        }
        let unbias = self.unbias && count > 1;
        let momentum = T::of(f64::from(self.momentum));
        let weight = if unbias { momentum * T::count(count) / T::count(count - 1) } else { momentum };
        let values = call.real(0);
        let states = call.states[0].iter_mut().zip(values);
        states.for_each(|(running, &value)| *running = (T::one() - momentum) * *running + weight * value);
    }
}

impl Op for UpdateRunning {
    fn name(&self) -> &'static str {
        "update_running"
    }
    fn output(&self, inputs: &[TensorType], states: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 1)?;
        if states != inputs || inputs[0] != TensorType::f32([inputs[0].elements()]) {
            return Err("the value and the state must be lists of floats of equal length".into());
        }
        if !(0.0..=1.0).contains(&self.momentum) {
            return Err(format!("a momentum of {} is not from 0 to 1", self.momentum));
        }
        Ok(TensorType::f32([0]))
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let channels = at.types.inputs[0].elements();
        let source = include_str!("../../../shaders/update_running.wgsl");
        let kernel = Kernel::built_in("update_running", source, &[("UNBIAS", self.unbias.into())]);
        let dims = [channels, self.pixels, self.momentum.to_bits() as usize];
        at.linear(self, kernel, &[Slot::Input(0), Slot::State(0)], &dims, channels).into()
    }
    fn flops(&self, types: &Types) -> u64 {
        3 * types.inputs[0].elements() as u64
    }
}
