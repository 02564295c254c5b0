//! A run at one moment: the weights by name, the optimizer's state, the running sums of an epoch that was interrupted, the
//! recipe and the counters.

use std::collections::BTreeMap;

use super::metrics::EpochLine;
use super::recipe::Recipe;
use crate::data::Dataset;
use crate::nn::{Model, Parameter, Parameters, Weights};
use crate::{Error, Result};

/// The tensor of the running sums of an incomplete epoch, `[3]`.
pub const SUMS: &str = "train.sums";

/// The prefix of the names of averaged weights.
pub const AVERAGED: &str = "ema/";
/// The prefix of the names of Lookahead's slow weights.
pub const SLOW: &str = "lookahead/";

/// The progress of a run.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Counters {
    /// The number of complete epochs.
    pub epoch: u32,
    /// The number of complete steps of the next epoch.
    pub step: u32,
    /// The number of complete steps of the whole run.
    pub number: u32,
    /// The duration of all complete epochs, in seconds.
    pub seconds: f64,
    /// The time spent on the next epoch so far, in seconds.
    pub epoch_seconds: f64,
    /// The best epoch so far, counted from 1: the last one whose validation accuracy is at most a standard error below the highest.
    /// With several labels an image the last epoch with the highest figure; for an autoencoder and without a validation split the first.
    pub best_epoch: Option<u32>,
    /// The highest figure of an epoch: the accuracy on the validation split, with several labels an image the mean average precision, or for
    /// an autoencoder the signal-to-noise ratio in dB.
    /// Without a validation split it is minus the training loss.
    pub best_figure: Option<f64>,
    /// The first epoch with the highest figure, counted from 1, from which the patience counts. `None` in checkpoints of earlier
    /// versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub highest_epoch: Option<u32>,
    /// The best epoch's validation accuracy.
    pub best_val_accuracy: Option<f64>,
    /// The number of steps that were left out, because numbers were not finite after them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped: u32,
    /// How often the learning rate was halved, because numbers were not finite.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub halved: u32,
    /// The metrics of the last complete epoch.
    pub last: Option<EpochLine>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A tensor: its shape and values.
pub type Tensor = (Vec<usize>, Vec<f32>);

/// A run at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The recipe of the run.
    pub recipe: Recipe,
    /// The progress of the run.
    pub counters: Counters,
    /// An image's channels, height and width.
    pub input: [usize; 3],
    /// The class names in index order.
    pub classes: Vec<String>,
    /// Weights by their own names, their moving average as `ema/NAME`, Lookahead's slow weights as `lookahead/NAME`; a state of the optimizer as `STATE/NAME`; [`SUMS`].
    pub tensors: BTreeMap<String, Tensor>,
}

/// The parameter or statistic whose value in use a tensor of a checkpoint holds, by the tensor's name: the moving average if the run has one
/// (`averaged`), else the plain weight. `None` for states of the optimizer, sums, and other copies of the weights.
pub fn weight_in_use(tensor: &str, averaged: bool) -> Option<&str> {
    match averaged {
        true => tensor.strip_prefix(AVERAGED),
        false => Some(tensor).filter(|name| !name.contains('/') && *name != SUMS),
    }
}

impl Checkpoint {
    /// A checkpoint before the first step, with these weights, for images of shape `input` and these classes.
    pub fn at_start(
        recipe: Recipe,
        (input, classes): ([usize; 3], Vec<String>),
        parameters: &Parameters,
        weights: &Weights,
    ) -> Self {
        let states = recipe.optimizer.states(recipe.training.accumulate > 1);
        let mut checkpoint = Self { recipe, counters: Counters::default(), input, classes, tensors: BTreeMap::new() };
        checkpoint.put_weights("", parameters, weights);
        for copy in super::graphs::copies(&checkpoint.recipe) {
            checkpoint.put_weights(copy.prefix, parameters, weights);
        }
        for state in states {
            checkpoint.put_state(state, parameters, &vec![0.0; parameters.updated_len()]);
        }
        checkpoint.tensors.insert(SUMS.into(), (vec![3], vec![0.0; 3]));
        checkpoint
    }

    /// Whether all its numbers are finite: weights, the optimizer's state and the running sums.
    pub fn is_finite(&self) -> bool {
        // Without an early end within a piece, a compiler can compare several numbers at once.
        let piece = |values: &[f32]| values.iter().fold(true, |finite, value| finite & value.is_finite());
        self.tensors.values().all(|(_, values)| values.chunks(4096).all(piece))
    }

    /// Stores all weights under their names with a prefix: the empty string, [`AVERAGED`] or [`SLOW`].
    pub fn put_weights(&mut self, prefix: &str, parameters: &Parameters, weights: &Weights) {
        self.put(prefix, parameters.iter(), &weights.learned);
        self.put(prefix, parameters.statistics().iter(), &weights.statistics);
    }

    /// The weights that [`Checkpoint::put_weights`] stored with this prefix.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape, because the checkpoint belongs to another model.
    pub fn weights(&self, prefix: &str, parameters: &Parameters) -> Result<Weights> {
        let statistics = parameters.statistics();
        Ok(Weights {
            learned: self.flat(prefix, parameters.iter(), parameters.flat_len())?,
            statistics: self.flat(prefix, statistics.iter(), statistics.flat_len())?,
        })
    }

    /// The weights for evaluation and prediction: the moving average if the run has one.
    ///
    /// # Errors
    /// As [`Checkpoint::weights`].
    pub fn weights_in_use(&self, parameters: &Parameters) -> Result<Weights> {
        self.weights(self.prefix_in_use(), parameters)
    }

    /// The prefix of the names of [`Checkpoint::weights_in_use`].
    fn prefix_in_use(&self) -> &'static str {
        if self.recipe.training.ema.is_some() { AVERAGED } else { "" }
    }

    /// Puts an optimizer's state under the names of the parameters that it changes.
    pub fn put_state(&mut self, state: &str, parameters: &Parameters, flat: &[f32]) {
        self.put(&format!("{state}/"), parameters.updated(), flat);
    }

    /// The state that [`Checkpoint::put_state`] stored.
    ///
    /// # Errors
    /// As [`Checkpoint::weights`].
    pub fn state(&self, state: &str, parameters: &Parameters) -> Result<Vec<f32>> {
        self.flat(&format!("{state}/"), parameters.updated(), parameters.updated_len())
    }

    /// Stores the values of each parameter in the flat buffer `flat` under the parameter's name with a prefix.
    fn put<'a>(&mut self, prefix: &str, parameters: impl Iterator<Item = &'a Parameter>, flat: &[f32]) {
        for parameter in parameters {
            let values = flat[parameter.range()].to_vec();
            self.tensors.insert(format!("{prefix}{}", parameter.name), (parameter.shape.dims().to_vec(), values));
        }
    }

    /// The flat buffer of the values that [`Checkpoint::put`] stored with this prefix. Gaps between parameters are 0.
    fn flat<'a>(&self, prefix: &str, parameters: impl Iterator<Item = &'a Parameter>, len: usize) -> Result<Vec<f32>> {
        // The lengths come from a recipe, which may be wrong. So nothing is allocated before all tensors are known to have them.
        let stored = parameters.map(|parameter| Ok((parameter.range(), self.stored(prefix, parameter)?)));
        let stored = stored.collect::<Result<Vec<_>>>()?;
        let mut flat = vec![0.0; len];
        for (range, values) in stored {
            flat[range].copy_from_slice(values);
        }
        Ok(flat)
    }

    /// The values of a parameter, which [`Checkpoint::put`] stored with this prefix.
    fn stored(&self, prefix: &str, parameter: &Parameter) -> Result<&[f32]> {
        let (name, wanted) = (format!("{prefix}{}", parameter.name), &parameter.shape);
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
        Ok(values)
    }

    /// Builds the network that the recipe names.
    ///
    /// # Errors
    /// When the recipe is invalid, or the checkpoint's weights in use are those of another network.
    pub fn model(&self) -> Result<Model> {
        let model = self.recipe.build_model(self.input, self.classes.len())?;
        let prefix = self.prefix_in_use();
        let parameters = model.parameters();
        parameters
            .iter()
            .chain(parameters.statistics().iter())
            .try_for_each(|parameter| self.stored(prefix, parameter).map(|_| ()))?;
        Ok(model)
    }

    /// Checks that a dataset has the image shape and the classes of the checkpoint.
    ///
    /// # Errors
    /// [`Error::Usage`] when one of them differs. The message names the classes that were added and removed.
    pub fn check_data(&self, dataset: &Dataset) -> Result<()> {
        self.check_shape(dataset)?;
        self.check_labels(dataset)?;
        match class_difference(&self.classes, &dataset.classes) {
            None => Ok(()),
            Some(difference) => Err(Error::usage(format!(
                "The classes of {} are not those of the run: {difference}. Rename the folders as they were, or train a new run.",
                dataset.name
            ))),
        }
    }

    /// Checks that an image of a dataset has as many labels as for the checkpoint: one, or any number.
    ///
    /// # Errors
    /// [`Error::Usage`] when it has not.
    fn check_labels(&self, dataset: &Dataset) -> Result<()> {
        let says = |several: bool| if several { "any number of labels" } else { "one label" };
        let (run, now) = (self.recipe.data.is_multi_label(), dataset.sets.is_some());
        if run == now {
            return Ok(());
        }
        let hint = if run { " Name a file with them (--labels)." } else { "" };
        Err(Error::usage(format!(
            "The run was trained on images with {}, but those of {} have {}.{hint}",
            says(run),
            dataset.name,
            says(now)
        )))
    }

    /// What distinguishes the images and classes of another checkpoint from those of this one, without a full stop. `None` if nothing
    /// does, so that the probabilities of the two networks can be averaged.
    pub fn difference(&self, other: &Self) -> Option<String> {
        if self.input != other.input {
            let (other, own) = (other.input, self.input);
            return Some(format!("its images are {other:?} instead of {own:?} (channels, height, width)"));
        }
        if self.recipe.data.is_multi_label() != other.recipe.data.is_multi_label() {
            return Some("one of them gives an image one label and the other any number".into());
        }
        class_difference(&self.classes, &other.classes).map(|difference| format!("its classes differ: {difference}"))
    }

    /// Checks that a dataset has the image shape of the checkpoint.
    ///
    /// # Errors
    /// [`Error::Usage`] when it has another one.
    pub fn check_shape(&self, dataset: &Dataset) -> Result<()> {
        if dataset.input == self.input {
            return Ok(());
        }
        Err(Error::usage(format!(
            "The run was trained on images {:?}, but {} has {:?} (channels, height, width).",
            self.input, dataset.name, dataset.input
        )))
    }

    /// A dataset with the labels of the checkpoint. Classes are matched by name, so the dataset may have them in another order,
    /// and may have fewer.
    ///
    /// # Errors
    /// [`Error::Usage`] when the image shape differs, or the dataset has a class that the checkpoint does not have.
    pub fn align(&self, mut dataset: Dataset) -> Result<Dataset> {
        self.check_shape(&dataset)?;
        self.check_labels(&dataset)?;
        let place = |name: &String| self.classes.iter().position(|class| class == name);
        let unknown: Vec<&String> = dataset.classes.iter().filter(|name| place(name).is_none()).collect();
        if !unknown.is_empty() {
            return Err(Error::usage(format!(
                "{} has classes that the run does not have: {}. The classes of the run are {}.",
                dataset.name,
                listed(&unknown),
                listed(&self.classes.iter().collect::<Vec<_>>())
            )));
        }
        let places: Vec<u32> = dataset.classes.iter().filter_map(place).map(|place| place as u32).collect();
        if let Some(sets) = &mut dataset.sets {
            *sets = sets.renumbered(&places);
            dataset.classes.clone_from(&self.classes);
            return Ok(dataset);
        }
        for split in [Some(&mut dataset.train), dataset.val.as_mut(), dataset.test.as_mut()].into_iter().flatten() {
            split.labels.iter_mut().for_each(|label| *label = places[*label as usize]);
        }
        dataset.classes.clone_from(&self.classes);
        Ok(dataset)
    }
}

/// What distinguishes the classes of a dataset from those of a run. `None` if nothing does.
fn class_difference(run: &[String], dataset: &[String]) -> Option<String> {
    if run == dataset {
        return None;
    }
    let only = |these: &[String], others: &[String]| -> String {
        listed(&these.iter().filter(|class| !others.contains(class)).collect::<Vec<_>>())
    };
    let (added, removed) = (only(dataset, run), only(run, dataset));
    Some(match (added.is_empty(), removed.is_empty()) {
        (false, false) => format!("new: {added}; missing: {removed} (was a folder renamed?)"),
        (false, true) => format!("new: {added}"),
        (true, false) => format!("missing: {removed}"),
        (true, true) => "their order differs".into(),
    })
}

/// The first names of a list, and how many more there are.
fn listed(names: &[&String]) -> String {
    const MOST: usize = 8;
    let first = names.iter().take(MOST).map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
