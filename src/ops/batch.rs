//! Reduces the losses of a batch's rows to one number: their sum or mean over the valid rows, with its gradient. Also
//! the running sums that a run reports.

use crate::Result;
use crate::graph::kernel::{Kernel, Lowering, Slot};
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::op::defined_by;
use crate::ops::{Call, Lower, Op, Real, Types, expect_inputs};

/// How the losses of rows are reduced to one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reduction {
    /// Their sum.
    Sum,
    /// Their mean over the valid rows.
    Mean,
}

impl Reduction {
    fn weight<T: Real>(self, step: &crate::ops::Step) -> T {
        match self {
            Self::Sum => T::one(),
            Self::Mean if step.rows == 0 => T::zero(),
            Self::Mean => T::one() / T::count(step.rows as usize),
        }
    }
}

/// The sum or mean of `[rows]` over the valid rows, as `[1]`.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchTotal {
    /// Sum or mean.
    pub reduction: Reduction,
}

/// The gradient of [`BatchTotal`]: the incoming gradient for each valid row, divided by the number of valid rows for
/// a mean.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchShare {
    /// As in the forward op.
    pub reduction: Reduction,
    /// Rows of the batch.
    pub rows: usize,
}

/// Adds the sums of two lists `[rows]` (losses and scores) and the number of valid rows to a state `[3]`. Masked rows
/// must be 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Accumulate;

impl BatchTotal {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let valid = call.step.valid as usize;
        let sum = call.real(0).iter().take(valid).fold(T::zero(), |sum, &x| sum + x);
        call.out()[0] = sum * self.reduction.weight(call.step);
    }
}

impl BatchShare {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let share = call.real(0)[0] * self.reduction.weight(call.step);
        let valid = call.step.valid as usize;
        call.out().iter_mut().enumerate().for_each(|(row, y)| *y = if row < valid { share } else { T::zero() });
    }
}

impl Accumulate {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let sum = |x: &[T]| x.iter().fold(T::zero(), |sum, &x| sum + x);
        let sums = [sum(call.real(0)), sum(call.real(1)), T::count(call.step.valid as usize)];
        call.states[0].iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
    }
}

fn rows(input: &TensorType) -> Result<usize, String> {
    match input.dims() {
        &[rows] if *input == TensorType::f32([rows]) => Ok(rows),
        _ => Err("it takes a list with one float per row".into()),
    }
}

impl Op for BatchTotal {
    fn name(&self) -> &'static str {
        "batch_total"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 1)?;
        rows(&inputs[0])?;
        Ok(TensorType::f32([1]))
    }
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let rows = graph.dims(at.inputs[0])[0];
        Ok(vec![Some(graph.apply(BatchShare { reduction: self.reduction, rows }, &[at.dy])?)])
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let kernel = Kernel::built_in(
            "batch_total",
            include_str!("../../shaders/batch_total.wgsl"),
            &[("MEAN", (self.reduction == Reduction::Mean).into())],
        );
        at.linear(self, kernel, &[Slot::Input(0), Slot::Output], at.types.inputs[0].dims(), 1).into()
    }
    fn flops(&self, types: &Types) -> u64 {
        types.inputs[0].elements() as u64
    }
}

impl Op for BatchShare {
    fn name(&self) -> &'static str {
        "batch_share"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 1)?;
        if inputs[0] != TensorType::f32([1]) {
            return Err("the incoming gradient must be one number".into());
        }
        Ok(TensorType::f32([self.rows]))
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let kernel = Kernel::built_in(
            "batch_share",
            include_str!("../../shaders/batch_share.wgsl"),
            &[("MEAN", (self.reduction == Reduction::Mean).into())],
        );
        at.linear(self, kernel, &[Slot::Input(0), Slot::Output], &[self.rows], self.rows).into()
    }
}

impl Op for Accumulate {
    fn name(&self) -> &'static str {
        "accumulate"
    }
    fn output(&self, inputs: &[TensorType], states: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 2)?;
        if rows(&inputs[0])? != rows(&inputs[1])? || states != [TensorType::f32([3])] {
            return Err("it takes two lists of equal length and a state of 3 floats".into());
        }
        Ok(TensorType::f32([0]))
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let kernel = Kernel::built_in("accumulate", include_str!("../../shaders/accumulate.wgsl"), &[]);
        let slots = [Slot::Input(0), Slot::Input(1), Slot::State(0)];
        at.linear(self, kernel, &slots, at.types.inputs[0].dims(), 1).into()
    }
    fn flops(&self, types: &Types) -> u64 {
        2 * types.inputs[0].elements() as u64
    }
}

impl Graph {
    /// The sum or mean of a list over the batch's valid rows, as `[1]`.
    ///
    /// # Errors
    /// When x is not a list of floats.
    pub fn batch_total(&mut self, x: NodeId, reduction: Reduction) -> Result<NodeId> {
        self.apply(BatchTotal { reduction }, &[x])
    }
}

/// Shapes to test [`BatchTotal`] and its gradient on.
pub fn cases() -> Vec<Case> {
    let of = |rows: usize, reduction| {
        Case::new(vec![Sample::floats(&[rows])], move |graph, x| graph.batch_total(x[0], reduction))
            .labelled(&format!("{reduction:?}"))
    };
    let mut cases = Vec::new();
    for reduction in [Reduction::Sum, Reduction::Mean] {
        cases.extend([1, 7, 64, 131].map(|rows| of(rows, reduction)));
        cases.push(of(64, reduction).valid(50));
    }
    cases
}

/// Shapes to test [`Accumulate`] on.
pub fn accumulate_cases() -> Vec<Case> {
    let of = |rows: usize| {
        let inputs = vec![Sample::floats(&[rows]), Sample::between(&[rows], 0.0, 1.0)];
        Case::updating(inputs, vec![Sample::floats(&[3])], |graph, x, states| graph.update(Accumulate, x, states))
            .labelled(&format!("from {rows}"))
    };
    [1, 7, 64, 131, 1000].map(of).into()
}
