//! Binary cross-entropy with logits, for images with several labels: each class is a question of its own. Also the count of rows whose
//! answers are all right ([`ExactMatch`]).

mod cases;
mod exact_match;

pub use cases::{cases, exact_match_cases};
pub use exact_match::ExactMatch;

use crate::Result;
use crate::graph::kernel::{Lowering, Slot};
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::cross_entropy::Objective;
use crate::ops::op::defined_by;
use crate::ops::rows::RowKernel;
use crate::ops::{Call, Lower, Op, Real, Step, Types, expect_inputs};

/// The loss of each row of a batch: the mean over its classes of w t softplus(-x) + (1 - t) softplus(x), for the logit x, the target t,
/// and the weight w of the class. Masked rows have loss 0. Inputs: logits `[rows, classes]`, targets `[rows, classes]` from 0 to 1, and
/// the weight of the positive part of each class, `[classes]`.
#[derive(Clone, Debug, PartialEq)]
pub struct BinaryCrossEntropy {
    /// Label smoothing: the target t becomes (1 - smoothing) t + smoothing / 2.
    pub smoothing: f32,
    /// Whether images are mixed. Then the target is the row's own with the share [`Step::share`], and that of the next row with the
    /// rest.
    pub mixed: bool,
}

/// The gradient with respect to the logits. Inputs: those of [`BinaryCrossEntropy`], and the incoming gradient of each row's loss.
#[derive(Clone, Debug, PartialEq)]
pub struct BinaryCrossEntropyBackward {
    /// As in the forward op.
    pub smoothing: f32,
    /// As in the forward op.
    pub mixed: bool,
}

/// The smoothed and mixed targets of a row.
fn targets_of<T: Real>(
    (smoothing, mixed): (f32, bool),
    targets: &[T],
    step: &Step,
    (row, columns): (usize, usize),
) -> impl Iterator<Item = T> {
    let smoothing = T::of(f64::from(smoothing));
    let share = if mixed { T::of(f64::from(step.share)) } else { T::one() };
    let partner = if mixed { Objective::partner(row, step) } else { row };
    let (own, other) = (&targets[row * columns..][..columns], &targets[partner * columns..][..columns]);
    own.iter().zip(other).map(move |(&own, &other)| {
        let target = share * own + (T::one() - share) * other;
        (T::one() - smoothing) * target + smoothing * T::of(0.5)
    })
}

impl BinaryCrossEntropy {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let (x, targets, weights, step) = (call.real(0), call.real(1), call.real(2), call.step);
        let columns = call.dims(0)[1];
        for (row, loss) in call.out().iter_mut().enumerate() {
            *loss = T::zero();
            if row >= step.valid as usize {
                continue;
            }
            let targets = targets_of((self.smoothing, self.mixed), targets, step, (row, columns));
            for ((&x, &weight), target) in x[row * columns..].iter().zip(weights).zip(targets) {
                // Both forms of softplus share this part, so nothing overflows or cancels.
                let rest = (-x.abs()).exp().ln_1p();
                let wrong_if_set = weight * target * ((-x).max(T::zero()) + rest);
                *loss += wrong_if_set + (T::one() - target) * (x.max(T::zero()) + rest);
            }
            *loss /= T::count(columns);
        }
    }
}

impl BinaryCrossEntropyBackward {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let (x, targets, weights, dloss) = (call.real(0), call.real(1), call.real(2), call.real(3));
        let (step, columns) = (call.step, call.dims(0)[1]);
        for (row, dx) in call.out().chunks_mut(columns).enumerate() {
            if row >= step.valid as usize {
                dx.fill(T::zero());
                continue;
            }
            let incoming = dloss[row] / T::count(columns);
            let targets = targets_of((self.smoothing, self.mixed), targets, step, (row, columns));
            for (((dx, &x), &weight), target) in dx.iter_mut().zip(&x[row * columns..]).zip(weights).zip(targets) {
                let small = (-x.abs()).exp();
                let (likely, unlikely) = (T::one() / (T::one() + small), small / (T::one() + small));
                let (chance, other) = if x >= T::zero() { (likely, unlikely) } else { (unlikely, likely) };
                *dx = ((T::one() - target) * chance - weight * target * other) * incoming;
            }
        }
    }
}

/// The numbers of rows and columns of logits, if the targets fit them.
fn rows_and_targets(inputs: &[TensorType]) -> Result<[usize; 2], String> {
    let &[rows, columns] = inputs[0].dims() else { return Err("it takes logits with two axes".into()) };
    if columns == 0 || inputs[..2].iter().any(|ty| *ty != TensorType::f32([rows, columns])) {
        return Err(format!("the logits are {}, but the targets are {}", inputs[0], inputs[1]));
    }
    Ok([rows, columns])
}

/// As [`rows_and_targets`], if the weights of the classes fit them, too.
fn weighted_rows(inputs: &[TensorType]) -> Result<[usize; 2], String> {
    let [rows, columns] = rows_and_targets(inputs)?;
    if inputs[2] != TensorType::f32([columns]) {
        return Err(format!("the weights of {columns} classes are {}", inputs[2]));
    }
    Ok([rows, columns])
}

/// The lowering of any op of this file.
fn lower(op: &dyn Op, at: &Lower, kernel: (&'static str, &'static str), (smoothing, mixed): (f32, bool)) -> Lowering {
    let constants = [("MIXED", mixed.into())];
    let kernel = RowKernel { name: kernel.0, source: kernel.1, constants: &constants };
    let slots: Vec<Slot> = (0..at.types.inputs.len()).map(Slot::Input).chain([Slot::Output]).collect();
    let dims = at.types.inputs[0].dims();
    kernel.lower(op, at, &slots, &[dims[0], dims[1], smoothing.to_bits() as usize])
}

impl Op for BinaryCrossEntropy {
    fn name(&self) -> &'static str {
        "binary_cross_entropy"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 3)?;
        Ok(TensorType::f32([weighted_rows(inputs)?[0]]))
    }
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let backward = BinaryCrossEntropyBackward { smoothing: self.smoothing, mixed: self.mixed };
        let inputs = [at.inputs[0], at.inputs[1], at.inputs[2], at.dy];
        Ok(vec![Some(graph.apply(backward, &inputs)?), None, None])
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let source = include_str!("../../../shaders/binary_cross_entropy.wgsl");
        lower(self, at, ("binary_cross_entropy", source), (self.smoothing, self.mixed))
    }
    fn flops(&self, types: &Types) -> u64 {
        10 * types.inputs[0].elements() as u64
    }
}

impl Op for BinaryCrossEntropyBackward {
    fn name(&self) -> &'static str {
        "binary_cross_entropy_backward"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 4)?;
        let [rows, columns] = weighted_rows(inputs)?;
        if inputs[3] != TensorType::f32([rows]) {
            return Err(format!("the incoming gradient is {}, but there are {rows} losses", inputs[3]));
        }
        Ok(TensorType::f32([rows, columns]))
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let source = include_str!("../../../shaders/binary_cross_entropy_backward.wgsl");
        lower(self, at, ("binary_cross_entropy_backward", source), (self.smoothing, self.mixed))
    }
    fn flops(&self, types: &Types) -> u64 {
        10 * types.output.elements() as u64
    }
}

impl Graph {
    /// The binary cross-entropy of each row of logits `[rows, classes]` with its targets `[rows, classes]`, as `[rows]`: the mean over
    /// the classes. `weights` `[classes]` has the factor of the positive part of each class, as PyTorch's `pos_weight`; without it, it
    /// is 1.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn binary_cross_entropy(
        &mut self,
        op: BinaryCrossEntropy,
        logits: NodeId,
        targets: NodeId,
        weights: Option<NodeId>,
    ) -> Result<NodeId> {
        let classes = self.dims(logits).last().copied().unwrap_or(0);
        let weights = weights.unwrap_or_else(|| self.constant(TensorType::f32([classes]), vec![1.0; classes]));
        self.apply(op, &[logits, targets, weights])
    }
}
