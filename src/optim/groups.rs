//! Groups of parameters that a recipe trains with other numbers than the rest, or by Muon.

use super::schedule::{Schedule, TrainingProgress, total_steps};
use crate::nn::{Parameter, ParameterKind, Parameters};
use crate::{Error, Result};

/// The algorithm of a group that is not the optimizer's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Algorithm {
    /// Muon: [`ops::muon`](crate::ops::muon).
    Muon,
}

impl Algorithm {
    const NAMES: [(&'static str, Self); 1] = [("muon", Self::Muon)];
}

impl TryFrom<String> for Algorithm {
    type Error = Error;
    fn try_from(word: String) -> Result<Self> {
        crate::error::named("algorithm of a group", &word, &Self::NAMES)
    }
}

impl From<Algorithm> for String {
    fn from(_: Algorithm) -> Self {
        "muon".into()
    }
}

/// A group of an optimizer: all parameters of one kind. What it leaves out is as in the [`Optimizer`](super::Optimizer).
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerGroup {
    /// The kind of the parameters.
    pub parameters: ParameterKind,
    /// The algorithm, if it is not the optimizer's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// The learning rate, before the schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// Momentum of SGD or Muon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// Weight decay of all parameters of the group, also of biases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// Iterations of Muon, which bring a direction closer to an orthogonal matrix; 3 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iterations: Option<u32>,
    /// The number of epochs after which the group's parameters no longer change; may have a fraction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<f64>,
    /// The group's own schedule. It spans the epochs before `until`, or those of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
}

/// The iterations of Muon in a group that does not say them.
const ITERATIONS: u32 = 3;
/// The most iterations. After a few, the singular values only move between the same bounds.
const MOST_ITERATIONS: u32 = 20;

impl OptimizerGroup {
    /// A group of a kind that has no numbers of its own.
    pub fn of(parameters: ParameterKind) -> Self {
        Self {
            parameters,
            algorithm: None,
            learning_rate: None,
            momentum: None,
            weight_decay: None,
            iterations: None,
            until: None,
            schedule: None,
        }
    }

    /// A group of a kind that Muon trains, usually [`ParameterKind::Filters`].
    pub fn muon(parameters: ParameterKind, learning_rate: f64, momentum: f64) -> Self {
        Self {
            algorithm: Some(Algorithm::Muon),
            learning_rate: Some(learning_rate),
            momentum: Some(momentum),
            ..Self::of(parameters)
        }
    }

    /// Whether Muon trains it.
    pub fn is_muon(&self) -> bool {
        self.algorithm == Some(Algorithm::Muon)
    }

    /// The iterations of Muon.
    pub fn iterations(&self) -> u32 {
        self.iterations.unwrap_or(ITERATIONS)
    }

    /// The factor on the group's learning rate. `usual` is the run's schedule.
    pub(super) fn factor(&self, usual: &Schedule, at: TrainingProgress) -> f64 {
        let end = self.until.unwrap_or(at.epochs);
        match &self.schedule {
            _ if at.number() >= total_steps(end, at.steps) && self.until.is_some() => 0.0,
            Some(own) => own.factor(TrainingProgress { epochs: end, ..at }),
            None => usual.factor(at),
        }
    }

    /// Checks the group's own numbers.
    ///
    /// # Errors
    /// An [`Error::Usage`] with the group, the field, its value and its range.
    pub(super) fn validate(&self) -> Result<()> {
        let kind = self.parameters;
        let check = |field: &str, value: Option<f64>, good: &dyn Fn(f64) -> bool, range: &str| match value {
            Some(value) if !(value.is_finite() && good(value)) => {
                Err(Error::out_of_range(&format!("The {field} of the optimizer's group `{kind}`"), value, range))
            }
            _ => Ok(()),
        };
        let rate = |rate: f64| rate as f32 > 0.0 && (rate as f32).is_finite();
        check("learning_rate", self.learning_rate, &rate, "above 0 and in the range of f32")?;
        check("momentum", self.momentum, &|momentum| (0.0..1.0).contains(&momentum), "from 0 to below 1")?;
        check("weight_decay", self.weight_decay, &|decay| decay >= 0.0, "0 or a finite number above it")?;
        check("until", self.until, &|epochs| epochs > 0.0, "a finite number of epochs above 0")?;
        let iterations = self.iterations.filter(|count| !(1..=MOST_ITERATIONS).contains(count)).map(f64::from);
        check("iterations", iterations, &|_| false, &format!("from 1 to {MOST_ITERATIONS}"))?;
        if let Some(schedule) = &self.schedule {
            schedule.validate()?;
        }
        self.validate_algorithm()
    }

    /// Checks that the group's fields suit its algorithm.
    fn validate_algorithm(&self) -> Result<()> {
        let kind = self.parameters;
        let wrong = |sentence: String| Err(Error::Usage(sentence));
        match self.is_muon() {
            true if !kind.is_matrix() => wrong(format!(
                "Muon trains matrices: its group may have the parameters `filters` or `weights`, but not `{kind}`."
            )),
            true if self.weight_decay.is_some() => wrong(format!(
                "The optimizer's group `{kind}` cannot have a weight_decay: Muon gives each parameter the same norm before each step."
            )),
            true if self.learning_rate.is_none() || self.momentum.is_none() => wrong(format!(
                "The optimizer's group `{kind}` needs a learning_rate and a momentum of its own: Muon's differ from those of \
                 other algorithms."
            )),
            false if self.iterations.is_some() => wrong(format!(
                "The optimizer's group `{kind}` has iterations, which only `algorithm = \"muon\"` takes."
            )),
            _ => Ok(()),
        }
    }
}

/// Where a parameter belongs: its group's index in [`Step::groups`](crate::ops::Step::groups), and the group. Index 0 has no
/// group.
pub(super) fn of<'a>(groups: &'a [OptimizerGroup], parameter: &Parameter) -> (usize, Option<&'a OptimizerGroup>) {
    let found = (1..).zip(groups).find(|(_, group)| group.parameters == parameter.kind);
    found.map_or((0, None), |(index, group)| (index, Some(group)))
}

/// Checks that a model has parameters for each group.
///
/// # Errors
/// An [`Error::Usage`] that names the kinds that the model has.
pub(super) fn check_model(groups: &[OptimizerGroup], model: &str, parameters: &Parameters) -> Result<()> {
    let has = |kind: ParameterKind| parameters.iter().any(|parameter| parameter.kind == kind);
    let learn = |kind: ParameterKind| parameters.updated().any(|parameter| parameter.kind == kind);
    if let Some(group) =
        groups.iter().find(|group| group.is_muon() && has(group.parameters) && !learn(group.parameters))
    {
        return Err(Error::usage(format!(
            "Muon trains the `{}` of the model {model}, but they are frozen (unfreeze): leave Muon out, or train more layers.",
            group.parameters
        )));
    }
    let Some(group) = groups.iter().find(|group| !has(group.parameters)) else { return Ok(()) };
    let kinds: Vec<&str> = ParameterKind::NAMES.iter().filter(|(_, kind)| has(*kind)).map(|(name, _)| *name).collect();
    Err(Error::usage(format!(
        "The optimizer has a group `{}`, but the model {model} has no such parameters; it has: {}.",
        group.parameters,
        kinds.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::ScheduleForm;

    #[test]
    fn a_group_has_its_own_schedule_and_end() {
        let usual = Schedule::from(ScheduleForm::Linear { floor: 0.0 });
        let at = |epoch, step| TrainingProgress { epoch, step, steps: 10, epochs: 8.0 };
        let plain = OptimizerGroup::of(ParameterKind::Shifts);
        assert_eq!(plain.factor(&usual, at(4, 0)), 0.5);
        let ended = OptimizerGroup { until: Some(3.0), ..plain.clone() };
        assert_eq!(ended.factor(&usual, at(2, 0)), 0.75);
        assert_eq!([at(3, 0), at(7, 9)].map(|at| ended.factor(&usual, at)), [0.0, 0.0]);
        // airbench94_muon's bias of the whitening layer: 1 - step / steps of 3 epochs.
        let own = OptimizerGroup { schedule: Some(usual), ..ended };
        assert!((own.factor(&usual, at(1, 5)) - 0.5).abs() < 1e-12);
        assert_eq!(own.factor(&usual, at(3, 0)), 0.0);
        let constant = OptimizerGroup { schedule: Some(Schedule::default()), ..plain };
        assert_eq!(constant.factor(&usual, at(7, 9)), 1.0);
    }

    #[test]
    fn groups_that_cannot_be_are_refused() {
        let group = OptimizerGroup::of(ParameterKind::Shifts);
        let muon = OptimizerGroup::muon(ParameterKind::Filters, 0.24, 0.6);
        let cases = [
            (
                OptimizerGroup { learning_rate: Some(0.0), ..group.clone() },
                "learning_rate of the optimizer's group `shifts`",
            ),
            (OptimizerGroup { momentum: Some(1.0), ..group.clone() }, "from 0 to below 1"),
            (OptimizerGroup { until: Some(0.0), ..group.clone() }, "until"),
            (OptimizerGroup { iterations: Some(3), ..group.clone() }, "muon"),
            (OptimizerGroup { algorithm: Some(Algorithm::Muon), ..group }, "`filters` or `weights`"),
            (OptimizerGroup { weight_decay: Some(0.1), ..muon.clone() }, "weight_decay"),
            (OptimizerGroup { iterations: Some(0), ..muon.clone() }, "from 1 to 20"),
            (OptimizerGroup { momentum: None, ..muon.clone() }, "of its own"),
        ];
        assert!(muon.validate().is_ok());
        for (group, part) in cases {
            let sentence = group.validate().expect_err("refused").to_string();
            assert!(sentence.contains(part), "{sentence}");
        }
    }
}
