//! Networks of fully connected layers.

use super::ModelConfig;
use crate::Result;
use crate::nn::{Activation, Dropout, Flatten, Linear, Model, Sequence};

/// A multi-layer perceptron: `fc1`, `fc2` and so on, with an activation after each but the last. The outputs are logits.
///
/// # Errors
/// When a size is 0.
pub(super) fn mlp(config: &ModelConfig, input: [usize; 3], classes: usize) -> Result<Model> {
    let hidden = config.hidden.clone().unwrap_or_else(|| vec![64]);
    let layers = Sequence::new().with("flatten", Flatten);
    let layers = classifier(layers, config, &hidden, Activation::Sigmoid, classes, 1);
    Model::new("mlp", &input, layers)
}

/// Appends the fully connected layers at the end of a classifier. Each but the last has an activation; dropout comes
/// before the last. Activations are numbered from `first`.
pub(super) fn classifier(
    mut layers: Sequence,
    config: &ModelConfig,
    hidden: &[usize],
    default: Activation,
    classes: usize,
    first: usize,
) -> Sequence {
    for (number, &outputs) in (1..).zip(hidden) {
        layers = layers
            .with(format!("fc{number}"), Linear::new(outputs, config.init))
            .with(format!("act{}", first + number - 1), config.activation.unwrap_or(default));
    }
    if config.dropout > 0.0 {
        layers = layers.with("dropout", Dropout { rate: config.dropout });
    }
    layers.with(format!("fc{}", hidden.len() + 1), Linear::new(classes, config.init))
}
