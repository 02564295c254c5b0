//! What a run left that a report is drawn from.

use std::path::Path;

use crate::data::Dataset;
use crate::nn::Model;
use crate::runs::RunDirectory;
use crate::train::{Checkpoint, EpochLine, Recipe, Summary};
use crate::{Error, Result};

/// A run as its directory has it.
#[derive(Clone, Debug)]
pub struct Material {
    /// Where it is.
    pub run: RunDirectory,
    /// What was asked.
    pub recipe: Recipe,
    /// An epoch each.
    pub metrics: Vec<EpochLine>,
    /// How it ended; none where it has not.
    pub summary: Option<Summary>,
    /// The last epoch's weights.
    pub checkpoint: Option<Checkpoint>,
    /// Whether its weights are from elsewhere, so that there was no training.
    pub imported: bool,
    /// What is not there, each as a sentence.
    pub left_out: Vec<String>,
}

impl Material {
    /// Reads a run directory.
    ///
    /// # Errors
    /// When it is no run, was cut off in its first epoch, or a file in it is damaged or of a newer version.
    pub fn read(path: &Path) -> Result<Self> {
        let run = RunDirectory::open(path)?;
        let recipe = run.recipe()?;
        let checkpoint = if run.has_last() { Some(run.last()?) } else { None };
        let metrics = if run.has_metrics() { run.metrics()? } else { Vec::new() };
        let untrained =
            metrics.is_empty() && checkpoint.as_ref().is_none_or(|checkpoint| checkpoint.counters.epoch == 0);
        // The weights of a run that `import` made are its best as well.
        let imported = untrained && checkpoint.is_some() && run.has_best();
        if untrained && !imported {
            let path = path.display();
            let advice = match checkpoint {
                Some(_) => format!("Go on with it first: gpunn train --resume {path}."),
                None => "Train it anew.".into(),
            };
            return Err(Error::usage(format!(
                "The run {path} has nothing to report yet: it was cut off in its first epoch. {advice}"
            )));
        }
        let summary = run.summary()?;
        let lacks = [
            (imported, "There is nothing of a training: the weights were imported."),
            (metrics.is_empty() && !imported, "There are no curves: the run has no metrics.jsonl."),
            (
                summary.is_none() && !imported,
                "The test figures and the device are not known: the run has no summary.json, as it has not ended.",
            ),
            (checkpoint.is_none(), "What is drawn from weights is left out: the run has no last.safetensors."),
        ];
        let left_out = lacks.into_iter().filter(|(lacks, _)| *lacks).map(|(_, sentence)| sentence.to_owned()).collect();
        Ok(Self { run, recipe, metrics, summary, checkpoint, imported, left_out })
    }

    /// The network of the checkpoint.
    ///
    /// # Errors
    /// When the recipe makes none.
    pub fn model(checkpoint: &Checkpoint) -> Result<Model> {
        checkpoint.recipe.build_model(checkpoint.input, checkpoint.classes.len())
    }

    /// Its data set, where it is still found; else the sentence that says why not.
    pub fn dataset(&self, data_dir: Option<&Path>) -> std::result::Result<Dataset, String> {
        let recipe = self.checkpoint.as_ref().map_or(&self.recipe, |checkpoint| &checkpoint.recipe);
        recipe.clone().load_data(data_dir).map_err(|error| error.to_string())
    }

    /// The run's name: that of its directory.
    pub fn name(&self) -> String {
        let path = std::fs::canonicalize(self.run.path()).unwrap_or_else(|_| self.run.path().to_owned());
        path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
    }

    /// The command that repeats it, for a shell.
    pub fn command(&self) -> String {
        let recipe = self.run.path().join("recipe.toml");
        let device = self.summary.as_ref().map_or(String::new(), |summary| format!(" --device {}", summary.executor));
        let folder = self.recipe.data.folder.as_ref();
        let folder = folder.map_or(String::new(), |folder| format!(" --data-dir {}", quoted(folder)));
        format!("gpunn train --recipe {}{folder}{device} --out again", quoted(&recipe))
    }
}

/// A path as a shell takes it for one word.
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
