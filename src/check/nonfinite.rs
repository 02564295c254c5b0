//! Finds the first number of a step that is not finite: infinite, or not a number.

use super::node::{NodeRun, named};
use crate::cpu::Value;
use crate::{Engine, Program, Result};

/// The first number of a step that is not finite.
#[derive(Clone, Debug, PartialEq)]
pub struct NonFinite {
    /// The tensor: a node's value, a state that it updates, or an input of the step.
    pub tensor: String,
    /// The op of the node that computed it. `None` for an input of the step.
    pub op: Option<&'static str>,
    /// The tensor's type and shape.
    pub shape: String,
    /// Its first element that is not finite.
    pub index: usize,
    /// That element.
    pub value: f64,
    /// What the CPU computes for this element from the same inputs, in single and in double precision. `None` for an input of the
    /// step.
    pub on_cpu: Option<(f32, f64)>,
}

impl NonFinite {
    /// Whether the CPU's value in single precision is not finite either. Else the device is at fault.
    pub fn cpu_agrees(&self) -> bool {
        self.on_cpu.is_none_or(|(single, _)| !single.is_finite())
    }

    /// The tensor, the op and the element, and what the CPU computes, without a full stop at the end.
    pub fn sentence(&self) -> String {
        let Self { tensor, shape, index, value, .. } = self;
        let found = format!("element {index} of '{tensor}' ({shape}) is {value}");
        match (self.op, self.on_cpu) {
            (Some(op), Some((_, exact))) if self.cpu_agrees() => format!(
                "The first one comes from the op {op}: {found}. The CPU agrees: from the same numbers it is {exact:.3e} in double \
                 precision, and in single precision not finite"
            ),
            (Some(op), Some((single, _))) => format!(
                "The first one comes from the op {op}: {found}. The CPU does not agree: from the same numbers it computes {single:.3e}. \
                 So this device computes wrongly, and `gpunn check --op {op}` tests it"
            ),
            _ => format!("The first one is in an input: {found}"),
        }
    }
}

/// Runs one scheduled step node by node, until a number is not finite. `None` if all are, or if `going` returned false, which is called
/// before each node. The engine's state is then that of a step that ended there.
///
/// # Errors
/// When the device is lost.
pub async fn first_nonfinite(
    engine: &mut Engine,
    program: Program,
    step: usize,
    going: &mut dyn FnMut() -> bool,
) -> Result<Option<NonFinite>> {
    for number in 0..engine.plan(program).work.len() {
        if !going() {
            return Ok(None);
        }
        let run = NodeRun::new(engine, program, number, step).await?;
        let of_value = if run.has_gaps(engine, program) { None } else { position(&run.value) };
        let of_states = run.states.iter().enumerate().find_map(|(state, value)| Some((state, position(value)?)));
        if of_value.is_some() || of_states.is_some() {
            return Ok(Some(explained(engine, program, &run, (of_value, of_states))));
        }
    }
    Ok(None)
}

/// The first element that is not finite.
fn position(value: &Value) -> Option<usize> {
    match value {
        Value::Real(numbers) => numbers.iter().position(|number| !number.is_finite()),
        Value::U32(_) | Value::U8(_) => None,
    }
}

/// What is known of a number that a node wrote: into its value, or into one of its states.
fn explained(
    engine: &Engine,
    program: Program,
    run: &NodeRun,
    (of_value, of_states): (Option<usize>, Option<(usize, usize)>),
) -> NonFinite {
    // All nodes before this one computed finite numbers. So an input that is not finite is an input of the step.
    let graph = &engine.plan(program).graph;
    for (&id, input) in graph.node(run.node).inputs().iter().zip(&run.inputs) {
        let of_the_step = graph.node(id).op().is_none();
        if let Some(index) = position(input).filter(|_| of_the_step) {
            let (tensor, ty) = named(engine, program, id);
            let value = input.numbers()[index];
            return NonFinite { tensor, op: None, shape: ty.to_string(), index, value, on_cpu: None };
        }
    }
    let (single, states_in_single) = run.on_cpu(engine, program);
    let (exact, exact_states) = run.reference(engine, program);
    let (id, index, found, single, exact) = match (of_value, of_states) {
        (None, Some((state, index))) => {
            let id = engine.plan(program).graph.node(run.node).states()[state];
            (id, index, &run.states[state], &states_in_single[state], exact_states[state][index])
        }
        _ => {
            let index = of_value.unwrap_or_default();
            (run.node, index, &run.value, &single, exact.numbers()[index])
        }
    };
    let (tensor, ty) = named(engine, program, id);
    NonFinite {
        tensor,
        op: Some(run.op(engine, program)),
        shape: ty.to_string(),
        index,
        value: found.numbers()[index],
        on_cpu: Some((single.numbers()[index] as f32, exact)),
    }
}
