//! Packs many tensors into one flat tensor, each at its own offset: the buffer of all gradients. If the plan can
//! compute an input directly into its range, nothing is copied.

use crate::Result;
use crate::graph::kernel::{Dispatch, Kernel, Lowering, Slot};
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::op::defined_by;
use crate::ops::{Call, Lower, Op, Real, Types, expect_inputs};

/// The flat inputs, each at its offset. The gaps between them are undefined.
#[derive(Clone, Debug, PartialEq)]
pub struct Pack {
    /// The offset of each input in elements, a multiple of 64.
    pub offsets: Vec<usize>,
    /// The length in elements.
    pub len: usize,
}

impl Pack {
    /// An input is empty if the plan has computed it directly into its range.
    fn define<T: Real>(&self, call: &mut Call<T>) {
        for (index, &offset) in self.offsets.iter().enumerate() {
            let x = call.real(index);
            call.out()[offset..offset + x.len()].copy_from_slice(x);
        }
    }
}

impl Op for Pack {
    fn name(&self) -> &'static str {
        "pack"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, self.offsets.len())?;
        let mut end = 0;
        for (input, &offset) in inputs.iter().zip(&self.offsets) {
            if offset < end || offset % 64 != 0 {
                return Err(format!("offset {offset} must be a multiple of 64, and the previous input ends at {end}"));
            }
            end = offset + input.elements();
        }
        if end > self.len {
            return Err(format!("its {} elements do not hold all inputs, which end at {end}", self.len));
        }
        Ok(TensorType::f32([self.len]))
    }
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let mut gradients = Vec::new();
        for (&input, &offset) in at.inputs.iter().zip(&self.offsets) {
            let ty = graph.ty(input).clone();
            let part = graph.slice(at.dy, 0, offset, ty.elements())?;
            gradients.push(Some(graph.reshape(part, ty.shape)?));
        }
        Ok(gradients)
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let copy = |(index, &offset): (usize, &usize)| {
            let count = at.types.inputs[index].elements();
            let kernel = Kernel::built_in("pack", include_str!("../../shaders/pack.wgsl"), &[]);
            let bytes = 8 * count as u64;
            let slots = [Slot::Input(index), Slot::Output];
            Dispatch { bytes, ..at.linear(self, kernel, &slots, &[count, offset], count) }
        };
        let placed = |index: &usize| at.placed.get(*index).copied().unwrap_or(false);
        let dispatches = self.offsets.iter().enumerate().filter(|(index, _)| !placed(index)).map(copy).collect();
        Lowering { dispatches, scratch: Vec::new() }
    }
    fn flops(&self, _: &Types) -> u64 {
        0
    }
    fn places_inputs(&self) -> Option<&[usize]> {
        Some(&self.offsets)
    }
}

/// Shapes to test: inputs that can be computed directly into the output, a leaf that cannot, and an input that occurs
/// twice.
pub fn cases() -> Vec<Case> {
    let of = |a: &[usize], b: &[usize]| {
        let inputs = vec![Sample::floats(a), Sample::floats(b)];
        Case::new(inputs, |graph, x| {
            let a = graph.scale(x[0], 2.0)?;
            let (size_a, size_b) = (graph.ty(a).elements(), graph.ty(x[1]).elements());
            let second = size_a.next_multiple_of(64);
            let third = (second + size_b).next_multiple_of(64);
            let pack = Pack { offsets: vec![0, second, third], len: third + size_a };
            let packed = graph.apply(pack, &[a, x[1], a])?;
            // Only the defined elements are compared, not the gaps.
            let first = graph.slice(packed, 0, 0, size_a)?;
            let last = graph.slice(packed, 0, third, size_a)?;
            graph.add(first, last)
        })
        .differentiable(&[0])
    };
    vec![of(&[1], &[1]), of(&[7], &[5, 3]), of(&[64], &[64]), of(&[36, 64], &[36]), of(&[1031], &[2])]
}
