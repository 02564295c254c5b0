//! Optimizers: their configuration, the numbers that change in each step, and the nodes of their update.

use crate::graph::{NodeId, TensorType};
use crate::nn::{Build, GROUP_SHIFTS};
use crate::ops::Step;
use crate::ops::pack::Pack;
use crate::ops::update::{Adam, GROUP_FLOATS, Sgd};
use crate::{Error, Result};

/// The algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Stochastic gradient descent, with momentum if it is not 0.
    Sgd,
    /// D. P. Kingma and J. Ba, "Adam: A method for stochastic optimization", ICLR 2015.
    Adam,
    /// I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR 2019.
    AdamW,
}

impl std::str::FromStr for Method {
    type Err = Error;
    /// Reads `sgd`, `adam` or `adamw`. Other words give an [`Error::Usage`] with the nearest name.
    fn from_str(word: &str) -> Result<Self> {
        let names = [("sgd", Self::Sgd), ("adam", Self::Adam), ("adamw", Self::AdamW)];
        crate::error::named("optimizer", &word.to_lowercase(), &names)
    }
}

/// The configuration of an optimizer. The numbers have the same meaning as in PyTorch.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optimizer {
    /// The algorithm.
    pub name: Method,
    /// The learning rate, before the schedule.
    pub learning_rate: f64,
    /// Momentum of SGD; 0 means none.
    #[serde(default)]
    pub momentum: f64,
    /// Whether to use Nesterov momentum.
    #[serde(default)]
    pub nesterov: bool,
    /// Weight decay. Biases and the parameters of batch norms have none.
    #[serde(default)]
    pub weight_decay: f64,
    /// Factor on the learning rate of batch norms' biases. If it is given, these biases have weight decay too: a step
    /// shrinks them as much as weights, without this factor. The recipe of airbench uses 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift_rate: Option<f64>,
    /// The largest Euclidean norm of all gradients together. Larger gradients are scaled down to it, as with PyTorch's
    /// `clip_grad_norm_`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
    /// Adam's decay of the first moment.
    #[serde(default = "default_beta1")]
    pub beta1: f64,
    /// Adam's decay of the second moment.
    #[serde(default = "default_beta2")]
    pub beta2: f64,
    /// Added to the root of Adam's second moment.
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
}

fn default_beta1() -> f64 {
    0.9
}
fn default_beta2() -> f64 {
    0.999
}
fn default_epsilon() -> f64 {
    1e-8
}

/// The persistent buffer of the update's block table.
const BLOCKS: &str = "update.blocks";

impl Optimizer {
    /// Plain SGD.
    pub fn sgd(learning_rate: f64) -> Self {
        Self {
            name: Method::Sgd,
            learning_rate,
            momentum: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            shift_rate: None,
            clip: None,
            beta1: default_beta1(),
            beta2: default_beta2(),
            epsilon: default_epsilon(),
        }
    }

    /// SGD with momentum, usually 0.9.
    pub fn sgd_momentum(learning_rate: f64, momentum: f64) -> Self {
        Self { momentum, ..Self::sgd(learning_rate) }
    }

    /// Adam with beta1 0.9, beta2 0.999 and epsilon 1e-8, as PyTorch has them.
    pub fn adam(learning_rate: f64) -> Self {
        Self { name: Method::Adam, ..Self::sgd(learning_rate) }
    }

    /// AdamW with Adam's numbers and a weight decay of 0.01, as PyTorch has them.
    pub fn adamw(learning_rate: f64) -> Self {
        Self { name: Method::AdamW, weight_decay: 0.01, ..Self::sgd(learning_rate) }
    }

    /// Checks that all numbers are in range.
    ///
    /// # Errors
    /// An [`Error::Usage`] with the field, its value and its range.
    pub fn validate(&self) -> Result<()> {
        let check = |name: &str, value: f64, good: bool, range: &str| match good && value.is_finite() {
            true => Ok(()),
            false => Err(Error::out_of_range(name, value, range)),
        };
        let (rate, momentum) = (self.learning_rate, self.momentum);
        check("The learning rate (learning_rate, --lr)", rate, rate > 0.0, "a finite number above 0")?;
        // The GPU uses it as f32, where it must neither become 0 nor overflow.
        let single = rate as f32;
        check(
            "The learning rate (learning_rate, --lr)",
            rate,
            single > 0.0 && single.is_finite(),
            "in the range of f32",
        )?;
        check("Momentum", momentum, (0.0..1.0).contains(&momentum), "from 0 to below 1")?;
        check("The weight decay", self.weight_decay, self.weight_decay >= 0.0, "0 or a finite number above it")?;
        if let Some(clip) = self.clip {
            check("The norm to clip at (clip)", clip, clip > 0.0, "a finite number above 0")?;
        }
        if let Some(factor) = self.shift_rate {
            let good = (1e-6..=1e6).contains(&factor);
            check(
                "The factor on the learning rate of batch norms' biases (shift_rate)",
                factor,
                good,
                "from 0.000001 to 1000000",
            )?;
        }
        check("beta1", self.beta1, (0.0..1.0).contains(&self.beta1), "from 0 to below 1")?;
        check("beta2", self.beta2, (0.0..1.0).contains(&self.beta2), "from 0 to below 1")?;
        check("epsilon", self.epsilon, self.epsilon > 0.0, "a finite number above 0")?;
        if self.nesterov && (self.name != Method::Sgd || momentum == 0.0) {
            return Err(Error::usage("Nesterov momentum (nesterov) needs SGD with a momentum above 0."));
        }
        if self.name != Method::Sgd && momentum != 0.0 {
            return Err(Error::usage("Adam has no momentum; use beta1 instead, and leave momentum out."));
        }
        Ok(())
    }

    /// The persistent buffers of the optimizer's state. Each has the layout of the updated parameters and is initialised to 0.
    pub fn states(&self) -> &'static [&'static str] {
        match self.name {
            Method::Sgd if self.momentum == 0.0 => &[],
            Method::Sgd => &["optimizer.momentum"],
            Method::Adam | Method::AdamW => &["optimizer.first_moment", "optimizer.second_moment"],
        }
    }

    /// The persistent buffers of u32 that must be written once before training, besides the parameters.
    pub fn tables(&self, parameters: &crate::nn::Parameters) -> Vec<(&'static str, Vec<u32>)> {
        vec![(BLOCKS, parameters.blocks())]
    }

    /// Builds the update of all parameters from the gradient of `loss`.
    ///
    /// # Errors
    /// When the loss is not a scalar, does not depend on a parameter, or no parameter is trained.
    pub fn update(&self, build: &mut Build, loss: NodeId) -> Result<()> {
        let (learned, leaves): (Vec<_>, Vec<_>) = build.learned()?.into_iter().unzip();
        if learned.is_empty() {
            return Err(Error::usage("The model cannot be trained: it has no parameters, or all are frozen."));
        }
        let gradients = build.gradient(loss, &leaves)?;
        let offsets = learned.iter().map(|parameter| parameter.offset).collect();
        build.enter("update");
        let built = self.update_by(build, &gradients, offsets);
        build.leave();
        built
    }

    fn update_by(&self, build: &mut Build, gradients: &[NodeId], offsets: Vec<usize>) -> Result<()> {
        let parameters = build.parameters();
        let len = parameters.updated_len();
        let flat = build.apply(Pack { offsets, len }, gradients)?;
        let blocks = build.leaf(BLOCKS, 0, TensorType::u32([parameters.blocks().len()]))?;
        let factors = self.group_factors(parameters.group_factors());
        let groups = build.constant(TensorType::f32([factors.len()]), factors);
        let mut inputs = vec![flat, blocks, groups];
        if self.clip.is_some() {
            inputs.push(build.norm(flat, blocks)?);
        }
        let mut states = vec![build.updated()?];
        for name in self.states() {
            states.push(build.leaf(*name, 0, TensorType::f32([len]))?);
        }
        let (weight_decay, clip) = (self.weight_decay as f32, self.clip.map(|clip| clip as f32));
        match self.name {
            Method::Sgd => {
                let op = Sgd { momentum: self.momentum > 0.0, nesterov: self.nesterov, weight_decay, clip };
                build.update(op, &inputs, &states)?;
            }
            Method::Adam | Method::AdamW => {
                let (beta2, epsilon) = (self.beta2 as f32, self.epsilon as f32);
                let decoupled = self.name == Method::AdamW;
                build.update(Adam { beta2, epsilon, weight_decay, decoupled, clip }, &inputs, &states)?;
            }
        }
        Ok(())
    }

    /// The factors of all parameter groups, with [`Self::shift_rate`] for batch norms' biases.
    fn group_factors(&self, mut factors: Vec<f32>) -> Vec<f32> {
        if let Some(factor) = self.shift_rate {
            let shifts = &mut factors[GROUP_SHIFTS as usize * GROUP_FLOATS..][..GROUP_FLOATS];
            shifts.copy_from_slice(&[factor as f32, (1.0 / factor) as f32]);
        }
        factors
    }

    /// The momentum (or beta1), before the schedule.
    pub fn momentum(&self) -> f64 {
        if self.name == Method::Sgd { self.momentum } else { self.beta1 }
    }

    /// Sets the learning rate, the momentum and Adam's bias corrections of a step. `step.number` counts from 0.
    pub fn fill(&self, step: &mut Step, rate: f64, momentum: f64) {
        step.learning_rate = rate as f32;
        step.momentum = momentum as f32;
        if self.name != Method::Sgd {
            let time = f64::from(step.number) + 1.0;
            step.correction1 = (1.0 - momentum.powf(time)) as f32;
            step.correction2 = (1.0 - self.beta2.powf(time)) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused_by_name() {
        for rate in [0.0, -0.1, f64::NAN, f64::INFINITY, 1e-60] {
            let sentence = Optimizer::sgd(rate).validate().expect_err("refused").to_string();
            assert!(sentence.contains("learning rate"), "{sentence}");
        }
        assert!(Optimizer { momentum: 1.0, ..Optimizer::sgd(0.1) }.validate().is_err());
        assert!(Optimizer { clip: Some(0.0), ..Optimizer::sgd(0.1) }.validate().is_err());
        assert!(Optimizer { nesterov: true, ..Optimizer::sgd(0.1) }.validate().is_err());
        assert!(Optimizer { shift_rate: Some(0.0), ..Optimizer::sgd(0.1) }.validate().is_err());
        assert!(Optimizer { momentum: 0.9, nesterov: true, ..Optimizer::sgd(0.1) }.validate().is_ok());
    }

    #[test]
    fn biases_of_batch_norms_have_their_own_rate_and_then_decay_as_weights() {
        let parameters = crate::nn::Parameters::default();
        let own = Optimizer { shift_rate: Some(64.0), ..Optimizer::sgd(0.1) };
        let usual = Optimizer::sgd(0.1).group_factors(parameters.group_factors());
        assert_eq!(usual, [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        let shifted = own.group_factors(parameters.group_factors());
        assert_eq!((&shifted[..6], &shifted[6..]), (&usual[..6], &[64.0, 1.0 / 64.0][..]));
    }

    #[test]
    fn adam_corrects_the_bias_of_its_first_step() {
        let adam = Optimizer { name: Method::Adam, ..Optimizer::sgd(0.1) };
        let mut step = Step::new(0, 8, 1);
        adam.fill(&mut step, 0.1, 0.9);
        assert!((step.correction1 - 0.1).abs() < 1e-6 && (step.correction2 - 0.001).abs() < 1e-6);
    }
}
