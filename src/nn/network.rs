//! Networks written in TOML as a list of layers. Each has a `kind`, and the fields of the matching layer type.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::{DeserializeOwned, Error as _};
use serde::ser::SerializeMap;
use toml::{Table, Value};

use super::layer::Layer;
use super::operators::OperatorsConfig;
use super::{
    Activation, BatchNorm2d, Branches, ChannelScale, Conv2d, ConvTranspose2d, Dropout, Flatten, GlobalPool,
    LayerNorm2d, Linear, Pool2d, Pooling, Residual, Resize, Scale, Scheme, Sequence, SqueezeExcitation, Whitening,
};
use crate::{Error, Result};

/// The configuration of one layer in TOML.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerConfig {
    /// The layer's name, with which its parameters' names begin. Without one, it is named by kind and number: `conv2`.
    pub name: Option<String>,
    /// The kind of layer, with its fields.
    pub kind: LayerKind,
}

/// The kind of a layer, with its fields.
#[derive(Clone, Debug, PartialEq)]
pub enum LayerKind {
    /// `conv2d`.
    Conv2d(Conv2d),
    /// `conv-transpose2d`.
    ConvTranspose2d(ConvTranspose2d),
    /// `whitening`.
    Whitening(Whitening),
    /// `batch-norm`.
    BatchNorm(BatchNorm2d),
    /// `layer-norm`.
    LayerNorm(LayerNorm2d),
    /// `squeeze-excitation`.
    SqueezeExcitation(SqueezeExcitation),
    /// `channel-scale`.
    ChannelScale(ChannelScale),
    /// `linear`.
    Linear(Linear),
    /// `classes`: a linear layer with as many outputs as there are classes.
    Classes(ClassesConfig),
    /// `max-pool` or `average-pool`.
    Pool(Pool2d),
    /// `global-max-pool` or `global-average-pool`.
    GlobalPool(Pooling),
    /// `flatten`.
    Flatten,
    /// `dropout`.
    Dropout(Dropout),
    /// `scale`.
    Scale(Scale),
    /// `resize`.
    Resize(Resize),
    /// One of [`Activation::NAMES`].
    Activation(Activation),
    /// `residual`.
    Residual(ResidualConfig),
    /// `branches`.
    Branches(BranchesConfig),
    /// `operators`: operators of ONNX.
    Operators(Box<OperatorsConfig>),
}

/// The fields of `classes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassesConfig {
    /// Whether there is a bias.
    #[serde(default = "super::layer::yes")]
    pub bias: bool,
}

/// The fields of `residual`, see [`Residual`].
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResidualConfig {
    /// The activation after the sum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
    /// The probability that the body is dropped for an image in training.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub drop_rate: f32,
    /// The layers whose output is added to the shortcut's.
    #[serde(deserialize_with = "layer_configs")]
    pub layers: Vec<LayerConfig>,
    /// The layers that give the input the shape of the body's output.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "layer_configs")]
    pub shortcut: Vec<LayerConfig>,
}

/// The fields of `branches`, see [`Branches`].
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BranchesConfig {
    /// The layers before the branches.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "layer_configs")]
    pub layers: Vec<LayerConfig>,
    /// The layers of each branch.
    pub branches: Vec<Vec<LayerConfig>>,
}

fn is_zero(rate: &f32) -> bool {
    *rate == 0.0
}

/// A kind without fields.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NoFields {}

/// The kinds other than activations.
const KINDS: [&str; 20] = [
    "conv2d",
    "conv-transpose2d",
    "whitening",
    "batch-norm",
    "layer-norm",
    "squeeze-excitation",
    "channel-scale",
    "linear",
    "classes",
    "max-pool",
    "average-pool",
    "global-max-pool",
    "global-average-pool",
    "flatten",
    "dropout",
    "scale",
    "resize",
    "residual",
    "branches",
    "operators",
];

impl LayerKind {
    /// Reads a kind from its name and its fields.
    ///
    /// # Errors
    /// For an unknown name, a message with the nearest known one. For wrong fields, a message with the kind and the field.
    fn read(kind: &str, fields: Table) -> Result<Self, String> {
        if let Some(&(_, activation)) = Activation::NAMES.iter().find(|(name, _)| *name == kind) {
            return Ok(Self::Activation(typed(kind, fields).map(|NoFields {}| activation)?));
        }
        Ok(match kind {
            "conv2d" => Self::Conv2d(typed(kind, fields)?),
            "conv-transpose2d" => Self::ConvTranspose2d(typed(kind, fields)?),
            "whitening" => Self::Whitening(typed(kind, fields)?),
            "batch-norm" => Self::BatchNorm(typed(kind, fields)?),
            "layer-norm" => Self::LayerNorm(typed(kind, fields)?),
            "squeeze-excitation" => Self::SqueezeExcitation(typed(kind, fields)?),
            "channel-scale" => Self::ChannelScale(typed(kind, fields)?),
            "linear" => Self::Linear(typed(kind, fields)?),
            "classes" => Self::Classes(typed(kind, fields)?),
            "max-pool" => Self::Pool(typed(kind, fields)?),
            "average-pool" => Self::Pool(Pool2d { pooling: Pooling::Average, ..typed(kind, fields)? }),
            "global-max-pool" => Self::GlobalPool(typed(kind, fields).map(|NoFields {}| Pooling::Max)?),
            "global-average-pool" => Self::GlobalPool(typed(kind, fields).map(|NoFields {}| Pooling::Average)?),
            "flatten" => typed(kind, fields).map(|NoFields {}| Self::Flatten)?,
            "dropout" => Self::Dropout(typed(kind, fields)?),
            "scale" => Self::Scale(typed(kind, fields)?),
            "resize" => Self::Resize(typed(kind, fields)?),
            "residual" => Self::Residual(typed(kind, fields)?),
            "branches" => Self::Branches(typed(kind, fields)?),
            "operators" => Self::Operators(Box::new(typed(kind, fields)?)),
            other => {
                let known: Vec<&str> = KINDS.into_iter().chain(Activation::NAMES.map(|(name, _)| name)).collect();
                return Err(crate::error::unknown("layer", other, &known).to_string());
            }
        })
    }

    /// The name and the fields, in the form that [`LayerKind::read`] reads.
    fn written(&self) -> Result<(&'static str, Table), toml::ser::Error> {
        let of_pooling = |pooling: Pooling, max, average| if pooling == Pooling::Max { max } else { average };
        Ok(match self {
            Self::Conv2d(layer) => ("conv2d", Table::try_from(layer)?),
            Self::ConvTranspose2d(layer) => ("conv-transpose2d", Table::try_from(layer)?),
            Self::Whitening(layer) => ("whitening", Table::try_from(layer)?),
            Self::BatchNorm(layer) => ("batch-norm", Table::try_from(layer)?),
            Self::LayerNorm(layer) => ("layer-norm", Table::try_from(layer)?),
            Self::SqueezeExcitation(layer) => ("squeeze-excitation", Table::try_from(layer)?),
            Self::ChannelScale(layer) => ("channel-scale", Table::try_from(layer)?),
            Self::Linear(layer) => ("linear", Table::try_from(layer)?),
            Self::Classes(layer) => ("classes", Table::try_from(layer)?),
            Self::Pool(layer) => (of_pooling(layer.pooling, "max-pool", "average-pool"), Table::try_from(layer)?),
            Self::GlobalPool(pooling) => (of_pooling(*pooling, "global-max-pool", "global-average-pool"), Table::new()),
            Self::Flatten => ("flatten", Table::new()),
            Self::Dropout(layer) => ("dropout", Table::try_from(layer)?),
            Self::Scale(layer) => ("scale", Table::try_from(layer)?),
            Self::Resize(layer) => ("resize", Table::try_from(layer)?),
            Self::Activation(activation) => (activation.name(), Table::new()),
            Self::Residual(layer) => ("residual", Table::try_from(layer)?),
            Self::Branches(layer) => ("branches", Table::try_from(layer)?),
            Self::Operators(layer) => ("operators", Table::try_from(layer)?),
        })
    }

    /// The first part of the name of an unnamed layer; its number follows.
    fn stem(&self) -> &'static str {
        match self {
            Self::Conv2d(_) | Self::ConvTranspose2d(_) => "conv",
            Self::Whitening(_) => "white",
            Self::BatchNorm(_) => "bn",
            Self::LayerNorm(_) => "norm",
            Self::SqueezeExcitation(_) => "se",
            Self::ChannelScale(_) => "gain",
            Self::Linear(_) | Self::Classes(_) => "fc",
            Self::Pool(_) | Self::GlobalPool(_) => "pool",
            Self::Flatten => "flatten",
            Self::Dropout(_) => "dropout",
            Self::Scale(_) => "scale",
            Self::Resize(_) => "resize",
            Self::Activation(_) => "act",
            Self::Residual(_) => "res",
            Self::Branches(_) => "branches",
            Self::Operators(_) => "operators",
        }
    }

    /// Creates the layer.
    fn layer(&self, scheme: Scheme, classes: usize) -> Result<Box<dyn Layer>> {
        let inside = |entries: &[LayerConfig]| layers(entries, scheme, classes);
        Ok(match self {
            Self::Conv2d(layer) => Box::new(Conv2d { scheme, ..*layer }),
            Self::ConvTranspose2d(layer) => Box::new(ConvTranspose2d { scheme, ..*layer }),
            Self::Whitening(layer) => Box::new(Whitening { scheme, ..*layer }),
            Self::BatchNorm(layer) => Box::new(*layer),
            Self::LayerNorm(layer) => Box::new(*layer),
            Self::SqueezeExcitation(layer) => Box::new(SqueezeExcitation { scheme, ..*layer }),
            Self::ChannelScale(layer) => Box::new(*layer),
            Self::Linear(layer) => Box::new(Linear { scheme, ..*layer }),
            Self::Classes(ClassesConfig { bias }) => Box::new(Linear { bias: *bias, ..Linear::new(classes, scheme) }),
            Self::Pool(layer) => Box::new(*layer),
            Self::GlobalPool(pooling) => Box::new(GlobalPool(*pooling)),
            Self::Flatten => Box::new(Flatten),
            Self::Dropout(layer) => Box::new(*layer),
            Self::Scale(layer) => Box::new(*layer),
            Self::Resize(layer) => Box::new(*layer),
            Self::Activation(activation) => Box::new(*activation),
            Self::Residual(entry) => {
                let (body, shortcut) = (inside(&entry.layers)?, inside(&entry.shortcut)?);
                let ResidualConfig { activation, drop_rate, .. } = *entry;
                Box::new(Residual { body, shortcut, activation, drop_rate, ..Residual::default() })
            }
            Self::Branches(entry) => {
                let mut names = Names::default();
                // The names of all these layers come directly after the name of the whole, so they are numbered together.
                let mut inside = |entries: &[LayerConfig]| named_layers(entries, scheme, classes, &mut names);
                let trunk = inside(&entry.layers)?;
                let branches = entry.branches.iter().map(|branch| inside(branch)).collect::<Result<_>>()?;
                Box::new(Branches { trunk, branches })
            }
            Self::Operators(config) => Box::new(config.layer(scheme, classes).map_err(Error::Usage)?),
        })
    }
}

/// Reads the fields as a type.
fn typed<T: DeserializeOwned>(kind: &str, fields: Table) -> Result<T, String> {
    T::deserialize(Value::Table(fields)).map_err(|error| {
        let reason = error.message().trim_end().replace('\n', " ");
        format!("`{kind}`: {reason}")
    })
}

impl LayerConfig {
    /// Reads a layer from its TOML table.
    ///
    /// # Errors
    /// The reason, as part of a sentence.
    pub(super) fn read(mut fields: Table) -> Result<Self, String> {
        let mut text = |field: &str| match fields.remove(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("a layer's {field} must be a text, but is {other}")),
        };
        let (name, kind) = (text("name")?, text("kind")?);
        let kind = kind.ok_or("a layer must say its kind, as in kind = \"conv2d\"")?;
        Ok(Self { name, kind: LayerKind::read(&kind, fields)? })
    }
}

impl<'de> serde::Deserialize<'de> for LayerConfig {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(Table::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Reads a list of layers. Errors name the layer by its number.
pub(crate) fn layer_configs<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<LayerConfig>, D::Error> {
    let read = |(number, fields): (usize, Table)| {
        LayerConfig::read(fields).map_err(|reason| D::Error::custom(format!("layer {number}: {reason}")))
    };
    (1..).zip(<Vec<Table> as serde::Deserialize>::deserialize(deserializer)?).map(read).collect()
}

impl serde::Serialize for LayerConfig {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error as _;
        let (kind, fields) = self.kind.written().map_err(S::Error::custom)?;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", kind)?;
        if let Some(name) = &self.name {
            map.serialize_entry("name", name)?;
        }
        for (field, value) in &fields {
            map.serialize_entry(field, value)?;
        }
        map.end()
    }
}

/// The names of layers that must differ, and the number of layers of each kind.
#[derive(Default)]
struct Names {
    taken: BTreeSet<String>,
    counts: BTreeMap<&'static str, usize>,
}

impl Names {
    /// The name of a layer: its own, else its kind and number.
    fn next(&mut self, own: Option<&String>, kind: &LayerKind) -> Result<String> {
        let count = self.counts.entry(kind.stem()).and_modify(|count| *count += 1).or_insert(1);
        let name = own.cloned().unwrap_or_else(|| format!("{}{count}", kind.stem()));
        if name.is_empty() || name.contains(['/', '\'']) || name.contains(char::is_whitespace) {
            return Err(Error::usage(format!(
                "A layer cannot be named `{name}`: a name must not be empty, and must not contain /, ' or spaces."
            )));
        }
        match self.taken.insert(name.clone()) {
            true => Ok(name),
            false => Err(Error::usage(format!("Two layers are named `{name}`; rename one of them."))),
        }
    }
}

/// Creates layers from their configurations.
///
/// # Errors
/// For a name that is not allowed or that two layers have.
pub(super) fn layers(entries: &[LayerConfig], scheme: Scheme, classes: usize) -> Result<Sequence> {
    named_layers(entries, scheme, classes, &mut Names::default())
}

/// As [`layers`], for layers whose names have to differ from those of other lists, too.
fn named_layers(entries: &[LayerConfig], scheme: Scheme, classes: usize, names: &mut Names) -> Result<Sequence> {
    let mut layers = Sequence::new();
    for LayerConfig { name, kind } in entries {
        layers.push(names.next(name.as_ref(), kind)?, kind.layer(scheme, classes)?);
    }
    Ok(layers)
}
