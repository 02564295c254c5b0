//! Optimizers: their configuration, and the numbers that change in each step.

use super::groups::{self, OptimizerGroup};
use super::method::Method;
use super::schedule::{Schedule, TrainingProgress};
use crate::nn::{Model, ParameterKind};
use crate::ops::Step;
use crate::{Error, Result};

/// The configuration of an optimizer. The numbers have the same meaning as in PyTorch.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optimizer {
    /// The algorithm.
    pub name: Method,
    /// The learning rate, before the schedule.
    pub learning_rate: f64,
    /// Momentum of SGD and RMSProp; 0 means none.
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
    /// RMSProp's decay of the average of squares.
    #[serde(default = "default_alpha", skip_serializing_if = "is_default_alpha")]
    pub alpha: f64,
    /// Added to the root of Adam's second moment, and of RMSProp's average.
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
    /// Kinds of parameters that are trained with other numbers, or by Muon. In a recipe, each is a table
    /// `[[optimizer.group]]`.
    #[serde(default, rename = "group", skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<OptimizerGroup>,
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
fn default_alpha() -> f64 {
    0.99
}
fn is_default_alpha(alpha: &f64) -> bool {
    *alpha == default_alpha()
}

/// The persistent buffer of the velocities of SGD and Muon.
pub(super) const MOMENTUM: &str = "optimizer.momentum";
/// The persistent buffer of RMSProp's averages of squares.
const SQUARES: &str = "optimizer.squares";
/// The persistent buffers of the sums of gradients over the parts of a batch: for the optimizer's own algorithm, and for Muon.
pub(crate) const SUMS: [&str; 2] = ["optimizer.gradient", "optimizer.muon_gradient"];

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
            alpha: default_alpha(),
            epsilon: default_epsilon(),
            groups: Vec::new(),
        }
    }

    /// SGD with momentum, usually 0.9.
    pub fn sgd_momentum(learning_rate: f64, momentum: f64) -> Self {
        Self { momentum, ..Self::sgd(learning_rate) }
    }

    /// RMSProp with alpha 0.99 and epsilon 1e-8, as PyTorch has them.
    pub fn rmsprop(learning_rate: f64) -> Self {
        Self { name: Method::RmsProp, ..Self::sgd(learning_rate) }
    }

    /// Adam with beta1 0.9, beta2 0.999 and epsilon 1e-8, as PyTorch has them.
    pub fn adam(learning_rate: f64) -> Self {
        Self { name: Method::Adam, ..Self::sgd(learning_rate) }
    }

    /// AdamW with Adam's numbers and a weight decay of 0.01, as PyTorch has them.
    pub fn adamw(learning_rate: f64) -> Self {
        Self { name: Method::AdamW, weight_decay: 0.01, ..Self::sgd(learning_rate) }
    }

    /// LAMB with Adam's betas, epsilon 1e-6 and a weight decay of 0.01, as its paper has them.
    pub fn lamb(learning_rate: f64) -> Self {
        Self { name: Method::Lamb, weight_decay: 0.01, epsilon: 1e-6, ..Self::sgd(learning_rate) }
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
        check("alpha", self.alpha, (0.0..1.0).contains(&self.alpha), "from 0 to below 1")?;
        check("epsilon", self.epsilon, self.epsilon > 0.0, "a finite number above 0")?;
        self.validate_groups()?;
        if self.nesterov && (self.name != Method::Sgd || !self.has_velocity()) {
            return Err(Error::usage("Nesterov momentum (nesterov) needs SGD with a momentum above 0."));
        }
        if self.name.is_adam() && momentum != 0.0 {
            return Err(Error::usage(format!(
                "The optimizer {} has no momentum; use beta1 instead, and leave momentum out.",
                self.name
            )));
        }
        Ok(())
    }

    /// Checks the groups, and that they suit the optimizer.
    fn validate_groups(&self) -> Result<()> {
        let wrong = |sentence: String| Err(Error::Usage(sentence));
        let most = Step::GROUPS - 1;
        if self.groups.len() > most {
            return wrong(format!("The optimizer has {} groups, but may have {most} at most.", self.groups.len()));
        }
        for (number, group) in self.groups.iter().enumerate() {
            group.validate()?;
            let kind = group.parameters;
            if self.groups[..number].iter().any(|other| other.parameters == kind) {
                return wrong(format!("The optimizer has two groups `{kind}`; join them."));
            }
            if group.momentum.is_some() && !group.is_muon() && self.name.is_adam() {
                return wrong(format!(
                    "The optimizer's group `{kind}` has a momentum, which only SGD, RMSProp and Muon take."
                ));
            }
            if group.is_muon() && self.clip.is_some() {
                return wrong(
                    "Gradients cannot be clipped (clip) with Muon, whose steps do not depend on their norm.".into(),
                );
            }
            if kind == ParameterKind::Shifts && self.shift_rate.is_some() {
                return wrong(
                    "The biases of batch norms have a group `shifts` and a shift_rate; leave one of them out.".into(),
                );
            }
        }
        Ok(())
    }

    /// Checks that a model has parameters for each group.
    ///
    /// # Errors
    /// An [`Error::Usage`] that names the kinds that the model has.
    pub fn check_model(&self, model: &Model) -> Result<()> {
        groups::check_model(&self.groups, model.name(), model.parameters())
    }

    /// Whether SGD or RMSProp has momentum in a group that it trains.
    pub(super) fn has_velocity(&self) -> bool {
        let of_group =
            |group: &OptimizerGroup| !group.is_muon() && group.momentum.is_some_and(|momentum| momentum > 0.0);
        !self.name.is_adam() && (self.momentum > 0.0 || self.groups.iter().any(of_group))
    }

    /// The persistent buffers of the state of the optimizer's own algorithm.
    pub(super) fn own_states(&self) -> &'static [&'static str] {
        match self.name {
            Method::Sgd if !self.has_velocity() => &[],
            Method::Sgd => &[MOMENTUM],
            Method::Adam | Method::AdamW | Method::Lamb => &["optimizer.first_moment", "optimizer.second_moment"],
            Method::RmsProp if !self.has_velocity() => &[SQUARES],
            Method::RmsProp => &[SQUARES, MOMENTUM],
        }
    }

    /// The persistent buffers of the optimizer's state. Each has the layout of the updated parameters and is initialised to 0.
    /// `in_parts` says whether a batch has several parts.
    pub fn states(&self, in_parts: bool) -> Vec<&'static str> {
        let own = self.own_states();
        let has_muon = self.groups.iter().any(OptimizerGroup::is_muon);
        let more = has_muon && !own.contains(&MOMENTUM);
        let sums = SUMS
            .into_iter()
            .zip([in_parts, in_parts && has_muon])
            .filter_map(|(name, is_there)| is_there.then_some(name));
        own.iter().copied().chain(more.then_some(MOMENTUM)).chain(sums).collect()
    }

    /// The momentum (or beta1), before the schedule.
    pub fn momentum(&self) -> f64 {
        if self.name.is_adam() { self.beta1 } else { self.momentum }
    }

    /// Sets the learning rates and the momenta of all groups, and Adam's bias corrections, of the step at `at`. `step.number`
    /// counts from 0.
    pub fn fill(&self, step: &mut Step, schedule: &Schedule, at: TrainingProgress) {
        let momentum = schedule.momentum(at, self.momentum());
        step.set_group(0, (self.learning_rate * schedule.factor(at)) as f32, momentum as f32);
        for (index, group) in (1..).zip(&self.groups) {
            let rate = group.learning_rate.unwrap_or(self.learning_rate) * group.factor(schedule, at);
            let usual = group.momentum.unwrap_or(self.momentum());
            step.set_group(index, rate as f32, schedule.momentum(at, usual) as f32);
        }
        if self.name.is_adam() {
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
    fn groups_that_do_not_suit_the_optimizer_are_refused() {
        let muon = OptimizerGroup::muon(ParameterKind::Filters, 0.24, 0.6);
        let shifts = OptimizerGroup::of(ParameterKind::Shifts);
        let quick = OptimizerGroup { momentum: Some(0.5), ..shifts.clone() };
        let with = |optimizer: Optimizer, groups: Vec<&OptimizerGroup>| Optimizer {
            groups: groups.into_iter().cloned().collect(),
            ..optimizer
        };
        let cases = [
            (with(Optimizer::sgd(0.1), vec![&shifts, &shifts]), "two groups `shifts`"),
            (with(Optimizer::adam(0.1), vec![&quick]), "only SGD, RMSProp and Muon"),
            (Optimizer { clip: Some(1.0), ..with(Optimizer::sgd(0.1), vec![&muon]) }, "clip"),
            (Optimizer { shift_rate: Some(2.0), ..with(Optimizer::sgd(0.1), vec![&shifts]) }, "shift_rate"),
        ];
        for (optimizer, part) in cases {
            let sentence = optimizer.validate().expect_err("refused").to_string();
            assert!(sentence.contains(part), "{sentence}");
        }
        assert!(with(Optimizer::adam(0.1), vec![&muon]).validate().is_ok());
        assert_eq!(with(Optimizer::sgd(0.1), vec![&muon]).states(false), [MOMENTUM]);
        assert_eq!(with(Optimizer::sgd(0.1), vec![&muon]).states(true), [MOMENTUM, SUMS[0], SUMS[1]]);
        assert_eq!(with(Optimizer::sgd(0.1), vec![&quick]).states(false), [MOMENTUM]);
        assert_eq!(Optimizer::sgd(0.1).states(false), [""; 0]);
    }

    #[test]
    fn adam_corrects_the_bias_of_its_first_step() {
        let adam = Optimizer { name: Method::Adam, ..Optimizer::sgd(0.1) };
        let mut step = Step::new(0, 8, 1);
        adam.fill(&mut step, &Schedule::default(), TrainingProgress { epoch: 0, step: 0, steps: 1, epochs: 1.0 });
        assert!((step.correction1 - 0.1).abs() < 1e-6 && (step.correction2 - 0.001).abs() < 1e-6);
    }
}
