//! The table of built-in models.

use super::{
    ModelConfig, Task, airbench, autoencoder, cnn, convnext, efficientnet, fully_connected, mobilenet, mobilenet_v3,
    regnet, resnet, squeezenet,
};
use crate::Result;
use crate::nn::Model;

/// A built-in model.
pub(super) struct KnownModel {
    pub name: &'static str,
    pub task: Task,
    /// The fields of [`ModelConfig`] that the model uses, besides `name`, `init` and those for fine-tuning. The module's docs
    /// list them with their defaults.
    pub takes: &'static [&'static str],
    /// The path of its ImageNet weights in a data directory, for models with the same architecture as torchvision's or timm's. Those
    /// weights are for images of 224x224.
    pub published: Option<&'static str>,
    pub build: fn(&ModelConfig, [usize; 3], usize) -> Result<Model>,
}

pub(super) const KNOWN_MODELS: [KnownModel; 19] = [
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
        name: "resnet34",
        task: Task::Classify,
        takes: &["channels", "dropout"],
        published: Some("resnet/resnet34.safetensors"),
        build: resnet::resnet34,
    },
    KnownModel {
        name: "resnet50",
        task: Task::Classify,
        takes: &["channels", "dropout"],
        published: Some("resnet/resnet50.safetensors"),
        build: resnet::resnet50,
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
        name: "mobilenet_v3_small",
        task: Task::Classify,
        takes: &["dropout"],
        published: Some("mobilenet/mobilenet_v3_small.safetensors"),
        build: mobilenet_v3::small,
    },
    KnownModel {
        name: "mobilenet_v3_large",
        task: Task::Classify,
        takes: &["dropout"],
        published: Some("mobilenet/mobilenet_v3_large.safetensors"),
        build: mobilenet_v3::large,
    },
    KnownModel {
        name: "efficientnet_b0",
        task: Task::Classify,
        takes: &["stochastic_depth", "dropout"],
        published: Some("efficientnet/efficientnet_b0.safetensors"),
        build: efficientnet::efficientnet_b0,
    },
    KnownModel {
        name: "regnet_y_400mf",
        task: Task::Classify,
        takes: &["dropout"],
        published: Some("regnet/regnet_y_400mf.safetensors"),
        build: regnet::regnet_y_400mf,
    },
    KnownModel {
        name: "convnext_tiny",
        task: Task::Classify,
        takes: &["stochastic_depth", "dropout"],
        published: Some("convnext/convnext_tiny.safetensors"),
        build: convnext::tiny,
    },
    KnownModel {
        name: "convnext_atto",
        task: Task::Classify,
        takes: &["stochastic_depth", "dropout"],
        published: Some("convnext/convnext_atto.safetensors"),
        build: convnext::atto,
    },
    KnownModel {
        name: "airbench",
        task: Task::Classify,
        takes: &["channels", "depth", "activation", "logit_scale", "dropout"],
        published: None,
        build: airbench::airbench,
    },
];
