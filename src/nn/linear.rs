//! The fully connected layer.

use super::build::Build;
use super::initialiser::Scheme;
use super::layer::{Layer, check_outputs, dims, yes};
use super::parameters::{GROUP_NO_DECAY, GROUP_WEIGHTS, Parameters};
use crate::Result;
use crate::graph::NodeId;

/// PyTorch's `Linear`: y = x W^T + b. Parameters: W is `NAME.weight` `[outputs, inputs]`, b is `NAME.bias` `[outputs]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Number of output features.
    pub outputs: usize,
    /// Whether there is a bias.
    #[serde(default = "yes")]
    pub bias: bool,
    /// How its parameters are initialised.
    #[serde(skip)]
    pub scheme: Scheme,
}

impl Linear {
    /// A layer with a bias.
    pub fn new(outputs: usize, scheme: Scheme) -> Self {
        Self { outputs, bias: true, scheme }
    }
}

impl Layer for Linear {
    fn label(&self) -> String {
        "linear".into()
    }

    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        match shape {
            [_] => check_outputs(self.outputs).map(|()| vec![self.outputs]),
            _ => Err(format!("it takes a list of features, but gets {}; put a flatten layer before it", dims(shape))),
        }
    }

    fn declare(&self, name: &str, shape: &[usize], parameters: &mut Parameters) {
        let inputs = shape[0];
        let weight = self.scheme.weight(inputs, self.outputs);
        parameters.add(format!("{name}.weight"), [self.outputs, inputs], weight, GROUP_WEIGHTS);
        if self.bias {
            parameters.add(format!("{name}.bias"), [self.outputs], self.scheme.bias(inputs), GROUP_NO_DECAY);
        }
    }

    fn forward(&self, build: &mut Build, name: &str, x: NodeId) -> Result<NodeId> {
        let weight = build.parameter(&format!("{name}.weight"))?;
        let product = build.matmul_transposed(x, weight, false, true)?;
        if !self.bias {
            return Ok(product);
        }
        let bias = build.parameter(&format!("{name}.bias"))?;
        build.add(product, bias)
    }
}
