//! Softmax and log-softmax over the last axis. The row's maximum is subtracted first, so no exponential overflows.

use crate::Result;
use crate::graph::kernel::{Lowering, Slot};
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::lanes::widest;
use crate::ops::op::{defined_by, in_pieces, total_of};
use crate::ops::rows::RowKernel;
use crate::ops::{Call, Lower, Op, Real, Types, expect_inputs};

/// Softmax or log-softmax of each row.
#[derive(Clone, Debug, PartialEq)]
pub struct Softmax {
    /// Whether it is log-softmax.
    pub log: bool,
}

/// The gradient with respect to the logits, from the result y and the incoming gradient dy. For softmax it is y (dy -
/// sum(y dy)), for log-softmax dy - e^y sum(dy).
#[derive(Clone, Debug, PartialEq)]
pub struct SoftmaxBackward {
    /// As in the forward op.
    pub log: bool,
}

/// A row's maximum, and the logarithm of the sum of exp(x - maximum). The two are not added: next to a maximum of
/// 1e4, the logarithm would lose most of its digits.
#[inline(always)]
pub(crate) fn largest_and_log_sum<T: Real>(row: &[T]) -> (T, T) {
    let largest = largest(row);
    (largest, total_of(row, row, |x, _| (x - largest).exponential()).ln())
}

/// The largest of a row's numbers: sixteen interleaved maxima, then their maximum.
#[inline(always)]
fn largest<T: Real>(row: &[T]) -> T {
    let (whole, rest) = row.as_chunks::<16>();
    let mut found = [row[0]; 16];
    for numbers in whole {
        found.iter_mut().zip(numbers).for_each(|(largest, &x)| *largest = if x > *largest { x } else { *largest });
    }
    found.iter().chain(rest).copied().fold(row[0], T::max)
}

impl Softmax {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let (_, columns) = call.types.output.shape.as_matrix();
        let x = call.real(0);
        in_pieces(call.out(), columns, |first, out| {
            for (x, y) in x[first * columns..].chunks(columns).zip(out.chunks_mut(columns)) {
                widest(
                    #[inline(always)]
                    || {
                        let (largest, log_sum) = largest_and_log_sum(x);
                        y.iter_mut().zip(x).for_each(|(y, &x)| *y = (x - largest) - log_sum);
                        if !self.log {
                            y.iter_mut().for_each(|y| *y = y.exponential());
                        }
                    },
                );
            }
        });
    }
}

impl SoftmaxBackward {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let (_, columns) = call.types.output.shape.as_matrix();
        let (y, dy) = (call.real(0), call.real(1));
        in_pieces(call.out(), columns, |first, out| {
            let (y, dy) = (&y[first * columns..], &dy[first * columns..]);
            for ((y, dy), dx) in y.chunks(columns).zip(dy.chunks(columns)).zip(out.chunks_mut(columns)) {
                widest(
                    #[inline(always)]
                    || {
                        let sum = total_of(y, dy, |y, dy| if self.log { dy } else { y * dy });
                        for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
                            *dx = if self.log { dy - y.exponential() * sum } else { y * (dy - sum) };
                        }
                    },
                );
            }
        });
    }
}

fn rows_of_floats(inputs: &[TensorType], count: usize) -> Result<TensorType, String> {
    expect_inputs(inputs, count)?;
    if inputs.iter().any(|ty| *ty != TensorType::f32(inputs[0].shape.clone())) || inputs[0].shape.rank() == 0 {
        return Err("it takes floats of equal shape with at least one axis".into());
    }
    Ok(inputs[0].clone())
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        if self.log { "log_softmax" } else { "softmax" }
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        rows_of_floats(inputs, 1)
    }
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(graph.apply(SoftmaxBackward { log: self.log }, &[at.y, at.dy])?)])
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let (rows, columns) = at.types.output.shape.as_matrix();
        let source = include_str!("../../shaders/softmax.wgsl");
        let kernel = RowKernel { name: "softmax", source, constants: &[("LOG", self.log.into())] };
        kernel.lower(self, at, &[Slot::Input(0), Slot::Output], &[rows, columns])
    }
    fn flops(&self, types: &Types) -> u64 {
        4 * types.output.elements() as u64
    }
}

impl Op for SoftmaxBackward {
    fn name(&self) -> &'static str {
        if self.log { "log_softmax_backward" } else { "softmax_backward" }
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        rows_of_floats(inputs, 2)
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let (rows, columns) = at.types.output.shape.as_matrix();
        let source = include_str!("../../shaders/softmax_backward.wgsl");
        let kernel = RowKernel { name: "softmax_backward", source, constants: &[("LOG", self.log.into())] };
        kernel.lower(self, at, &[Slot::Input(0), Slot::Input(1), Slot::Output], &[rows, columns])
    }
    fn flops(&self, types: &Types) -> u64 {
        4 * types.output.elements() as u64
    }
}

impl Graph {
    /// Softmax over the last axis. The result has the shape of x.
    ///
    /// # Errors
    /// When x does not hold floats or has no axis.
    pub fn softmax(&mut self, x: NodeId) -> Result<NodeId> {
        self.apply(Softmax { log: false }, &[x])
    }
    /// The logarithm of softmax over the last axis.
    ///
    /// # Errors
    /// As [`Graph::softmax`].
    pub fn log_softmax(&mut self, x: NodeId) -> Result<NodeId> {
        self.apply(Softmax { log: true }, &[x])
    }
}

/// Shapes to test and to time, with moderate logits and with logits whose exponentials overflow.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for log in [false, true] {
        let of = |dims: &[usize], large: f64| {
            let inputs = vec![Sample::between(dims, -large, large)];
            let case = Case::new(inputs, move |graph, x| graph.apply(Softmax { log }, &[x[0]]));
            case.labelled(if log { "log" } else { "" })
        };
        cases.extend([of(&[1, 1], 3.0), of(&[7, 5], 3.0), of(&[64, 36], 3.0), of(&[3, 101], 3.0), of(&[131, 10], 3.0)]);
        cases.push(of(&[5, 4], 1e4).differentiable(&[]).labelled("logits to 1e4"));
        // Around the shortest row of a workgroup, its number of lanes, and many times that.
        cases.extend([31, 32, 33, 64, 65].map(|columns| of(&[3, columns], 3.0)));
        cases.push(of(&[2, 1000], 1e4).differentiable(&[]).labelled("logits to 1e4"));
        cases.push(of(&[1024, 100], 3.0).timed());
    }
    cases
}
