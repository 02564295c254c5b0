//! Divides operators into layers, wherever only one value goes on.

use std::collections::{BTreeMap, BTreeSet};

use super::names::{self, LayerNames};
use super::program::Program;
use crate::nn::operators::{
    Attribute, ConstantConfig, Known, Numbers, Operator, OperatorsConfig, ParameterConfig, Role, Size,
};

/// Layers by name, and the tensors under their full names, each with its shape and values.
pub type Divided = (Vec<(String, OperatorsConfig)>, BTreeMap<String, (Vec<usize>, Vec<f32>)>);

/// Operators from one value to another.
pub struct Network<'a> {
    pub program: &'a Program,
    pub input: &'a str,
    pub output: &'a str,
    pub roles: &'a BTreeMap<String, Role>,
    /// The values that can go from one layer to the next: floats for each image.
    pub carriers: &'a BTreeSet<String>,
}

impl Network<'_> {
    /// After which operators only one value goes on, and no parameter is read on both sides.
    fn cuts(&self) -> Vec<bool> {
        let nodes = &self.program.nodes;
        let mut last: BTreeMap<&str, usize> = BTreeMap::from([(self.output, nodes.len())]);
        let mut first: BTreeMap<&str, usize> = BTreeMap::from([(self.input, 0)]);
        for (number, node) in nodes.iter().enumerate() {
            for name in node.inputs.iter().map(String::as_str) {
                let end = last.entry(name).or_insert(number);
                *end = number.max(*end);
                if self.roles.contains_key(name) {
                    first.entry(name).or_insert(number);
                }
            }
            first.extend(node.outputs.iter().map(|name| (name.as_str(), number)));
        }
        // The values that begin and end to live at each operator, and the same of shared parameters.
        let mut changes = vec![(0_i64, 0_i64); nodes.len() + 1];
        for (name, &from) in &first {
            let Some(&to) = last.get(name) else { continue };
            let is_parameter = self.roles.contains_key(*name);
            let of = |change: &mut (i64, i64), by: i64| if is_parameter { change.1 += by } else { change.0 += by };
            of(&mut changes[from], 1);
            of(&mut changes[to], -1);
        }
        let (mut values, mut parameters) = (0, 0);
        let after = changes.iter().zip(nodes).map(|(change, node)| {
            values += change.0;
            parameters += change.1;
            let goes_on = node.outputs.first().is_some_and(|name| self.carriers.contains(name));
            values == 1 && parameters == 0 && goes_on
        });
        after.collect()
    }

    /// The layers, and the tensors under their full names.
    pub fn divide(&self) -> Result<Divided, String> {
        let mut names = LayerNames::default();
        let (mut layers, mut tensors) = (Vec::new(), BTreeMap::new());
        let (mut start, mut input) = (0, self.input.to_owned());
        for (number, cut) in self.cuts().into_iter().enumerate() {
            // At the end there is nothing to divide any more.
            if !cut && number + 1 < self.program.nodes.len() {
                continue;
            }
            // What goes on is a result of this operator, because something reads it.
            let node = &self.program.nodes[number];
            let output = match (number + 1 == self.program.nodes.len(), node.outputs.first()) {
                (true, _) => self.output.to_owned(),
                (false, Some(output)) => output.clone(),
                (false, None) => return Err(format!("{node} has no output")),
            };
            layers.push(self.layer(start..number + 1, &input, &output, &mut names, &mut tensors)?);
            (start, input) = (number + 1, output);
        }
        Ok((layers, tensors))
    }

    /// One layer.
    fn layer(
        &self,
        range: std::ops::Range<usize>,
        input: &str,
        output: &str,
        names: &mut LayerNames,
        tensors: &mut BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    ) -> Result<(String, OperatorsConfig), String> {
        let mut nodes = self.program.nodes[range].to_vec();
        let (parameters, constants) = self.held(&nodes);
        let all: Vec<String> = parameters.iter().map(|(_, full, _)| full.clone()).collect();
        let layer = names.next(&all, &nodes[0]);
        let mut renamed: BTreeMap<String, String> = BTreeMap::new();
        let mut configs = Vec::new();
        for (own, full, role) in parameters {
            let local = names::within(&full, &layer);
            let known = &self.program.tensors[&own];
            let Known { dims, numbers: Numbers::Floats(values) } = known else { continue };
            tensors.insert(format!("{layer}.{local}"), (dims.clone(), values.clone()));
            let shape = dims.iter().map(|&size| Size::Of(size as i64)).collect();
            configs.push(ParameterConfig { name: local.clone(), shape, kind: role });
            renamed.insert(own, local);
        }
        // A parameter's name within the layer may be that of a value of the file.
        let local = |name: &str| match renamed.get(name) {
            Some(local) => local.clone(),
            None if configs.iter().any(|parameter| parameter.name == name) => format!("{name}/value"),
            None => name.to_owned(),
        };
        for node in &mut nodes {
            node.inputs.iter_mut().chain(&mut node.outputs).for_each(|name| *name = local(name));
            known_kernel(node, &configs);
        }
        let constants = constants.iter().map(|name| constant(&local(name), &self.program.tensors[name])).collect();
        let (input, output) = (local(input), local(output));
        let opset = self.program.opset;
        Ok((layer, OperatorsConfig { opset, input, output, nodes, parameters: configs, constants }))
    }

    /// The parameters that some operators read, each with the name in the file, its full name and its role; and the names of the constants.
    fn held(&self, nodes: &[Operator]) -> (Vec<(String, String, Role)>, Vec<String>) {
        let mut parameters: Vec<(String, String, Role)> = Vec::new();
        let mut constants: Vec<String> = Vec::new();
        let (mut seen, mut taken) = (BTreeSet::new(), BTreeSet::new());
        for node in nodes {
            for name in node.inputs.iter().filter(|name| self.program.tensors.contains_key(*name)) {
                if !seen.insert(name.clone()) {
                    continue;
                }
                let Some(&role) = self.roles.get(name) else {
                    constants.push(name.clone());
                    continue;
                };
                let wanted = names::parameter(name, node, what(role));
                let numbered = (2..).map(|number| format!("{wanted}_{number}"));
                let full = std::iter::once(wanted.clone()).chain(numbered).find(|name| taken.insert(name.clone()));
                parameters.push((name.clone(), full.unwrap_or(wanted), role));
            }
        }
        (parameters, constants)
    }
}

/// Writes the kernel's size to a convolution, for summaries. Files may leave it to the weight.
fn known_kernel(node: &mut Operator, parameters: &[ParameterConfig]) {
    let weight = node.inputs.get(1).and_then(|name| parameters.iter().find(|parameter| parameter.name == *name));
    if let ("Conv" | "ConvTranspose", Some(weight)) = (node.op.as_str(), weight) {
        let sizes = weight.shape.iter().skip(2).map(|size| if let Size::Of(size) = size { *size } else { 1 });
        node.attributes.entry("kernel_shape".into()).or_insert_with(|| Attribute::Ints(sizes.collect()));
    }
}

/// The last part of a parameter's name.
fn what(role: Role) -> &'static str {
    match role {
        Role::Weight | Role::Matrix | Role::Scale => "weight",
        Role::Bias | Role::Shift => "bias",
        Role::Buffer => "running_mean",
        Role::Variance => "running_var",
    }
}

fn constant(name: &str, known: &Known) -> ConstantConfig {
    let shape = (known.dims.len() != 1).then(|| known.dims.clone());
    let (ints, floats) = match &known.numbers {
        Numbers::Ints(values) => (Some(values.iter().map(|&value| Size::Of(value)).collect()), None),
        Numbers::Floats(values) => (None, Some(values.clone())),
    };
    ConstantConfig { name: name.into(), shape, ints, floats }
}
