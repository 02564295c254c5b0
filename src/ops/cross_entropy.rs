//! Cross-entropy with integer labels and label smoothing: on log-probabilities, or on logits, fused with softmax.
//! Also the count of correct rows, whose largest logit is at the label.

use std::sync::Arc;

use crate::Result;
use crate::graph::kernel::{Lowering, Slot};
use crate::graph::{Differentiate, Graph, Neighbours, NodeId, Replacement, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::lanes::widest;
use crate::ops::op::{defined_by, total_of};
use crate::ops::rows::RowKernel;
use crate::ops::{Call, Lower, Op, Real, Types, expect_inputs};

use crate::graph::DType;
use crate::ops::softmax::{Softmax, SoftmaxBackward, largest_and_log_sum};

/// The kind of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Logits. Softmax is part of the op.
    Logits,
    /// Log-probabilities, from a log-softmax.
    LogProbabilities,
}

/// The loss of each row of a batch. Masked rows have loss 0.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossEntropy {
    /// The kind of the input.
    pub input: Input,
    /// Label smoothing: the fraction of the target that is spread evenly over all classes.
    pub smoothing: f32,
}

/// The gradient with respect to the input. Inputs: the input, the labels, and the incoming gradient of each row's
/// loss.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossEntropyBackward {
    /// As in the forward op.
    pub input: Input,
    /// As in the forward op.
    pub smoothing: f32,
}

/// 1 for each valid row whose largest logit is at its label, otherwise 0. Of equal logits, the first counts as the
/// largest.
#[derive(Clone, Debug, PartialEq)]
pub struct Correct;

impl Input {
    /// The maximum of a row's logits, and the logarithm of the sum of exp(logit - maximum). Both are 0 for
    /// log-probabilities.
    #[inline(always)]
    fn shift_and_log_sum<T: Real>(self, row: &[T]) -> (T, T) {
        if self == Self::Logits { largest_and_log_sum(row) } else { (T::zero(), T::zero()) }
    }
}

/// The logits of which a node is the log-softmax.
fn logits_of(graph: &Graph, id: NodeId) -> Option<NodeId> {
    let node = graph.node(id);
    node.op_as::<Softmax>().filter(|softmax| softmax.log).map(|_| node.inputs()[0])
}

impl CrossEntropy {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let (x, labels, valid) = (call.real(0), call.integers(1), call.step.valid as usize);
        let columns = call.dims(0)[1];
        let smoothing = T::of(f64::from(self.smoothing));
        for (row, loss) in call.out().iter_mut().enumerate() {
            let x = &x[row * columns..][..columns];
            let label = (labels[row] as usize).min(columns - 1);
            let (shift, log_sum, mean) = widest(
                #[inline(always)]
                || {
                    let (shift, log_sum) = self.input.shift_and_log_sum(x);
                    (shift, log_sum, total_of(x, x, |x, _| x - shift) / T::count(columns))
                },
            );
            let value = log_sum - (T::one() - smoothing) * (x[label] - shift) - smoothing * mean;
            *loss = if row < valid { value } else { T::zero() };
        }
    }
}

impl CrossEntropyBackward {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let (x, labels, dloss, valid) = (call.real(0), call.integers(1), call.real(2), call.step.valid as usize);
        let columns = call.dims(0)[1];
        let everywhere = T::of(f64::from(self.smoothing)) / T::count(columns);
        let at_label = T::one() - T::of(f64::from(self.smoothing));
        for (row, dx) in call.out().chunks_mut(columns).enumerate() {
            if row >= valid {
                dx.fill(T::zero());
                continue;
            }
            let x = &x[row * columns..][..columns];
            let label = (labels[row] as usize).min(columns - 1);
            widest(
                #[inline(always)]
                || {
                    let (shift, log_sum) = self.input.shift_and_log_sum(x);
                    for (column, (dx, &x)) in dx.iter_mut().zip(x).enumerate() {
                        let probability =
                            if self.input == Input::Logits { ((x - shift) - log_sum).exponential() } else { T::zero() };
                        let target = everywhere + if column == label { at_label } else { T::zero() };
                        *dx = (probability - target) * dloss[row];
                    }
                },
            );
        }
    }
}

impl Correct {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let (x, labels, valid) = (call.real(0), call.integers(1), call.step.valid as usize);
        let columns = call.dims(0)[1];
        for (row, y) in call.out().iter_mut().enumerate() {
            let x = &x[row * columns..][..columns];
            let best = (1..columns).fold(0, |best, column| if x[column] > x[best] { column } else { best });
            *y = if row < valid && best == labels[row] as usize { T::one() } else { T::zero() };
        }
    }
}

fn rows_and_labels(inputs: &[TensorType]) -> Result<[usize; 2], String> {
    let (&[rows, columns], &[labels]) = (inputs[0].dims(), inputs[1].dims()) else {
        return Err("it takes logits with two axes and labels with one".into());
    };
    if inputs[0].dtype != DType::F32 || inputs[1].dtype != DType::U32 {
        return Err("the logits must be f32 and the labels u32".into());
    }
    if rows != labels || columns == 0 {
        return Err(format!("there are {rows} rows of {columns} logits, but {labels} labels"));
    }
    Ok([rows, columns])
}

fn dims_with_smoothing(at: &Lower, smoothing: f32) -> [usize; 3] {
    let dims = at.types.inputs[0].dims();
    [dims[0], dims[1], smoothing.to_bits() as usize]
}

impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        if self.input == Input::Logits { "softmax_cross_entropy" } else { "cross_entropy" }
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 2)?;
        Ok(TensorType::f32([rows_and_labels(inputs)?[0]]))
    }
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let backward = CrossEntropyBackward { input: self.input, smoothing: self.smoothing };
        Ok(vec![Some(graph.apply(backward, &[at.inputs[0], at.inputs[1], at.dy])?), None])
    }
    /// A loss on a log-softmax becomes one op on the logits.
    fn merge(&self, at: &Neighbours) -> Option<Replacement> {
        at.node.op_as::<Self>().filter(|loss| loss.input == Input::LogProbabilities)?;
        let op = Arc::new(Self { input: Input::Logits, smoothing: self.smoothing });
        Some(Replacement { op, inputs: vec![logits_of(at.graph, at.inputs[0])?, at.inputs[1]] })
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let kernel = RowKernel {
            name: "cross_entropy",
            source: include_str!("../../shaders/cross_entropy.wgsl"),
            constants: &[("LOG_PROBABILITIES", (self.input == Input::LogProbabilities).into())],
        };
        let slots = [Slot::Input(0), Slot::Input(1), Slot::Output];
        kernel.lower(self, at, &slots, &dims_with_smoothing(at, self.smoothing))
    }
    fn flops(&self, types: &Types) -> u64 {
        4 * types.inputs[0].elements() as u64
    }
}

impl Op for CrossEntropyBackward {
    fn name(&self) -> &'static str {
        if self.input == Input::Logits { "softmax_cross_entropy_backward" } else { "cross_entropy_backward" }
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 3)?;
        let [rows, columns] = rows_and_labels(inputs)?;
        if inputs[2] != TensorType::f32([rows]) {
            return Err(format!("the incoming gradient is {}, but there are {rows} losses", inputs[2]));
        }
        Ok(TensorType::f32([rows, columns]))
    }
    /// With the gradient of a log-softmax after it, it becomes one op on the logits.
    fn merge(&self, at: &Neighbours) -> Option<Replacement> {
        at.node.op_as::<SoftmaxBackward>().filter(|backward| backward.log)?;
        let &[log_probabilities, incoming] = at.inputs else { return None };
        let &[from, labels, gradient] = at.graph.node(incoming).inputs() else { return None };
        let own = at.graph.node(incoming).op_as::<Self>().is_some() && from == log_probabilities;
        let logits = logits_of(at.graph, log_probabilities).filter(|_| own)?;
        let op = Arc::new(Self { input: Input::Logits, smoothing: self.smoothing });
        Some(Replacement { op, inputs: vec![logits, labels, gradient] })
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let kernel = RowKernel {
            name: "cross_entropy_backward",
            source: include_str!("../../shaders/cross_entropy_backward.wgsl"),
            constants: &[("LOG_PROBABILITIES", (self.input == Input::LogProbabilities).into())],
        };
        let slots = [Slot::Input(0), Slot::Input(1), Slot::Input(2), Slot::Output];
        kernel.lower(self, at, &slots, &dims_with_smoothing(at, self.smoothing))
    }
    fn flops(&self, types: &Types) -> u64 {
        6 * types.output.elements() as u64
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
        let source = include_str!("../../shaders/correct.wgsl");
        let kernel = RowKernel { name: "correct", source, constants: &[] };
        kernel.lower(self, at, &[Slot::Input(0), Slot::Input(1), Slot::Output], at.types.inputs[0].dims())
    }
}

impl Graph {
    /// The cross-entropy of each row of logits `[rows, classes]` with its label `[rows]` (u32), as `[rows]`. It is built of
    /// log-softmax and cross-entropy; [`Passes::merge`](crate::graph::Passes::merge) makes one op of them. Masked rows have
    /// loss 0.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn cross_entropy(&mut self, logits: NodeId, labels: NodeId, smoothing: f32) -> Result<NodeId> {
        let log_probabilities = self.log_softmax(logits)?;
        self.apply(CrossEntropy { input: Input::LogProbabilities, smoothing }, &[log_probabilities, labels])
    }
    /// 1 for each valid row whose largest logit is at its label, otherwise 0, as `[rows]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn correct(&mut self, logits: NodeId, labels: NodeId) -> Result<NodeId> {
        self.apply(Correct, &[logits, labels])
    }
}

/// Shapes to test and to time: fused and not, with and without smoothing and masked rows.
pub fn cases() -> Vec<Case> {
    let inputs = |rows, columns| vec![Sample::floats(&[rows, columns]), Sample::integers(&[rows], columns as u32)];
    let mut cases = Vec::new();
    for input in [Input::Logits, Input::LogProbabilities] {
        for (rows, columns, smoothing) in [(1, 1, 0.0), (7, 5, 0.0), (64, 36, 0.0), (64, 36, 0.1), (131, 10, 0.2)] {
            let op = CrossEntropy { input, smoothing };
            let case = Case::new(inputs(rows, columns), move |graph, x| graph.apply(op.clone(), x));
            cases.push(case.labelled(&format!("{input:?} smoothing {smoothing}")));
        }
        let op = CrossEntropy { input, smoothing: 0.1 };
        // Around the shortest row of a workgroup, its number of lanes, and many times that; masked rows.
        for (rows, columns) in [(9, 4), (3, 32), (3, 33), (4, 64), (4, 65), (4, 1000)] {
            let op = op.clone();
            let case = Case::new(inputs(rows, columns), move |graph, x| graph.apply(op.clone(), x));
            cases.push(case.labelled(&format!("{input:?}")).valid(2));
        }
    }
    let op = CrossEntropy { input: Input::Logits, smoothing: 0.0 };
    let large = vec![Sample::between(&[3, 1000], -1e4, 1e4), Sample::integers(&[3], 1000)];
    let of = |inputs| {
        let op = op.clone();
        Case::new(inputs, move |graph, x| graph.apply(op.clone(), x))
    };
    cases.push(of(large).differentiable(&[]).labelled("logits to 1e4"));
    cases.push(of(inputs(1024, 100)).timed());
    cases
}

/// Shapes to test [`Correct`] on.
pub fn correct_cases() -> Vec<Case> {
    let of = |rows, columns: usize| {
        let inputs = vec![Sample::floats(&[rows, columns]), Sample::integers(&[rows], columns as u32)];
        Case::new(inputs, |graph, x| graph.correct(x[0], x[1])).differentiable(&[])
    };
    let mut cases = vec![of(1, 1), of(7, 2), of(64, 36), of(131, 3), of(70, 10).valid(65)];
    cases.extend([32, 33, 64, 65, 1000].map(|columns| of(9, columns).valid(7)));
    // Half of the logits are 0 and the others smaller, and the label is one of the first columns.
    cases.extend([5, 32, 65, 300].map(|columns| {
        let inputs = vec![Sample::floats(&[40, columns]), Sample::integers(&[40], 3)];
        let case = Case::new(inputs, |graph, x| {
            let positive = graph.relu(x[0])?;
            let logits = graph.scale(positive, -1.0)?;
            graph.correct(logits, x[1])
        });
        case.labelled("ties").differentiable(&[])
    }));
    cases
}
