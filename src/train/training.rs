//! The settings of the training loop: its length, its batches, and the averages of its weights.

use super::imbalance::{ClassWeights, Sampler};
use super::tta::Tta;
use crate::ops::batch::Reduction;
use crate::ops::cross_entropy::Objective;
use crate::optim::total_steps;
use crate::{Error, Result};

/// Lookahead (M. R. Zhang, J. Lucas, G. Hinton and J. Ba, "Lookahead optimizer: k steps forward, 1 step back", NeurIPS 2019).
/// There are slow weights, at first equal to the weights. Every `every` steps they join: slow = d slow + (1 - d) weights, then
/// weights = slow. After the last step of the run the weights become the slow weights. Running statistics are weights here.
///
/// Here d = decay^every (t / T)^ramp after step t of T. The numbers of K. Jordan's airbench94 are `every = 5`, `decay = 0.95` and
/// `ramp = 3`.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lookahead {
    /// The number of steps between two joins, at least 1.
    pub every: u32,
    /// The share of the slow weights that remains per step, from 0 to below 1.
    pub decay: f64,
    /// The power of the part of the run that is done, from 0 to 100; 0 for a constant share.
    #[serde(default)]
    pub ramp: f64,
}

impl Lookahead {
    /// The paper's: every so many steps, half of the slow weights remains.
    pub fn halfway(every: u32) -> Self {
        Self { every, decay: 0.5_f64.powf(1.0 / f64::from(every.max(1))), ramp: 0.0 }
    }

    /// [`Step::lookahead`](crate::ops::Step::lookahead) of the step after which `done` of `total` steps are done.
    pub fn share(&self, done: u64, total: u64) -> f32 {
        match done.is_multiple_of(u64::from(self.every)) {
            true => {
                let part = (done as f64 / total.max(1) as f64).min(1.0);
                (self.decay.powf(f64::from(self.every)) * part.powf(self.ramp)) as f32
            }
            false if done == total => 1.0,
            false => -1.0,
        }
    }

    fn validate(&self) -> Result<()> {
        if self.every == 0 {
            return Err(Error::out_of_range(
                "The number of steps between two joins (lookahead.every)",
                0,
                "at least 1",
            ));
        }
        if !(0.0..1.0).contains(&(self.decay as f32)) {
            let what = "The share of Lookahead's slow weights (lookahead.decay)";
            return Err(Error::out_of_range(what, self.decay, "from 0 to below 1"));
        }
        match (0.0..=100.0).contains(&self.ramp) {
            true => Ok(()),
            false => {
                Err(Error::out_of_range("The power of Lookahead's ramp (lookahead.ramp)", self.ramp, "from 0 to 100"))
            }
        }
    }
}

/// The settings of the training loop.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// The number of epochs, above 0. With a fraction, the last epoch ends early: its steps are rounded up.
    #[serde(serialize_with = "whole_if_possible")]
    pub epochs: f64,
    /// The number of images in a batch, at least 1.
    pub batch_size: usize,
    /// The number of batches whose gradients are summed before an update, at least 1. The update is that of one batch so many times as
    /// large. With more than 1, the batch size is a multiple of 4.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub accumulate: usize,
    /// How the losses of a batch are reduced to one number. The default is the mean.
    #[serde(default = "default_reduction")]
    pub reduction: Reduction,
    /// On several devices: whether the statistics of batch norm are those of all parts of a batch, as on one device, instead of each part's.
    /// Then a batch has as many parts as there are devices. One device alone takes the statistics of each part.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sync_batch_norm: bool,
    /// Whether the last batch of an epoch is left out if it is not full.
    #[serde(default)]
    pub drop_last: bool,
    /// The share of the target that is spread evenly over all classes, from 0 to below 1. The default is 0.
    #[serde(default)]
    pub label_smoothing: f32,
    /// The exponent of focal loss: a row's loss is multiplied by (1 - p)^focal, where p is the probability of its label. 0, the default,
    /// for none, else from 1 to 10, and then without label smoothing and mixed images.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub focal: f32,
    /// The factor of the losses of each class: `"balanced"`, or a table with numbers by the classes' names. The default is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<ClassWeights>,
    /// How the training images of an epoch are drawn: `shuffled`, the default, or `balanced`.
    #[serde(default, skip_serializing_if = "Sampler::is_shuffled")]
    pub sampler: Sampler,
    /// The decay per step of a moving average of the weights, from 0 to below 1. Evaluation and prediction use the average.
    /// Without a value there is no average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Test-time augmentation: the views whose logits are averaged in evaluation and prediction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tta: Option<Tta>,
    /// Whether the output of the frozen layers at the network's start is computed once per image and kept. The images are
    /// then as in evaluation, without random changes. Without a value, the outputs are kept if this does not change the
    /// result, the images are not streamed, and all outputs together take at most 1 GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_features: Option<bool>,
    /// The precision of the training steps' products on a GPU: `f32`, the default, or `f16`. Evaluation is always in f32.
    #[serde(default, skip_serializing_if = "Precision::is_single")]
    pub precision: Precision,
    /// The number of epochs without a better result on the validation split after which the run ends, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<u32>,
    /// What is done with a step after which the loss, a weight or the optimizer's state is not finite: `stop`, the default, `skip` or
    /// `halve-lr`.
    #[serde(default, skip_serializing_if = "OnNonFinite::is_stop")]
    pub on_nonfinite: OnNonFinite,
    /// Lookahead: every few steps the weights go back towards their average, and the run ends with the average. Without a
    /// table there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookahead: Option<Lookahead>,
}

/// What is done with a step after which a number is not finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnNonFinite {
    /// The run ends.
    #[default]
    Stop,
    /// The step changes nothing: neither weights nor the optimizer's state, nor the metrics of the epoch. It counts as a step for the
    /// schedule and for Adam. After ten in a row the run ends.
    Skip,
    /// The epoch begins again with half the learning rate, for the rest of the run. After ten times the run ends.
    HalveLr,
}

impl OnNonFinite {
    /// Whether the run ends.
    pub fn is_stop(&self) -> bool {
        *self == Self::Stop
    }
}

impl std::str::FromStr for OnNonFinite {
    type Err = Error;
    /// Reads `stop`, `skip` or `halve-lr`. Other words give an [`Error::Usage`] with the nearest name.
    fn from_str(word: &str) -> Result<Self> {
        let known = [("stop", Self::Stop), ("skip", Self::Skip), ("halve-lr", Self::HalveLr)];
        crate::error::named("reaction to numbers that are not finite", &word.to_lowercase(), &known)
    }
}

/// The precision of a GPU's products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Large matrix products and convolutions take their operands in half precision and add in single precision, if the GPU has
    /// matrix units. Weights and all other values stay in single precision.
    F16,
}

impl Precision {
    /// Whether it is single precision.
    pub fn is_single(&self) -> bool {
        *self == Self::F32
    }
}

impl std::str::FromStr for Precision {
    type Err = Error;
    /// Reads `f32` or `f16`. Other words give an [`Error::Usage`] with the nearest name.
    fn from_str(word: &str) -> Result<Self> {
        crate::error::named("precision", &word.to_lowercase(), &[("f32", Self::F32), ("f16", Self::F16)])
    }
}

fn one() -> usize {
    1
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_one(number: &usize) -> bool {
    *number == 1
}

fn is_zero(number: &f32) -> bool {
    *number == 0.0
}

fn default_reduction() -> Reduction {
    Reduction::Mean
}

/// Writes a whole number without a point, as recipes had it before epochs could have a fraction.
fn whole_if_possible<S: serde::Serializer>(epochs: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match epochs.fract() == 0.0 && epochs.abs() < MOST_EPOCHS {
        true => serializer.serialize_u64(*epochs as u64),
        false => serializer.serialize_f64(*epochs),
    }
}

/// More epochs than this are refused. Steps are counted in 32 bits.
const MOST_EPOCHS: f64 = 1e9;

/// The largest number of batches of an update.
const MOST_PARTS: usize = 4096;

impl Training {
    /// The number of updates of an epoch with so many steps.
    pub fn updates(&self, steps: u32) -> u32 {
        steps.div_ceil(self.accumulate as u32)
    }

    /// The number of epochs, of which the last one may end early.
    pub fn begun_epochs(&self) -> u32 {
        // A computed number may be slightly too large, as 1.1 x 10.
        (self.epochs - 1e-9).ceil().max(1.0) as u32
    }

    /// The number of steps of an epoch, counted from 0, if a whole one has `whole` steps. Only the last one may have fewer, and ends
    /// after an update.
    pub fn steps_of(&self, epoch: u32, whole: u32) -> u32 {
        if epoch + 1 != self.begun_epochs() {
            return whole;
        }
        let updates = self.updates(whole);
        let before = u64::from(epoch) * u64::from(updates);
        let left = total_steps(self.epochs, updates).saturating_sub(before).clamp(1, u64::from(updates.max(1)));
        (left as u32 * self.accumulate as u32).min(whole)
    }

    /// What the logits of a training step are held against. `mixed` says whether its images are mixed.
    pub fn objective(&self, mixed: bool) -> Objective {
        Objective { smoothing: self.label_smoothing, focus: self.focal, mixed }
    }

    /// Checks that all numbers are in range.
    ///
    /// # Errors
    /// [`Error::Usage`] when a field cannot be used. The message names its value and its range.
    pub(super) fn validate(&self) -> Result<()> {
        let wrong = |sentence: &str| Err(Error::usage(sentence));
        if self.epochs == 0.0 {
            return wrong("0 epochs train nothing; use at least 1.");
        }
        if !(self.epochs > 0.0 && self.epochs <= MOST_EPOCHS) {
            return Err(Error::out_of_range("The number of epochs", self.epochs, "above 0 and at most 1000000000"));
        }
        if self.batch_size == 0 {
            return wrong("A batch of 0 images trains nothing; use a batch size of at least 1.");
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            return Err(Error::out_of_range("The label smoothing", self.label_smoothing, "from 0 to below 1"));
        }
        if !(1..=MOST_PARTS).contains(&self.accumulate) {
            return Err(Error::out_of_range(
                "The number of batches of an update (accumulate)",
                self.accumulate,
                "from 1 to 4096",
            ));
        }
        if self.accumulate > 1 && !self.batch_size.is_multiple_of(4) {
            return Err(Error::usage(format!(
                "With gradient accumulation (accumulate) the batch size is a multiple of 4, so that random numbers are those of a large \
                 batch, but it is {}.",
                self.batch_size
            )));
        }
        if self.focal != 0.0 && !(1.0..=10.0).contains(&self.focal) {
            return Err(Error::out_of_range("The exponent of focal loss (focal)", self.focal, "0, or from 1 to 10"));
        }
        if self.focal > 0.0 && self.label_smoothing > 0.0 {
            return wrong(
                "Focal loss and label smoothing pull in opposite directions; leave either focal or label_smoothing out.",
            );
        }
        self.class_weights.as_ref().map_or(Ok(()), ClassWeights::validate)?;
        if let Some(decay) = self.ema.filter(|decay| !(0.0..1.0).contains(&(*decay as f32))) {
            let what = "The decay of the weights' moving average (ema)";
            return Err(Error::out_of_range(what, decay, "from 0 to below 1"));
        }
        if let Some(lookahead) = &self.lookahead {
            lookahead.validate()?;
            if self.ema.is_some() {
                return wrong("Lookahead already averages the weights; leave either ema or lookahead out.");
            }
        }
        if self.lookahead.is_some() && self.patience.is_some() {
            return wrong(
                "Lookahead takes its average after the last step, but early stopping (patience) ends a run before it; leave one out.",
            );
        }
        if self.patience == Some(0) {
            return wrong("A patience of 0 epochs ends a run before its first epoch; use at least 1.");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Recipe;

    fn training(epochs: f64) -> Training {
        Training { epochs, ..Recipe::built_in("glyphs-mlp").expect("a recipe").training }
    }

    #[test]
    fn the_last_epoch_of_a_fraction_ends_early() {
        let steps = |epochs: f64| (0..4).map(|epoch| training(epochs).steps_of(epoch, 10)).collect::<Vec<_>>();
        assert_eq!((steps(2.45), training(2.45).begun_epochs()), (vec![10, 10, 5, 10], 3));
        assert_eq!((steps(3.0), training(3.0).begun_epochs()), (vec![10, 10, 10, 10], 3));
        assert_eq!((steps(0.01), training(0.01).begun_epochs()), (vec![1, 10, 10, 10], 1));
        let in_parts = Training { accumulate: 4, ..training(1.5) };
        assert_eq!([in_parts.steps_of(0, 10), in_parts.steps_of(1, 10)], [10, 8]);
    }

    #[test]
    fn whole_epochs_are_written_without_a_point() {
        let text = |epochs: f64| toml::to_string(&training(epochs)).expect("text");
        assert!(text(20.0).contains("epochs = 20\n"), "{}", text(20.0));
        assert!(text(9.9).contains("epochs = 9.9\n"), "{}", text(9.9));
    }

    #[test]
    fn wrong_numbers_are_refused_by_name() {
        let good = Lookahead { every: 5, decay: 0.95, ramp: 3.0 };
        let with = |lookahead: Lookahead| Training { lookahead: Some(lookahead), ..training(1.0) };
        let cases = [
            (training(-1.0), "number of epochs"),
            (Training { focal: 0.5, ..training(1.0) }, "focal"),
            (Training { accumulate: 0, ..training(1.0) }, "accumulate"),
            (Training { accumulate: 2, batch_size: 6, ..training(1.0) }, "multiple of 4"),
            (Training { focal: 2.0, label_smoothing: 0.1, ..training(1.0) }, "label_smoothing"),
            (training(f64::NAN), "number of epochs"),
            (training(f64::INFINITY), "number of epochs"),
            (with(Lookahead { every: 0, ..good }), "lookahead.every"),
            (with(Lookahead { decay: 1.0, ..good }), "lookahead.decay"),
            (with(Lookahead { ramp: -1.0, ..good }), "lookahead.ramp"),
            (Training { ema: Some(0.9), ..with(good) }, "ema or lookahead"),
            (Training { patience: Some(3), ..with(good) }, "leave one out"),
        ];
        assert!(with(good).validate().is_ok());
        for (training, part) in cases {
            let sentence = training.validate().expect_err("refused").to_string();
            assert!(sentence.contains(part), "{sentence}");
        }
    }

    /// airbench94: 0.95^5 (t / 476)^3 every five steps, and 1 after the last step.
    #[test]
    fn weights_join_every_few_steps_and_at_the_end() {
        let lookahead = Lookahead { every: 5, decay: 0.95, ramp: 3.0 };
        let share = |done| lookahead.share(done, 476);
        assert_eq!([share(1), share(4), share(474), share(476)], [-1.0, -1.0, -1.0, 1.0]);
        assert!((share(5) - 0.95_f32.powi(5) * (5.0_f32 / 476.0).powi(3)).abs() < 1e-9);
        assert!((share(475) - 0.7689).abs() < 1e-4, "{}", share(475));
        assert_eq!(Lookahead { ramp: 0.0, ..lookahead }.share(5, 476), 0.95_f64.powi(5) as f32);
    }
}
