//! What a program does not need: operators on known values only, and operators that nothing reads.

use std::collections::{BTreeMap, BTreeSet};

use super::program::Program;
use crate::nn::operators::{Known, Value, table};

/// The most elements of all values that are computed when a file is read.
const MOST_FOLDED: usize = 1 << 28;

/// Gives each batch norm a mean and a variance of its own. A file may store equal tensors once, but training changes these.
pub fn own_statistics(program: &mut Program) {
    let mut readers: BTreeMap<String, usize> = BTreeMap::new();
    let read = program.nodes.iter().flat_map(|node| &node.inputs);
    read.for_each(|name| *readers.entry(name.clone()).or_insert(0) += 1);
    for (number, node) in program.nodes.iter_mut().enumerate().filter(|(_, node)| node.op == "BatchNormalization") {
        for (input, name) in node.inputs.iter_mut().enumerate().skip(3) {
            let Some(known) = program.tensors.get(name).filter(|_| readers[name] > 1).cloned() else { continue };
            *name = format!("{name}/of_{number}_{input}");
            program.tensors.insert(name.clone(), known);
        }
    }
}

/// Computes operators whose inputs are all held by the file, such as weights that are stored as integers.
pub fn fold(program: &mut Program) {
    let nodes = std::mem::take(&mut program.nodes);
    let mut room = MOST_FOLDED;
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
        let needs = known.iter().flatten().map(Known::elements).sum::<usize>();
        match known {
            // What the file holds may be changed, but it does not become much more.
            Some(_) if needs > room => program.nodes.push(node),
            Some(known) => {
                room -= needs;
                program.tensors.extend(node.outputs.into_iter().zip(known));
            }
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
