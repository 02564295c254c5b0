//! Operators as data: what a recipe holds of a network from an ONNX file.

use std::collections::{BTreeMap, BTreeSet};

use super::layer::Operators;
use super::value::{Known, Numbers};
use crate::nn::Scheme;

/// A layer of operators.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorsConfig {
    /// The version of ONNX's operators.
    #[serde(default = "newest")]
    pub opset: i64,
    /// The name of the value that the layer reads.
    pub input: String,
    /// The name of the value that is the layer's output.
    pub output: String,
    /// The operators. Each comes after those whose outputs it reads.
    pub nodes: Vec<Operator>,
    /// The values that are learned, and those that are stored with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterConfig>,
    /// The values that are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constants: Vec<ConstantConfig>,
}

fn newest() -> i64 {
    21
}

/// One operator.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// ONNX's name of the operator, such as `Conv`.
    pub op: String,
    /// The node's own name, for messages.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The names of the values that it reads; empty for an optional one that is absent.
    pub inputs: Vec<String>,
    /// The names of the values that it computes.
    pub outputs: Vec<String>,
    /// Its settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Attribute>,
}

/// `Conv 'conv1'`: the operator, and the node's name or that of its first output.
impl std::fmt::Display for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = if self.name.is_empty() { self.outputs.first() } else { Some(&self.name) };
        write!(f, "{} '{}'", self.op, name.map_or("", String::as_str))
    }
}

/// A setting of an operator.
#[derive(Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Attribute {
    /// An integer.
    Int(i64),
    /// A float.
    Float(f32),
    /// A text.
    Text(String),
    /// A list of integers.
    Ints(Vec<i64>),
    /// A list of floats.
    Floats(Vec<f32>),
}

impl std::fmt::Debug for Attribute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Text(text) => write!(f, "`{text}`"),
            Self::Ints(values) => write!(f, "{values:?}"),
            Self::Floats(values) => write!(f, "{values:?}"),
        }
    }
}

/// A number of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Size {
    /// This number.
    Of(i64),
    /// The number of classes: `"classes"`.
    Classes,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
enum Written {
    Number(i64),
    Word(String),
}

impl TryFrom<Written> for Size {
    type Error = String;
    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(number) => Ok(Self::Of(number)),
            Written::Word(word) if word == "classes" => Ok(Self::Classes),
            Written::Word(word) => Err(format!("a size must be a number or \"classes\", but is \"{word}\"")),
        }
    }
}

impl From<Size> for Written {
    fn from(size: Size) -> Self {
        match size {
            Size::Of(number) => Self::Number(number),
            Size::Classes => Self::Word("classes".into()),
        }
    }
}

impl Size {
    fn number(self, classes: usize) -> i64 {
        match self {
            Self::Of(number) => number,
            Self::Classes => classes as i64,
        }
    }
}

/// How a parameter is trained and initialised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A weight whose first axis is its outputs.
    Weight,
    /// A matrix whose last axis is its outputs.
    Matrix,
    /// A bias.
    Bias,
    /// The factors of a normalisation. They are 1 at first.
    Scale,
    /// The summands of a normalisation. They are 0 at first.
    Shift,
    /// Stored with the weights but not learned: running means, and constants.
    Buffer,
    /// As `buffer`, but 1 at first: running variances.
    Variance,
}

/// A value that is learned or stored.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterConfig {
    /// Its name within the layer. The name of the parameter begins with the layer's.
    pub name: String,
    /// Its shape.
    pub shape: Vec<Size>,
    /// How it is trained and initialised.
    pub kind: Role,
}

/// A value that is known: integers or floats.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConstantConfig {
    /// The name of the value.
    pub name: String,
    /// Its shape; a list without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<usize>>,
    /// Integers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ints: Option<Vec<Size>>,
    /// Floats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floats: Option<Vec<f32>>,
}

impl ConstantConfig {
    fn known(&self, classes: usize) -> Result<Known, String> {
        let numbers = match (&self.ints, &self.floats) {
            (Some(sizes), None) => Numbers::Ints(sizes.iter().map(|size| size.number(classes)).collect()),
            (None, Some(values)) => Numbers::Floats(values.clone()),
            _ => return Err(format!("the constant `{}` must have either ints or floats", self.name)),
        };
        let known = Known { dims: Vec::new(), numbers };
        let count = known.elements();
        let dims = self.shape.clone().unwrap_or_else(|| vec![count]);
        match crate::graph::Shape::from(dims.as_slice()).elements() == count {
            true => Ok(known.with_dims(dims)),
            false => Err(format!("the constant `{}` has {count} numbers, but the shape {dims:?}", self.name)),
        }
    }
}

impl OperatorsConfig {
    /// Checks that no two values have one name.
    fn check_names(&self) -> Result<(), String> {
        let outputs = self.nodes.iter().flat_map(|node| &node.outputs).filter(|name| !name.is_empty());
        let held = self.parameters.iter().map(|parameter| &parameter.name);
        let held = held.chain(self.constants.iter().map(|constant| &constant.name));
        let mut seen = BTreeSet::new();
        match outputs.chain(held).chain([&self.input]).find(|name| !seen.insert(name.as_str())) {
            None => Ok(()),
            Some(name) => Err(format!("two values of a layer of operators are named `{name}`")),
        }
    }

    /// The layer for so many classes.
    ///
    /// # Errors
    /// The reason why there is none, as part of a sentence.
    pub fn layer(&self, scheme: Scheme, classes: usize) -> Result<Operators, String> {
        let parameters = self.parameters.iter().map(|parameter| {
            let shape = parameter.shape.iter().map(|size| usize::try_from(size.number(classes)));
            let shape = shape.collect::<Result<Vec<_>, _>>();
            let shape = shape.map_err(|_| format!("the shape of `{}` has a negative number", parameter.name))?;
            Ok((parameter.name.clone(), shape, parameter.kind))
        });
        let constants = self.constants.iter().map(|constant| Ok((constant.name.clone(), constant.known(classes)?)));
        self.check_names()?;
        Ok(Operators {
            opset: self.opset,
            input: self.input.clone(),
            output: self.output.clone(),
            nodes: self.nodes.clone(),
            parameters: parameters.collect::<Result<_, String>>()?,
            constants: constants.collect::<Result<_, String>>()?,
            scheme,
        })
    }
}
