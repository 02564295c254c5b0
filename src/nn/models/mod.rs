//! The models that are known by name, and networks of the user's own.

mod airbench;
mod autoencoder;
mod cnn;
mod fully_connected;
mod mobilenet;
mod resnet;
mod squeezenet;

use super::network::LayerConfig;
use super::{Activation, Dropout, Layer, Model, Scheme, Sequence, Unfreeze};
use crate::{Error, Result};

/// What a model is asked to be. A model that has no part of a name refuses it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Its name, one of [`names`]; with [`ModelConfig::layer`], any other.
    pub name: String,
    /// Channels of each convolution, or of each stage; the model's own where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<usize>>,
    /// Height and width of the kernels, of a SqueezeNet that of its classifier; the model's own where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<usize>,
    /// Zeros around the images; the model's own where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding: Option<usize>,
    /// Features of each hidden fully connected layer; the model's own where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Vec<usize>>,
    /// What follows each hidden layer; the model's own where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
    /// What the logits are multiplied by; the model's own where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logit_scale: Option<f32>,
    /// How parameters begin.
    #[serde(default)]
    pub init: Scheme,
    /// Dropout before the last layer, from 0 to below 1.
    #[serde(default)]
    pub dropout: f32,
    /// The file that it begins with, but for its classifier; `"imagenet"` is the one that [`published`] names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pretrained: Option<String>,
    /// Which layers learn: the classifier alone where the others come from a file, else all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfreeze: Option<Unfreeze>,
    /// Times the learning rate for layers that come from a file and learn; a tenth where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pretrained_rate: Option<f32>,
    /// The layers of a network of the user's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "super::network::layer_configs")]
    pub layer: Vec<LayerConfig>,
}

/// What [`ModelConfig::pretrained`] says for the weights of ImageNet that a model's makers publish.
pub const IMAGENET: &str = "imagenet";

/// What a network learns to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Say of which class an image is: cross-entropy against its label.
    Classify,
    /// Give the image back: summed squared error against itself.
    Reconstruct,
}

/// A model that is known by name.
struct KnownModel {
    name: &'static str,
    task: Task,
    /// The fields of [`ModelConfig`] that it takes, beside name and init.
    takes: &'static [&'static str],
    /// Where its weights of ImageNet lie in a data directory, for the twins of torchvision's models, which take 224x224.
    published: Option<&'static str>,
    build: fn(&ModelConfig, [usize; 3], usize) -> Result<Model>,
}

const KNOWN_MODELS: [KnownModel; 11] = [
    KnownModel {
        name: "mlp",
        task: Task::Classify,
        takes: &["hidden", "activation", "dropout"],
        published: None,
        build: fully_connected::mlp,
    },
    KnownModel {
        name: "autoencoder",
        task: Task::Reconstruct,
        takes: &["hidden", "activation"],
        published: None,
        build: autoencoder::autoencoder,
    },
    KnownModel {
        name: "autoencoder-conv",
        task: Task::Reconstruct,
        takes: &["channels", "hidden", "activation"],
        published: None,
        build: autoencoder::convolutional,
    },
    KnownModel {
        name: "cnn",
        task: Task::Classify,
        takes: &["channels", "kernel", "padding", "hidden", "activation", "dropout"],
        published: None,
        build: cnn::cnn,
    },
    KnownModel {
        name: "resnet9",
        task: Task::Classify,
        takes: &["channels", "activation", "logit_scale", "dropout"],
        published: None,
        build: resnet::resnet9,
    },
    KnownModel {
        name: "resnet18-small",
        task: Task::Classify,
        takes: &["channels", "dropout"],
        published: None,
        build: resnet::resnet18_small,
    },
    KnownModel {
        name: "resnet18",
        task: Task::Classify,
        takes: &["channels", "dropout"],
        published: Some("resnet/resnet18.safetensors"),
        build: resnet::resnet18,
    },
    KnownModel {
        name: "squeezenet",
        task: Task::Classify,
        takes: &["kernel", "dropout"],
        published: Some("squeezenet/squeezenet1_1.safetensors"),
        build: squeezenet::squeezenet1_1,
    },
    KnownModel {
        name: "squeezenet1_0",
        task: Task::Classify,
        takes: &["kernel", "dropout"],
        published: Some("squeezenet/squeezenet1_0.safetensors"),
        build: squeezenet::squeezenet1_0,
    },
    KnownModel {
        name: "mobilenet_v2",
        task: Task::Classify,
        takes: &["dropout"],
        published: Some("mobilenet/mobilenet_v2.safetensors"),
        build: mobilenet::mobilenet_v2,
    },
    KnownModel {
        name: "airbench",
        task: Task::Classify,
        takes: &["channels", "activation", "logit_scale", "dropout"],
        published: None,
        build: airbench::airbench,
    },
];

/// Dropout, where it is asked for, and the last layer, `fc`.
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

/// The names of the models that have a twin in torchvision.
pub fn torchvision_models() -> Vec<&'static str> {
    KNOWN_MODELS.iter().filter(|known| known.published.is_some()).map(|known| known.name).collect()
}

/// The file in a data directory that a model's weights of ImageNet are kept in, named after torchvision's function; `None` for
/// models that have none.
pub fn published(name: &str) -> Option<&'static str> {
    KNOWN_MODELS.iter().find(|known| known.name == name).and_then(|known| known.published)
}

impl ModelConfig {
    /// A model of that name as it is by itself.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            channels: None,
            kernel: None,
            padding: None,
            hidden: None,
            activation: None,
            logit_scale: None,
            init: Scheme::default(),
            dropout: 0.0,
            pretrained: None,
            unfreeze: None,
            pretrained_rate: None,
            layer: Vec::new(),
        }
    }

    fn known(&self) -> Result<&'static KnownModel> {
        KNOWN_MODELS
            .iter()
            .find(|known| known.name == self.name)
            .ok_or_else(|| crate::error::unknown("model", &self.name, &names()))
    }

    /// What it learns to do.
    ///
    /// # Errors
    /// For an unknown name, with the nearest known one.
    pub fn task(&self) -> Result<Task> {
        if self.layer.is_empty() { self.known().map(|known| known.task) } else { Ok(Task::Classify) }
    }

    /// Refuses what no model of that name can be, whatever its images.
    ///
    /// # Errors
    /// [`Error::Usage`] for an unknown name, with the nearest known one; for a field that the model does not take, or a
    /// number out of range.
    pub fn validate(&self) -> Result<()> {
        let given = [
            ("channels", self.channels.is_some()),
            ("kernel", self.kernel.is_some()),
            ("padding", self.padding.is_some()),
            ("hidden", self.hidden.is_some()),
            ("activation", self.activation.is_some()),
            ("logit_scale", self.logit_scale.is_some()),
            ("dropout", self.dropout != 0.0),
        ];
        let takes = match self.layer.is_empty() {
            true => self.known()?.takes,
            false if KNOWN_MODELS.iter().any(|known| known.name == self.name) => {
                return Err(Error::usage(format!(
                    "A network of your own cannot be named `{}`, which is a model of this program; give it another name.",
                    self.name
                )));
            }
            false => &[],
        };
        if let Some((field, _)) = given.iter().find(|(field, given)| *given && !takes.contains(field)) {
            let taken = if takes.is_empty() { "its layers say everything".into() } else { takes.join(", ") };
            return Err(Error::usage(format!("The model {} has no `{field}`; it takes: {taken}.", self.name)));
        }
        if let Some(rate) = self.pretrained_rate.filter(|rate| !(1e-6..=1.0).contains(rate)) {
            return Err(Error::usage(format!(
                "The rate of what comes from a file (pretrained_rate) is {rate} times the learning rate, but has to be from \
                 0.000001 to 1; unfreeze = \"classifier\" lets nothing of it learn."
            )));
        }
        if self.pretrained.as_deref() == Some(IMAGENET) && published(&self.name).is_none() {
            return Err(Error::usage(format!(
                "The model {} has no published weights of ImageNet; {} have. Name a file with --pretrained, or train from \
                 scratch with --scratch.",
                self.name,
                torchvision_models().join(", ")
            )));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::usage(format!("a dropout of {} is not from 0 to below 1", self.dropout)));
        }
        Ok(())
    }

    /// Builds it for images `[channels, height, width]` and a number of classes.
    ///
    /// # Errors
    /// As [`ModelConfig::validate`]; for sizes that make no network, or that do not end in as many outputs as there are classes.
    pub fn build(&self, input: [usize; 3], classes: usize) -> Result<Model> {
        self.validate()?;
        let mut model = self.build_anew(input, classes)?;
        match (self.unfreeze, &self.pretrained) {
            (None, None) => {}
            (unfreeze, None) => model.tune(unfreeze.unwrap_or(Unfreeze::All), None),
            (unfreeze, Some(_)) => {
                let rate = self.pretrained_rate.unwrap_or(0.1);
                model.tune(unfreeze.unwrap_or(Unfreeze::Classifier), Some(rate));
            }
        }
        Ok(model)
    }

    /// As [`ModelConfig::build`], with all layers to learn alike.
    fn build_anew(&self, input: [usize; 3], classes: usize) -> Result<Model> {
        if self.layer.is_empty() {
            return (self.known()?.build)(self, input, classes);
        }
        let model = Model::new(&self.name, &input, super::network::layers(&self.layer, self.init, classes)?)?;
        match model.output() == [classes] {
            true => Ok(model),
            false => Err(Error::Shape(format!(
                "The network {} ends with {}, but there are {classes} classes; end it with a layer of kind = \"classes\", which \
                 has as many outputs as there are classes{}.",
                self.name,
                super::layer::dims(model.output()),
                if model.output().len() == 1 { "" } else { ", after a flatten or a global pool" }
            ))),
        }
    }

    /// As many sizes as the model has places for, or its own.
    fn stages<const N: usize>(&self, own: [usize; N]) -> Result<[usize; N]> {
        let Some(channels) = &self.channels else { return Ok(own) };
        channels.as_slice().try_into().map_err(|_| {
            Error::usage(format!("The model {} takes {N} numbers of channels, but {channels:?} was given.", self.name))
        })
    }
}
