//! Sums over adjacent axes, and ops built from them: means, and the gradient of broadcasting.

use crate::Result;
use crate::graph::kernel::{DeviceClass, Dispatch, Kernel, Lowering, Slot, word};
use crate::graph::{DType, Differentiate, Graph, NodeId, Shape, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::elementwise::Pattern;
use crate::ops::op::defined_by;
use crate::ops::splits::BUSY;
use crate::ops::{Call, Lower, Op, Real, Types, expect_inputs, total};

/// The sum over the axes `first..=last`. These axes stay, with size 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Sum {
    /// The outermost axis summed over.
    pub first: usize,
    /// The innermost axis summed over.
    pub last: usize,
}

impl Sum {
    /// The tensor as `[outer, reduced, inner]`.
    fn parts(&self, dims: &[usize]) -> [usize; 3] {
        let product = |range: &[usize]| range.iter().product();
        [product(&dims[..self.first]), product(&dims[self.first..=self.last]), product(&dims[self.last + 1..])]
    }

    fn define<T: Real>(&self, call: &mut Call<T>) {
        let [_, reduced, inner] = self.parts(call.dims(0));
        let x = call.real(0);
        if inner == 1 {
            let rows = call.out().iter_mut().zip(x.chunks(reduced.max(1)));
            return rows.for_each(|(sum, row)| *sum = total(row));
        }
        for (outer, sums) in call.out().chunks_mut(inner.max(1)).enumerate() {
            sums.fill(T::zero());
            for row in x[outer * reduced * inner..][..reduced * inner].chunks(inner.max(1)) {
                sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += x);
            }
        }
    }
}

/// The maximum number of elements that one invocation adds. Longer sums are split over several workgroups.
const RUN: usize = 512;

impl Op for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 1)?;
        if inputs[0].dtype != DType::F32 {
            return Err("it takes only floats".into());
        }
        let mut dims = inputs[0].dims().to_vec();
        if self.first > self.last || self.last >= dims.len() {
            return Err(format!("it has no axes {} to {}", self.first, self.last));
        }
        dims[self.first..=self.last].fill(1);
        Ok(TensorType::f32(dims))
    }

    /// Every summand gets the gradient of the sum: a broadcast.
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let shape = graph.ty(at.inputs[0]).shape.clone();
        Ok(vec![Some(graph.broadcast_to(at.dy, shape)?)])
    }

    defined_by!(define);

    /// One invocation per sum, in order; on hardware, one workgroup per sum of a long row. A long sum is computed in pieces, whose sums
    /// are then added in order.
    fn lower(&self, at: &Lower) -> Lowering {
        let [outer, reduced, inner] = self.parts(at.types.inputs[0].dims());
        if inner == 1 && outer > 0 && reduced >= 64 && at.device.class != DeviceClass::Software {
            return by_rows(at, outer, reduced);
        }
        let pieces = if reduced > 2 * RUN && outer * inner < 4096 { reduced.div_ceil(RUN) } else { 1 };
        in_stages(outer * inner, reduced, pieces, |reduced, pieces| {
            let outputs = outer * pieces * inner;
            let run = reduced.div_ceil(pieces);
            Dispatch {
                kernel: Kernel::built_in("sum", include_str!("../../shaders/sum.wgsl"), &[]),
                slots: Vec::new(),
                dims: [outputs, reduced, inner, pieces, run].map(word).to_vec(),
                groups: at.device.fold(outputs.div_ceil(64)),
                flops: (outer * reduced * inner) as u64,
                bytes: 4 * (outer * inner * (reduced + pieces)) as u64,
            }
        })
    }

    fn flops(&self, types: &Types) -> u64 {
        types.inputs[0].elements() as u64
    }
}

/// The sums of rows, with a workgroup for each row or for each of its pieces.
fn by_rows(at: &Lower, rows: usize, reduced: usize) -> Lowering {
    let pieces = reduced.div_ceil(RUN).min(BUSY.div_ceil(rows)).max(1);
    in_stages(rows, reduced, pieces, |reduced, pieces| Dispatch {
        kernel: Kernel::built_in("sum_rows", include_str!("../../shaders/sum_rows.wgsl"), &[]),
        slots: Vec::new(),
        dims: [rows * pieces, reduced, pieces, reduced.div_ceil(pieces)].map(word).to_vec(),
        groups: at.device.fold(rows * pieces),
        flops: (rows * reduced) as u64,
        bytes: 4 * (rows * (reduced + pieces)) as u64,
    })
}

/// Adds `reduced` numbers for each of `outputs` sums: at once, or in pieces whose sums are added after that. `stage` makes the dispatch,
/// without its bindings, that adds so many numbers in so many pieces.
fn in_stages(outputs: usize, reduced: usize, pieces: usize, stage: impl Fn(usize, usize) -> Dispatch) -> Lowering {
    let bound = |dispatch: Dispatch, from: Slot, to: Slot| Dispatch { slots: vec![from, to], ..dispatch };
    if pieces == 1 {
        return bound(stage(reduced, 1), Slot::Input(0), Slot::Output).into();
    }
    let first = bound(stage(reduced, pieces), Slot::Input(0), Slot::Scratch(0));
    let second = bound(stage(pieces, 1), Slot::Scratch(0), Slot::Output);
    Lowering { dispatches: vec![first, second], scratch: vec![outputs * pieces] }
}

impl Graph {
    /// The sum over the axes `first..=last`. These axes stay, with size 1.
    ///
    /// # Errors
    /// When there are no such axes.
    pub fn sum(&mut self, x: NodeId, first: usize, last: usize) -> Result<NodeId> {
        self.apply(Sum { first, last }, &[x])
    }

    /// The mean over the axes `first..=last`. These axes stay, with size 1.
    ///
    /// # Errors
    /// When there are no such axes.
    pub fn mean(&mut self, x: NodeId, first: usize, last: usize) -> Result<NodeId> {
        let sum = self.sum(x, first, last)?;
        let count = self.ty(x).elements() / self.ty(sum).elements().max(1);
        self.scale(sum, 1.0 / count as f32)
    }

    /// Sums over the axes along which broadcasting repeated `shape` to the shape of x.
    pub(crate) fn sum_to(&mut self, x: NodeId, shape: &Shape) -> Result<NodeId> {
        let large = self.ty(x).clone();
        if large.shape == *shape {
            return Ok(x);
        }
        let own = TensorType::f32(shape.clone());
        let Pattern { inner, len, row } = Pattern::of(&own, &large).map_err(crate::Error::Shape)?;
        let rows = len / row;
        let mut sum = self.reshape(x, [large.elements() / (rows * inner), rows, inner / row, row])?;
        if inner > row {
            sum = self.sum(sum, 2, 2)?;
        }
        if self.dims(sum)[0] > 1 {
            sum = self.sum(sum, 0, 0)?;
        }
        self.reshape(sum, shape.clone())
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    let sum = |dims: &'static [usize], first, last| {
        Case::new(vec![Sample::floats(dims)], move |graph, x| graph.sum(x[0], first, last))
            .summing(dims[first..=last].iter().product(), [1])
            .labelled(&format!("over {first}..={last}"))
    };
    vec![
        sum(&[1], 0, 0),
        sum(&[7], 0, 0),
        sum(&[64, 36], 0, 0),
        sum(&[64, 36], 1, 1),
        sum(&[5, 3, 7], 1, 1),
        sum(&[2, 3, 4, 5], 2, 3),
        sum(&[3, 2053], 1, 1),
        sum(&[4099, 3], 0, 0),
        Case::new(vec![Sample::floats(&[6, 11])], |graph, x| graph.mean(x[0], 1, 1)).labelled("mean"),
        sum(&[1024, 256], 0, 0).timed(),
        sum(&[64, 32, 1024], 2, 2).differentiable(&[]).timed(),
        Case::new(vec![Sample::floats(&[64, 32, 32, 32])], |graph, x| graph.sum_to(x[0], &Shape::new([32, 1, 1])))
            .differentiable(&[])
            .summing(64 * 1024, [1])
            .labelled("to 32x1x1")
            .timed(),
    ]
}
