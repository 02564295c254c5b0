//! Initial values of parameters. A value depends only on the seed, the parameter and the element. So it is the same on
//! every machine, whatever the order of computation.

use crate::random::{CounterRng, Purpose};
use crate::{Error, Result};

/// The initial values of one parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initialiser {
    /// All zero.
    Zeros,
    /// All equal to this value.
    Constant(f32),
    /// Uniform between -bound and bound.
    Uniform {
        /// The bound.
        bound: f32,
    },
    /// Normal with mean 0.
    Normal {
        /// The standard deviation.
        standard_deviation: f32,
    },
    /// For a convolution's weight `[outputs, inputs, height, width]`: PyTorch's `dirac_` for the first outputs, as many as
    /// there are inputs, so that they copy the inputs (if padding keeps the image size). The other outputs are uniform.
    Dirac {
        /// Number of input channels of the weight.
        inputs: usize,
        /// Height and width of the kernel.
        kernel: [usize; 2],
        /// The bound of the uniform values.
        bound: f32,
    },
}

impl Initialiser {
    /// X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS
    /// 2010: uniform within sqrt(6 / (fan in + fan out)).
    pub fn xavier(fan_in: usize, fan_out: usize) -> Self {
        Self::Uniform { bound: (6.0 / (fan_in + fan_out).max(1) as f64).sqrt() as f32 }
    }

    /// PyTorch's default for linear layers and convolutions, weights and biases: uniform within 1 / sqrt(fan in).
    pub fn fan_in(fan_in: usize) -> Self {
        Self::Uniform { bound: (1.0 / fan_in.max(1) as f64).sqrt() as f32 }
    }

    /// K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers", ICCV 2015: normal with standard deviation
    /// sqrt(2 / fan in), PyTorch's `kaiming_normal_`.
    pub fn he(fan_in: usize) -> Self {
        Self::Normal { standard_deviation: (2.0 / fan_in.max(1) as f64).sqrt() as f32 }
    }

    /// The initial values of parameter number `index` in a run with `seed`.
    pub fn values(self, elements: usize, seed: u64, index: u32) -> Vec<f32> {
        let random = CounterRng::new(seed, Purpose::Init, index, 0);
        let each = |value: &dyn Fn(u32) -> f32| (0..elements as u32).map(value).collect();
        let uniform = |bound: f32, element: u32| bound * (2.0 * random.uniform(element) - 1.0);
        match self {
            Self::Zeros => vec![0.0; elements],
            Self::Constant(value) => vec![value; elements],
            Self::Uniform { bound } => each(&|element| uniform(bound, element)),
            Self::Normal { standard_deviation } => each(&|element| standard_deviation * random.normal(element)),
            Self::Dirac { inputs, kernel: [height, width], bound } => each(&|element| {
                let (row, column) = (element as usize / (height * width), element as usize % (height * width));
                let (output, input) = (row / inputs, row % inputs);
                if output >= inputs {
                    return uniform(bound, element);
                }
                let copies = output == input && column == height / 2 * width + width / 2;
                if copies { 1.0 } else { 0.0 }
            }),
        }
    }
}

/// The initialisation of a whole model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// [`Initialiser::fan_in`] for weights and biases.
    #[default]
    PyTorch,
    /// [`Initialiser::xavier`] for weights, zero biases.
    Xavier,
    /// [`Initialiser::he`] for weights, zero biases. PyTorch calls it `kaiming`, which is read, too.
    #[serde(alias = "kaiming")]
    He,
    /// [`Initialiser::Dirac`] for the weights of convolutions, [`Initialiser::fan_in`] for the rest. At first, deep layers
    /// then pass their inputs on (K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024).
    Dirac,
    /// All zero, for experiments. A network with hidden layers learns almost nothing from it.
    Zeros,
}

impl Scheme {
    /// The initialiser of a convolution's weight `[outputs, inputs, height, width]`.
    pub fn convolution(self, [outputs, inputs, height, width]: [usize; 4]) -> Initialiser {
        let (fan_in, fan_out) = (inputs * height * width, outputs * height * width);
        match self.weight(fan_in, fan_out) {
            Initialiser::Uniform { bound } if self == Self::Dirac => {
                Initialiser::Dirac { inputs, kernel: [height, width], bound }
            }
            other => other,
        }
    }

    /// The initialiser of other weights.
    pub fn weight(self, fan_in: usize, fan_out: usize) -> Initialiser {
        match self {
            Self::PyTorch | Self::Dirac => Initialiser::fan_in(fan_in),
            Self::Xavier => Initialiser::xavier(fan_in, fan_out),
            Self::He => Initialiser::he(fan_in),
            Self::Zeros => Initialiser::Zeros,
        }
    }

    /// The initialiser of biases.
    pub fn bias(self, fan_in: usize) -> Initialiser {
        match self {
            Self::PyTorch | Self::Dirac => Initialiser::fan_in(fan_in),
            Self::Xavier | Self::He | Self::Zeros => Initialiser::Zeros,
        }
    }
}

impl std::str::FromStr for Scheme {
    type Err = Error;
    /// Reads `pytorch`, `xavier`, `he` (or `kaiming`), `dirac` or `zeros`. Other words give an [`Error::Usage`] with the nearest name.
    fn from_str(word: &str) -> Result<Self> {
        let names = [
            ("pytorch", Self::PyTorch),
            ("xavier", Self::Xavier),
            ("he", Self::He),
            ("kaiming", Self::He),
            ("dirac", Self::Dirac),
            ("zeros", Self::Zeros),
        ];
        crate::error::named("initialiser", word, &names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_values_fill_their_bounds_and_depend_on_seed_and_parameter() {
        let values = Initialiser::xavier(1024, 64).values(10_000, 1, 0);
        let bound = (6.0_f32 / 1088.0).sqrt();
        assert!(values.iter().all(|value| value.abs() <= bound));
        let mean = values.iter().sum::<f32>() / 10_000.0;
        let square = values.iter().map(|v| v * v).sum::<f32>() / 10_000.0;
        assert!(mean.abs() < 0.03 * bound && (square * 3.0 / bound / bound - 1.0).abs() < 0.05);
        assert_ne!(values, Initialiser::xavier(1024, 64).values(10_000, 1, 1));
        assert_ne!(values, Initialiser::xavier(1024, 64).values(10_000, 2, 0));
    }

    #[test]
    fn dirac_outputs_copy_the_inputs_and_the_others_are_pytorchs() {
        let scheme = Scheme::Dirac.convolution([5, 2, 3, 3]);
        let (values, other) = (scheme.values(90, 1, 2), Scheme::PyTorch.convolution([5, 2, 3, 3]).values(90, 1, 2));
        let ones: Vec<usize> = (0..36).filter(|&i| values[i] != 0.0).collect();
        assert_eq!((ones, values[4], values[31]), (vec![4, 31], 1.0, 1.0));
        assert_eq!(values[36..], other[36..]);
        // With fewer outputs than inputs, each output copies one input.
        let narrow = Scheme::Dirac.convolution([1, 2, 1, 2]).values(4, 1, 2);
        assert_eq!(narrow, [0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn normal_values_have_the_standard_deviation_of_their_fan_in() {
        let values = Initialiser::he(72).values(20_000, 1, 3);
        let mean = values.iter().sum::<f32>() / 20_000.0;
        let square = values.iter().map(|v| v * v).sum::<f32>() / 20_000.0;
        assert!(mean.abs() < 0.01 && (square * 36.0 - 1.0).abs() < 0.05, "{mean} {square}");
    }
}
