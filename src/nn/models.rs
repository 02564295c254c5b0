//! The models that are known by name.

use super::{Activation, Dropout, Flatten, Linear, Model, Scheme};
use crate::{Error, Result};

/// What a model is asked to be.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Its name, one of [`NAMES`].
    pub name: String,
    /// Features of each hidden layer; the model's own where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Vec<usize>>,
    /// What follows each hidden layer; the model's own where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
    /// How parameters begin.
    #[serde(default)]
    pub init: Scheme,
    /// Dropout before the last layer, from 0 to below 1.
    #[serde(default)]
    pub dropout: f32,
}

impl Config {
    /// A model of that name as it is by itself.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), hidden: None, activation: None, init: Scheme::default(), dropout: 0.0 }
    }

    /// What it learns to do.
    ///
    /// # Errors
    /// For an unknown name, with the nearest known one.
    pub fn task(&self) -> Result<Task> {
        match self.name.as_str() {
            "mlp" => Ok(Task::Classify),
            "autoencoder" => Ok(Task::Reconstruct),
            other => Err(crate::error::unknown("model", other, &NAMES)),
        }
    }

    /// Builds it for pictures `[channels, height, width]` and a number of classes.
    ///
    /// # Errors
    /// For an unknown name, with the nearest known one; for sizes that make no network.
    pub fn build(&self, input: [usize; 3], classes: usize) -> Result<Model> {
        let task = self.task()?;
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::usage(format!("a dropout of {} is not from 0 to below 1", self.dropout)));
        }
        let hidden = |own: &[usize]| self.hidden.clone().unwrap_or_else(|| own.to_vec());
        let activation = |own: Activation| self.activation.unwrap_or(own);
        match task {
            Task::Classify => {
                mlp(input, &hidden(&[64]), classes, activation(Activation::Sigmoid), self.init, self.dropout)
            }
            Task::Reconstruct => autoencoder(input, &hidden(&[32, 32, 32]), activation(Activation::Relu), self.init),
        }
    }
}

/// What a network learns to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Say of which class a picture is: cross-entropy against its label.
    Classify,
    /// Give the picture back: summed squared error against itself.
    Reconstruct,
}

/// The names of all models.
pub const NAMES: [&str; 2] = ["mlp", "autoencoder"];

/// A multi-layer perceptron: `fc1`, `fc2`, ..., an activation after each but the last, whose outputs are logits.
///
/// # Errors
/// When a size is 0.
pub fn mlp(
    input: [usize; 3],
    hidden: &[usize],
    classes: usize,
    activation: Activation,
    scheme: Scheme,
    dropout: f32,
) -> Result<Model> {
    let mut model = Model::new("mlp", &input).with("flatten", Flatten)?;
    let sizes: Vec<usize> = hidden.iter().copied().chain([classes]).collect();
    for (number, &outputs) in (1..).zip(&sizes) {
        let last = number == sizes.len();
        if last && dropout > 0.0 {
            model = model.with("dropout", Dropout { rate: dropout })?;
        }
        model = model.with(&format!("fc{number}"), Linear { outputs, scheme })?;
        if !last {
            model = model.with(&format!("act{number}"), activation)?;
        }
    }
    Ok(model)
}

/// An autoencoder of fully connected layers: as many outputs as pixels, with a sigmoid after the last layer.
///
/// # Errors
/// When a size is 0.
pub fn autoencoder(input: [usize; 3], hidden: &[usize], activation: Activation, scheme: Scheme) -> Result<Model> {
    let mut model = Model::new("autoencoder", &input).with("flatten", Flatten)?;
    let sizes: Vec<usize> = hidden.iter().copied().chain([input.iter().product()]).collect();
    for (number, &outputs) in (1..).zip(&sizes) {
        let activation = if number == sizes.len() { Activation::Sigmoid } else { activation };
        model = model.with(&format!("fc{number}"), Linear { outputs, scheme })?;
        model = model.with(&format!("act{number}"), activation)?;
    }
    Ok(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mlp_has_the_names_and_sizes_of_its_layers() {
        let model = Config::named("mlp").build([1, 32, 32], 36).expect("a model");
        let names: Vec<_> = model.parameters().iter().map(|p| (p.name.as_str(), p.shape.to_string())).collect();
        let wanted = [("fc1.weight", "64x1024"), ("fc1.bias", "64"), ("fc2.weight", "36x64"), ("fc2.bias", "36")];
        assert_eq!(names, wanted.map(|(name, shape)| (name, shape.to_string())));
        assert_eq!(model.parameters().count(), 1024 * 64 + 64 + 64 * 36 + 36);
        let lines = model.describe().expect("a description");
        assert_eq!(lines[1].flops, 2 * 1024 * 64 + 64);
        assert_eq!(lines[3].parameters, 64 * 36 + 36);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let sentence = Config::named("mpl").build([1, 2, 2], 2).expect_err("unknown").to_string();
        assert!(sentence.contains("`mlp`"), "{sentence}");
        assert!(Config { hidden: Some(vec![0]), ..Config::named("mlp") }.build([1, 2, 2], 2).is_err());
    }
}
