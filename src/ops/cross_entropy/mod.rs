//! Cross-entropy with integer labels: on log-probabilities, or on logits, fused with softmax. What the logits are held against is an
//! [`Objective`]. Also the count of correct rows ([`Correct`]).

mod cases;
mod correct;
mod objective;

pub use cases::{cases, correct_cases};
pub use correct::Correct;
pub use objective::Objective;

use std::sync::Arc;

use crate::Result;
use crate::graph::kernel::{Lowering, Slot};
use crate::graph::{Differentiate, Graph, Neighbours, NodeId, Replacement, TensorType};
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

/// The loss of each row of a batch. Masked rows have loss 0. Inputs: logits or log-probabilities `[rows, classes]`, labels `[rows]`
/// (u32), and for each class the factor of the losses of its label, `[classes]`.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossEntropy {
    /// The kind of the input.
    pub input: Input,
    /// What the rows are held against.
    pub objective: Objective,
}

/// The gradient with respect to the input. Inputs: those of [`CrossEntropy`], and the incoming gradient of each row's
/// loss.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossEntropyBackward {
    /// As in the forward op.
    pub input: Input,
    /// As in the forward op.
    pub objective: Objective,
}

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

/// What the losses of a row and their gradient need of its numbers.
struct RowSums<T> {
    shift: T,
    log_sum: T,
    /// The probability of all classes but the first part's label, if the loss is focal.
    rest: T,
}

impl Input {
    #[inline(always)]
    fn sums<T: Real>(self, x: &[T], objective: &Objective, label: usize) -> RowSums<T> {
        let (shift, log_sum) = self.shift_and_log_sum(x);
        let rest = match (objective.focus > 0.0, self) {
            (false, _) => T::zero(),
            // Without the digits that 1 - p loses where p is near 1.
            (true, Self::Logits) => {
                let others = x.iter().enumerate().filter(|(column, _)| *column != label);
                others.fold(T::zero(), |sum, (_, &x)| sum + ((x - shift) - log_sum).exponential())
            }
            (true, Self::LogProbabilities) => (-x[label].exponential_less_one()).max(T::zero()),
        };
        RowSums { shift, log_sum, rest }
    }
}

impl CrossEntropy {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let (x, columns, objective, step) = (call.real(0), call.dims(0)[1], self.objective, call.step);
        let labels = (call.integers(1), call.real(2));
        let smoothing = T::of(f64::from(objective.smoothing));
        for (row, result) in call.out().iter_mut().enumerate() {
            if row >= step.valid as usize {
                *result = T::zero();
                continue;
            }
            let parts = objective.parts(labels, step, row);
            let x = &x[row * columns..][..columns];
            let (RowSums { shift, log_sum, rest }, mean) = widest(
                #[inline(always)]
                || {
                    let sums = self.input.sums(x, &objective, parts[0].label);
                    let mean = total_of(x, x, |x, _| x - sums.shift) / T::count(columns);
                    (sums, mean)
                },
            );
            let [focused, _] = objective.focused(((x[parts[0].label] - shift) - log_sum).exponential(), rest);
            let loss = |label: usize| log_sum - (T::one() - smoothing) * (x[label] - shift) - smoothing * mean;
            let own = parts[0].factor * focused * loss(parts[0].label);
            *result = if objective.mixed { own + parts[1].factor * loss(parts[1].label) } else { own };
        }
    }
}

impl CrossEntropyBackward {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let (x, dloss, columns, objective) = (call.real(0), call.real(3), call.dims(0)[1], self.objective);
        let (labels, step) = ((call.integers(1), call.real(2)), call.step);
        let everywhere = objective.everywhere::<T>(columns);
        let at_label = T::one() - T::of(f64::from(objective.smoothing));
        for (row, dx) in call.out().chunks_mut(columns).enumerate() {
            if row >= step.valid as usize {
                dx.fill(T::zero());
                continue;
            }
            let [own, other] = objective.parts(labels, step, row);
            let x = &x[row * columns..][..columns];
            widest(
                #[inline(always)]
                || {
                    let RowSums { shift, log_sum, rest } = self.input.sums(x, &objective, own.label);
                    let probability = |x: T| ((x - shift) - log_sum).exponential();
                    let [_, focused] = objective.focused(probability(x[own.label]), rest);
                    let factor = own.factor * focused;
                    for (column, (dx, &x)) in dx.iter_mut().zip(x).enumerate() {
                        let probability = if self.input == Input::Logits { probability(x) } else { T::zero() };
                        let less = |label: usize| {
                            probability - (everywhere + if column == label { at_label } else { T::zero() })
                        };
                        let slope = factor * less(own.label);
                        let slope = if objective.mixed { slope + other.factor * less(other.label) } else { slope };
                        *dx = slope * dloss[row];
                    }
                },
            );
        }
    }
}

/// The numbers of rows and columns of logits, if the labels fit them.
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

/// As [`rows_and_labels`], if the weights of the classes fit them, too.
fn weighted_rows(inputs: &[TensorType], objective: &Objective) -> Result<[usize; 2], String> {
    objective.check()?;
    let [rows, columns] = rows_and_labels(inputs)?;
    if inputs[2] != TensorType::f32([columns]) {
        return Err(format!("the weights of {columns} classes are {}", inputs[2]));
    }
    Ok([rows, columns])
}

/// The lowering of either direction.
fn lower(op: &dyn Op, at: &Lower, (name, source): (&'static str, &'static str), of: (Input, Objective)) -> Lowering {
    let (input, objective) = of;
    let constants = [
        ("LOG_PROBABILITIES", (input == Input::LogProbabilities).into()),
        ("MIXED", objective.mixed.into()),
        ("FOCUSED", (objective.focus > 0.0).into()),
    ];
    let kernel = RowKernel { name, source, constants: &constants };
    let slots: Vec<Slot> = (0..at.types.inputs.len()).map(Slot::Input).chain([Slot::Output]).collect();
    let dims = at.types.inputs[0].dims();
    let levels = [objective.smoothing, objective.focus].map(|level| level.to_bits() as usize);
    kernel.lower(op, at, &slots, &[dims[0], dims[1], levels[0], levels[1]])
}

impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        if self.input == Input::Logits { "softmax_cross_entropy" } else { "cross_entropy" }
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 3)?;
        Ok(TensorType::f32([weighted_rows(inputs, &self.objective)?[0]]))
    }
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let backward = CrossEntropyBackward { input: self.input, objective: self.objective };
        let inputs = [at.inputs[0], at.inputs[1], at.inputs[2], at.dy];
        Ok(vec![Some(graph.apply(backward, &inputs)?), None, None])
    }
    /// A loss on a log-softmax becomes one op on the logits.
    fn merge(&self, at: &Neighbours) -> Option<Replacement> {
        at.node.op_as::<Self>().filter(|loss| loss.input == Input::LogProbabilities)?;
        let op = Arc::new(Self { input: Input::Logits, objective: self.objective });
        Some(Replacement { op, inputs: vec![logits_of(at.graph, at.inputs[0])?, at.inputs[1], at.inputs[2]] })
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let source = include_str!("../../../shaders/cross_entropy.wgsl");
        lower(self, at, ("cross_entropy", source), (self.input, self.objective))
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
        expect_inputs(inputs, 4)?;
        let [rows, columns] = weighted_rows(inputs, &self.objective)?;
        if inputs[3] != TensorType::f32([rows]) {
            return Err(format!("the incoming gradient is {}, but there are {rows} losses", inputs[3]));
        }
        Ok(TensorType::f32([rows, columns]))
    }
    /// With the gradient of a log-softmax after it, it becomes one op on the logits.
    fn merge(&self, at: &Neighbours) -> Option<Replacement> {
        at.node.op_as::<SoftmaxBackward>().filter(|backward| backward.log)?;
        let &[log_probabilities, incoming] = at.inputs else { return None };
        let &[from, labels, weights, gradient] = at.graph.node(incoming).inputs() else { return None };
        let own = at.graph.node(incoming).op_as::<Self>().is_some() && from == log_probabilities;
        let logits = logits_of(at.graph, log_probabilities).filter(|_| own)?;
        let op = Arc::new(Self { input: Input::Logits, objective: self.objective });
        Some(Replacement { op, inputs: vec![logits, labels, weights, gradient] })
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let source = include_str!("../../../shaders/cross_entropy_backward.wgsl");
        lower(self, at, ("cross_entropy_backward", source), (self.input, self.objective))
    }
    fn flops(&self, types: &Types) -> u64 {
        6 * types.output.elements() as u64
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
        self.cross_entropy_of(logits, labels, Objective { smoothing, ..Objective::default() }, None)
    }

    /// The same for any objective. `weights` `[classes]` has the factor of the losses of each label; without it, it is 1.
    ///
    /// # Errors
    /// When the shapes do not fit, or the parts of the objective cannot be combined.
    pub fn cross_entropy_of(
        &mut self,
        logits: NodeId,
        labels: NodeId,
        objective: Objective,
        weights: Option<NodeId>,
    ) -> Result<NodeId> {
        let classes = self.dims(logits).last().copied().unwrap_or(0);
        let weights = weights.unwrap_or_else(|| self.constant(TensorType::f32([classes]), vec![1.0; classes]));
        let log_probabilities = self.log_softmax(logits)?;
        let op = CrossEntropy { input: Input::LogProbabilities, objective };
        self.apply(op, &[log_probabilities, labels, weights])
    }
}
