//! Gathers the batch of a step from the dataset on the device: rows of images or labels, in the order of an index
//! list. The list is uploaded once an epoch. Masked rows are zero.

use crate::Result;
use crate::graph::kernel::{Kernel, Lowering, Slot};
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::op::{defined_by, in_pieces};
use crate::ops::shards::Shards;
use crate::ops::{Call, Lower, Op, Real, TensorData, TensorOut, Types};

use crate::graph::DType;

/// The rows of `data` `[N, ...]` that `order` lists, from the step's first position on, as `[batch, ...]`. Bytes
/// become floats from 0 to 1. Inputs: the data, in one tensor or several shards, and the order.
#[derive(Clone, Debug, PartialEq)]
pub struct Gather {
    /// Rows of the batch.
    pub batch: usize,
    /// Whether the data are a ring of slots. Then the rows of successive steps are in successive slots, and the
    /// indices in the order are not positions.
    pub ring: bool,
}

impl Gather {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let shards = Shards::of(call.types, call.inputs.len() - 1);
        let (step, order) = (call.step, call.integers(shards.count));
        let (inputs, width) = (call.inputs, shards.width);
        // The shard that contains a row of the batch, and the row's offset in it.
        let from = |row: usize| {
            let position = step.first as usize + row;
            let index = *order.get(position).filter(|_| row < step.valid as usize)? as usize;
            let index = if self.ring { position % shards.rows } else { index };
            Some(shards.place(index.min(shards.rows - 1)))
        };
        match &mut call.output {
            TensorOut::U32(out) => each_row(out, width, from, |to, (shard, at)| match inputs[shard] {
                TensorData::U32(data) => to.copy_from_slice(&data[at..][..width]),
                _ => to.fill(0),
            }),
            TensorOut::Real(out) => each_row(out, width, from, |to, (shard, at)| match inputs[shard] {
                TensorData::Real(data) => to.copy_from_slice(&data[at..][..width]),
                TensorData::U8(data) => to.iter_mut().zip(&data[at..]).for_each(|(y, &x)| *y = T::of_byte(x)),
                TensorData::U32(_) => to.fill(T::zero()),
            }),
        }
    }
}

/// Copies the rows of a batch. A row without a source becomes zero.
fn each_row<D: Copy + Default + Send>(
    out: &mut [D],
    width: usize,
    from: impl Fn(usize) -> Option<(usize, usize)> + Sync,
    copy: impl Fn(&mut [D], (usize, usize)) + Sync,
) {
    in_pieces(out, width, |first, out| {
        for (row, out) in (first..).zip(out.chunks_mut(width.max(1))) {
            match from(row) {
                Some(place) => copy(out, place),
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
        let Some((order, shards)) = inputs.split_last() else { return Err("it takes data and an order".into()) };
        Shards::check(shards)?;
        Shards::check_order(order)?;
        let mut dims = shards[0].dims().to_vec();
        dims[0] = self.batch;
        let dtype = if shards[0].dtype == DType::U32 { DType::U32 } else { DType::F32 };
        Ok(TensorType { shape: dims.into(), dtype })
    }
    /// A dataset has no gradient.
    fn gradient(&self, _: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None; at.inputs.len()])
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let shards = Shards::of(at.types, at.types.inputs.len() - 1);
        let bytes = at.types.inputs[0].dtype == DType::U8;
        let wide = shards.width.is_multiple_of(4);
        let width = if wide { shards.width / 4 } else { shards.width };
        let count = self.batch * width;
        let constants = [at.edges(count), ("RING", self.ring.into())];
        let mut kernel = Kernel::built_in("gather", include_str!("../../shaders/gather.wgsl"), &constants);
        let (words, floats) = ("alias Value = u32;", "alias Value = vec4f;");
        let read = "fn value_at(shard: u32, source: u32) -> Value { return stored_at(shard, source); } // spliced";
        let read_as = |code: &str| format!("fn value_at(shard: u32, source: u32) -> Value {{ return {code}; }}");
        let label = match (bytes, wide) {
            (true, true) => {
                let unpack = read_as("unpack4x8unorm(stored_at(shard, source))");
                kernel = kernel.splice(words, floats).splice(read, &unpack);
                "bytes x4"
            }
            (true, false) => {
                let unpack = read_as("unpack4x8unorm(stored_at(shard, source / 4u))[source % 4u]");
                kernel = kernel.splice(words, "alias Value = f32;").splice(read, &unpack);
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
        let listed = at.types.inputs[shards.count].elements();
        let slots = shards.slots(&[Slot::Input(0), Slot::Input(shards.count), Slot::Output]);
        let dims = [count, width, shards.rows, shards.each, listed];
        let mut dispatch = at.linear(self, shards.bind(kernel), &slots, &dims, count);
        dispatch.bytes = 2 * at.types.output.bytes() as u64;
        dispatch.into()
    }
    fn flops(&self, _: &Types) -> u64 {
        0
    }
}

impl Graph {
    /// The step's batch of `batch` rows of `data`, in the order `order`, as `[batch, ...]`.
    ///
    /// # Errors
    /// When the data have no rows or the order is not a list of u32.
    pub fn gather(&mut self, data: NodeId, order: NodeId, batch: usize) -> Result<NodeId> {
        self.gather_from(&[data], order, Gather { batch, ring: false })
    }

    /// The same, with the data in several shards.
    ///
    /// # Errors
    /// When the shards have no rows, rows of different shapes, or different numbers of rows except for a shorter last
    /// shard.
    pub fn gather_from(&mut self, shards: &[NodeId], order: NodeId, gather: Gather) -> Result<NodeId> {
        let inputs: Vec<NodeId> = shards.iter().copied().chain([order]).collect();
        self.apply(gather, &inputs)
    }
}

/// Shapes to test and to time: bytes with rows that do and do not fill whole words, floats, labels, a partial batch,
/// shards and a ring.
pub fn cases() -> Vec<Case> {
    let of = |data: Sample, order: usize, batch: usize| {
        let rows = data.ty.dims()[0] as u32;
        let inputs = vec![data, Sample::integers(&[order], rows)];
        Case::new(inputs, move |graph, x| graph.gather(x[0], x[1], batch)).differentiable(&[])
    };
    let from = |shards: Vec<Sample>, gather: Gather| {
        let rows: usize = shards.iter().map(|shard| shard.ty.dims()[0]).sum();
        let (count, batch) = (shards.len(), gather.batch);
        let inputs = shards.into_iter().chain([Sample::integers(&[batch], rows as u32)]).collect();
        let build = move |graph: &mut Graph, x: &[NodeId]| graph.gather_from(&x[..count], x[count], gather.clone());
        Case::new(inputs, build).differentiable(&[]).valid(batch as u32)
    };
    let in_order = |batch| Gather { batch, ring: false };
    vec![
        of(Sample::bytes(&[1, 1]), 1, 1),
        of(Sample::bytes(&[5, 3]), 7, 7),
        of(Sample::bytes(&[20, 1, 8, 8]), 16, 16),
        of(Sample::floats(&[11, 7]), 5, 5),
        of(Sample::floats(&[100, 64]), 70, 64),
        of(Sample::integers(&[50], 36), 40, 32),
        of(Sample::bytes(&[9, 10]), 8, 8).valid(5),
        of(Sample::integers(&[50], 36), 40, 32).valid(7),
        from(vec![Sample::bytes(&[7, 3, 4]), Sample::bytes(&[5, 3, 4])], in_order(30)),
        from(vec![Sample::bytes(&[4, 5]); 4], in_order(17)),
        from([3, 3, 2].map(|rows| Sample::floats(&[rows, 7])).to_vec(), in_order(20)),
        from(vec![Sample::bytes(&[8, 12])], Gather { batch: 6, ring: true }).labelled("ring"),
        from(vec![Sample::floats(&[4, 3])], Gather { batch: 7, ring: true }).labelled("ring"),
        of(Sample::bytes(&[1000, 3072]), 256, 256).timed(),
    ]
}
