//! Checks the gradients of a case. The op is in the middle of a graph, so the incoming gradient is not 1 and depends
//! on the value. One check uses central differences in double precision, the other runs on an engine.

use super::compare::{Worst, compare};
use super::parity::{Inputs, run};
use super::{CheckKind, CheckResult};
use crate::cpu::Value;
use crate::graph::{Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::tolerance::{GRADIENT, HALF_GRADIENT, Tolerance, growth};
use crate::{Engine, Result};

/// The maximum number of elements of an input for which differences are computed. They are spread over a larger
/// input.
const PROBES: usize = 24;

/// The tolerance between built gradients and central differences. Both are in double precision, so the truncation
/// error of the difference dominates.
const DIFFERENCE: Tolerance =
    Tolerance { absolute: 1e-5, relative: 1e-5, reason: "the truncation of a central difference with step 1e-4" };

/// The case's graph followed by `loss = sum(weight y + part y^2 / 2)`. The gradient that arrives at y is `weight + part y`. The
/// part is 1, and less where y is a sum of many numbers: tolerances of sums are for numbers near 1, and y is not near 1 there.
struct GradientCase {
    graph: Graph,
    loss: NodeId,
    gradients: Vec<NodeId>,
    inputs: Inputs,
}

impl GradientCase {
    fn of(case: &Case) -> Result<Self> {
        let (mut graph, nodes, y) = case.graph()?;
        let shape = graph.ty(y).shape.clone();
        let weight = graph.leaf("weight", 0, TensorType::f32(shape))?;
        let weighted = graph.mul(weight, y)?;
        let square = graph.square(y)?;
        let half = graph.scale(square, (0.5 / growth(case.summands.value)) as f32)?;
        let both = graph.add(weighted, half)?;
        let count = graph.ty(both).elements();
        let flat = graph.reshape(both, [count])?;
        let loss = graph.sum(flat, 0, 0)?;
        let by: Vec<NodeId> = case.differentiable.iter().map(|&index| nodes[index]).collect();
        let gradients = graph.gradient(loss, &by)?;
        graph.output("loss", loss);
        for (index, gradient) in case.differentiable.iter().zip(&gradients) {
            graph.output(format!("gradient by input{index}"), *gradient);
        }
        let mut inputs = Inputs::of(case);
        let weights = Sample::floats(graph.dims(weight)).values(1000);
        inputs.buffers.push(("weight".into(), Value::Real(weights)));
        Ok(Self { graph, loss, gradients, inputs })
    }

    /// The oracle's loss after one element of an input is changed by `by`.
    fn loss_at(&self, buffer: &str, element: usize, by: f64) -> f64 {
        let mut inputs = self.inputs.clone();
        for (name, value) in &mut inputs.buffers {
            if let (true, Value::Real(values)) = (name == buffer, value) {
                values[element] += by;
            }
        }
        let values = inputs.oracle().run(&self.graph, self.graph.ids().take(self.loss.index() + 1), &inputs.step);
        values[self.loss.index()].as_ref().map_or(f64::NAN, |loss| loss.numbers()[0])
    }

    fn reference(&self) -> Vec<Vec<f64>> {
        let values = self.inputs.oracle().run(&self.graph, self.graph.ids(), &self.inputs.step);
        self.gradients.iter().map(|id| values[id.index()].as_ref().map_or(Vec::new(), Value::numbers)).collect()
    }
}

/// The graph in which a case's gradients are checked, and its inputs: for tests that examine its plan.
///
/// # Errors
/// When the graph cannot be built.
pub fn gradient_graph(case: &Case) -> Result<(Graph, Inputs)> {
    GradientCase::of(case).map(|built| (built.graph, built.inputs))
}

/// Compares a case's gradients with central differences, in double precision, at some elements of each input.
///
/// # Errors
/// When the graph cannot be built.
pub fn central_difference(op: &'static str, case: &Case) -> Result<CheckResult> {
    const STEP: f64 = 1e-4;
    let built = GradientCase::of(case)?;
    let mut outcome: Option<CheckResult> = None;
    for (&index, gradient) in case.differentiable.iter().zip(built.reference()) {
        let buffer = format!("input{index}");
        let stride = gradient.len().div_ceil(PROBES).max(1);
        for element in (0..gradient.len()).step_by(stride) {
            let rise = built.loss_at(&buffer, element, STEP) - built.loss_at(&buffer, element, -STEP);
            let reference = rise / (2.0 * STEP);
            let excess = DIFFERENCE.excess(gradient[element], reference);
            let worst = Worst { index: element, value: gradient[element], reference, excess };
            if outcome.as_ref().is_none_or(|before| worst.excess > before.worst.excess) {
                outcome = Some(found(CheckKind::Differences, op, case, index, worst));
            }
        }
    }
    outcome.ok_or_else(|| crate::Error::Usage(format!("the case '{}' has no gradient", case.label)))
}

/// Compares a case's gradients on an engine with those of the oracle.
///
/// # Errors
/// When the graph cannot be built or the device fails.
pub async fn check_gradient(engine: &mut Engine, op: &'static str, case: &Case) -> Result<CheckResult> {
    let built = GradientCase::of(case)?;
    let program = run(engine, &built.graph, &built.inputs)?;
    let mut outcome: Option<CheckResult> = None;
    for (&index, reference) in case.differentiable.iter().zip(built.reference()) {
        let values = engine.read_output_value(program, &format!("gradient by input{index}")).await?;
        let tolerance = GRADIENT.on(&engine.target(), op, HALF_GRADIENT).for_sums_of(case.summands.of_gradient(index));
        let worst = compare(&values.numbers(), &reference, tolerance);
        if outcome.as_ref().is_none_or(|before| worst.excess > before.worst.excess) {
            outcome = Some(found(CheckKind::Gradient, op, case, index, worst));
        }
    }
    outcome.ok_or_else(|| crate::Error::Usage(format!("the case '{}' has no gradient", case.label)))
}

fn found(kind: CheckKind, op: &'static str, case: &Case, index: usize, worst: Worst) -> CheckResult {
    CheckResult {
        op,
        case: case.label.clone(),
        kind,
        worst,
        tensor: format!("gradient by input{index}"),
        shape: case.inputs[index].ty.to_string(),
    }
}
