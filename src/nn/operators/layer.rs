//! The layer of operators.

use super::config::{Attribute, Operator, Role};
use super::scope::Scope;
use super::value::{Known, Value};
use crate::graph::{NodeId, TensorType};
use crate::nn::layer::Layer;
use crate::nn::sequence::join;
use crate::nn::{
    Build, GROUP_NO_DECAY, GROUP_SCALES, GROUP_SHIFTS, GROUP_WEIGHTS, Initialiser, Mode, Parameters, Scheme,
};
use crate::{Error, Result};

/// The batch for which shapes are found. As a prime, it is no part of a size by chance.
pub const TRIAL_BATCH: usize = 13;

/// Operators that compute one value from one value, with their parameters and constants.
#[derive(Clone, Debug)]
pub struct Operators {
    pub(super) opset: i64,
    pub(super) input: String,
    pub(super) output: String,
    pub(super) nodes: Vec<Operator>,
    pub(super) parameters: Vec<(String, Vec<usize>, Role)>,
    pub(super) constants: Vec<(String, Known)>,
    pub(super) scheme: Scheme,
}

impl Operators {
    /// Adds the operators for x to a graph.
    fn add_to(&self, build: &mut Build, name: &str, x: NodeId) -> Result<NodeId, String> {
        let mut leaves = Vec::new();
        for (local, _, role) in &self.parameters {
            let full = join(name, local, ".");
            let leaf = match role {
                Role::Buffer | Role::Variance => build.statistic(&full),
                _ => build.parameter(&full),
            };
            leaves.push((local.clone(), full, leaf.map_err(|error| error.to_string())?));
        }
        let mut scope = Scope::new(build, self.opset);
        scope.set(&self.input, Value::Tensor(x));
        for (local, full, leaf) in leaves {
            scope.set(local, Value::Tensor(leaf));
            scope.parameters.insert(leaf, full);
        }
        for (name, known) in &self.constants {
            scope.set(name, Value::Known(known.clone()));
        }
        for operator in &self.nodes {
            scope.add(operator).map_err(|fault| format!("{operator}: {fault}"))?;
        }
        match scope.get(&self.output) {
            Some(&Value::Tensor(id)) => Ok(id),
            Some(_) => Err(format!("its output `{}` does not hold computed floats", self.output)),
            None => Err(format!("no operator computes its output `{}`", self.output)),
        }
    }
}

impl Layer for Operators {
    fn label(&self) -> String {
        match self.nodes.as_slice() {
            [only] => described(only),
            nodes => {
                let mut kinds: Vec<&str> = Vec::new();
                for node in nodes {
                    if !kinds.contains(&node.op.as_str()) {
                        kinds.push(&node.op);
                    }
                }
                format!("{} operators: {}", nodes.len(), kinds.join(", "))
            }
        }
    }

    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        let mut parameters = Parameters::default();
        self.declare("", shape, &mut parameters);
        let mut build = Build::new(&parameters, Mode::Evaluation).map_err(|error| error.to_string())?;
        let dims = [&[TRIAL_BATCH], shape].concat();
        let x = build.leaf("x", 0, TensorType::f32(dims)).map_err(|error| error.to_string())?;
        let y = self.add_to(&mut build, "", x)?;
        match build.dims(y) {
            [TRIAL_BATCH, rest @ ..] => Ok(rest.to_vec()),
            other => Err(format!("its output for {TRIAL_BATCH} images is {}", crate::nn::layer::dims(other))),
        }
    }

    fn declare(&self, name: &str, _: &[usize], parameters: &mut Parameters) {
        for (local, shape, role) in &self.parameters {
            let full = join(name, local, ".");
            let (inner, outer) = (shape.iter().skip(1).product(), shape.iter().take(1).product());
            match role {
                Role::Weight => {
                    let initial = match *shape.as_slice() {
                        [a, b, c, d] => self.scheme.convolution([a, b, c, d]),
                        _ => self.scheme.weight(inner, outer),
                    };
                    parameters.add(full, shape.as_slice(), initial, GROUP_WEIGHTS);
                }
                Role::Matrix => parameters.add(full, shape.as_slice(), self.scheme.weight(outer, inner), GROUP_WEIGHTS),
                Role::Bias => parameters.add(full, shape.as_slice(), Initialiser::Zeros, GROUP_NO_DECAY),
                Role::Scale => parameters.add(full, shape.as_slice(), Initialiser::Constant(1.0), GROUP_SCALES),
                Role::Shift => parameters.add(full, shape.as_slice(), Initialiser::Zeros, GROUP_SHIFTS),
                Role::Buffer => parameters.add_statistic(full, shape.as_slice(), 0.0),
                Role::Variance => parameters.add_statistic(full, shape.as_slice(), 1.0),
            }
        }
    }

    fn forward(&self, build: &mut Build, name: &str, x: NodeId) -> Result<NodeId> {
        self.add_to(build, name, x).map_err(|reason| Error::Shape(format!("'{name}' ({}): {reason}", self.label())))
    }

    fn is_rectifier(&self) -> bool {
        matches!(self.nodes.as_slice(), [only] if only.op == "Relu")
    }

    fn is_random(&self) -> bool {
        self.nodes.iter().any(|node| node.op == "Dropout")
    }
}

/// An operator with its main settings, as in `Conv 3x3 stride 2x2`.
fn described(operator: &Operator) -> String {
    let mut text = operator.op.clone();
    let sizes = |values: &[i64]| values.iter().map(i64::to_string).collect::<Vec<_>>().join("x");
    for (name, what) in [("kernel_shape", ""), ("strides", "stride "), ("dilations", "dilation ")] {
        match operator.attributes.get(name) {
            Some(Attribute::Ints(values)) if what.is_empty() || values.iter().any(|&value| value != 1) => {
                text += &format!(" {what}{}", sizes(values));
            }
            _ => {}
        }
    }
    match operator.attributes.get("group") {
        Some(Attribute::Int(groups)) if *groups != 1 => text + &format!(" groups {groups}"),
        _ => text,
    }
}
