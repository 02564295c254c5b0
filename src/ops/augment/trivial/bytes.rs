//! Images as bytes.

use crate::Result;
use crate::graph::kernel::{Kernel, Lowering, Slot};
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::lanes::widest;
use crate::ops::op::defined_by;
use crate::ops::{Call, Lower, Op, Real, Types, expect_inputs};
use crate::parallel::*;

use super::WHITE;

/// The nearest whole number from 0 to 255 for each value from 0 to 1 of images `[batch, channels, height, width]`. Other values are
/// clamped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToBytes;

impl ToBytes {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let plane: usize = call.types.output.dims()[1..].iter().product();
        let (x, white, half) = (call.real(0), T::of(WHITE), T::of(0.5));
        call.out().par_chunks_mut(plane).zip(x.par_chunks(plane)).for_each(|(to, from)| {
            widest(
                #[inline(always)]
                || {
                    for (to, &value) in to.iter_mut().zip(from) {
                        *to = (value.max(T::zero()).min(T::one()) * white + half).floor();
                    }
                },
            );
        });
    }
}

impl Op for ToBytes {
    fn name(&self) -> &'static str {
        "to_bytes"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 1)?;
        super::super::images_of_floats(&inputs[0])?;
        Ok(inputs[0].clone())
    }
    /// Images have no gradient.
    fn gradient(&self, _: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None; at.inputs.len()])
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let count = at.types.output.elements();
        let source = include_str!("../../../../shaders/to_bytes.wgsl");
        let kernel = Kernel::built_in("to_bytes", source, &[at.edges(count)]);
        at.linear(self, kernel, &[Slot::Input(0), Slot::Output], &[count], count).into()
    }
    fn flops(&self, types: &Types) -> u64 {
        4 * types.output.elements() as u64
    }
}

/// Values inside and outside the range.
pub fn cases() -> Vec<Case> {
    let of = |dims: [usize; 4]| {
        let build = |graph: &mut Graph, x: &[NodeId]| graph.apply(ToBytes, x);
        Case::new(vec![Sample::between(&dims, -0.2, 1.2)], build).differentiable(&[]).valid(dims[0] as u32)
    };
    vec![of([3, 2, 5, 7]), of([64, 3, 32, 32]).timed()]
}
