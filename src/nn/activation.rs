//! Activations.

use super::build::Build;
use super::layer::Layer;
use crate::graph::NodeId;
use crate::{Error, Result};

/// An activation function, applied to each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// 1 / (1 + e^-x).
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// max(x, 0).
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
    /// x if it is positive, else x / 100.
    LeakyRelu,
    /// x sigmoid(x).
    Silu,
    /// Gaussian error linear unit, in its tanh form: PyTorch's `GELU(approximate="tanh")`.
    Gelu,
}

impl Activation {
    /// All activations with their names.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("sigmoid", Self::Sigmoid),
        ("tanh", Self::Tanh),
        ("relu", Self::Relu),
        ("relu6", Self::Relu6),
        ("leaky-relu", Self::LeakyRelu),
        ("silu", Self::Silu),
        ("gelu", Self::Gelu),
    ];

    /// The name in [`Activation::NAMES`].
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, activation)| *activation == self).map_or("", |(name, _)| name)
    }
}

impl std::str::FromStr for Activation {
    type Err = Error;
    /// Reads a name from [`Activation::NAMES`]. Other words give an [`Error::Usage`] with the nearest name.
    fn from_str(word: &str) -> Result<Self> {
        crate::error::named("activation", word, &Self::NAMES)
    }
}

impl std::fmt::Display for Activation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Layer for Activation {
    fn label(&self) -> String {
        self.to_string()
    }
    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        Ok(shape.to_vec())
    }
    fn forward(&self, build: &mut Build, _: &str, x: NodeId) -> Result<NodeId> {
        match self {
            Self::Sigmoid => build.sigmoid(x),
            Self::Tanh => build.tanh(x),
            Self::Relu => build.relu(x),
            Self::Relu6 => build.relu6(x),
            Self::LeakyRelu => build.leaky_relu(x, 0.01),
            Self::Silu => build.silu(x),
            Self::Gelu => build.gelu(x),
        }
    }
}
