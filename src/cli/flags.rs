//! The flags that several commands share. A command changes a text that is not right for it with `mut_arg`.

use std::path::{Path, PathBuf};

use crate::data::{Dataset, SplitName};
use crate::datasets::Labels;
use crate::runs::RunDirectory;
use crate::train::{Checkpoint, Recipe, Tta};
use crate::{Engine, Error, Result, gpu};

use super::engine::DeviceArgs;

/// The choice between text and JSON.
#[derive(Debug, clap::Args)]
pub struct JsonArgs {
    /// Print the result as JSON, as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

impl JsonArgs {
    /// Prints the value as JSON with `--json`, else with `as_text`.
    pub fn print<T: serde::Serialize>(&self, value: &T, as_text: impl FnOnce(&T)) -> Result<()> {
        if self.json {
            return super::print_json(value);
        }
        as_text(value);
        Ok(())
    }
}

/// The device and the output of a command that computes.
#[derive(Debug, clap::Args)]
pub struct ComputeArgs {
    #[command(flatten)]
    pub device: DeviceArgs,
    #[command(flatten)]
    pub output: JsonArgs,
    /// Do not print the device
    #[arg(long, short)]
    pub quiet: bool,
}

impl ComputeArgs {
    /// Opens the device with the default options.
    pub fn open(&self) -> Result<Engine> {
        self.device.open(gpu::DeviceOptions::default(), self.quiet)
    }
}

/// A run whose network a command uses.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// A run directory or a checkpoint file
    run: PathBuf,
    #[command(flatten)]
    pub epoch: EpochArgs,
}

impl RunArgs {
    /// The run's checkpoint.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        self.epoch.checkpoint(&self.run)
    }

    /// The dataset of the run. Prints what changed in it since the run began.
    pub fn load_data(&self, checkpoint: &Checkpoint, data_dir: Option<&Path>) -> Result<Dataset> {
        load_data_of(&self.run, checkpoint, data_dir)
    }
}

/// The dataset of a run directory or checkpoint file. Prints what changed in it since the run began.
pub fn load_data_of(run: &Path, checkpoint: &Checkpoint, data_dir: Option<&Path>) -> Result<Dataset> {
    let mut recipe = checkpoint.recipe.clone();
    if run.is_file() {
        return recipe.load_data(data_dir);
    }
    let (dataset, changes) = RunDirectory::open(run)?.load_data(&mut recipe, data_dir)?;
    if let Some(changes) = changes {
        eprintln!("{changes}");
    }
    Ok(dataset)
}

/// Whether two runs on the same images held out different ones for validation.
pub fn held_out_otherwise(first: &Checkpoint, other: &Checkpoint) -> bool {
    let rule = |checkpoint: &Checkpoint| {
        let data = &checkpoint.recipe.data;
        (data.val_fraction, data.fold, checkpoint.recipe.seed)
    };
    let divides = |checkpoint: &Checkpoint| {
        checkpoint.recipe.data.val_fraction.is_some() || checkpoint.recipe.data.fold.is_some()
    };
    (divides(first) || divides(other)) && rule(first) != rule(other)
}

/// The choice between the two checkpoints of a run.
#[derive(Debug, Default, clap::Args)]
pub struct EpochArgs {
    /// Use the last epoch's weights instead of the best epoch's
    #[arg(long)]
    pub last: bool,
}

impl EpochArgs {
    /// The checkpoint of a run directory or of a file.
    pub fn checkpoint(&self, path: &Path) -> Result<Checkpoint> {
        if path.is_file() {
            return Checkpoint::read(path);
        }
        let run = RunDirectory::open(path)?;
        if self.last { run.last() } else { run.best_or_last() }
    }
}

/// Further runs, whose networks answer together with the first one.
#[derive(Debug, Default, clap::Args)]
pub struct EnsembleArgs {
    /// Average the probabilities with those of another run or checkpoint file, with the same classes and images. Several: give the
    /// flag several times, or RUN,RUN
    #[arg(long, value_name = "RUN")]
    pub ensemble: Vec<PathBuf>,
}

impl EnsembleArgs {
    /// The first network's checkpoint and those of the further runs. They have to have the same classes and images.
    pub fn with(&self, first: Checkpoint, epoch: &EpochArgs) -> Result<Vec<Checkpoint>> {
        let mut all = vec![first];
        for path in self.ensemble.iter().flat_map(|given| listed(given)) {
            let other = epoch.checkpoint(&path)?;
            if let Some(difference) = crate::inference::difference(&all[0], &other) {
                return Err(Error::usage(format!(
                    "The network of {} cannot answer together with the first one: {difference}.",
                    path.display()
                )));
            }
            all.push(other);
        }
        Ok(all)
    }
}

/// The paths of a list with commas. A path that is there is one, whatever is in its name.
fn listed(given: &Path) -> Vec<PathBuf> {
    match given.to_str().filter(|_| !given.exists()) {
        Some(list) => list.split(',').map(PathBuf::from).collect(),
        None => vec![given.to_owned()],
    }
}

/// Test-time augmentation.
#[derive(Debug, clap::Args)]
pub struct ViewArgs {
    /// Test-time augmentation, averages the predictions for several views: flip (the image and its mirror image), shift (both,
    /// also shifted by one pixel) or shift-only (no mirror images); --tta alone means flip
    #[arg(long, value_name = "VIEWS", num_args = 0..=1, default_missing_value = "flip")]
    pub tta: Option<Tta>,
}

impl ViewArgs {
    /// The checkpoint with this test-time augmentation; with its own if the flag is not given.
    pub fn with(&self, mut checkpoint: Checkpoint) -> Result<Checkpoint> {
        if self.tta.is_some() {
            checkpoint.recipe.training.tta = self.tta;
            checkpoint.recipe.validate()?;
        }
        Ok(checkpoint)
    }
}

/// The part of a run's dataset that a command evaluates.
#[derive(Debug, clap::Args)]
pub struct EvaluatedArgs {
    /// The split to evaluate: train, val or test [default: test, else val, else train]
    #[arg(long, value_name = "SPLIT")]
    split: Option<String>,
    /// The folder with the datasets [default: the one that the run used]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Another dataset or folder of images, instead of the one that the run used; classes are matched by name
    #[arg(long, value_name = "NAME|FOLDER")]
    dataset: Option<String>,
    /// A CSV file with the labels of the images, as for `gpunn train` [default: the one that the run used; for --dataset the subfolders]
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
}

impl EvaluatedArgs {
    /// The split that was named.
    pub fn split(&self) -> Result<Option<SplitName>> {
        self.split.as_deref().map(str::parse).transpose()
    }

    /// Another dataset than the run's, if one was named.
    pub fn other_dataset(&self) -> Option<&str> {
        self.dataset.as_deref()
    }

    /// Another file of labels, if one was named.
    pub fn labels(&self) -> Option<&Path> {
        self.labels.as_deref()
    }

    /// The checkpoint with another file of labels, if one was named.
    pub fn relabelled(&self, checkpoint: &Checkpoint) -> Result<Checkpoint> {
        let mut checkpoint = checkpoint.clone();
        let data = &mut checkpoint.recipe.data;
        match &self.labels {
            Some(_) if data.labels.is_none() => Err(Error::usage(
                "The labels of the run are the names of folders, so --labels is only for another folder, which --dataset names.",
            )),
            Some(file) => {
                data.labels = Some(file.clone());
                Ok(checkpoint)
            }
            None => Ok(checkpoint),
        }
    }

    /// The dataset of a run's checkpoint, and the name of the split: `asked`, else the first one of `order` that the dataset has.
    pub fn load(
        &self,
        run: &RunArgs,
        checkpoint: &Checkpoint,
        asked: Option<SplitName>,
        order: [SplitName; 3],
    ) -> Result<(Dataset, SplitName)> {
        let dataset = match &self.dataset {
            None => run.load_data(&self.relabelled(checkpoint)?, self.data_dir.as_deref())?,
            Some(other) => {
                crate::runs::load_other(checkpoint, other, self.data_dir.as_deref(), self.labels.as_deref())?
            }
        };
        super::images::print_skipped(&dataset);
        let name = asked.unwrap_or_else(|| super::first_split(&dataset, order));
        dataset.split(name)?;
        Ok((dataset, name))
    }
}

/// A file with the labels of a folder of images.
#[derive(Debug, Default, clap::Args)]
pub struct LabelArgs {
    /// Take the labels of a folder of images from a CSV file with the columns file and label, optionally split (train, val or test), instead
    /// of from its subfolders. A label such as `dog;outdoor` gives an image several
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// With --labels: whether an image has any number of labels, with `;` between them: --multi-label, or --multi-label=false [default: true if a label has a `;`]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    multi_label: Option<bool>,
}

impl LabelArgs {
    /// The labels of the images, as the flags say.
    pub fn labels(&self) -> Result<Option<Labels>> {
        self.or((None, None))
    }

    /// The labels of a recipe's images, its `labels` and `multi_label`, with the changes of the flags.
    pub fn or(&self, (file, multi_label): (Option<PathBuf>, Option<bool>)) -> Result<Option<Labels>> {
        let multi_label = self.multi_label.or(multi_label);
        match self.labels.clone().or(file) {
            Some(file) => Ok(Some(Labels { file, multi_label })),
            None if multi_label == Some(true) || self.multi_label.is_some() => Err(Error::usage(
                "Whether an image has several labels (multi_label, --multi-label) says how a file of labels is read; name the file with --labels.",
            )),
            None => Ok(None),
        }
    }
}

/// The folder of the datasets, for commands without a run.
#[derive(Debug, clap::Args)]
pub struct DataDirArgs {
    /// The folder with the datasets, each in a subfolder of its own [default: GPUNN_DATA, else the user's cache folder]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl DataDirArgs {
    /// The folder, if it was named.
    pub fn path(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }
}

/// The directory of a new run.
#[derive(Debug, clap::Args)]
pub struct NewRunArgs {
    /// The run directory [default: runs/NAME-DATE-NUMBER, named after the recipe or the folder of images]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Overwrite an existing run in --out
    #[arg(long)]
    force: bool,
}

impl NewRunArgs {
    /// The directory, if it was named.
    pub fn path(&self) -> Option<&Path> {
        self.out.as_deref()
    }

    /// Checks that a new run may use the directory that was named. Nothing is written.
    pub fn check(&self) -> Result<()> {
        self.out.as_deref().map_or(Ok(()), |out| RunDirectory::check(out, self.force))
    }

    /// Creates the directory of a run of this recipe.
    pub fn create(&self, recipe: &Recipe) -> Result<RunDirectory> {
        match &self.out {
            Some(out) => RunDirectory::create(out, recipe, self.force),
            None => RunDirectory::create_numbered(recipe),
        }
    }
}
