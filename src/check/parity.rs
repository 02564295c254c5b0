//! Compares a case's value on an engine with that of the oracle.

use super::compare::{Worst, compare};
use super::{CheckKind, CheckResult};
use crate::cpu::{Oracle, Value};
use crate::graph::{Graph, Passes, Plan, PlanOptions, optimize};
use crate::ops::Step;
use crate::ops::case::Case;
use crate::ops::table::OpEntry;
use crate::ops::tolerance::HALF;
use crate::{Engine, Program, Result};

/// The values of a case's inputs and states.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// Buffer names and their values.
    pub buffers: Vec<(String, Value)>,
    /// The values of the step.
    pub step: Step,
}

impl Inputs {
    /// The values for a case. They are the same each time.
    pub fn of(case: &Case) -> Self {
        let mut buffers = Vec::new();
        for (kind, samples) in [("input", &case.inputs), ("state", &case.states)] {
            for (index, sample) in samples.iter().enumerate() {
                let stream = buffers.len() as u32;
                buffers.push((format!("{kind}{index}"), Value::from_f64(sample.ty.dtype, &sample.values(stream))));
            }
        }
        let mut step = Step::new(3, case.valid.unwrap_or(rows_of(case) as u32), 11);
        // The groups differ, so that an op that takes the wrong one is found.
        for group in 0..Step::GROUPS {
            step.set_group(group, 0.1 + 0.05 * group as f32, 0.9 - 0.1 * group as f32);
        }
        step.lookahead = 0.7;
        (step.share, step.blend, step.hole) = (0.7, 0.8, [1, 2, 4, 5]);
        // The last part of a batch.
        step.set_part(8, 8 + step.valid);
        step.correction1 = 0.19;
        step.correction2 = 0.002;
        Self { buffers, step }
    }

    /// Writes the values into an engine.
    ///
    /// # Errors
    /// When the device fails.
    pub fn write(&self, engine: &mut Engine) -> Result<()> {
        for (name, value) in &self.buffers {
            engine.write(name, 0, &value.to_bytes())?;
        }
        Ok(())
    }

    /// An oracle with these values.
    pub fn oracle(&self) -> Oracle {
        let mut oracle = Oracle::default();
        for (name, value) in &self.buffers {
            oracle.set(name, value.clone());
        }
        oracle
    }
}

/// The number of rows of the batch. For a gather, it is the length of the order. Otherwise it is the first axis of
/// the first input.
fn rows_of(case: &Case) -> usize {
    let rows = |index: usize| case.inputs.get(index).and_then(|input| input.ty.dims().first()).copied().unwrap_or(1);
    match case.inputs.get(1) {
        Some(second) if second.ty.dtype == crate::graph::DType::U32 => rows(1),
        _ => rows(0),
    }
}

/// Loads a graph with a case's inputs and runs one step of it.
///
/// # Errors
/// When the graph cannot be planned or the device fails.
pub(super) fn run(engine: &mut Engine, graph: &Graph, inputs: &Inputs) -> Result<Program> {
    let graph = optimize(graph, Passes::default())?;
    let plan = Plan::new(graph, &engine.target(), PlanOptions::default())?;
    engine.forget();
    let program = engine.load(plan)?;
    inputs.write(engine)?;
    engine.schedule(program, &[inputs.step])?;
    engine.run(program, 0..1)?;
    Ok(program)
}

/// Checks a case's value and the states that it updates.
///
/// # Errors
/// When the graph cannot be built or the device fails.
pub async fn check_value(engine: &mut Engine, entry: &OpEntry, case: &Case) -> Result<CheckResult> {
    let (graph, _, y) = case.graph()?;
    let inputs = Inputs::of(case);
    let mut oracle = inputs.oracle();
    let values = oracle.run(&graph, graph.ids(), &inputs.step);
    let program = run(engine, &graph, &inputs)?;
    let tolerance = entry.tolerance.on(&engine.target(), entry.name, HALF).for_sums_of(case.summands.value);
    let ty = graph.ty(y).clone();
    let nothing = Worst { index: 0, value: 0.0, reference: 0.0, excess: 0.0 };
    let mut outcome = CheckResult {
        op: entry.name,
        case: case.label.clone(),
        kind: CheckKind::Value,
        worst: nothing,
        tensor: "y".into(),
        shape: ty.to_string(),
    };
    if let (Some(reference), true) = (&values[y.index()], ty.elements() > 0) {
        let found = engine.read_output_value(program, "y").await?;
        outcome.worst = compare(&found.numbers(), &reference.numbers(), tolerance);
    }
    for (index, sample) in case.states.iter().enumerate() {
        let name = format!("state{index}");
        let found: Vec<f64> = engine.read(&name).await?.into_iter().map(f64::from).collect();
        let worst = compare(&found, &oracle.get(&name)?.numbers(), tolerance);
        if worst.excess > outcome.worst.excess {
            outcome = CheckResult { worst, tensor: name, shape: sample.ty.to_string(), ..outcome };
        }
    }
    Ok(outcome)
}
