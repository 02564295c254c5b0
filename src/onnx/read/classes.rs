//! What a classifier from a file needs to have other classes, and logits as its output.

use super::program::Program;
use crate::nn::operators::{
    Attribute, ConstantConfig, Known, Numbers, Operator, OperatorsConfig, ParameterConfig, Role, Size,
};

/// Removes a softmax at the end, which only changes logits to probabilities. Returns the name of the logits, and whether there was one.
pub fn logits(program: &Program, output: &str) -> (String, bool) {
    let mut output = output.to_owned();
    let mut found = false;
    while let Some(last) = program.nodes.iter().find(|node| node.outputs.first() == Some(&output)) {
        let is_softmax = matches!(last.op.as_str(), "Softmax" | "LogSoftmax");
        if !is_softmax && last.op != "Identity" {
            break;
        }
        found |= is_softmax;
        output.clone_from(&last.inputs[0]);
    }
    (output, found)
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
/// Whether it could be done.
pub fn free_classes(layers: &mut [(String, OperatorsConfig)], classes: usize) -> bool {
    let has_weights = |layer: &OperatorsConfig| layer.parameters.iter().any(is_weight);
    let Some(head) = layers.iter().rposition(|(_, layer)| has_weights(layer)) else { return false };
    let layer = &mut layers[head].1;
    let mut found = false;
    // The last operator with a weight gives the classes; a bias may be an operator of its own.
    let Some(last) = layer.nodes.iter().rposition(|node| weight_of(layer, node).is_some()) else { return false };
    let of_head: Vec<String> = layer.nodes[last..].iter().flat_map(|node| node.inputs.clone()).collect();
    for parameter in layer.parameters.iter_mut().filter(|parameter| of_head.contains(&parameter.name)) {
        let outputs = match parameter.kind {
            Role::Weight => parameter.shape.first_mut(),
            Role::Matrix | Role::Bias => parameter.shape.last_mut(),
            _ => None,
        };
        if let Some(outputs) = outputs.filter(|size| **size == Size::Of(classes as i64)) {
            *outputs = Size::Classes;
            found |= parameter.kind != Role::Bias;
        }
    }
    for (_, layer) in &mut layers[head..] {
        free_sizes(layer, classes);
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
