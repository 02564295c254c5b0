//! Tries the operators of a file: which can be done, and what the sizes of their results are.

use std::collections::{BTreeMap, BTreeSet};

use super::program::{Input, Program};
use super::roles::roles;
use crate::graph::TensorType;
use crate::nn::operators::{Fault, Operator, Scope, TRIAL_BATCH, Value, table};
use crate::nn::{Build, Mode, Parameters};
use crate::{Error, Result};

/// The most problems that are listed.
const MOST_PROBLEMS: usize = 40;

/// What a network is tried with.
pub struct Trial<'a> {
    /// The input that takes images.
    pub input: &'a Input,
    /// The sizes of one.
    pub image: [usize; 3],
    /// Whether it takes them as lists.
    pub is_flat: bool,
}

/// Adds all operators to a graph, for so many images, with leaves as parameters. `visit` is told what happened to each.
pub fn try_all(
    program: &Program,
    trial: &Trial,
    batch: usize,
    mut visit: impl FnMut(&Operator, Option<Fault>, &Scope),
) -> Result<()> {
    let parameters = Parameters::default();
    let mut build = Build::new(&parameters, Mode::Evaluation)?;
    let roles = roles(program);
    let x = build.leaf("x", 0, TensorType::f32(trial.dims(batch)))?;
    let leaves = roles.keys().filter_map(|name| Some((name, program.tensors.get(name)?)));
    let mut at = 0;
    let mut set = vec![(trial.input.name.clone(), Value::Tensor(x))];
    for (name, known) in leaves {
        set.push((name.clone(), Value::Tensor(build.leaf("weights", at, TensorType::f32(known.dims.clone()))?)));
        at += known.elements().next_multiple_of(64);
    }
    let mut scope = Scope::new(&mut build, program.opset);
    for (name, known) in program.tensors.iter().filter(|(name, _)| !roles.contains_key(*name)) {
        scope.set(name, Value::Known(known.clone()));
    }
    set.into_iter().for_each(|(name, value)| scope.set(name, value));
    for node in &program.nodes {
        let fault = scope.add(node).err();
        visit(node, fault, &scope);
    }
    Ok(())
}

impl Trial<'_> {
    /// The sizes of so many images.
    fn dims(&self, batch: usize) -> Vec<usize> {
        if self.is_flat { vec![batch, self.image.iter().product()] } else { [&[batch], self.image.as_slice()].concat() }
    }
}

/// The sizes of all values for so many images, as far as they can be found.
pub fn shapes(program: &Program, trial: &Trial, batch: usize) -> BTreeMap<String, Vec<usize>> {
    let mut dims = BTreeMap::from([(trial.input.name.clone(), trial.dims(batch))]);
    let tried = try_all(program, trial, batch, |node, _, scope| {
        for name in &node.outputs {
            if let Some(value) = scope.get(name) {
                dims.insert(name.clone(), scope.dims(value));
            }
        }
    });
    if tried.is_err() {
        dims.clear();
    }
    dims
}

/// Checks that all operators can be done. The message lists those that cannot.
pub fn check(program: &Program, origin: &str, trial: &Trial) -> Result<()> {
    let mut problems = program.problems.clone();
    let mut missing: BTreeSet<String> = BTreeSet::new();
    let known: Vec<&str> = table::names().into_iter().map(|(name, _)| name).collect();
    try_all(program, trial, TRIAL_BATCH, |node, fault, _| {
        let Some(fault) = fault else { return };
        // What follows an operator that cannot be done is only looked up.
        let follows = node.inputs.iter().any(|name| missing.contains(name));
        missing.extend(node.outputs.iter().cloned());
        let told = program.problems.iter().any(|problem| problem.starts_with(&node.to_string()));
        if !told && (!follows || !known.contains(&node.op.as_str())) {
            let reason = if follows { "gpunn does not have this operator".into() } else { fault.to_string() };
            problems.push(format!("{node}: {reason}"));
        }
    })?;
    if problems.is_empty() {
        return Ok(());
    }
    let more = problems.len().saturating_sub(MOST_PROBLEMS);
    let listed = problems.iter().take(MOST_PROBLEMS).map(|problem| format!("\n  {problem}")).collect::<String>();
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    Err(Error::data(format!("{origin} holds what gpunn cannot do:{listed}{more}")))
}
