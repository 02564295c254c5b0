//! The fully connected layer.

use super::build::Build;
use super::initialiser::Scheme;
use super::layer::Layer;
use super::parameters::{GROUP_SPARED, GROUP_WEIGHTS, Parameters};
use crate::Result;
use crate::graph::NodeId;

/// y = x W^T + b, with W `[outputs, inputs]` as PyTorch keeps it and b `[outputs]`: parameters `NAME.weight` and
/// `NAME.bias`.
#[derive(Clone, Copy, Debug)]
pub struct Linear {
    /// Features out.
    pub outputs: usize,
    /// How its parameters begin.
    pub scheme: Scheme,
}

impl Layer for Linear {
    fn label(&self) -> String {
        "linear".into()
    }

    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        match shape {
            _ if self.outputs == 0 => Err("a linear layer needs at least one output".into()),
            [_] => Ok(vec![self.outputs]),
            _ => Err(format!("a linear layer takes a list of features, but gets {shape:?}; put a flatten before it")),
        }
    }

    fn declare(&self, name: &str, shape: &[usize], parameters: &mut Parameters) {
        let inputs = shape[0];
        let weight = self.scheme.weight(inputs, self.outputs);
        parameters.add(format!("{name}.weight"), [self.outputs, inputs], weight, GROUP_WEIGHTS);
        parameters.add(format!("{name}.bias"), [self.outputs], self.scheme.bias(inputs), GROUP_SPARED);
    }

    fn forward(&self, build: &mut Build, name: &str, x: NodeId) -> Result<NodeId> {
        let weight = build.parameter(&format!("{name}.weight"))?;
        let bias = build.parameter(&format!("{name}.bias"))?;
        let product = build.matmul_transposed(x, weight, false, true)?;
        build.add(product, bias)
    }
}
