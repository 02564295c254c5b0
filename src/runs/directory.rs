//! Run directories: everything needed to repeat, resume, measure and plot a run.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::events::Events;
use crate::files::write_whole;
use crate::train::{Checkpoint, EpochLine, Recipe, Summary};
use crate::{Error, Result};

const RECIPE: &str = "recipe.toml";
const METRICS: &str = "metrics.jsonl";
const LAST: &str = "last.safetensors";
const BEST: &str = "best.safetensors";
const SUMMARY: &str = "summary.json";
const OUTCOMES: &str = "outcomes.json";
/// The page of [`crate::report`].
pub(crate) const REPORT: &str = "report.html";
/// The folder of the page's images as files.
pub(crate) const PLOTS: &str = "plots";
const TENSORBOARD: &str = "tensorboard";

/// A run's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDirectory {
    path: PathBuf,
}

impl RunDirectory {
    /// Whether a new run may go there: nothing is there, or an empty folder, or `force` says to use it again.
    ///
    /// # Errors
    /// [`Error::Usage`] that says what to do; nothing is written.
    pub fn check(path: &Path, force: bool) -> Result<()> {
        let refuse = |what: &str| {
            Err(Error::usage(format!(
                "{} {what}. Choose another --out, go on with it by --resume {}, or overwrite it by --force.",
                path.display(),
                path.display()
            )))
        };
        match std::fs::read_dir(path) {
            Ok(mut entries) => match entries.next() {
                Some(_) if !force => refuse("is in use already"),
                _ => Ok(()),
            },
            Err(_) if path.exists() => {
                Err(Error::usage(format!("{} is no folder; choose another --out.", path.display())))
            }
            Err(_) => Ok(()),
        }
    }

    /// Makes the directory of a new run. With `force`, an earlier run's files there go.
    ///
    /// # Errors
    /// As [`RunDirectory::check`], and when the system refuses.
    pub fn create(path: &Path, recipe: &Recipe, force: bool) -> Result<Self> {
        Self::check(path, force)?;
        let text = recipe.to_toml()?;
        std::fs::create_dir_all(path).map_err(Error::file("cannot make the run directory", path))?;
        // Before anything goes, so that a directory that cannot be written keeps what it has.
        let run = Self { path: path.to_owned() };
        write_whole(&run.path.join(RECIPE), text.as_bytes())?;
        for name in [LAST, BEST, SUMMARY, OUTCOMES, REPORT] {
            remove(&run.path.join(name), |path| std::fs::remove_file(path))?;
        }
        for name in [PLOTS, TENSORBOARD] {
            remove(&run.path.join(name), |path| std::fs::remove_dir_all(path))?;
        }
        write_whole(&run.path.join(METRICS), b"")?;
        Ok(run)
    }

    /// The directory of a run that was begun.
    ///
    /// # Errors
    /// When it is not there or holds no run.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            return Err(Error::usage(format!("There is no run directory {}.", path.display())));
        }
        if !path.join(RECIPE).is_file() {
            return Err(Error::usage(format!("{} holds no run: there is no {RECIPE} in it.", path.display())));
        }
        Ok(Self { path: path.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// The recipe that was run.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn recipe(&self) -> Result<Recipe> {
        Recipe::read(&self.path.join(RECIPE))
    }
    /// Writes the recipe anew, as when a run is resumed for more epochs.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write_recipe(&self, recipe: &Recipe) -> Result<()> {
        write_whole(&self.path.join(RECIPE), recipe.to_toml()?.as_bytes())
    }
    /// The checkpoint of the last epoch, or of where it was interrupted.
    ///
    /// # Errors
    /// When there is none yet, or it is damaged.
    pub fn last(&self) -> Result<Checkpoint> {
        self.checkpoint(LAST)
    }
    /// The checkpoint of the best epoch.
    ///
    /// # Errors
    /// When there is none yet, or it is damaged.
    pub fn best(&self) -> Result<Checkpoint> {
        self.checkpoint(BEST)
    }
    fn checkpoint(&self, name: &str) -> Result<Checkpoint> {
        let path = self.path.join(name);
        if !path.is_file() {
            return Err(Error::usage(format!(
                "The run {} has no checkpoint {name}: it ended before its first epoch did. Train it anew.",
                self.path.display()
            )));
        }
        Checkpoint::read(&path)
    }
    /// Replaces the last checkpoint.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write_last(&self, checkpoint: &Checkpoint) -> Result<()> {
        checkpoint.write(&self.path.join(LAST))
    }
    /// Replaces the best checkpoint.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write_best(&self, checkpoint: &Checkpoint) -> Result<()> {
        checkpoint.write(&self.path.join(BEST))
    }

    /// Adds an epoch to the metrics.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn append(&self, line: &EpochLine) -> Result<()> {
        use std::io::Write;
        let path = self.path.join(METRICS);
        let text = serde_json::to_string(line).map_err(|error| Error::data(format!("an epoch's line: {error}")))?;
        let file = std::fs::OpenOptions::new().append(true).create(true).open(&path);
        let mut file = file.map_err(Error::file("cannot open", &path))?;
        file.write_all(format!("{text}\n").as_bytes()).map_err(Error::file("cannot write", &path))
    }

    /// The metrics of all epochs.
    ///
    /// # Errors
    /// When they cannot be read or a line is damaged.
    pub fn metrics(&self) -> Result<Vec<EpochLine>> {
        let path = self.path.join(METRICS);
        let text = std::fs::read_to_string(&path).map_err(Error::file("cannot read", &path))?;
        let parse = |(number, line): (usize, &str)| {
            serde_json::from_str(line)
                .map_err(|error| Error::data(format!("{}, line {}: {error}.", path.display(), number + 1)))
        };
        text.lines().enumerate().map(parse).collect()
    }

    /// Cuts the metrics back to the first `epochs`, as when a run goes on from a checkpoint older than they are.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn cut_metrics(&self, epochs: u32) -> Result<()> {
        let path = self.path.join(METRICS);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Error::file("cannot read", &path)(error)),
        };
        let kept: String = text.split_inclusive('\n').take(epochs as usize).collect();
        if kept.len() == text.len() { Ok(()) } else { write_whole(&path, kept.as_bytes()) }
    }

    /// The summary; none where the run has not ended.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn summary(&self) -> Result<Option<Summary>> {
        let path = self.path.join(SUMMARY);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("cannot read", &path)(error)),
        };
        let damaged = |error| Error::data(format!("{} is no summary of a run: {error}.", path.display()));
        serde_json::from_str(&text).map(Some).map_err(damaged)
    }

    /// Where its reports keep what the network made of each image of a split.
    pub fn outcomes(&self) -> PathBuf {
        self.path.join(OUTCOMES)
    }
    /// Whether metrics are there.
    pub fn has_metrics(&self) -> bool {
        self.path.join(METRICS).is_file()
    }
    /// Whether a checkpoint of the best epoch, or of weights that were imported, is there.
    pub fn has_best(&self) -> bool {
        self.path.join(BEST).is_file()
    }
    /// Whether a checkpoint of the last epoch, or of where it was interrupted, is there.
    pub fn has_last(&self) -> bool {
        self.path.join(LAST).is_file()
    }

    /// Begins an event file for TensorBoard, after the epochs that the metrics have.
    ///
    /// # Errors
    /// As [`Events::begin`] and [`RunDirectory::metrics`].
    pub fn events(&self) -> Result<Events> {
        Events::begin(&self.path.join(TENSORBOARD), &self.metrics()?)
    }

    /// Writes the summary.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write_summary(&self, summary: &Summary) -> Result<()> {
        let text = serde_json::to_string_pretty(summary).map_err(|error| Error::data(format!("a summary: {error}")))?;
        write_whole(&self.path.join(SUMMARY), format!("{text}\n").as_bytes())
    }
}

fn remove(path: &Path, how: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    match how(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("cannot remove the earlier run's", path)(error))
        }
        _ => Ok(()),
    }
}

/// The first free `runs/RECIPE-DATE-NUMBER`, with the date in UTC.
pub fn automatic_name(recipe: &str) -> PathBuf {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let [year, month, day] = civil(seconds / 86_400);
    let name = |number: u32| PathBuf::from("runs").join(format!("{recipe}-{year:04}{month:02}{day:02}-{number}"));
    (1..).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0))
}

/// Year, month and day of a number of days since 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> [u64; 3] {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    [year + era * 400 + u64::from(month <= 2), month, day]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        assert_eq!(
            [civil(0), civil(59), civil(11_016), civil(20_514)],
            [[1970, 1, 1], [1970, 3, 1], [2000, 2, 29], [2026, 3, 2]]
        );
    }
}
