//! What a program does not need: operators on known values only, and operators that nothing reads.

use std::collections::BTreeSet;

use super::program::Program;
use crate::nn::operators::{Known, Value, table};

/// Computes operators whose inputs are all held by the file, such as weights that are stored as integers.
pub fn fold(program: &mut Program) {
    let nodes = std::mem::take(&mut program.nodes);
    for node in nodes {
        let inputs = node.inputs.iter().map(|name| match name.as_str() {
            "" => Some(None),
            name => program.tensors.get(name).cloned().map(Some),
        });
        let inputs: Option<Vec<Option<Known>>> = inputs.collect();
        let results = inputs.and_then(|inputs| table::evaluate(&node, inputs, program.opset));
        let known = results.and_then(Result::ok).and_then(|values| {
            let all = values.into_iter().map(|value| if let Value::Known(known) = value { Some(known) } else { None });
            all.collect::<Option<Vec<_>>>()
        });
        match known {
            Some(known) => program.tensors.extend(node.outputs.into_iter().zip(known)),
            None => program.nodes.push(node),
        }
    }
}

/// Removes the operators whose results nothing reads on the way to `output`, and the tensors that nothing reads.
pub fn keep_needed(program: &mut Program, output: &str) {
    let mut needed = BTreeSet::from([output.to_owned()]);
    let nodes = std::mem::take(&mut program.nodes);
    for node in nodes.into_iter().rev() {
        if node.outputs.iter().any(|name| needed.contains(name)) {
            needed.extend(node.inputs.iter().filter(|name| !name.is_empty()).cloned());
            program.nodes.push(node);
        }
    }
    program.nodes.reverse();
    program.tensors.retain(|name, _| needed.contains(name));
}
