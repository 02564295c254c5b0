//! What a classifier from a file needs to have other classes, and logits as its output.

use super::program::Program;
use crate::nn::operators::{
    Attribute, ConstantConfig, Known, Numbers, Operator, OperatorsConfig, ParameterConfig, Role, Size,
};

/// Removes a softmax over the classes at the end, which only changes logits to probabilities, or a sigmoid if `is_multi_label` says that the
/// classes do not exclude each other. Returns the name of the output, and a note of
/// what was found.
pub fn without_softmax(
    program: &mut Program,
    (output, is_multi_label): (&str, bool),
    dims: impl Fn(&str) -> Option<Vec<usize>>,
) -> (String, Option<String>) {
    let mut at = output;
    let last = loop {
        let Some(place) = program.nodes.iter().position(|node| node.outputs.first().is_some_and(|name| name == at))
        else {
            return (output.into(), None);
        };
        let node = &program.nodes[place];
        match (node.op.as_str(), node.inputs.first()) {
            ("Identity" | "Squeeze" | "Flatten" | "Reshape" | "Cast", Some(input)) => at = input,
            _ => break place,
        }
    };
    let node = &program.nodes[last];
    let note = |text: &str| Some(text.to_owned());
    match (node.op.as_str(), node.inputs.first()) {
        ("Sigmoid", Some(input)) if is_multi_label => {
            let input = input.clone();
            (without(program, last, &input, output), note("The sigmoid at its end is left out: its output is logits."))
        }
        ("Sigmoid", _) => (
            output.into(),
            note(
                "It ends with a sigmoid; gpunn takes its outputs for logits, so confidences are not those of the file.",
            ),
        ),
        ("Softmax" | "LogSoftmax", Some(input)) if is_over_classes(node, program.opset, dims(input)) => {
            let input = input.clone();
            (without(program, last, &input, output), note("The softmax at its end is left out: its output is logits."))
        }
        _ => (output.into(), None),
    }
}

/// Removes a node, whose input takes the place of its output. Returns the name of the network's output then.
fn without(program: &mut Program, place: usize, from: &str, output: &str) -> String {
    let to = program.nodes.remove(place).outputs[0].clone();
    for name in program.nodes.iter_mut().flat_map(|node| &mut node.inputs).filter(|name| **name == to) {
        from.clone_into(name);
    }
    if to == output { from.into() } else { output.into() }
}

/// Whether a softmax of a value with these sizes is over all numbers of each image.
fn is_over_classes(node: &Operator, opset: i64, dims: Option<Vec<usize>>) -> bool {
    let Some(dims) = dims else { return false };
    let default = if opset < 13 { 1 } else { -1 };
    let axis = match node.attributes.get("axis") {
        Some(Attribute::Int(axis)) => *axis,
        _ => default,
    };
    let axis = if axis < 0 { axis + dims.len() as i64 } else { axis };
    // Before version 13, all axes from this one on are one.
    let others = dims.iter().enumerate().skip(1).filter(|&(place, _)| match opset {
        ..13 => (place as i64) < axis,
        _ => place as i64 != axis,
    });
    axis > 0 && others.into_iter().all(|(_, &size)| size == 1)
}

/// Makes reshapes to a batch of a fixed size keep the batch: a file exported for one image then takes any number.
pub fn free_batch(program: &mut Program, batch: usize, dims: impl Fn(&str) -> Option<Vec<usize>>) {
    for (number, node) in program.nodes.iter_mut().enumerate().filter(|(_, node)| node.op == "Reshape") {
        let own = node.inputs.first().and_then(|name| dims(name));
        let shape = node.inputs.get(1).and_then(|name| program.tensors.get(name)).map(|known| known.numbers.clone());
        let (Some(own), Some(Numbers::Ints(mut shape))) = (own, shape) else { continue };
        let keeps_zeros = node.attributes.get("allowzero") == Some(&Attribute::Int(1));
        if own.first() != Some(&batch) || shape.first() != Some(&(batch as i64)) || keeps_zeros {
            continue;
        }
        shape[0] = 0;
        let name = format!("{}/free_{number}", node.inputs[1]);
        program.tensors.insert(name.clone(), Known::ints(shape));
        node.inputs[1] = name;
    }
}

/// Makes the last layer with weights have as many outputs as there are classes. Its output has `classes` features in the file.
/// Whether a weight was found for it.
pub fn free_classes(layers: &mut [(String, OperatorsConfig)], classes: usize) -> bool {
    let has_weights = |layer: &OperatorsConfig| layer.parameters.iter().any(is_weight);
    let Some(head) = layers.iter().rposition(|(_, layer)| has_weights(layer)) else { return false };
    let layer = &mut layers[head].1;
    // The last operator with a weight gives the classes.
    let Some(last) = layer.nodes.iter().rposition(|node| weight_of(layer, node).is_some()) else { return false };
    let of_head: Vec<String> = layer.nodes[last..].iter().flat_map(|node| node.inputs.clone()).collect();
    let found = free_parameters(layer, classes, |name| of_head.contains(name));
    // A bias or a factor may be a layer of its own.
    for (_, layer) in &mut layers[head + 1..] {
        free_parameters(layer, classes, |_| true);
    }
    for (_, layer) in &mut layers[head..] {
        free_sizes(layer, classes);
    }
    found
}

/// Makes parameters have an output for each class. Whether one of them is a weight.
fn free_parameters(layer: &mut OperatorsConfig, classes: usize, wanted: impl Fn(&String) -> bool) -> bool {
    let mut found = false;
    for parameter in layer.parameters.iter_mut().filter(|parameter| wanted(&parameter.name)) {
        let outputs = match parameter.kind {
            Role::Weight => parameter.shape.first_mut(),
            Role::Matrix | Role::Bias | Role::Scale => parameter.shape.last_mut(),
            _ => None,
        };
        if let Some(outputs) = outputs.filter(|size| **size == Size::Of(classes as i64)) {
            *outputs = Size::Classes;
            found |= matches!(parameter.kind, Role::Weight | Role::Matrix);
        }
    }
    found
}

fn is_weight(parameter: &ParameterConfig) -> bool {
    matches!(parameter.kind, Role::Weight | Role::Matrix)
}

/// The weight that an operator reads.
fn weight_of<'a>(layer: &'a OperatorsConfig, node: &Operator) -> Option<&'a ParameterConfig> {
    layer.parameters.iter().find(|parameter| is_weight(parameter) && node.inputs.contains(&parameter.name))
}

/// In the shapes of reshapes, the number of classes.
fn free_sizes(layer: &mut OperatorsConfig, classes: usize) {
    let reshapes = layer.nodes.iter().filter(|node| node.op == "Reshape");
    let shapes: Vec<String> = reshapes.filter_map(|node| node.inputs.get(1).cloned()).collect();
    for ConstantConfig { ints, .. } in layer.constants.iter_mut().filter(|constant| shapes.contains(&constant.name)) {
        let all = ints.iter_mut().flatten();
        all.filter(|size| **size == Size::Of(classes as i64)).for_each(|size| *size = Size::Classes);
    }
}
