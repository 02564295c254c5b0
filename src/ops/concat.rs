//! Concatenation of tensors along an axis.

use crate::Result;
use crate::graph::kernel::{Dispatch, Kernel, Lowering, Slot};
use crate::graph::{DType, Differentiate, Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::op::defined_by;
use crate::ops::{Call, Lower, Op, Real, Types};

/// The inputs concatenated along an axis. All other axes must have equal sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
}

impl Concat {
    /// The number of adjacent elements of a tensor that stay together: the product of its sizes from the axis on.
    fn run(&self, ty: &TensorType) -> usize {
        ty.dims()[self.axis..].iter().product()
    }

    fn define<T: Real>(&self, call: &mut Call<T>) {
        let row = self.run(&call.types.output);
        let mut first = 0;
        for (index, ty) in call.types.inputs.iter().enumerate() {
            let (x, run) = (call.real(index), self.run(ty));
            for (row, x) in call.out().chunks_mut(row).zip(x.chunks(run)) {
                row[first..first + run].copy_from_slice(x);
            }
            first += run;
        }
    }
}

impl Op for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        let Some(first) = inputs.first() else { return Err("it takes at least one input".into()) };
        let mut dims = first.dims().to_vec();
        if self.axis >= dims.len() {
            return Err(format!("there is no axis {}", self.axis));
        }
        dims[self.axis] = 0;
        for input in inputs {
            let others = |dims: &[usize]| [&dims[..self.axis], &dims[self.axis + 1..]].concat();
            let fits = input.shape.rank() == dims.len() && others(input.dims()) == others(&dims);
            if !fits || input.dtype != DType::F32 || input.elements() == 0 {
                return Err(format!("they must hold floats, and all axes except {} must have equal sizes", self.axis));
            }
            dims[self.axis] += input.dims()[self.axis];
        }
        Ok(TensorType::f32(dims))
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let mut start = 0;
        let mut gradients = Vec::new();
        for &input in at.inputs {
            let len = graph.dims(input)[self.axis];
            gradients.push(Some(graph.slice(at.dy, self.axis, start, len)?));
            start += len;
        }
        Ok(gradients)
    }

    defined_by!(define);

    /// One dispatch per input.
    fn lower(&self, at: &Lower) -> Lowering {
        let row = self.run(&at.types.output);
        let mut first = 0;
        let mut dispatches = Vec::new();
        for (index, ty) in at.types.inputs.iter().enumerate() {
            let (run, elements) = (self.run(ty), ty.elements());
            // Uses vectors of four if all relevant sizes are multiples of four.
            let vector = [run, row, first].iter().all(|n| n.is_multiple_of(4));
            let width = if vector { 4 } else { 1 };
            let count = elements / width;
            let kernel = Kernel::built_in("concat", include_str!("../../shaders/concat.wgsl"), &[at.edges(count)]);
            let kernel = match vector {
                true => kernel.splice("alias Value = f32;", "alias Value = vec4f;"),
                false => kernel,
            };
            let slots = [Slot::Input(index), Slot::Output];
            let dims = [count, run / width, row / width, first / width];
            let bytes = 8 * elements as u64;
            dispatches.push(Dispatch { bytes, ..at.linear(self, kernel, &slots, &dims, count) });
            first += run;
        }
        Lowering { dispatches, scratch: Vec::new() }
    }

    fn flops(&self, _: &Types) -> u64 {
        0
    }
}

impl Graph {
    /// Concatenates the tensors along `axis`.
    ///
    /// # Errors
    /// When there is no tensor, or sizes differ along another axis.
    pub fn concat(&mut self, parts: &[NodeId], axis: usize) -> Result<NodeId> {
        match parts {
            [one] if axis < self.dims(*one).len() => Ok(*one),
            _ => self.apply(Concat { axis }, parts),
        }
    }
}

/// Shapes to test and to time: channels, as in networks with branches, and other axes.
pub fn cases() -> Vec<Case> {
    let of = |parts: &[&[usize]], axis: usize| {
        let inputs = parts.iter().map(|dims| Sample::floats(dims)).collect();
        Case::new(inputs, move |graph, x| graph.concat(x, axis)).labelled(&format!("axis {axis}"))
    };
    let twice = Case::new(vec![Sample::floats(&[3, 2, 5])], |graph, x| {
        let double = graph.scale(x[0], 2.0)?;
        graph.concat(&[x[0], double, x[0]], 1)
    });
    vec![
        of(&[&[1], &[1]], 0),
        of(&[&[7, 5], &[3, 5]], 0),
        of(&[&[7, 5], &[7, 2], &[7, 1]], 1),
        of(&[&[2, 3, 4, 4], &[2, 5, 4, 4], &[2, 1, 4, 4]], 1),
        of(&[&[2, 3, 3, 5], &[2, 2, 3, 5]], 1),
        of(&[&[2, 3, 4, 4], &[2, 3, 2, 4]], 2),
        of(&[&[1, 2, 8], &[1, 2, 12], &[1, 2, 4], &[1, 2, 8], &[1, 2, 4], &[1, 2, 4], &[1, 2, 4], &[1, 2, 8]], 2),
        twice.labelled("one of them twice"),
        of(&[&[64, 32, 32, 32], &[64, 16, 32, 32]], 1).differentiable(&[]).timed(),
    ]
}
