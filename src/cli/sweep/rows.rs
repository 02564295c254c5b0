//! What the directory of a run says of its result: a row of the table.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::Value;

use super::runner::{Job, of_another_recipe};
use crate::Result;
use crate::report::{Settings, flat};
use crate::runs::RunDirectory;
use crate::train::{EpochLine, Recipe, Summary};

/// A row of the table: one run.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SweepRow {
    pub run: PathBuf,
    pub lr: f64,
    pub batch_size: usize,
    pub hidden: Option<Vec<usize>>,
    pub seed: u64,
    pub epochs: u32,
    pub train_loss: Option<f64>,
    pub train_accuracy: Option<f64>,
    pub val_loss: Option<f64>,
    pub val_accuracy: Option<f64>,
    /// Validation PSNR in dB, for an autoencoder.
    pub val_psnr: Option<f64>,
    pub test_accuracy: Option<f64>,
    /// Test PSNR in dB, for an autoencoder.
    pub test_psnr: Option<f64>,
    /// Mean average precision on the validation split, with several labels an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_map: Option<f64>,
    /// Mean average precision on the test split, with several labels an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_map: Option<f64>,
    pub seconds: Option<f64>,
    /// Whether the loss or a weight became infinite or NaN; then there are no results.
    pub diverged: bool,
    /// Whether the search gave the run up before its last epoch.
    pub dropped: bool,
    /// The hash of the last epoch's weights.
    pub weights_hash: Option<String>,
    /// The values of the tried keys; null for a key that is left out.
    pub settings: BTreeMap<String, Option<Value>>,
    /// All settings of the recipe.
    #[serde(skip)]
    pub all: Settings,
    /// The number of its setting.
    #[serde(skip)]
    pub candidate: usize,
}

/// What runs are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    ValAccuracy,
    ValMap,
    ValPsnr,
    /// Smaller is better.
    ValLoss,
    /// Smaller is better.
    TrainLoss,
}

impl SweepRow {
    /// The row of a run that has ended. `None` if it has not.
    ///
    /// # Errors
    /// When the directory holds another run, or is damaged.
    pub fn ended(job: &Job) -> Result<Option<Self>> {
        let Some(run) = directory(job)? else { return Ok(None) };
        if let Some(summary) = run.summary()? {
            return Self::of(job).map(|row| Some(row.with_summary(&summary)));
        }
        match run.diverged()? {
            Some(_) => Self::of(job).map(|row| Some(Self { diverged: true, ..row })),
            None => Ok(None),
        }
    }

    /// The row of a run after so many epochs, or fewer if it has ended before. `None` if it does not have them.
    ///
    /// # Errors
    /// As [`SweepRow::ended`].
    pub fn after(job: &Job, epochs: u32) -> Result<Option<Self>> {
        let Some(run) = directory(job)? else { return Ok(None) };
        let lines = run.metrics()?;
        let line = lines.iter().find(|line| line.epoch == epochs);
        // A run that diverged later was good then: a sweep that is resumed chooses as before.
        if line.is_none() && run.diverged()?.is_some() {
            return Self::ended(job);
        }
        let is_over = run.summary()?.is_some();
        let Some(line) = line.or_else(|| lines.last().filter(|_| is_over)) else { return Ok(None) };
        let seconds = lines.iter().filter(|other| other.epoch <= line.epoch).map(|line| line.seconds).sum();
        Self::of(job).map(|row| Some(Self { seconds: Some(seconds), ..row.with_line(line) }))
    }

    /// A row without results.
    pub fn of(job: &Job) -> Result<Self> {
        let Job { recipe, path, settings, candidate } = job;
        Ok(Self {
            run: path.clone(),
            lr: recipe.optimizer.learning_rate,
            batch_size: recipe.training.batch_size,
            hidden: recipe.model.hidden.clone(),
            seed: recipe.seed,
            epochs: recipe.training.begun_epochs(),
            train_loss: None,
            train_accuracy: None,
            val_loss: None,
            val_accuracy: None,
            val_psnr: None,
            test_accuracy: None,
            test_psnr: None,
            val_map: None,
            test_map: None,
            seconds: None,
            diverged: false,
            dropped: false,
            weights_hash: None,
            settings: settings.iter().map(|setting| (setting.key.clone(), setting.value.clone())).collect(),
            all: flat(recipe)?,
            candidate: *candidate,
        })
    }

    fn with_summary(self, summary: &Summary) -> Self {
        Self {
            epochs: summary.epochs,
            train_loss: Some(summary.train_loss),
            train_accuracy: summary.train_accuracy,
            val_loss: summary.val_loss,
            val_accuracy: summary.val_accuracy,
            val_psnr: summary.val_psnr,
            test_accuracy: summary.test_accuracy,
            test_psnr: summary.test_psnr,
            val_map: summary.val_map,
            test_map: summary.test_map,
            seconds: Some(summary.seconds),
            weights_hash: Some(summary.weights_hash.clone()),
            ..self
        }
    }

    fn with_line(self, line: &EpochLine) -> Self {
        Self {
            epochs: line.epoch,
            train_loss: Some(line.train_loss),
            train_accuracy: line.train_accuracy,
            val_loss: line.val_loss,
            val_accuracy: line.val_accuracy,
            val_psnr: line.val_psnr,
            val_map: line.val_map,
            ..self
        }
    }

    /// The value that rows are compared by, of which larger ones are better, and what it is. `None` for a run that diverged.
    pub fn score(&self) -> Option<(Measure, f64)> {
        let figures = [
            (Measure::ValAccuracy, self.val_accuracy),
            (Measure::ValMap, self.val_map),
            (Measure::ValPsnr, self.val_psnr),
            (Measure::ValLoss, self.val_loss.map(|loss| -loss)),
            (Measure::TrainLoss, self.train_loss.map(|loss| -loss)),
        ];
        figures.into_iter().find_map(|(measure, value)| Some((measure, value?)))
    }

    /// The score as a number: the smallest of all for a run that diverged.
    pub fn value(&self) -> f64 {
        self.score().map_or(f64::NEG_INFINITY, |(_, value)| value)
    }
}

/// The directory of a job's run. `None` if there is none yet.
fn directory(job: &Job) -> Result<Option<RunDirectory>> {
    let Ok(run) = RunDirectory::open(&job.path) else { return Ok(None) };
    match is_of(run.recipe()?, &job.recipe) {
        true => Ok(Some(run)),
        false => Err(of_another_recipe(&job.path)),
    }
}

/// Whether a run's recipe is the one of a job, whose images and pretrained weights were not looked for.
fn is_of(run: Recipe, job: &Recipe) -> bool {
    let mut wanted = job.clone();
    (wanted.data.name, wanted.data.folder) = (run.data.name.clone(), run.data.folder.clone());
    if wanted.data.labels.is_some() {
        (wanted.data.labels, wanted.data.multi_label) = (run.data.labels.clone(), run.data.multi_label);
    }
    wanted.model.pretrained_file.clone_from(&run.model.pretrained_file);
    wanted == run
}
