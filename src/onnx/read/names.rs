//! Names of parameters and layers from those of a file.

use std::collections::{BTreeMap, BTreeSet};

use crate::nn::operators::Operator;

/// The name of a parameter, with dots between its parts: the tensor's own, if it is a name as in PyTorch, else one from the
/// operator that reads it first. `what` is the last part of such a name.
pub fn parameter(tensor: &str, node: &Operator, what: &str) -> String {
    // What is after a slash says how the tensor was stored.
    let tensor = tensor.split('/').next().unwrap_or_default();
    match is_plain(tensor) && tensor.contains('.') {
        true => tensor.to_owned(),
        false => format!("{}.{what}", of_node(node)),
    }
}

/// Whether a name has only letters, digits, underscores and dots, and each part is not empty.
fn is_plain(name: &str) -> bool {
    let is_word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    name.split('.').all(is_word) && name.len() < 200
}

/// The name of a node. Those of PyTorch are paths: `/layer1/layer1.0/conv1/Conv` is `layer1.0.conv1`.
fn of_node(node: &Operator) -> String {
    let parts: Vec<&str> = node.name.split('/').filter(|part| !part.is_empty()).collect();
    let parts = match parts.split_last() {
        // The last part is the operator's kind, perhaps with a number.
        Some((last, before)) if last.starts_with(&node.op) && !before.is_empty() => before.to_vec(),
        _ => parts,
    };
    let mut name: Vec<&str> = Vec::new();
    for part in parts {
        // A module's path is repeated within those of its parts.
        if name.last().is_some_and(|before| part.strip_prefix(before).is_some_and(|rest| rest.starts_with('.'))) {
            name.pop();
        }
        name.push(part);
    }
    let joined = name.join(".");
    let first = || node.outputs.first().filter(|output| is_plain(output)).cloned();
    match is_plain(&joined) {
        true => joined,
        false => first().unwrap_or_else(|| node.op.to_lowercase()),
    }
}

/// The names of layers so far. None is a part of another.
#[derive(Default)]
pub struct LayerNames {
    taken: BTreeSet<String>,
    /// What stands before a dot of a name.
    outer: BTreeSet<String>,
    /// The last number of names that were wanted more than once.
    numbers: BTreeMap<String, usize>,
}

impl LayerNames {
    /// The name of a layer with parameters of these names, else of one with this operator: one that no other has.
    pub fn next(&mut self, parameters: &[String], node: &Operator) -> String {
        let wanted = common(parameters).unwrap_or_else(|| match parameters.is_empty() {
            true => of_node(node).replace('.', "_"),
            false => "block".into(),
        });
        // Within another layer's name, a name with dots would be taken for a part of that layer.
        let flat = wanted.replace('.', "_");
        let mut name = wanted;
        if self.is_taken(&name) {
            name.clone_from(&flat);
        }
        while self.is_taken(&name) {
            let number = self.numbers.entry(flat.clone()).or_insert(1);
            *number += 1;
            name = format!("{flat}_{number}");
        }
        self.outer.extend(outer(&name).map(str::to_owned));
        self.taken.insert(name.clone());
        name
    }

    fn is_taken(&self, name: &str) -> bool {
        self.taken.contains(name) || self.outer.contains(name) || outer(name).any(|part| self.taken.contains(part))
    }
}

/// What stands before each dot of a name.
fn outer(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('.').map(|(at, _)| &name[..at])
}

/// The parts with which all names begin, without any name's last part.
fn common(names: &[String]) -> Option<String> {
    let parts: Vec<Vec<&str>> = names.iter().map(|name| name.split('.').collect()).collect();
    let first = parts.first()?;
    let shared = |count: usize| parts.iter().all(|parts| parts.len() > count && parts[..count] == first[..count]);
    let count = (1..first.len()).take_while(|&count| shared(count)).last()?;
    Some(first[..count].join("."))
}

/// A parameter's name within its layer: without the layer's name before it.
pub fn within(parameter: &str, layer: &str) -> String {
    let rest = parameter.strip_prefix(layer).and_then(|rest| rest.strip_prefix('.'));
    rest.unwrap_or(parameter).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(op: &str, name: &str) -> Operator {
        Operator { op: op.into(), name: name.into(), outputs: vec!["/out".into()], ..Operator::default() }
    }

    #[test]
    fn parameters_have_pytorchs_names() {
        let name = |tensor: &str, node: &Operator| parameter(tensor, node, "weight");
        assert_eq!(name("layer1.0.conv1.weight", &node("Conv", "any")), "layer1.0.conv1.weight");
        assert_eq!(name("onnx::Conv_193", &node("Conv", "/layer1/layer1.0/conv1/Conv")), "layer1.0.conv1.weight");
        assert_eq!(name("w", &node("Conv", "/features/features.3/Conv_2")), "features.3.weight");
        assert_eq!(name("w", &node("Gemm", "")), "gemm.weight");
    }

    #[test]
    fn no_layer_is_a_part_of_another() {
        let mut names = LayerNames::default();
        let of = |parameters: &[&str]| parameters.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(names.next(&of(&["a.0.conv.weight", "a.0.bn.bias"]), &node("Conv", "")), "a.0");
        assert_eq!(names.next(&of(&["a.0.conv.bias"]), &node("Conv", "")), "a_0_conv");
        assert_eq!(names.next(&of(&["a.weight"]), &node("Conv", "")), "a_2");
        assert_eq!(names.next(&[], &node("Relu", "/relu/Relu")), "relu");
        assert_eq!(names.next(&[], &node("Relu", "/relu/Relu_1")), "relu_2");
        assert_eq!(names.next(&of(&["x.weight", "y.weight"]), &node("Add", "")), "block");
    }
}
