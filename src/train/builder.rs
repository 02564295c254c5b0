//! Recipes written in Rust: default values, and a setter for each field that programs often change.

use super::imbalance::Sampler;
use super::recipe::{Data, FORMAT, Recipe};
use super::trainer::{Trainer, TrainerOptions};
use super::training::{Lookahead, OnNonFinite, Precision, Training};
use super::tta::Tta;
use crate::data::Dataset;
use crate::nn::Model;
use crate::nn::models::ModelConfig;
use crate::ops::augment::Augment;
use crate::ops::batch::Reduction;
use crate::optim::{Optimizer, Schedule};
use crate::{Engine, Result};

impl Recipe {
    /// A recipe for a model: the name of a built-in model ([`names`](crate::nn::models::names)), a [`ModelConfig`], or a `&Model`
    /// that the program has built.
    ///
    /// The default values are for small classifiers that are trained from scratch:
    ///
    /// | field | default | why |
    /// |---|---|---|
    /// | `optimizer` | Adam, learning rate 0.001 | it trains most networks, and the learning rate need not be tuned |
    /// | `schedule` | constant | the first epochs do not depend on the number of epochs |
    /// | `batch_size` | 64 | small enough for most devices, large enough for batch norm |
    /// | `epochs` | 10 | enough for a first result; more are often better |
    /// | `seed` | 1 | a repeated run gives the same weights |
    /// | `weight_decay`, `label_smoothing`, `augment`, `ema`, `tta`, `patience` | none | good values depend on the images |
    ///
    /// A setter never fails. [`Recipe::validate`] checks the values, and every trainer calls it first.
    ///
    /// ```
    /// use gpunn::optim::{Optimizer, ScheduleForm};
    /// use gpunn::train::Recipe;
    ///
    /// let recipe = Recipe::new("cnn").optimizer(Optimizer::adamw(0.002)).schedule(ScheduleForm::OneCycle).epochs(20);
    /// recipe.validate()?;
    /// assert!(Recipe::new("cnn").epochs(0).validate().is_err());
    /// # Ok::<(), gpunn::Error>(())
    /// ```
    pub fn new(model: impl Into<ModelConfig>) -> Self {
        let model = model.into();
        Self {
            format: FORMAT,
            name: model.name.clone(),
            seed: 1,
            model,
            data: Data {
                name: String::new(),
                folder: None,
                labels: None,
                multi_label: None,
                limit_train: None,
                val_fraction: None,
                fold: None,
                size: None,
                fit: None,
                channels: None,
                skip_bad: false,
                stream: false,
            },
            augment: None,
            training: Training {
                epochs: 10.0,
                batch_size: 64,
                reduction: Reduction::Mean,
                sync_batch_norm: false,
                drop_last: false,
                label_smoothing: 0.0,
                accumulate: 1,
                focal: 0.0,
                class_weights: None,
                sampler: Sampler::Shuffled,
                ema: None,
                tta: None,
                cache_features: None,
                precision: Precision::F32,
                patience: None,
                on_nonfinite: OnNonFinite::Stop,
                lookahead: None,
            },
            optimizer: Optimizer::adam(0.001),
            schedule: Schedule::default(),
        }
    }

    /// Sets the features of each hidden layer, for models that have such layers: `mlp`, `cnn` and the autoencoders.
    #[must_use]
    pub fn hidden(mut self, features: impl Into<Vec<usize>>) -> Self {
        self.model.hidden = Some(features.into());
        self
    }

    /// Sets the number of epochs, which may have a fraction.
    #[must_use]
    pub fn epochs(mut self, epochs: impl Into<f64>) -> Self {
        self.training.epochs = epochs.into();
        self
    }

    /// Sets the number of images in a batch.
    #[must_use]
    pub fn batch_size(mut self, images: usize) -> Self {
        self.training.batch_size = images;
        self
    }

    /// The optimizer with all its numbers: [`Optimizer::sgd`], [`Optimizer::sgd_momentum`], [`Optimizer::adam`],
    /// [`Optimizer::adamw`]. Call it before [`Recipe::learning_rate`] and [`Recipe::weight_decay`], which change its numbers.
    #[must_use]
    pub fn optimizer(mut self, optimizer: Optimizer) -> Self {
        self.optimizer = optimizer;
        self
    }

    /// Sets the optimizer's learning rate, which the schedule multiplies by a factor.
    #[must_use]
    pub fn learning_rate(mut self, rate: f64) -> Self {
        self.optimizer.learning_rate = rate;
        self
    }

    /// Sets the optimizer's weight decay. Biases and the parameters of batch norms have none.
    #[must_use]
    pub fn weight_decay(mut self, decay: f64) -> Self {
        self.optimizer.weight_decay = decay;
        self
    }

    /// Sets how the learning rate changes: a [`ScheduleForm`](crate::optim::ScheduleForm), or a [`Schedule`] with warm-up.
    #[must_use]
    pub fn schedule(mut self, schedule: impl Into<Schedule>) -> Self {
        self.schedule = schedule.into();
        self
    }

    /// Sets augmentation and normalisation of the images.
    #[must_use]
    pub fn augment(mut self, augment: Augment) -> Self {
        self.augment = Some(augment);
        self
    }

    /// Sets the share of the target that is spread evenly over all classes, from 0 to below 1.
    #[must_use]
    pub fn label_smoothing(mut self, share: f32) -> Self {
        self.training.label_smoothing = share;
        self
    }

    /// Sets the seed of all random numbers.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Keeps an exponential moving average of the weights with this decay, from 0 to below 1. Evaluation and prediction then use
    /// the average.
    #[must_use]
    pub fn ema(mut self, decay: f64) -> Self {
        self.training.ema = Some(decay);
        self
    }

    /// Trains with [`Lookahead`].
    #[must_use]
    pub fn lookahead(mut self, lookahead: Lookahead) -> Self {
        self.training.lookahead = Some(lookahead);
        self
    }

    /// Averages the logits of several views of an image in evaluation and prediction.
    #[must_use]
    pub fn tta(mut self, views: Tta) -> Self {
        self.training.tta = Some(views);
        self
    }

    /// Ends training after this many epochs without a better result on the validation split.
    #[must_use]
    pub fn patience(mut self, epochs: u32) -> Self {
        self.training.patience = Some(epochs);
        self
    }

    /// Sets what is done with a step after which a number is not finite. The default is [`OnNonFinite::Stop`].
    #[must_use]
    pub fn on_nonfinite(mut self, reaction: OnNonFinite) -> Self {
        self.training.on_nonfinite = reaction;
        self
    }

    /// Leaves out the last batch of an epoch if it is not full.
    #[must_use]
    pub fn drop_last(mut self) -> Self {
        self.training.drop_last = true;
        self
    }

    /// A trainer on the CPU.
    ///
    /// # Errors
    /// As [`Trainer::new`].
    pub fn trainer(self, dataset: &Dataset) -> Result<Trainer> {
        self.trainer_on(Engine::cpu(), dataset)
    }

    /// A trainer on an engine, such as a GPU.
    ///
    /// # Errors
    /// As [`Trainer::new`].
    pub fn trainer_on(self, engine: Engine, dataset: &Dataset) -> Result<Trainer> {
        Trainer::new(engine, self, dataset, TrainerOptions::default())
    }

    /// A trainer on an engine for a model that the program has built. The model may contain the program's own layers.
    ///
    /// # Errors
    /// As [`Trainer::with_model`].
    pub fn trainer_of(self, model: Model, engine: Engine, dataset: &Dataset) -> Result<Trainer> {
        Trainer::with_model(engine, (self, model), dataset, TrainerOptions::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::glyphs;
    use crate::optim::ScheduleForm;

    #[test]
    fn setters_are_the_fields_of_the_file() {
        let recipe = Recipe::new("mlp")
            .epochs(3)
            .batch_size(5)
            .optimizer(Optimizer::sgd_momentum(0.5, 0.9))
            .learning_rate(0.25)
            .weight_decay(0.125)
            .schedule(ScheduleForm::Cosine { floor: 0.0 })
            .augment(Augment::default())
            .label_smoothing(0.5)
            .seed(9)
            .ema(0.75)
            .tta(Tta::Flip)
            .patience(2)
            .drop_last();
        let text = recipe.to_toml().expect("text");
        for line in [
            "epochs = 3",
            "batch_size = 5",
            "name = \"sgd\"",
            "momentum = 0.9",
            "learning_rate = 0.25",
            "weight_decay = 0.125",
            "kind = \"cosine\"",
            "[augment]",
            "label_smoothing = 0.5",
            "seed = 9",
            "ema = 0.75",
            "tta = \"flip\"",
            "patience = 2",
            "drop_last = true",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert_eq!(Recipe::parse(&text, "it").expect("a recipe"), recipe);
    }

    #[test]
    fn what_cannot_train_is_an_error_before_anything_is_trained() {
        let dataset = glyphs::dataset();
        let own = || Recipe::new("mlp");
        for (recipe, part) in [
            (own().epochs(0), "0 epochs"),
            (own().batch_size(0), "batch size"),
            (own().learning_rate(0.0), "learning rate"),
            (own().learning_rate(f64::NAN), "learning rate"),
            (own().weight_decay(-1.0), "weight decay"),
            (own().optimizer(Optimizer::sgd_momentum(0.1, 1.0)), "Momentum"),
            (own().schedule(ScheduleForm::Cosine { floor: 2.0 }), "floor"),
            (own().label_smoothing(1.0), "label smoothing"),
            (own().ema(1.0), "(ema)"),
            (own().patience(0), "patience"),
            (own().seed(u64::MAX), "seed"),
            (Recipe::new("mpl"), "`mlp`"),
        ] {
            let sentence = recipe.trainer(&dataset).expect_err("refused").to_string();
            assert!(sentence.contains(part), "{sentence}");
        }
    }
}
