//! The files of a run directory that a report needs.

use std::path::Path;

use crate::data::Dataset;
use crate::runs::RunDirectory;
use crate::train::{Checkpoint, EpochLine, Recipe, Summary};
use crate::{Error, Result};

/// A run, read from its directory.
#[derive(Clone, Debug)]
pub struct LoadedRun {
    /// The run directory.
    pub run: RunDirectory,
    /// The recipe in the directory.
    pub recipe: Recipe,
    /// The metrics of each epoch.
    pub metrics: Vec<EpochLine>,
    /// The summary; none when the run has not ended.
    pub summary: Option<Summary>,
    /// The checkpoint whose weights are reported: the best epoch's, or the last one.
    pub checkpoint: Option<Checkpoint>,
    /// Whether `gpunn import` made the run, so that there was no training.
    pub imported: bool,
    /// Whether the recipe is the one that the weights were trained with. It is not known for weights of other programs.
    pub has_recipe: bool,
    /// What is missing, each as a sentence.
    pub left_out: Vec<String>,
}

impl LoadedRun {
    /// Reads a run directory, with the best epoch's checkpoint or with `last` the last one.
    ///
    /// # Errors
    /// When the directory is not a run, the run was interrupted in its first epoch, or a file is damaged or from a newer
    /// version.
    pub fn read(path: &Path, last: bool) -> Result<Self> {
        let run = RunDirectory::open(path)?;
        let recipe = run.recipe()?;
        let checkpoint = match (run.has_best() && !last, run.has_last()) {
            (true, _) => Some(run.best()?),
            (false, true) => Some(run.last()?),
            (false, false) => None,
        };
        let metrics = if run.has_metrics() { run.metrics()? } else { Vec::new() };
        let untrained =
            metrics.is_empty() && checkpoint.as_ref().is_none_or(|checkpoint| checkpoint.counters.epoch == 0);
        // `gpunn import` also writes best.safetensors; a run without a finished epoch has none.
        let imported = untrained && checkpoint.is_some() && run.has_best();
        if untrained && !imported {
            let path = path.display();
            let advice = match checkpoint {
                Some(_) => format!("Resume it first: gpunn train --resume {path}."),
                None => "Train it again from the start.".into(),
            };
            return Err(Error::usage(format!(
                "The run {path} has nothing to report: it was interrupted in its first epoch. {advice}"
            )));
        }
        let has_recipe = match run.imported_from()? {
            Some(from) => from.has_recipe || !imported,
            None => !imported,
        };
        let summary = run.summary()?;
        let lacks = [
            (imported, "There are no training metrics: the weights were imported."),
            (metrics.is_empty() && !imported, "There are no curves: the run has no metrics.jsonl."),
            (
                summary.is_none() && !imported,
                "The test results and the training device are unknown: the run has no summary.json, because it has not ended.",
            ),
            (
                checkpoint.is_none(),
                "Everything that needs the weights is left out: the run has neither best.safetensors nor last.safetensors.",
            ),
        ];
        let left_out = lacks.into_iter().filter(|(lacks, _)| *lacks).map(|(_, sentence)| sentence.to_owned()).collect();
        Ok(Self { run, recipe, metrics, summary, checkpoint, imported, has_recipe, left_out })
    }

    /// The run's dataset, and what changed in its files since the run began. If it cannot be loaded, the sentence that says why.
    pub fn dataset(&self, data_dir: Option<&Path>) -> std::result::Result<(Dataset, Option<String>), String> {
        let recipe = self.checkpoint.as_ref().map_or(&self.recipe, |checkpoint| &checkpoint.recipe);
        let loaded = self.run.load_data(&mut recipe.clone(), data_dir).map_err(|error| error.to_string())?;
        if let Some(checkpoint) = &self.checkpoint {
            checkpoint.check_shape(&loaded.0).map_err(|error| error.to_string())?;
        }
        Ok(loaded)
    }

    /// The epoch whose weights are in `best.safetensors`, counted from 1. `None` for imported weights.
    pub fn best_epoch(&self) -> Option<u32> {
        let of_checkpoint = || self.checkpoint.as_ref()?.counters.best_epoch;
        self.summary.as_ref().and_then(|summary| summary.best_epoch).or_else(of_checkpoint)
    }

    /// The run's name: the name of its directory.
    pub fn name(&self) -> String {
        let path = std::fs::canonicalize(self.run.path()).unwrap_or_else(|_| self.run.path().to_owned());
        path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
    }

    /// The shell command that repeats the training.
    pub fn command(&self) -> String {
        let recipe = self.run.path().join("recipe.toml");
        let device = self.summary.as_ref().map_or(String::new(), |summary| format!(" --device {}", summary.executor));
        let folder = self.recipe.data.folder.as_ref();
        let folder = folder.map_or(String::new(), |folder| format!(" --data-dir {}", quoted(folder)));
        format!("gpunn train --recipe {}{folder}{device} --out again", quoted(&recipe))
    }
}

/// A path quoted so that a shell reads it as one word.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+:@%".contains(letter);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_one_word_for_a_shell() {
        assert_eq!(quoted(Path::new("runs/a-1")), "runs/a-1");
        assert_eq!(quoted(Path::new("my runs/it's")), "'my runs/it'\\''s'");
    }
}
