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
    /// x if it is positive, else e^x - 1.
    Elu,
    /// Gaussian error linear unit, in its tanh form: PyTorch's `GELU(approximate="tanh")`.
    Gelu,
    /// Gaussian error linear unit, exact: PyTorch's `GELU()`.
    GeluErf,
    /// x / 6 + 1 / 2 between 0 and 1.
    Hardsigmoid,
    /// x hardsigmoid(x).
    Hardswish,
}

impl Activation {
    /// All activations with their names.
    pub const NAMES: [(&'static str, Self); 11] = [
        ("sigmoid", Self::Sigmoid),
        ("tanh", Self::Tanh),
        ("relu", Self::Relu),
        ("relu6", Self::Relu6),
        ("leaky-relu", Self::LeakyRelu),
        ("silu", Self::Silu),
        ("elu", Self::Elu),
        ("gelu", Self::Gelu),
        ("gelu-erf", Self::GeluErf),
        ("hardsigmoid", Self::Hardsigmoid),
        ("hardswish", Self::Hardswish),
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
    fn is_rectifier(&self) -> bool {
        *self == Self::Relu
    }
    fn forward(&self, build: &mut Build, _: &str, x: NodeId) -> Result<NodeId> {
        match self {
            Self::Sigmoid => build.sigmoid(x),
            Self::Tanh => build.tanh(x),
            Self::Relu => build.relu(x),
            Self::Relu6 => build.relu6(x),
            Self::LeakyRelu => build.leaky_relu(x, 0.01),
            Self::Silu => build.silu(x),
            Self::Elu => build.elu(x, 1.0),
            Self::Gelu => build.gelu(x),
            Self::GeluErf => build.gelu_erf(x),
            Self::Hardsigmoid => build.hard_sigmoid(x, 1.0 / 6.0, 0.5),
            Self::Hardswish => build.hard_swish(x),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Oracle, Value};
    use crate::graph::TensorType;
    use crate::nn::{Linear, Mode, Model, Scheme, Sequence};
    use crate::ops::Step;

    /// The others are functions of their own, which other tests hold against PyTorch's values.
    #[test]
    fn composed_activations_are_their_formulas() -> Result<()> {
        let xs = [-5.0, -3.5, -2.5, -1.0, -0.25, 0.0, 0.75, 2.0, 2.75, 3.5, 9.0];
        let gate = |x: f64| (x / 6.0 + 0.5).clamp(0.0, 1.0);
        let formulas: [(Activation, &dyn Fn(f64) -> f64); 3] = [
            (Activation::Hardsigmoid, &gate),
            (Activation::Hardswish, &|x| x * gate(x)),
            (Activation::GeluErf, &|x| 0.5 * x * libm::erfc(-x / std::f64::consts::SQRT_2)),
        ];
        let model = Model::new("any", &[1], Sequence::new().with("fc", Linear::new(1, Scheme::He)))?;
        for (activation, formula) in formulas {
            let mut build = Build::new(model.parameters(), Mode::Evaluation)?;
            let x = build.leaf("x", 0, TensorType::f32([xs.len()]))?;
            let y = activation.forward(&mut build, "", x)?;
            let mut oracle = Oracle::default();
            oracle.set("x", Value::Real(xs.to_vec()));
            let values = oracle.run(&build.graph, build.graph.ids().skip(x.index()), &Step::new(0, 1, 1));
            let found = values[y.index()].as_ref().map_or(Vec::new(), Value::numbers);
            // The factors are single-precision numbers.
            let near = |(&x, &found): (&f64, &f64)| (found - formula(x)).abs() < 1e-6;
            assert!(found.len() == xs.len() && xs.iter().zip(&found).all(near), "{activation}: {found:?}");
        }
        Ok(())
    }
}
