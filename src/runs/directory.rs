//! Run directories: everything needed to repeat, resume, evaluate and plot a run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::diverged::DIVERGED;
use super::events::EventWriter;
use super::lock::{LOCK, RunLock, Standing};
use crate::files::write_atomic;
use crate::train::{Checkpoint, EpochLine, Recipe, Summary};
use crate::{Error, Result};

const RECIPE: &str = "recipe.toml";
const METRICS: &str = "metrics.jsonl";
/// The state before the first epoch. It is removed when there is a last checkpoint.
const INITIAL: &str = "initial.safetensors";
const LAST: &str = "last.safetensors";
const BEST: &str = "best.safetensors";
const SUMMARY: &str = "summary.json";
/// Where imported weights came from.
const IMPORT: &str = "import.json";
const OUTCOMES: &str = "outcomes.json";
/// The image files of the run's splits.
pub(super) const IMAGES: &str = "images.json";
/// The HTML page that [`report`](crate::report) writes.
pub(crate) const REPORT: &str = "report.html";
/// The folder of the page's images.
pub(crate) const PLOTS: &str = "plots";
const TENSORBOARD: &str = "tensorboard";

/// Where the weights of an imported run came from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ImportedFrom {
    /// The weights file, as it was named.
    pub file: String,
    /// Whether gpunn trained the weights with the run's recipe.
    pub has_recipe: bool,
}

/// A run's directory.
#[derive(Clone, Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// Held while this process trains there.
    lock: Option<Arc<RunLock>>,
}

/// The file of weights that a path means: of a run directory, its best checkpoint, or else the last one.
pub(super) fn weights_file(path: &Path) -> PathBuf {
    let of_run = [BEST, LAST].map(|name| path.join(name)).into_iter().find(|file| file.is_file());
    of_run.unwrap_or_else(|| path.to_owned())
}

impl RunDirectory {
    /// Checks that a new run may use the path: it does not exist, is an empty folder, or `force` is set.
    ///
    /// # Errors
    /// [`Error::Usage`] when it is in use. Nothing is written.
    pub fn check(path: &Path, force: bool) -> Result<()> {
        let refuse = |what: &str| {
            Err(Error::usage(format!(
                "{} {what}. Choose another --out, resume it with --resume {}, or overwrite it with --force.",
                path.display(),
                path.display()
            )))
        };
        match std::fs::read_dir(path) {
            Ok(entries) => match entries.flatten().find(|entry| entry.file_name() != LOCK) {
                Some(_) if !force => refuse("is already in use"),
                _ => Ok(()),
            },
            Err(_) if path.exists() => {
                Err(Error::usage(format!("{} is not a folder; choose another --out.", path.display())))
            }
            Err(_) => Ok(()),
        }
    }

    /// Creates the directory of a new run. With `force`, the files of an earlier run are removed. No other process can train there while
    /// the result or a copy of it exists.
    ///
    /// # Errors
    /// As [`RunDirectory::check`]; [`Error::Usage`] when another process trains there; [`Error::File`] when the system refuses.
    pub fn create(path: &Path, recipe: &Recipe, force: bool) -> Result<Self> {
        Self::check(path, force)?;
        let text = recipe.to_toml()?;
        std::fs::create_dir_all(path).map_err(Error::file("cannot make the run directory", path))?;
        let run = Self { path: path.to_owned(), lock: Some(Arc::new(RunLock::of(path)?)) };
        // This is done before anything is removed, so that a read-only directory keeps its files.
        write_atomic(&run.path.join(RECIPE), text.as_bytes())?;
        for name in [INITIAL, LAST, BEST, SUMMARY, DIVERGED, OUTCOMES, IMAGES, IMPORT, REPORT] {
            remove(&run.path.join(name), |path| std::fs::remove_file(path))?;
        }
        for name in [PLOTS, TENSORBOARD] {
            remove(&run.path.join(name), |path| std::fs::remove_dir_all(path))?;
        }
        write_atomic(&run.path.join(METRICS), b"")?;
        Ok(run)
    }

    /// Creates the directory of a new run in the folder `runs`, named after the recipe, the date and the first unused number.
    ///
    /// # Errors
    /// As [`RunDirectory::create`].
    pub fn create_numbered(recipe: &Recipe) -> Result<Self> {
        Self::create(&numbered(Path::new("runs"), &recipe.name)?, recipe, false)
    }

    /// Opens the directory of an existing run.
    ///
    /// # Errors
    /// When the directory does not exist or has no run.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            return Err(Error::usage(format!("There is no run directory {}.", path.display())));
        }
        if !path.join(RECIPE).is_file() {
            return Err(Error::usage(format!("{} is not a run directory: it has no {RECIPE}.", path.display())));
        }
        Ok(Self { path: path.to_owned(), lock: None })
    }

    /// Opens the directory of an existing run to train it further. No other process can do so while the result or a copy of it exists.
    ///
    /// # Errors
    /// As [`RunDirectory::open`]; [`Error::Usage`] when another process trains there.
    pub fn open_to_train(path: &Path) -> Result<Self> {
        let run = Self::open(path)?;
        Ok(Self { lock: Some(Arc::new(RunLock::of(path)?)), ..run })
    }

    /// What became of the directory since it was locked.
    pub(super) fn standing(&self) -> Standing {
        self.lock.as_ref().map_or(Standing::Own, |lock| lock.standing(&self.path))
    }

    /// An error if another run took the directory's place since it was locked. What is to be written has to be ready before: the time
    /// between this check and the writing must be short.
    pub(super) fn check_own(&self) -> Result<()> {
        match self.standing() {
            Standing::Others => Err(Error::data(format!(
                "Somebody removed the run directory {} and began another run there. This training ends and writes nothing there.",
                self.path.display()
            ))),
            Standing::Own | Standing::Gone => Ok(()),
        }
    }

    /// Replaces a checkpoint.
    fn write_checkpoint(&self, name: &str, checkpoint: &Checkpoint) -> Result<()> {
        let path = self.path.join(name);
        let bytes = checkpoint.to_bytes()?;
        self.check_own()?;
        write_atomic(&path, &bytes)
    }

    /// Makes the directory again after somebody removed it, with the recipe and a new lock.
    ///
    /// # Errors
    /// [`Error::File`] when the system refuses.
    pub(super) fn put_back(&mut self, recipe: &Recipe) -> Result<()> {
        std::fs::create_dir_all(&self.path).map_err(Error::file("cannot make the run directory", &self.path))?;
        self.lock = Some(Arc::new(RunLock::of(&self.path)?));
        self.write_recipe(recipe)
    }

    /// The path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// Reads the recipe.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn recipe(&self) -> Result<Recipe> {
        Recipe::read(&self.path.join(RECIPE))
    }
    /// Replaces the recipe, for example when a run is resumed for more epochs.
    ///
    /// # Errors
    /// [`Error::File`] when the system refuses.
    pub fn write_recipe(&self, recipe: &Recipe) -> Result<()> {
        write_atomic(&self.path.join(RECIPE), recipe.to_toml()?.as_bytes())
    }
    /// Reads the last checkpoint: of the last epoch, or of the interruption.
    ///
    /// # Errors
    /// When there is no such checkpoint, or it is damaged.
    pub fn last(&self) -> Result<Checkpoint> {
        self.checkpoint(LAST)
    }
    /// Reads the checkpoint from which the run is resumed: the last one, or the state before the first epoch.
    ///
    /// # Errors
    /// As [`RunDirectory::last`].
    pub fn resumable(&self) -> Result<Checkpoint> {
        let is_new = !self.has_last() && self.path.join(INITIAL).is_file();
        self.checkpoint(if is_new { INITIAL } else { LAST })
    }
    /// Reads the checkpoint of the best epoch.
    ///
    /// # Errors
    /// When there is no such checkpoint, or it is damaged.
    pub fn best(&self) -> Result<Checkpoint> {
        self.checkpoint(BEST)
    }
    /// Reads the checkpoint for inference: of the best epoch, or the last one if no epoch has ended.
    ///
    /// # Errors
    /// When there is no checkpoint, or it is damaged.
    pub fn best_or_last(&self) -> Result<Checkpoint> {
        if self.has_best() { self.best() } else { self.last() }
    }
    fn checkpoint(&self, name: &str) -> Result<Checkpoint> {
        let path = self.path.join(name);
        if !path.is_file() {
            return Err(Error::usage(format!(
                "The run {} has no checkpoint {name}: it stopped before the end of its first epoch. `gpunn train --resume {}` trains it.",
                self.path.display(),
                self.path.display()
            )));
        }
        Checkpoint::read(&path)
    }
    /// Stores the state before the first epoch, so that a run that is killed in this epoch can be resumed.
    ///
    /// # Errors
    /// [`Error::File`] when the system refuses.
    pub fn write_initial(&self, checkpoint: &Checkpoint) -> Result<()> {
        self.write_checkpoint(INITIAL, checkpoint)
    }
    /// Replaces the last checkpoint.
    ///
    /// # Errors
    /// [`Error::File`] when the system refuses.
    pub fn write_last(&self, checkpoint: &Checkpoint) -> Result<()> {
        self.write_checkpoint(LAST, checkpoint)?;
        remove(&self.path.join(INITIAL), |path| std::fs::remove_file(path))
    }
    /// Replaces the best checkpoint.
    ///
    /// # Errors
    /// [`Error::File`] when the system refuses.
    pub fn write_best(&self, checkpoint: &Checkpoint) -> Result<()> {
        self.write_checkpoint(BEST, checkpoint)
    }

    /// Appends an epoch to the metrics.
    ///
    /// # Errors
    /// [`Error::File`] when the system refuses.
    pub fn append(&self, line: &EpochLine) -> Result<()> {
        use std::io::Write;
        let path = self.path.join(METRICS);
        let text = serde_json::to_string(line).map_err(|error| Error::data(format!("an epoch's line: {error}")))?;
        self.check_own()?;
        let file = std::fs::OpenOptions::new().append(true).create(true).open(&path);
        let mut file = file.map_err(Error::file("cannot open", &path))?;
        let whole = file.metadata().map(|metadata| metadata.len());
        file.write_all(format!("{text}\n").as_bytes()).map_err(|error| {
            // On a full disk a part of the line may have been written.
            let _ = whole.and_then(|whole| file.set_len(whole));
            Error::file("cannot write", &path)(error)
        })
    }

    /// Reads the metrics of all epochs; none if the file is missing.
    ///
    /// # Errors
    /// When they cannot be read or a line is damaged.
    pub fn metrics(&self) -> Result<Vec<EpochLine>> {
        let text = self.metrics_text()?;
        let path = self.path.join(METRICS);
        let parse = |(number, line): (usize, &str)| {
            serde_json::from_str(line)
                .map_err(|error| Error::data(format!("{}, line {}: {error}.", path.display(), number + 1)))
        };
        // A line without an end was being written when a process was killed.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        text[..whole].lines().enumerate().map(parse).collect()
    }

    /// Keeps the whole lines of the first `epochs` of the metrics, when a run is resumed.
    ///
    /// # Errors
    /// [`Error::File`] when the system refuses.
    pub fn cut_metrics(&self, epochs: u32) -> Result<()> {
        let text = self.metrics_text()?;
        let is_kept = |line: &&str| {
            let line: Option<EpochLine> = serde_json::from_str(line).ok();
            line.is_some_and(|line| line.epoch <= epochs)
        };
        let kept: String = text.split_inclusive('\n').filter(|line| line.ends_with('\n')).filter(is_kept).collect();
        if kept.len() == text.len() { Ok(()) } else { write_atomic(&self.path.join(METRICS), kept.as_bytes()) }
    }

    fn metrics_text(&self) -> Result<String> {
        let path = self.path.join(METRICS);
        match std::fs::read(&path) {
            // A damaged byte damages its own line only.
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(Error::file("cannot read", &path)(error)),
        }
    }

    /// Reads the summary. `None` when the run has not ended.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn summary(&self) -> Result<Option<Summary>> {
        self.read_json(SUMMARY, "a valid summary of a run")
    }

    /// Where the weights came from. `None` if the run was trained.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn imported_from(&self) -> Result<Option<ImportedFrom>> {
        self.read_json(IMPORT, "a valid note about imported weights")
    }

    /// Notes where the weights came from.
    ///
    /// # Errors
    /// [`Error::File`] when the system refuses.
    pub fn write_import(&self, from: &ImportedFrom) -> Result<()> {
        let text = serde_json::to_string(from).map_err(|error| Error::data(format!("a note: {error}")))?;
        write_atomic(&self.path.join(IMPORT), format!("{text}\n").as_bytes())
    }

    /// Reads a JSON file of the run. `None` when it does not exist.
    pub(super) fn read_json<T: serde::de::DeserializeOwned>(&self, name: &str, what: &str) -> Result<Option<T>> {
        let path = self.path.join(name);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("cannot read", &path)(error)),
        };
        let damaged = |error| Error::data(format!("{} is not {what}: {error}.", path.display()));
        serde_json::from_slice(&text).map(Some).map_err(damaged)
    }

    /// The path of the report's page, whether or not it is there.
    pub fn report_page(&self) -> PathBuf {
        self.path.join(REPORT)
    }

    /// The path of the file in which reports store the predictions for each image of a split.
    pub fn outcomes(&self) -> PathBuf {
        self.path.join(OUTCOMES)
    }
    /// Whether the metrics file exists.
    pub fn has_metrics(&self) -> bool {
        self.path.join(METRICS).is_file()
    }
    /// Whether the best checkpoint exists. Imported weights are stored as the best checkpoint.
    pub fn has_best(&self) -> bool {
        self.path.join(BEST).is_file()
    }
    /// Whether the last checkpoint exists.
    pub fn has_last(&self) -> bool {
        self.path.join(LAST).is_file()
    }

    /// Creates an event file for TensorBoard, which continues after the epochs in the metrics.
    ///
    /// # Errors
    /// As [`EventWriter::create`] and [`RunDirectory::metrics`].
    pub fn events(&self) -> Result<EventWriter> {
        EventWriter::create(&self.path.join(TENSORBOARD), &self.metrics()?)
    }

    /// Writes the summary.
    ///
    /// # Errors
    /// [`Error::File`] when the system refuses.
    pub fn write_summary(&self, summary: &Summary) -> Result<()> {
        let text = serde_json::to_string_pretty(summary).map_err(|error| Error::data(format!("a summary: {error}")))?;
        self.check_own()?;
        write_atomic(&self.path.join(SUMMARY), format!("{text}\n").as_bytes())
    }
}

fn remove(path: &Path, how: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    match how(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("cannot remove the file", path)(error))
        }
        _ => Ok(()),
    }
}

/// Makes the first folder `RECIPE-DATE-NUMBER` in `parent` that does not exist, with the date in UTC. The system makes it or says
/// that it exists, so two programs at the same time get different ones.
fn numbered(parent: &Path, recipe: &str) -> Result<PathBuf> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let [year, month, day] = civil(seconds / 86_400);
    std::fs::create_dir_all(parent).map_err(Error::file("cannot make the folder of runs", parent))?;
    let mut number = 1_u32;
    loop {
        let path = parent.join(format!("{recipe}-{year:04}{month:02}{day:02}-{number}"));
        match std::fs::create_dir(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            made => return made.map(|()| path.clone()).map_err(Error::file("cannot make the run directory", path)),
        }
    }
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
    fn runs_that_begin_together_get_numbers_of_their_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let parent = folder.path().join("runs");
        let made = std::thread::scope(|scope| {
            let begun = [(); 8].map(|()| scope.spawn(|| numbered(&parent, "r").expect("a folder")));
            begun.map(|thread| thread.join().expect("it ends"))
        });
        let names: std::collections::BTreeSet<_> = made.iter().collect();
        assert_eq!((names.len(), std::fs::read_dir(&parent).expect("listed").count()), (8, 8));
    }

    #[test]
    fn days_have_dates() {
        assert_eq!(
            [civil(0), civil(59), civil(11_016), civil(20_514)],
            [[1970, 1, 1], [1970, 3, 1], [2000, 2, 29], [2026, 3, 2]]
        );
    }
}
