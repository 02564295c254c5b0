//! The batch of a step, gathered on the device from the whole data set: rows of pictures or labels, in the order of an
//! index list that is uploaded once an epoch. Rows beyond the step's valid ones are zero.

use crate::Result;
use crate::gpu::kernel::{Kernel, Lowering, Slot};
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::op::defined_by;
use crate::ops::{Call, Lower, Op, Real, Types, by_rows, expect_inputs};

use crate::graph::DType;
use crate::ops::{Data, Out};

/// Rows of `data` `[N, ...]` that `order` names from the step's first on. Bytes become floats from 0 to 1.
#[derive(Clone, Debug)]
pub struct Gather {
    /// Rows of the batch.
    pub batch: usize,
}

impl Gather {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let (step, order) = (call.step, call.integers(1));
        let width = call.types.output.elements() / self.batch;
        let rows = call.dims(0)[0];
        // Where a row of the batch begins in the data.
        let from = |row: usize| {
            let index = order.get(step.first as usize + row).filter(|_| row < step.valid as usize);
            index.map(|&index| (index as usize).min(rows - 1) * width)
        };
        match (call.inputs[0], &mut call.output) {
            (Data::U32(data), Out::U32(out)) => fill(out, width, data, from, |x| x),
            (Data::Real(data), Out::Real(out)) => fill(out, width, data, from, |x| x),
            (Data::U8(data), Out::Real(out)) => fill(out, width, data, from, T::of_byte),
            _ => panic!("gathering into another element type"),
        }
    }
}

fn fill<S: Copy + Sync, D: Copy + Default + Send>(
    out: &mut [D],
    width: usize,
    data: &[S],
    from: impl Fn(usize) -> Option<usize> + Sync,
    convert: impl Fn(S) -> D + Sync,
) {
    by_rows(out, width, |first, out| {
        for (row, out) in (first..).zip(out.chunks_mut(width.max(1))) {
            match from(row) {
                Some(at) => out.iter_mut().zip(&data[at..]).for_each(|(y, &x)| *y = convert(x)),
                None => out.fill(D::default()),
            }
        }
    });
}

impl Op for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 2)?;
        if inputs[1].dtype != DType::U32 || inputs[1].shape.rank() != 1 {
            return Err("the order must be a list of u32".into());
        }
        let mut dims = inputs[0].dims().to_vec();
        match dims.first_mut() {
            Some(rows) if *rows > 0 => *rows = self.batch,
            _ => return Err("the data have no rows".into()),
        }
        let dtype = if inputs[0].dtype == DType::U32 { DType::U32 } else { DType::F32 };
        Ok(TensorType { shape: dims.into(), dtype })
    }
    /// Data are not learned.
    fn gradient(&self, _: &mut Graph, _: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None, None])
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let width = at.types.output.elements() / self.batch;
        let bytes = at.types.inputs[0].dtype == DType::U8;
        let wide = width.is_multiple_of(4);
        let width = if wide { width / 4 } else { width };
        let count = self.batch * width;
        let edges = [("EDGES", (!count.is_multiple_of(64)).into())];
        let mut kernel = Kernel::new("gather", include_str!("../../shaders/gather.wgsl"), &edges);
        let (words, floats) = ("alias Value = u32;", "alias Value = vec4f;");
        let read = "fn value_at(source: u32) -> Value { return data[source]; } // spliced";
        let label = match (bytes, wide) {
            (true, true) => {
                let unpack = "fn value_at(source: u32) -> Value { return unpack4x8unorm(data[source]); }";
                kernel = kernel.splice(words, floats).splice(read, unpack);
                "bytes x4"
            }
            (true, false) => {
                let unpack =
                    "fn value_at(source: u32) -> Value { return unpack4x8unorm(data[source / 4u])[source % 4u]; }";
                kernel = kernel.splice(words, "alias Value = f32;").splice(read, unpack);
                "bytes"
            }
            (false, true) => {
                kernel =
                    kernel.splice("alias Stored = u32;", "alias Stored = vec4u;").splice(words, "alias Value = vec4u;");
                "words x4"
            }
            (false, false) => "words",
        };
        kernel.label = format!("{} {label}", kernel.label);
        let rows = at.types.inputs[0].dims()[0];
        let listed = at.types.inputs[1].elements();
        let slots = [Slot::Input(0), Slot::Input(1), Slot::Output];
        let mut dispatch = at.linear(self, kernel, &slots, &[count, width, rows, listed], count);
        dispatch.bytes = 2 * at.types.output.bytes() as u64;
        dispatch.into()
    }
    fn flops(&self, _: &Types) -> u64 {
        0
    }
}

impl Graph {
    /// The step's batch of `batch` rows of `data`, in `order`.
    ///
    /// # Errors
    /// When the data have no rows or the order is not a list of u32.
    pub fn gather(&mut self, data: NodeId, order: NodeId, batch: usize) -> Result<NodeId> {
        self.apply(Gather { batch }, &[data, order])
    }
}

/// Shapes to test and to time: bytes whose rows do and do not fill whole words, floats, labels, a partial batch.
pub fn cases() -> Vec<Case> {
    let of = |data: Sample, order: usize, batch: usize| {
        let rows = data.ty.dims()[0] as u32;
        let inputs = vec![data, Sample::integers(&[order], rows)];
        Case::new(inputs, move |graph, x| graph.gather(x[0], x[1], batch)).differentiable(&[])
    };
    vec![
        of(Sample::bytes(&[1, 1]), 1, 1),
        of(Sample::bytes(&[5, 3]), 7, 7),
        of(Sample::bytes(&[20, 1, 8, 8]), 16, 16),
        of(Sample::floats(&[11, 7]), 5, 5),
        of(Sample::floats(&[100, 64]), 70, 64),
        of(Sample::integers(&[50], 36), 40, 32),
        of(Sample::bytes(&[9, 10]), 8, 8).valid(5),
        of(Sample::integers(&[50], 36), 40, 32).valid(7),
        of(Sample::bytes(&[1000, 3072]), 256, 256).timed(),
    ]
}
