//! Built-in models, and networks that users define.
//!
//! The sizes of a built-in model are fields of its [`ModelConfig`]. The same names are keys of `[model]` in a recipe.
//!
//! ```
//! use gpunn::nn::models::ModelConfig;
//! use gpunn::train::Recipe;
//!
//! let model = ModelConfig { hidden: Some(vec![128, 64]), ..ModelConfig::named("mlp") };
//! assert_eq!(model.build([1, 32, 32], 36)?.parameters().count(), 1024 * 128 + 128 + 128 * 64 + 64 + 64 * 36 + 36);
//! let recipe = Recipe::new(model);
//! # Ok::<(), gpunn::Error>(())
//! ```
//!
//! These are the fields that each model takes, with their defaults. All models also take `init` and the fields for fine-tuning:
//! `pretrained`, `unfreeze` and `pretrained_rate`.
//!
//! | model | fields |
//! |---|---|
//! | `mlp` | `hidden = [64]`, `activation = "sigmoid"`, `dropout = 0.0` |
//! | `autoencoder` | `hidden = [32, 32, 32]`, `activation = "relu"` |
//! | `autoencoder-conv` | `channels = [32, 64, 128]`, `hidden = [32]`, `activation = "relu"` |
//! | `cnn`, for grey images | `channels = [20, 40, 30]`, `kernel = 3`, `padding = 0`, `hidden = [64]`, `activation = "relu"`, `dropout = 0.0` |
//! | `cnn`, for small colour images | `channels = [32, 64, 16]`, `kernel = 4`, `padding = 1`, `hidden = [50]`, `activation = "relu"`, `dropout = 0.0` |
//! | `cnn`, for colour images from 128 pixels a side | `channels = [32, 64, 16, 8]`, `kernel = 3`, `padding = 1`, `hidden = [512]`, `activation = "relu"`, `dropout = 0.0` |
//! | `resnet9` | `channels = [64, 128, 256, 512]`, `activation = "relu"`, `logit_scale = 0.125`, `dropout = 0.0` |
//! | `resnet18-small`, for images of about 32 pixels | `channels = [64, 128, 256, 512]`, `dropout = 0.0` |
//! | `resnet18` | `channels = [64, 128, 256, 512]`, `dropout = 0.0` |
//! | `resnet34` | `channels = [64, 128, 256, 512]`, `dropout = 0.0` |
//! | `resnet50` | `channels = [64, 128, 256, 512]`, `dropout = 0.0` |
//! | `squeezenet`, version 1.1 | `kernel = 1`, `dropout = 0.0` |
//! | `squeezenet1_0` | `kernel = 1`, `dropout = 0.0` |
//! | `mobilenet_v2` | `dropout = 0.0` |
//! | `mobilenet_v3_small` | `dropout = 0.0` |
//! | `mobilenet_v3_large` | `dropout = 0.0` |
//! | `efficientnet_b0` | `stochastic_depth = 0.2`, `dropout = 0.0` |
//! | `regnet_y_400mf` | `dropout = 0.0` |
//! | `convnext_tiny` | `stochastic_depth = 0.1`, `dropout = 0.0` |
//! | `convnext_atto` | `stochastic_depth = 0.0`, `dropout = 0.0` |
//! | `airbench` | `channels = [64, 256, 256]`, `depth = 2`, `activation = "gelu"`, `logit_scale = 0.11111111`, `dropout = 0.0` |

mod airbench;
mod autoencoder;
mod cnn;
mod convnext;
mod efficientnet;
mod fully_connected;
mod inverted;
mod mobilenet;
mod mobilenet_v3;
mod regnet;
mod resnet;
mod squeezenet;
mod table;

use std::path::PathBuf;

use table::{KNOWN_MODELS, KnownModel};

use super::network::{LayerConfig, LayerKind};
use super::{Activation, Dropout, Layer, Model, Scheme, Sequence, Unfreeze};
use crate::{Error, Result};

/// The configuration of a model. A model refuses fields that it does not use: the [module](self) lists those that it uses.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The model's name: one of [`names`], or with [`ModelConfig::layer`] any other name.
    pub name: String,
    /// Channels of each convolution or each stage. `None` means the model's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<usize>>,
    /// Convolutions in each block. `None` means the model's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<usize>,
    /// Height and width of the kernels; for a SqueezeNet, only of its classifier. `None` means the model's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<usize>,
    /// Padding of the convolutions. `None` means the model's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding: Option<usize>,
    /// Features of each hidden fully connected layer. `None` means the model's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Vec<usize>>,
    /// The activation after each hidden layer. `None` means the model's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
    /// The factor on the logits. `None` means the model's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logit_scale: Option<f32>,
    /// The rate of stochastic depth of the last blocks, from 0 to below 1; it grows from 0, block by block. `None` means the
    /// model's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stochastic_depth: Option<f32>,
    /// How parameters are initialised.
    #[serde(default)]
    pub init: Scheme,
    /// Dropout before the last layer, from 0 to below 1.
    #[serde(default)]
    pub dropout: f32,
    /// The file with pretrained weights, for all layers except the classifier. `"imagenet"` means the file that
    /// [`published`] names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pretrained: Option<String>,
    /// The file in which the published weights were found. It is used if no data directory has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pretrained_file: Option<PathBuf>,
    /// Which layers are trained. By default only the classifier if there are pretrained weights, else all layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfreeze: Option<Unfreeze>,
    /// Factor on the learning rate of pretrained layers that are trained; 0.1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pretrained_rate: Option<f32>,
    /// Factor on the learning rate of a layer for each layer with parameters after it, as timm's `layer_decay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_decay: Option<f32>,
    /// The layers of a network that the user defines.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "super::network::layer_configs")]
    pub layer: Vec<LayerConfig>,
    /// Whether the network is a [`Model`] that a program has built. This configuration cannot build it again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub custom: bool,
}

impl From<&str> for ModelConfig {
    /// [`ModelConfig::named`].
    fn from(name: &str) -> Self {
        Self::named(name)
    }
}

impl From<&Model> for ModelConfig {
    /// The configuration of a model that a program has built. It contains only the name.
    fn from(model: &Model) -> Self {
        Self { custom: true, ..Self::named(model.name()) }
    }
}

/// The value of [`ModelConfig::pretrained`] that means the published ImageNet weights.
pub const IMAGENET: &str = "imagenet";

/// The task of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Classification: the loss is cross-entropy against the image's label.
    Classify,
    /// Any number of labels for an image: the loss is the mean of the binary cross-entropies of all classes.
    Tag,
    /// Reconstruction of the image: the loss is the summed squared error against the image.
    Reconstruct,
}

/// Appends dropout, if the configuration has it, and the last layer, `fc`.
fn head(layers: Sequence, config: &ModelConfig, last: impl Layer + 'static) -> Sequence {
    let layers = match config.dropout > 0.0 {
        true => layers.with("dropout", Dropout { rate: config.dropout }),
        false => layers,
    };
    layers.with("fc", last)
}

/// The names of all models.
pub fn names() -> Vec<&'static str> {
    KNOWN_MODELS.iter().map(|known| known.name).collect()
}

/// The names of the models with the same architecture and tensor names as a model of torchvision, or of timm.
pub fn torchvision_models() -> Vec<&'static str> {
    KNOWN_MODELS.iter().filter(|known| known.published.is_some()).map(|known| known.name).collect()
}

/// The file of a model's ImageNet weights in a data directory, named after torchvision's function. `None` for models
/// without published weights.
pub fn published(name: &str) -> Option<&'static str> {
    KNOWN_MODELS.iter().find(|known| known.name == name).and_then(|known| known.published)
}

impl ModelConfig {
    /// The default configuration of the model with this name.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            channels: None,
            depth: None,
            kernel: None,
            padding: None,
            hidden: None,
            activation: None,
            logit_scale: None,
            stochastic_depth: None,
            init: Scheme::default(),
            dropout: 0.0,
            pretrained: None,
            pretrained_file: None,
            unfreeze: None,
            pretrained_rate: None,
            layer_decay: None,
            layer: Vec::new(),
            custom: false,
        }
    }

    /// A network of these layers, with a name that no built-in model has.
    pub fn of_layers(name: impl Into<String>, layer: Vec<LayerConfig>) -> Self {
        Self { layer, ..Self::named(name) }
    }

    fn known(&self) -> Result<&'static KnownModel> {
        KNOWN_MODELS
            .iter()
            .find(|known| known.name == self.name)
            .ok_or_else(|| crate::error::unknown("model", &self.name, &names()))
    }

    /// The model's task.
    ///
    /// # Errors
    /// For an unknown name, with the nearest known one.
    pub fn task(&self) -> Result<Task> {
        if self.layer.is_empty() && !self.custom { self.known().map(|known| known.task) } else { Ok(Task::Classify) }
    }

    /// Checks the configuration as far as possible without the shape of the images.
    ///
    /// # Errors
    /// [`Error::Usage`] for an unknown name, with the nearest known one; for a field that the model does not use; for a
    /// number out of range.
    pub fn validate(&self) -> Result<()> {
        let given = [
            ("channels", self.channels.is_some()),
            ("depth", self.depth.is_some()),
            ("kernel", self.kernel.is_some()),
            ("padding", self.padding.is_some()),
            ("hidden", self.hidden.is_some()),
            ("activation", self.activation.is_some()),
            ("logit_scale", self.logit_scale.is_some()),
            ("stochastic_depth", self.stochastic_depth.is_some()),
            ("dropout", self.dropout != 0.0),
        ];
        let takes = match self.layer.is_empty() && !self.custom {
            true => self.known()?.takes,
            false if !self.custom && KNOWN_MODELS.iter().any(|known| known.name == self.name) => {
                return Err(Error::usage(format!(
                    "Your network cannot be named `{}`, because this is a built-in model; choose another name.",
                    self.name
                )));
            }
            false => &[],
        };
        if let Some((field, _)) = given.iter().find(|(field, given)| *given && !takes.contains(field)) {
            let taken =
                if takes.is_empty() { "no such fields, because its layers define it".into() } else { takes.join(", ") };
            return Err(Error::usage(format!("The model {} has no `{field}`; it takes: {taken}.", self.name)));
        }
        if let Some(rate) = self.pretrained_rate.filter(|rate| !(1e-6..=1.0).contains(rate)) {
            return Err(Error::usage(format!(
                "The factor on the learning rate of pretrained layers (pretrained_rate) is {rate}, but has to be from \
                 0.000001 to 1; to freeze them, use unfreeze = \"classifier\"."
            )));
        }
        if let Some(factor) = self.layer_decay.filter(|factor| !(1e-6..=1.0).contains(factor)) {
            let what = "The factor on the learning rate for each later layer (layer_decay, --layer-decay)";
            return Err(Error::out_of_range(what, factor, "from 0.000001 to 1"));
        }
        if self.pretrained.as_deref() == Some(IMAGENET) && published(&self.name).is_none() {
            return Err(Error::usage(format!(
                "The model {} has no published weights of ImageNet; these models have: {}. Name a file with --pretrained, \
                 or train from scratch with --scratch.",
                self.name,
                torchvision_models().join(", ")
            )));
        }
        if let Some(rate) = self.stochastic_depth.filter(|rate| !(0.0..1.0).contains(rate)) {
            return Err(Error::out_of_range("The rate of stochastic depth", rate, "from 0 to below 1"));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::out_of_range("The dropout", self.dropout, "from 0 to below 1"));
        }
        Ok(())
    }

    /// Builds the model for images `[channels, height, width]` and a number of classes.
    ///
    /// # Errors
    /// As [`ModelConfig::validate`]; also when the layers do not fit, or the number of outputs is not the number of classes.
    pub fn build(&self, input: [usize; 3], classes: usize) -> Result<Model> {
        self.validate()?;
        let mut model = self.build_untuned(input, classes)?;
        let layer_decay = self.layer_decay.unwrap_or(1.0);
        match (self.unfreeze, &self.pretrained) {
            (None, None) if self.layer_decay.is_none() => {}
            (unfreeze, None) => model.tune(unfreeze.unwrap_or(Unfreeze::All), None, layer_decay),
            (unfreeze, Some(_)) => {
                let rate = self.pretrained_rate.unwrap_or(0.1);
                model.tune(unfreeze.unwrap_or(Unfreeze::Classifier), Some(rate), layer_decay);
            }
        }
        Ok(model)
    }

    /// As [`ModelConfig::build`], but all layers are trained with the same learning rate.
    fn build_untuned(&self, input: [usize; 3], classes: usize) -> Result<Model> {
        if self.custom {
            return Err(Error::usage(format!(
                "The network {} was built by a program of its own, in Rust. Only that program can build it again and use its \
                 checkpoints.",
                self.name
            )));
        }
        if self.layer.is_empty() {
            return (self.known()?.build)(self, input, classes);
        }
        let model = Model::new(&self.name, &input, super::network::layers(&self.layer, self.init, classes)?)?;
        let has_operators = self.layer.iter().any(|layer| matches!(layer.kind, LayerKind::Operators(_)));
        match model.output() == [classes] {
            true => Ok(model),
            false if has_operators => Err(Error::Shape(format!(
                "The network {} has {} outputs for {classes} classes, and its last layer cannot be replaced by one with as many.",
                self.name,
                super::layer::dims(model.output())
            ))),
            false => Err(Error::Shape(format!(
                "The network {} ends with {}, but there are {classes} classes; end it with a layer of kind = \"classes\", which \
                 has as many outputs as there are classes{}.",
                self.name,
                super::layer::dims(model.output()),
                if model.output().len() == 1 { "" } else { ", after a flatten or a global pool" }
            ))),
        }
    }

    /// The channels of the model's N stages: the configured ones, or `default`.
    fn stages<const N: usize>(&self, default: [usize; N]) -> Result<[usize; N]> {
        let Some(channels) = &self.channels else { return Ok(default) };
        channels.as_slice().try_into().map_err(|_| {
            Error::usage(format!("The model {} takes {N} numbers of channels, but {channels:?} was given.", self.name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_rectifier_of_logits_is_left_out() {
        let layers = |model: &Model| {
            let described = model.describe().expect("described");
            described.into_iter().filter(|line| line.depth == 0).map(|line| line.name).collect::<Vec<_>>()
        };
        let squeezenet = ModelConfig::named("squeezenet").build([3, 64, 64], 5).expect("a model");
        let before = layers(&squeezenet);
        let after = layers(&squeezenet.with_signed_logits());
        assert_eq!(after, before.iter().filter(|name| *name != "classifier.2").cloned().collect::<Vec<_>>());
        assert_eq!(before.len(), after.len() + 1);
        let mlp = ModelConfig { activation: Some(Activation::Relu), ..ModelConfig::named("mlp") };
        let mlp = mlp.build([1, 8, 8], 3).expect("a model");
        let before = layers(&mlp);
        assert_eq!(layers(&mlp.with_signed_logits()), before);
    }

    #[test]
    fn the_table_of_the_documentation_has_all_fields_and_their_defaults() {
        let rows = include_str!("mod.rs").lines().filter_map(|line| line.strip_prefix("//! | `")?.strip_suffix(" |"));
        let mut listed = Vec::new();
        for row in rows {
            let (model, fields) = row.split_once(" | ").expect("two columns");
            let (name, images) = model.split_once('`').expect("a name");
            listed.push(name);
            let fields: Vec<&str> = fields.split("`, `").map(|field| field.trim_matches('`')).collect();
            let known = KNOWN_MODELS.iter().find(|known| known.name == name).expect("a model");
            let names: Vec<&str> = fields.iter().filter_map(|field| Some(field.split_once(" = ")?.0)).collect();
            assert_eq!(names, known.takes, "{row}");

            let config: ModelConfig = toml::from_str(&format!("name = '{name}'\n{}", fields.join("\n"))).expect(row);
            let input = match images {
                ", for grey images" => [1, 32, 32],
                ", for small colour images" => [3, 32, 32],
                _ => [3, 128, 128],
            };
            let described =
                |config: ModelConfig| config.build(input, 10).and_then(|model| model.describe()).expect(row);
            assert_eq!(described(config), described(ModelConfig::named(name)), "{row}");
        }
        listed.dedup();
        assert_eq!(listed, names());
    }

    /// As torchvision and timm count them, for the 1000 classes of ImageNet.
    #[test]
    fn published_networks_have_as_many_parameters_as_those_of_their_makers() {
        let counts = [
            ("resnet18", 11_689_512),
            ("resnet34", 21_797_672),
            ("resnet50", 25_557_032),
            ("squeezenet", 1_235_496),
            ("squeezenet1_0", 1_248_424),
            ("mobilenet_v2", 3_504_872),
            ("mobilenet_v3_small", 2_542_856),
            ("mobilenet_v3_large", 5_483_032),
            ("efficientnet_b0", 5_288_548),
            ("regnet_y_400mf", 4_344_144),
            ("convnext_tiny", 28_589_128),
            ("convnext_atto", 3_695_520),
        ];
        assert_eq!(counts.map(|(name, _)| name).to_vec(), torchvision_models());
        for (name, count) in counts {
            let model = ModelConfig::named(name).build([3, 224, 224], 1000).expect(name);
            assert_eq!(model.parameters().count(), count, "{name}");
        }
    }
}
