//! A run at one moment: the weights by name, the optimizer's state, the running sums of an epoch that was interrupted, the
//! recipe and the counters.

use std::collections::BTreeMap;

use super::metrics::EpochLine;
use super::recipe::Recipe;
use crate::data::Dataset;
use crate::nn::{Parameter, Parameters, Weights};
use crate::{Error, Result};

/// The running sums of an epoch under way, `[3]`.
pub const SUMS: &str = "train.sums";

/// What stands before the names of averaged weights.
pub const AVERAGED: &str = "ema/";

/// How far a run has come.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Counters {
    /// Epochs that are complete.
    pub epoch: u32,
    /// Steps of the next epoch that are done.
    pub step: u32,
    /// Steps of the whole run that are done.
    pub number: u32,
    /// Seconds of the epochs that are complete.
    pub seconds: f64,
    /// Seconds of the epoch under way.
    pub epoch_seconds: f64,
    /// The epoch, from 1, with the best figure so far.
    pub best_epoch: Option<u32>,
    /// That figure: validation accuracy (or minus the loss where there is none), the larger the better.
    pub best_figure: Option<f64>,
    /// The best epoch's validation accuracy.
    pub best_val_accuracy: Option<f64>,
    /// The last complete epoch.
    pub last: Option<EpochLine>,
}

/// A tensor: its axis sizes and values.
pub type Tensor = (Vec<usize>, Vec<f32>);

/// A run at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// What is trained, and how.
    pub recipe: Recipe,
    /// How far it has come.
    pub counters: Counters,
    /// An image's channels, height and width.
    pub input: [usize; 3],
    /// The classes' names.
    pub classes: Vec<String>,
    /// Weights by their own names, their moving average as `ema/NAME`; a state of the optimizer as `STATE/NAME`; [`SUMS`].
    pub tensors: BTreeMap<String, Tensor>,
}

impl Checkpoint {
    /// One that stands before its first step, with these weights, for images and classes.
    pub fn at_start(
        recipe: Recipe,
        (input, classes): ([usize; 3], Vec<String>),
        parameters: &Parameters,
        weights: &Weights,
    ) -> Self {
        let states = recipe.optimizer.states();
        let mut checkpoint = Self { recipe, counters: Counters::default(), input, classes, tensors: BTreeMap::new() };
        checkpoint.put_weights("", parameters, weights);
        if checkpoint.recipe.training.ema.is_some() {
            checkpoint.put_weights(AVERAGED, parameters, weights);
        }
        for state in states {
            checkpoint.put_state(state, parameters, &vec![0.0; parameters.updated_len()]);
        }
        checkpoint.tensors.insert(SUMS.into(), (vec![3], vec![0.0; 3]));
        checkpoint
    }

    /// Puts all weights under their own names after `prefix`: none, or [`AVERAGED`].
    pub fn put_weights(&mut self, prefix: &str, parameters: &Parameters, weights: &Weights) {
        self.put(prefix, parameters.iter(), &weights.learned);
        self.put(prefix, parameters.statistics().iter(), &weights.statistics);
    }

    /// The weights that [`Checkpoint::put_weights`] put under `prefix`.
    ///
    /// # Errors
    /// When a tensor is missing or of another shape: the checkpoint is of another model.
    pub fn weights(&self, prefix: &str, parameters: &Parameters) -> Result<Weights> {
        let statistics = parameters.statistics();
        Ok(Weights {
            learned: self.flat(prefix, parameters.iter(), parameters.flat_len())?,
            statistics: self.flat(prefix, statistics.iter(), statistics.flat_len())?,
        })
    }

    /// The weights to measure and to use: the moving average where the run keeps one.
    ///
    /// # Errors
    /// As [`Checkpoint::weights`].
    pub fn weights_in_use(&self, parameters: &Parameters) -> Result<Weights> {
        self.weights(if self.recipe.training.ema.is_some() { AVERAGED } else { "" }, parameters)
    }

    /// Puts an optimizer's state under the names of the parameters that it changes.
    pub fn put_state(&mut self, state: &str, parameters: &Parameters, flat: &[f32]) {
        self.put(&format!("{state}/"), parameters.updated(), flat);
    }

    /// What [`Checkpoint::put_state`] put.
    ///
    /// # Errors
    /// As [`Checkpoint::weights`].
    pub fn state(&self, state: &str, parameters: &Parameters) -> Result<Vec<f32>> {
        self.flat(&format!("{state}/"), parameters.updated(), parameters.updated_len())
    }

    /// Puts what lies in the flat buffer `flat` under each parameter's name after `prefix`.
    fn put<'a>(&mut self, prefix: &str, parameters: impl Iterator<Item = &'a Parameter>, flat: &[f32]) {
        for parameter in parameters {
            let values = flat[parameter.range()].to_vec();
            self.tensors.insert(format!("{prefix}{}", parameter.name), (parameter.shape.dims().to_vec(), values));
        }
    }

    /// The flat buffer of what [`Checkpoint::put`] put under `prefix`; the gaps are 0.
    fn flat<'a>(&self, prefix: &str, parameters: impl Iterator<Item = &'a Parameter>, len: usize) -> Result<Vec<f32>> {
        let mut flat = vec![0.0; len];
        for parameter in parameters {
            let name = format!("{prefix}{}", parameter.name);
            let wanted = &parameter.shape;
            let Some((shape, values)) = self.tensors.get(&name) else {
                return Err(Error::data(format!(
                    "The checkpoint is of another model: it has no tensor `{name}` ({wanted}), which the model {} needs.",
                    self.recipe.model.name
                )));
            };
            if shape.as_slice() != wanted.dims() {
                return Err(Error::data(format!(
                    "The checkpoint is of another model: its `{name}` is {shape:?}, but the model {} needs {:?}.",
                    self.recipe.model.name,
                    wanted.dims()
                )));
            }
            flat[parameter.range()].copy_from_slice(values);
        }
        Ok(flat)
    }

    /// Refuses a data set of other images than it was trained on.
    ///
    /// # Errors
    /// When their shape or the number of classes differs.
    pub fn check_data(&self, dataset: &Dataset) -> Result<()> {
        if (dataset.input, dataset.classes.len()) == (self.input, self.classes.len()) {
            return Ok(());
        }
        Err(Error::usage(format!(
            "The run was trained on images {:?} of {} classes, but {} has {:?} of {}.",
            self.input,
            self.classes.len(),
            dataset.name,
            dataset.input,
            dataset.classes.len()
        )))
    }
}
