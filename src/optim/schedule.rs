//! Learning-rate schedules: pure functions of the training progress.

use crate::{Error, Result};

/// The training progress of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainingProgress {
    /// The epoch, from 0.
    pub epoch: u32,
    /// The step in the epoch, from 0.
    pub step: u32,
    /// Number of steps in an epoch.
    pub steps: u32,
    /// Number of epochs in the run; may have a fraction.
    pub epochs: f64,
}

impl TrainingProgress {
    /// The number of epochs that have passed, with a fraction.
    fn passed(self) -> f64 {
        f64::from(self.epoch) + f64::from(self.step) / f64::from(self.steps.max(1))
    }

    /// The number of steps that have passed.
    pub fn number(self) -> u64 {
        u64::from(self.epoch) * u64::from(self.steps) + u64::from(self.step)
    }

    /// The number of steps of the run. A fraction of an epoch is rounded up to whole steps.
    pub fn total(self) -> u64 {
        total_steps(self.epochs, self.steps)
    }
}

/// The number of steps of so many epochs. A fraction of an epoch is rounded up to whole steps.
pub(crate) fn total_steps(epochs: f64, steps: u32) -> u64 {
    // The product of two decimals may be slightly too large, as 1.1 x 10.
    (epochs * f64::from(steps) - 1e-6).ceil().max(0.0) as u64
}

/// The form of a schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ScheduleForm {
    /// The learning rate does not change.
    Constant,
    /// Multiplies the rate by `factor` every `every` epochs: PyTorch's `StepLR`.
    Step {
        /// Number of epochs between two changes.
        every: u32,
        /// The factor on the rate.
        factor: f64,
    },
    /// Multiplies the rate by `factor` after each epoch: PyTorch's `ExponentialLR`.
    Exponential {
        /// The factor on the rate.
        factor: f64,
    },
    /// Half a cosine from the full rate down to `floor` times the rate. It changes with every step.
    Cosine {
        /// The factor on the rate at the end.
        floor: f64,
    },
    /// A straight line from the full rate down to `floor` times the rate, which the step after the last one would have.
    Linear {
        /// The factor on the rate at the end.
        floor: f64,
    },
    /// Two straight lines: from `start` times the rate up to the full rate at the part `peak` of the steps, then down to
    /// `floor` times the rate, which the step after the last one would have.
    Triangular {
        /// The factor on the rate in the first step.
        start: f64,
        /// The part of the run's steps before the full rate.
        peak: f64,
        /// The factor on the rate at the end.
        floor: f64,
    },
    /// The one-cycle schedule (L. N. Smith and N. Topin, 2019), with the defaults of PyTorch's `OneCycleLR`. The rate rises
    /// from 1/25 to the full rate over the first 30 % of the steps, then falls to 1/250,000, in half cosines. Momentum
    /// falls from 0.95 to 0.85 and rises again.
    OneCycle,
}

/// A schedule: its form, and a linear warm-up in the first epochs.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "SerializedSchedule", into = "SerializedSchedule")]
pub struct Schedule {
    /// The form of the schedule.
    pub form: ScheduleForm,
    /// Number of epochs of linear warm-up; may have a fraction. The form's rate is multiplied by a factor that rises to 1.
    pub warmup: f64,
}

/// The form of a schedule in a recipe.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct SerializedSchedule {
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    every: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    factor: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    peak: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    floor: Option<f64>,
    #[serde(default)]
    warmup: f64,
}

const KINDS: [&str; 7] = ["constant", "step", "exponential", "cosine", "linear", "triangular", "one-cycle"];

impl Default for Schedule {
    fn default() -> Self {
        Self { form: ScheduleForm::Constant, warmup: 0.0 }
    }
}

impl From<ScheduleForm> for Schedule {
    /// A schedule of that form without warm-up.
    fn from(form: ScheduleForm) -> Self {
        Self { form, warmup: 0.0 }
    }
}

impl TryFrom<SerializedSchedule> for Schedule {
    type Error = Error;
    fn try_from(written: SerializedSchedule) -> Result<Self> {
        let SerializedSchedule { kind, every, factor, start, peak, floor, warmup } = written;
        let missing = |field: &str| Error::usage(format!("The schedule `{kind}` needs the field `{field}`."));
        let refuse = |field: &str, given: bool| match given {
            true => Err(Error::usage(format!("The schedule `{kind}` takes no field `{field}`."))),
            false => Ok(()),
        };
        let takes: &[&str] = match kind.as_str() {
            "step" => &["every", "factor"],
            "exponential" => &["factor"],
            "cosine" | "linear" => &["floor"],
            "triangular" => &["start", "peak", "floor"],
            _ => &[],
        };
        let given = [
            ("every", every.is_some()),
            ("factor", factor.is_some()),
            ("start", start.is_some()),
            ("peak", peak.is_some()),
            ("floor", floor.is_some()),
        ];
        for (field, given) in given {
            refuse(field, given && !takes.contains(&field) && KINDS.contains(&kind.as_str()))?;
        }
        let form = match kind.as_str() {
            "constant" => ScheduleForm::Constant,
            "step" => ScheduleForm::Step {
                every: every.ok_or_else(|| missing("every"))?,
                factor: factor.ok_or_else(|| missing("factor"))?,
            },
            "exponential" => ScheduleForm::Exponential { factor: factor.ok_or_else(|| missing("factor"))? },
            "cosine" => ScheduleForm::Cosine { floor: floor.unwrap_or(0.0) },
            "linear" => ScheduleForm::Linear { floor: floor.unwrap_or(0.0) },
            "triangular" => ScheduleForm::Triangular {
                start: start.ok_or_else(|| missing("start"))?,
                peak: peak.ok_or_else(|| missing("peak"))?,
                floor: floor.unwrap_or(0.0),
            },
            "one-cycle" => ScheduleForm::OneCycle,
            other => return Err(crate::error::unknown("schedule", other, &KINDS)),
        };
        let schedule = Self { form, warmup };
        schedule.validate()?;
        Ok(schedule)
    }
}

impl From<Schedule> for SerializedSchedule {
    fn from(schedule: Schedule) -> Self {
        let warmup = schedule.warmup;
        let written = |kind: &str| Self { kind: kind.into(), warmup, ..Self::default() };
        match schedule.form {
            ScheduleForm::Constant => written("constant"),
            ScheduleForm::Step { every, factor } => {
                Self { every: Some(every), factor: Some(factor), ..written("step") }
            }
            ScheduleForm::Exponential { factor } => Self { factor: Some(factor), ..written("exponential") },
            ScheduleForm::Cosine { floor } => Self { floor: Some(floor), ..written("cosine") },
            ScheduleForm::Linear { floor } => Self { floor: Some(floor), ..written("linear") },
            ScheduleForm::Triangular { start, peak, floor } => {
                Self { start: Some(start), peak: Some(peak), floor: Some(floor), ..written("triangular") }
            }
            ScheduleForm::OneCycle => written("one-cycle"),
        }
    }
}

impl std::str::FromStr for Schedule {
    type Err = Error;
    /// Reads a schedule as `--schedule` and recipes write it: `constant`, `step:EVERY:FACTOR`, `exponential:FACTOR`, `cosine`,
    /// `cosine:FLOOR`, `linear`, `linear:FLOOR`, `triangular:START:PEAK:FLOOR` or `one-cycle`. Anything else gives an [`Error::Usage`] that states the reason.
    fn from_str(text: &str) -> Result<Self> {
        let mut words = text.split(':');
        let kind = words.next().unwrap_or_default().to_owned();
        let numbers: Vec<&str> = words.collect();
        let wrong = || {
            Error::usage(format!(
                "The schedule `{text}` has to be constant, step:EVERY:FACTOR, exponential:FACTOR, cosine[:FLOOR], linear[:FLOOR], \
                 triangular:START:PEAK:FLOOR or one-cycle."
            ))
        };
        let real = |word: &str| word.parse::<f64>().map_err(|_| wrong());
        let mut written = SerializedSchedule { kind: kind.clone(), ..SerializedSchedule::default() };
        match (kind.as_str(), numbers.as_slice()) {
            ("step", [every, factor]) => {
                written.every = Some(every.parse().map_err(|_| wrong())?);
                written.factor = Some(real(factor)?);
            }
            ("exponential", [factor]) => written.factor = Some(real(factor)?),
            ("cosine" | "linear", [floor]) => written.floor = Some(real(floor)?),
            ("triangular", [start, peak, floor]) => {
                (written.start, written.peak) = (Some(real(start)?), Some(real(peak)?));
                written.floor = Some(real(floor)?);
            }
            ("constant" | "cosine" | "linear" | "one-cycle", []) => {}
            (known, _) if KINDS.contains(&known) => return Err(wrong()),
            _ => {}
        }
        written.try_into()
    }
}

impl Schedule {
    /// Checks that all numbers are in range.
    ///
    /// # Errors
    /// An [`Error::Usage`] that names the field.
    pub fn validate(&self) -> Result<()> {
        let bad = |field: &str, value: f64, range: &str| {
            Err(Error::out_of_range(&format!("The schedule's {field}"), value, range))
        };
        match self.form {
            ScheduleForm::Step { every: 0, .. } => return bad("every", 0.0, "at least 1"),
            ScheduleForm::Step { factor, .. } | ScheduleForm::Exponential { factor }
                if !(factor > 0.0 && factor.is_finite()) =>
            {
                return bad("factor", factor, "a finite number above 0");
            }
            ScheduleForm::Cosine { floor }
            | ScheduleForm::Linear { floor }
            | ScheduleForm::Triangular { floor, .. }
                if !(0.0..=1.0).contains(&floor) =>
            {
                return bad("floor", floor, "from 0 to 1");
            }
            ScheduleForm::Triangular { start, .. } if !(0.0..=1.0).contains(&start) => {
                return bad("start", start, "from 0 to 1");
            }
            ScheduleForm::Triangular { peak, .. } if !(0.0..=1.0).contains(&peak) => {
                return bad("peak", peak, "from 0 to 1");
            }
            _ => {}
        }
        match self.warmup >= 0.0 && self.warmup.is_finite() {
            true => Ok(()),
            false => bad("warmup", self.warmup, "0 or a finite number of epochs"),
        }
    }

    /// The factor on the learning rate.
    pub fn factor(&self, at: TrainingProgress) -> f64 {
        let factor = match self.form {
            ScheduleForm::Constant => 1.0,
            ScheduleForm::Step { every, factor } => factor.powi((at.epoch / every) as i32),
            ScheduleForm::Exponential { factor } => factor.powi(at.epoch as i32),
            ScheduleForm::Cosine { floor } => between(1.0, floor, at.passed() / at.epochs),
            ScheduleForm::Linear { floor } => line(1.0, floor, at.number(), at.total()),
            ScheduleForm::Triangular { start, peak, floor } => {
                let (number, total) = (at.number(), at.total());
                let top = (peak * total as f64) as u64;
                match number < top {
                    true => line(start, 1.0, number, top),
                    false => line(1.0, floor, number - top, total.saturating_sub(top)),
                }
            }
            ScheduleForm::OneCycle => cycle(at, [1.0 / 25.0, 1.0, 1.0 / 250_000.0]),
        };
        // The first step of a warm-up has a rate above 0, the last step the full rate.
        let step = at.passed() + 1.0 / f64::from(at.steps.max(1));
        if self.warmup > 0.0 { factor * (step / self.warmup).min(1.0) } else { factor }
    }

    /// Momentum (or beta1). `usual` is its value without a schedule.
    pub fn momentum(&self, at: TrainingProgress, usual: f64) -> f64 {
        match self.form {
            ScheduleForm::OneCycle if usual > 0.0 => cycle(at, [0.95, 0.85, 0.95]),
            _ => usual,
        }
    }
}

/// Half a cosine from `from` to `to`, at the fraction `part`.
fn between(from: f64, to: f64, part: f64) -> f64 {
    to + (from - to) * 0.5 * (1.0 + (std::f64::consts::PI * part.clamp(0.0, 1.0)).cos())
}

/// From `from` to `to`, after `number` of `total` steps.
fn line(from: f64, to: f64, number: u64, total: u64) -> f64 {
    let part = if total == 0 { 1.0 } else { (number as f64 / total as f64).min(1.0) };
    from * (1.0 - part) + to * part
}

/// From `start` to `top` over the first 30 % of the run's steps, then to `end`, which the last step reaches.
fn cycle(at: TrainingProgress, [start, top, end]: [f64; 3]) -> f64 {
    let (total, step) = (at.total() as f64, at.number() as f64);
    let peak = (0.3 * total - 1.0).max(0.0);
    if step <= peak {
        between(start, top, if peak > 0.0 { step / peak } else { 1.0 })
    } else {
        between(top, end, (step - peak) / (total - 1.0 - peak).max(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u32, step: u32) -> TrainingProgress {
        TrainingProgress { epoch, step, steps: 10, epochs: 20.0 }
    }

    fn schedule(text: &str) -> Schedule {
        text.parse().expect("a schedule")
    }

    #[test]
    fn each_form_has_its_factors() {
        assert_eq!(schedule("constant").factor(at(7, 3)), 1.0);
        assert_eq!(schedule("step:5:0.5").factor(at(4, 9)), 1.0);
        assert_eq!(schedule("step:5:0.5").factor(at(10, 0)), 0.25);
        assert_eq!(schedule("exponential:0.5").factor(at(3, 5)), 0.125);
        assert!((schedule("cosine").factor(at(10, 0)) - 0.5).abs() < 1e-12);
        assert!((schedule("cosine:0.1").factor(at(20, 0)) - 0.1).abs() < 1e-12);
        assert!((schedule("linear").factor(at(5, 0)) - 0.75).abs() < 1e-12);
        assert!((schedule("linear:0.2").factor(at(20, 0)) - 0.2).abs() < 1e-12);
        let cycle = schedule("one-cycle");
        assert!((cycle.factor(at(0, 0)) - 0.04).abs() < 1e-12);
        assert!((cycle.factor(at(5, 9)) - 1.0).abs() < 1e-12);
        assert!((cycle.factor(at(19, 9)) - 4e-6).abs() < 1e-12);
        assert!((cycle.momentum(at(5, 9), 0.9) - 0.85).abs() < 1e-12);
        assert_eq!(cycle.momentum(at(5, 9), 0.0), 0.0);
    }

    /// airbench94's: 9.9 epochs of 48 steps are 476 steps, and int(0.23 x 476) = 109 of them rise. The numbers are what airbench94 interpolates.
    #[test]
    fn a_triangle_has_its_top_at_a_whole_step_also_for_a_fraction_of_an_epoch() {
        let triangle = schedule("triangular:0.2:0.23:0.07");
        let factor = |number: u32| {
            triangle.factor(TrainingProgress { epoch: number / 48, step: number % 48, steps: 48, epochs: 9.9 })
        };
        let wanted = [(0, 0.2), (1, 0.20733945), (108, 0.99266055), (109, 1.0), (110, 0.99746594), (475, 0.07253406)];
        for (number, wanted) in wanted {
            assert!((factor(number) - wanted).abs() < 1e-8, "{number}: {}", factor(number));
        }
    }

    #[test]
    fn a_fraction_of_an_epoch_is_rounded_up_to_steps() {
        let cases = [(9.9, 48, 476), (1.1, 10, 11), (8.0, 25, 200), (0.3, 10, 3), (0.01, 10, 1), (2.5, 3, 8)];
        for (epochs, steps, total) in cases {
            assert_eq!(total_steps(epochs, steps), total, "{epochs} x {steps}");
        }
    }

    #[test]
    fn warm_up_rises_to_the_full_rate() {
        let warm = Schedule { warmup: 2.0, ..Schedule::default() };
        assert!((warm.factor(at(0, 0)) - 0.05).abs() < 1e-12);
        assert!((warm.factor(at(1, 9)) - 1.0).abs() < 1e-12);
        assert_eq!(warm.factor(at(5, 0)), 1.0);
    }

    #[test]
    fn wrong_words_are_refused() {
        for (text, part) in [
            ("cosin", "`cosine`"),
            ("step", "step:EVERY"),
            ("step:0:0.5", "every"),
            ("cosine:x", "cosine"),
            ("triangular", "triangular:START"),
            ("liner", "`linear`"),
            ("triangular:0.2:23:0", "peak"),
        ] {
            let sentence = text.parse::<Schedule>().expect_err("refused").to_string();
            assert!(sentence.contains(part), "{sentence}");
        }
    }
}
