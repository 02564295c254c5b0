//! Trains the runs of a sweep, one after the other.

use std::path::{Path, PathBuf};

use crate::data::Dataset;
use crate::runs::{Experiment, Observer, RunDirectory, RunOutcome};
use crate::train::recipe::Data;
use crate::train::{Checkpoint, EpochLine, EpochProgress, Recipe, Trainer, TrainerOptions};
use crate::{Engine, Error, Result};

use super::super::engine::{DeviceArgs, options_to_train};
use super::super::images::print_skipped;
use super::super::recipe::print_warnings;
use super::super::stop::StopFlag;
use super::super::told::print_plan;
use super::super::train::{OutputArgs, train_with_progress};
use super::super::working::Working;
use super::keys::Setting;

/// A run to train, or one that has ended.
#[derive(Clone, Debug)]
pub struct Job {
    pub recipe: Recipe,
    /// Its directory.
    pub path: PathBuf,
    /// The number of its setting. Runs that differ only in their seed or fold have the same.
    pub candidate: usize,
    /// What it tries.
    pub settings: Vec<Setting>,
}

/// What the runs are trained with.
#[derive(Clone, Copy)]
pub struct Tools<'a> {
    pub data_dir: Option<&'a Path>,
    pub device: &'a DeviceArgs,
    pub output: &'a OutputArgs,
}

/// Trains runs on one engine. Runs with the same images share them.
pub struct Runner<'a> {
    tools: Tools<'a>,
    pub stop: StopFlag,
    engine: Engine,
    /// Which images they are, the images, and the section of the recipe that is stored with a run.
    data: Option<(Wanted, Dataset, Data)>,
    /// What could not be written, each as a sentence.
    lost: Vec<String>,
}

/// What decides the images of a run: the section of the recipe, and the seed if it chooses among them.
type Wanted = (Data, Option<u64>);

/// What a run's directory says of it.
enum Found {
    /// It has ended: finished, diverged, or with as many epochs as are wanted.
    Ended,
    /// It goes on from this checkpoint.
    Begun(RunDirectory, Box<Checkpoint>),
    /// It has no checkpoint yet.
    New,
}

impl<'a> Runner<'a> {
    /// Opens the device for these runs.
    pub fn open(tools: Tools<'a>, jobs: &[Job]) -> Result<Self> {
        let options = options_to_train(jobs.iter().map(|job| &job.recipe));
        let stop = StopFlag::on_signals();
        let engine = tools.device.open(options, tools.output.quiet)?;
        Ok(Self { tools, stop, engine, data: None, lost: Vec::new() })
    }

    /// Trains runs, or what is left of them: to the last epoch, or to so many. Returns whether all came there: not if a signal
    /// stopped them.
    pub fn train_all(&mut self, jobs: &[&Job], epochs: Option<u32>) -> Result<bool> {
        for (number, job) in (1..).zip(jobs) {
            if !self.tools.output.quiet {
                eprintln!("run {number} of {}: {}", jobs.len(), job.path.display());
            }
            if !self.train(job, epochs)? {
                eprintln!("the runs were stopped; give the same command again to resume them");
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// An error if something of a run could not be written.
    pub fn written(&self) -> Result<()> {
        match self.lost.is_empty() {
            true => Ok(()),
            false => Err(Error::data(format!("Not all of the runs is on the disk. {}", self.lost.join(" ")))),
        }
    }

    fn train(&mut self, job: &Job, epochs: Option<u32>) -> Result<bool> {
        let (tools, stop, quiet) = (self.tools, self.stop.clone(), self.tools.output.quiet);
        let mut recipe = job.recipe.clone();
        let engine = std::mem::replace(&mut self.engine, Engine::cpu());
        let dataset = self.data(&mut recipe)?;
        let pretrained = recipe.open_pretrained(tools.data_dir)?;
        let found = found(&job.path, &recipe, epochs)?;
        if matches!(found, Found::Ended) {
            if !quiet {
                eprintln!("already finished");
            }
            self.engine = engine;
            return Ok(true);
        }
        let own = match &found {
            Found::Begun(run, checkpoint) => changed(run, checkpoint, dataset, tools.data_dir)?,
            _ => None,
        };
        let dataset = own.as_ref().unwrap_or(dataset);
        let trainer_options = TrainerOptions { clock: Some(crate::runs::clock), ..TrainerOptions::default() };
        let work = Working::new("preparing the training", quiet);
        let mut trainer = Trainer::new(engine, recipe.clone(), dataset, trainer_options)?;
        drop(work);
        if !quiet {
            print_warnings(&recipe);
            print_plan(&trainer);
        }
        let mut experiment = match found {
            Found::Begun(run, checkpoint) => Experiment::resumed(trainer, run, dataset, &checkpoint)?,
            _ => {
                if let Some(file) = &pretrained {
                    crate::blocking::block_on(trainer.load_pretrained(file))?;
                }
                Experiment::new(trainer, RunDirectory::create(&job.path, &recipe, true)?, dataset)?
            }
        };
        if tools.output.tensorboard {
            experiment.events = Some(experiment.run.events()?);
        }
        let options = options_to_train([&recipe]);
        let mut reopen = |failure, times| tools.device.reopen(failure, times, options.clone());
        let mut until = epochs.map(Until);
        let watch = until.as_mut().map(|until| until as &mut dyn Observer);
        let told = (quiet, &stop, watch);
        let lost = match train_with_progress(&mut experiment, (dataset, trainer_options), told, &mut reopen) {
            Ok(RunOutcome::Interrupted { .. }) if stop.is_set() => return Ok(false),
            Ok(_) => experiment.lost().map(|lost| format!("{}: {lost}", job.path.display())).collect(),
            Err(Error::Diverged(sentence)) => {
                eprintln!("{sentence}");
                experiment.run.write_diverged(&sentence)?;
                Vec::new()
            }
            Err(other) => return Err(other),
        };
        self.lost.extend(lost);
        self.engine = experiment.trainer.into_engine();
        self.engine.forget();
        Ok(true)
    }

    /// The recipe's dataset; also completes the recipe's data section.
    fn data(&mut self, recipe: &mut Recipe) -> Result<&Dataset> {
        let data = &recipe.data;
        let is_chosen = data.limit_train.is_some() || data.val_fraction.is_some() || data.fold.is_some();
        let wanted = (data.clone(), is_chosen.then_some(recipe.seed));
        let (_, dataset, named) = match self.data.take() {
            Some(there) if there.0 == wanted => self.data.insert(there),
            _ => {
                let dataset = recipe.load_data(self.tools.data_dir)?;
                print_skipped(&dataset);
                self.data.insert((wanted, dataset, recipe.data.clone()))
            }
        };
        recipe.data.clone_from(named);
        Ok(dataset)
    }
}

/// What is in the folder of a run of this recipe, of which so many epochs are wanted.
fn found(path: &Path, recipe: &Recipe, epochs: Option<u32>) -> Result<Found> {
    if RunDirectory::check(path, false).is_ok() {
        return Ok(Found::New);
    }
    let run = RunDirectory::open(path)?;
    if run.recipe()? != *recipe {
        return Err(of_another_recipe(path));
    }
    if run.summary()?.is_some() || run.diverged()?.is_some() {
        return Ok(Found::Ended);
    }
    if !run.has_last() {
        return Ok(Found::New);
    }
    let run = RunDirectory::open_to_train(path)?;
    let checkpoint = run.last()?;
    match epochs.is_some_and(|epochs| checkpoint.counters.epoch >= epochs) {
        true => Ok(Found::Ended),
        false => Ok(Found::Begun(run, Box::new(checkpoint))),
    }
}

/// The images of a run that goes on, if they are not those of a new run: files came or went since it began, but what it holds out stays
/// held out.
fn changed(
    run: &RunDirectory,
    checkpoint: &Checkpoint,
    dataset: &Dataset,
    data_dir: Option<&Path>,
) -> Result<Option<Dataset>> {
    checkpoint.check_data(dataset)?;
    if run.images()?.is_none_or(|images| images.changes(dataset).is_none()) {
        return Ok(None);
    }
    let (dataset, changes) = run.load_data(&mut run.recipe()?, data_dir)?;
    if let Some(changes) = changes {
        eprintln!("{changes}");
    }
    Ok(Some(dataset))
}

/// The error for a folder with another run.
pub fn of_another_recipe(path: &Path) -> Error {
    Error::usage(format!(
        "{} holds a run of another recipe than this sweep's. Give another folder with --out, or remove that run.",
        path.display()
    ))
}

/// Stops a run after so many epochs.
struct Until(u32);

impl Observer for Until {
    fn progress(&mut self, _: u32, _: EpochProgress) -> bool {
        true
    }
    fn epoch(&mut self, line: &EpochLine) -> bool {
        line.epoch < self.0
    }
    fn not_written(&mut self, _: &Error) {}
    fn not_finite(&mut self, _: &str) {}
    fn device_failed(&mut self, _: &Error, _: &str) {}
}
