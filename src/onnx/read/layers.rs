//! Divides the operators of a file into layers: wherever only one value goes on. So a block with a shortcut is one layer, and
//! layers can be frozen as those of any network.

use std::collections::{BTreeMap, BTreeSet};

use super::classes::{free_batch, free_classes, logits};
use super::names::{self, LayerNames};
use super::program::{Input, Program};
use super::roles::roles;
use super::simplify::{fold, keep_needed};
use crate::formats::onnx::element;
use crate::graph::TensorType;
use crate::nn::network::{LayerConfig, LayerKind};
use crate::nn::operators::{
    Attribute, ConstantConfig, Fault, Known, Numbers, Operator, OperatorsConfig, ParameterConfig, Role, Scope, Size,
    Value, table,
};
use crate::nn::{Build, Mode, Parameters};
use crate::{Error, Result};

/// The batch for which the operators are tried. As a prime, it is no part of a size by chance.
const BATCH: usize = 13;
/// The sides of images of a file that leaves them open.
const SIDE: usize = 224;
/// The most problems that are listed.
const MOST_PROBLEMS: usize = 40;

/// A network in layers.
#[derive(Clone, Debug)]
pub struct Layered {
    /// The layers.
    pub layers: Vec<LayerConfig>,
    /// Channels, height and width of its images.
    pub image: [usize; 3],
    /// The number of classes.
    pub classes: usize,
    /// The values of parameters and statistics under their full names, each with its shape.
    pub tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    /// What the reader should know: sentences.
    pub notes: Vec<String>,
}

/// Divides a classifier of images into layers. `image` is used where the file leaves the sizes open, and for a network that takes lists.
///
/// # Errors
/// When the network is not one that takes one image and gives one list of numbers, and when it has operators, attributes or
/// types that are not supported. The message lists all of them.
pub fn layered(mut program: Program, origin: &str, image: Option<[usize; 3]>) -> Result<Layered> {
    let says = |reason: String| Error::data(format!("{origin} cannot be used as a classifier of images: {reason}."));
    let mut notes = Vec::new();
    let (input, image, is_flat) = image_input(&program.inputs, image, &mut notes).map_err(says)?;
    let named = program.outputs.first().cloned().ok_or_else(|| says("it has no output".into()))?;
    if program.outputs.len() > 1 {
        notes.push(format!("It has {} outputs; the first one, `{named}`, is used.", program.outputs.len()));
    }
    fold(&mut program);
    let (output, had_softmax) = logits(&program, &named);
    if had_softmax {
        notes.push("The softmax at its end is left out: its output is logits.".into());
    }
    keep_needed(&mut program, &output);
    if program.nodes.is_empty() {
        return Err(says("its output does not depend on its input by any operator".into()));
    }
    if let Some(batch) = input.dims.as_ref().and_then(|dims| dims.first().copied().flatten()) {
        let dims = shapes(&program, &input, image, is_flat, batch);
        free_batch(&mut program, batch, |name| dims.get(name).cloned());
    }
    check(&program, origin, &input, image, is_flat)?;
    let roles = roles(&program);
    let mut carriers = BTreeSet::new();
    try_all(&program, &input, image, is_flat, BATCH, |node, _, scope| {
        let goes_on = |value: &Value| matches!(value, Value::Tensor(_)) && scope.dims(value).first() == Some(&BATCH);
        carriers.extend(node.outputs.iter().filter(|name| scope.get(name).is_some_and(goes_on)).cloned());
    })?;
    let network =
        Network { program: &program, input: &input.name, output: &output, roles: &roles, carriers: &carriers };
    let (mut layers, tensors) = network.divide().map_err(says)?;
    let dims = shapes(&program, &input, image, is_flat, BATCH);
    let result = dims.get(&output).cloned().unwrap_or_default();
    let [BATCH, features @ ..] = result.as_slice() else {
        return Err(says(format!(
            "its output for {BATCH} images is {result:?}, so it is made for batches of one size"
        )));
    };
    let classes: usize = features.iter().product();
    if features.iter().filter(|&&size| size > 1).count() > 1 || classes < 2 {
        return Err(says(format!("its output for one image is {features:?}, which is not a list of classes")));
    }
    if !free_classes(&mut layers, classes) {
        notes.push(format!("Its last layer cannot be replaced, so it can only be used for its own {classes} classes."));
    }
    let flatten = |name: &str| LayerConfig { name: Some(name.into()), kind: LayerKind::Flatten };
    let own = layers
        .into_iter()
        .map(|(name, config)| LayerConfig { name: Some(name), kind: LayerKind::Operators(Box::new(config)) });
    let before = is_flat.then(|| flatten("flatten_input"));
    let after = (features.len() > 1).then(|| flatten("flatten_output"));
    let layers = before.into_iter().chain(own).chain(after).collect();
    Ok(Layered { layers, image, classes, tensors, notes })
}

/// The input that takes images, the sizes of one, and whether it takes them as lists.
fn image_input(
    inputs: &[Input],
    asked: Option<[usize; 3]>,
    notes: &mut Vec<String>,
) -> Result<(Input, [usize; 3], bool), String> {
    let [input] = inputs else {
        let names: Vec<String> = inputs.iter().map(|input| format!("`{}`", input.name)).collect();
        return Err(format!("it has {} inputs ({}), not one", inputs.len(), names.join(", ")));
    };
    if ![element::FLOAT, element::FLOAT16, element::DOUBLE, element::BFLOAT16].contains(&input.data_type) {
        let kind = super::tensors::type_name(input.data_type);
        return Err(format!("its input `{}` holds elements of type {kind}, not floats", input.name));
    }
    let shown = |dims: &[Option<usize>]| {
        dims.iter()
            .map(|size| size.map_or_else(|| "any".into(), |size| size.to_string()))
            .collect::<Vec<_>>()
            .join(" x ")
    };
    let (image, is_flat) = match input.dims.as_deref() {
        Some(&[_, channels, height, width]) => {
            let default = asked.unwrap_or([3, SIDE, SIDE]);
            if channels.is_none() || height.is_none() || width.is_none() {
                notes.push(format!(
                    "It takes images of any size; {} x {} x {} is used.",
                    channels.unwrap_or(default[0]),
                    height.unwrap_or(default[1]),
                    width.unwrap_or(default[2])
                ));
            }
            ([channels.unwrap_or(default[0]), height.unwrap_or(default[1]), width.unwrap_or(default[2])], false)
        }
        Some(&[_, Some(features)]) => match asked {
            Some(image) if image.iter().product::<usize>() == features => (image, true),
            Some([channels, height, width]) => {
                return Err(format!(
                    "it takes lists of {features} numbers, but the images are {channels} x {height} x {width}"
                ));
            }
            None => {
                let side = (features as f64).sqrt() as usize;
                if side * side != features {
                    return Err(format!("it takes lists of {features} numbers, and does not say of what images"));
                }
                notes.push(format!("It takes lists of {features} numbers, used as grey images of {side} x {side}."));
                ([1, side, side], true)
            }
        },
        Some(dims) => {
            return Err(format!(
                "its input `{}` is {}, not batch x channels x height x width",
                input.name,
                shown(dims)
            ));
        }
        None => return Err(format!("it does not say the shape of its input `{}`", input.name)),
    };
    if ![1, 3].contains(&image[0]) {
        let [channels, height, width] = image;
        let hint = if [1, 3].contains(&width) { "; channels must come first" } else { "" };
        return Err(format!("its images have {channels} channels ({channels} x {height} x {width}), not 1 or 3{hint}"));
    }
    Ok((input.clone(), image, is_flat))
}

/// Adds all operators to a graph, for so many images, with leaves as parameters. `visit` is told what happened to each.
fn try_all(
    program: &Program,
    input: &Input,
    image: [usize; 3],
    is_flat: bool,
    batch: usize,
    mut visit: impl FnMut(&Operator, Option<Fault>, &Scope),
) -> Result<()> {
    let parameters = Parameters::default();
    let mut build = Build::new(&parameters, Mode::Evaluation)?;
    let roles = roles(program);
    let dims = if is_flat { vec![batch, image.iter().product()] } else { [&[batch], image.as_slice()].concat() };
    let x = build.leaf("x", 0, TensorType::f32(dims))?;
    let leaves = roles.keys().filter_map(|name| Some((name, program.tensors.get(name)?)));
    let mut at = 0;
    let mut set = vec![(input.name.clone(), Value::Tensor(x))];
    for (name, known) in leaves {
        set.push((name.clone(), Value::Tensor(build.leaf("weights", at, TensorType::f32(known.dims.clone()))?)));
        at += known.elements().next_multiple_of(64);
    }
    let mut scope = Scope::new(&mut build, program.opset);
    for (name, known) in &program.tensors {
        scope.set(name, Value::Known(known.clone()));
    }
    set.into_iter().for_each(|(name, value)| scope.set(name, value));
    for node in &program.nodes {
        let fault = scope.add(node).err();
        visit(node, fault, &scope);
    }
    Ok(())
}

/// The sizes of all values for so many images, as far as they can be found.
fn shapes(
    program: &Program,
    input: &Input,
    image: [usize; 3],
    is_flat: bool,
    batch: usize,
) -> BTreeMap<String, Vec<usize>> {
    let mut dims = BTreeMap::new();
    let own = if is_flat { vec![batch, image.iter().product()] } else { [&[batch], image.as_slice()].concat() };
    dims.insert(input.name.clone(), own);
    let tried = try_all(program, input, image, is_flat, batch, |node, _, scope| {
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
fn check(program: &Program, origin: &str, input: &Input, image: [usize; 3], is_flat: bool) -> Result<()> {
    let mut problems = program.problems.clone();
    let mut missing: BTreeSet<String> = BTreeSet::new();
    let known: Vec<&str> = table::names().into_iter().map(|(name, _)| name).collect();
    try_all(program, input, image, is_flat, BATCH, |node, fault, _| {
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

/// A part of the operators, with one value that goes in and one that comes out.
type Divided = (Vec<(String, OperatorsConfig)>, BTreeMap<String, (Vec<usize>, Vec<f32>)>);

struct Network<'a> {
    program: &'a Program,
    input: &'a str,
    output: &'a str,
    roles: &'a BTreeMap<String, Role>,
    /// The values that can go from one layer to the next: floats for each image.
    carriers: &'a BTreeSet<String>,
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
    fn divide(&self) -> Result<Divided, String> {
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
        let mut parameters: Vec<(String, String, Role)> = Vec::new();
        let mut constants: Vec<String> = Vec::new();
        let mut taken = BTreeSet::new();
        for node in &nodes {
            for name in node.inputs.iter().filter(|name| self.program.tensors.contains_key(*name)) {
                let Some(&role) = self.roles.get(name) else {
                    if !constants.contains(name) {
                        constants.push(name.clone());
                    }
                    continue;
                };
                if parameters.iter().any(|(own, _, _)| own == name) {
                    continue;
                }
                let wanted = names::parameter(name, node, what(role));
                let numbered = (2..).map(|number| format!("{wanted}_{number}"));
                let full = std::iter::once(wanted.clone()).chain(numbered).find(|name| taken.insert(name.clone()));
                parameters.push((name.clone(), full.unwrap_or(wanted), role));
            }
        }
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
        for node in &mut nodes {
            for name in &mut node.inputs {
                if let Some(local) = renamed.get(name) {
                    name.clone_from(local);
                }
            }
            known_kernel(node, &configs);
        }
        let constants = constants.iter().map(|name| constant(name, &self.program.tensors[name])).collect();
        let config = OperatorsConfig {
            opset: self.program.opset,
            input: input.into(),
            output: output.into(),
            nodes,
            parameters: configs,
            constants,
        };
        Ok((layer, config))
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
