//! `gpunn train`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::collective::Collective;
use crate::data::Dataset;
use crate::graph::PlanOptions;
use crate::runs::{Experiment, Observer, Reopen, RunDirectory, RunOutcome};
use crate::train::{Checkpoint, Recipe, Trainer, TrainerOptions, divide_batch};
use crate::{Error, Result, gpu};

use super::engine::{DeviceArgs, options_to_train};
use super::first_steps;
use super::flags::{JsonArgs, NewRunArgs};
use super::images::print_skipped;
use super::length;
use super::live::LiveArgs;
use super::progress::{Progress, Watched};
use super::ranks::{self, DevicesArgs, Launched, Place, Training};
use super::recipe::{GridPoint, OrAuto, RecipeArgs, TRAINING_HEADING, print_warnings};
use super::stop::StopFlag;
use super::sweep::runner::Tools;
use super::told::{print_plan, print_summary, print_validation, warn_of_guessing};
use super::working::Working;

/// The flags that cannot be combined with `--resume`: a resumed run reads these settings from its directory.
const NOT_WITH_RESUME: [&str; 45] = [
    "recipe",
    "model",
    "dataset",
    "images_of",
    "labels",
    "multi_label",
    "hidden",
    "activation",
    "init",
    "batch_size",
    "lr",
    "optimizer",
    "momentum",
    "weight_decay",
    "clip",
    "schedule",
    "warmup",
    "seed",
    "limit_train",
    "val_fraction",
    "size",
    "fit",
    "channels",
    "skip_bad",
    "out",
    "force",
    "nesterov",
    "muon",
    "lookahead",
    "layer_decay",
    "accumulate",
    "sync_batch_norm",
    "label_smoothing",
    "focal",
    "class_weights",
    "sampler",
    "precision",
    "ema",
    "tta",
    "stream",
    "AugmentArgs",
    "pretrained",
    "unfreeze",
    "scratch",
    "cache_features",
];

/// Help heading of the device and output flags.
pub(super) const RUN_HEADING: &str = "Machine and run";

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    gpunn train\n  \
    gpunn train my-images\n  \
    gpunn train --recipe nist36-mlp --dataset emnist36 --data-dir DIR --epochs 10 --json\n  \
    gpunn train --model my-network.toml --dataset my-images/\n  \
    gpunn train --resume runs/glyphs-mlp-20260101-1")]
pub struct Args {
    #[command(flatten)]
    recipe_args: RecipeArgs,
    #[command(flatten, next_help_heading = TRAINING_HEADING)]
    point: GridPoint,
    #[command(flatten, next_help_heading = RUN_HEADING)]
    device: DeviceArgs,
    #[command(flatten)]
    devices: DevicesArgs,
    #[command(flatten)]
    new: NewRunArgs,
    /// Resume an interrupted run, train a finished run longer with --epochs, or one that stopped early with --patience; the result
    /// is the same as without a stop
    #[arg(long, value_name = "DIR", conflicts_with_all = NOT_WITH_RESUME)]
    resume: Option<PathBuf>,
    /// Train for about this time, such as 10m or 1h30m, instead of a number of epochs: a step is measured first, and the schedule fits
    #[arg(long, value_name = "TIME", value_parser = length::time, conflicts_with_all = ["epochs", "resume", "folds"], help_heading = TRAINING_HEADING)]
    time: Option<Duration>,
    /// Write a checkpoint this often within an epoch, in minutes; each epoch ends with one in any case [default: 5]
    #[arg(long, value_name = "MINUTES", value_parser = super::numbers::minutes, help_heading = RUN_HEADING)]
    save_every: Option<Duration>,
    /// Cross-validation: divide the training images into K parts, train a run for each that holds this part out for validation, and
    /// print the mean and the standard error of the results. An interrupted one is resumed by the same command
    #[arg(long, value_name = "K", value_parser = super::sweep::folds::count, help_heading = RUN_HEADING,
        conflicts_with_all = ["resume", "val_fraction", "force", "save_every", "no_reuse", "no_report", "profile", "verify"])]
    folds: Option<usize>,
    #[command(flatten)]
    live: LiveArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// Give every tensor its own memory, for testing the memory planner
    #[arg(long)]
    no_reuse: bool,
    /// Write no report.html and no plots at the end
    #[arg(long)]
    no_report: bool,
    /// Time the kernels (on the CPU the ops) of up to 10 training steps: prints a table, writes trace.json into the run directory
    #[arg(long)]
    profile: bool,
    /// Compare each node of the first training step with double precision on the CPU (GPU only)
    #[arg(long)]
    verify: bool,
}

/// Flags for the output of a run.
#[derive(Debug, clap::Args)]
pub(super) struct OutputArgs {
    /// Write the metrics of each epoch for TensorBoard too, into the folder tensorboard of the run directory
    #[arg(long)]
    pub tensorboard: bool,
    #[command(flatten)]
    pub format: JsonArgs,
    /// Print no progress
    #[arg(long, short)]
    pub quiet: bool,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let Some(launched) = ranks::join()? else { return run_as(&args, None) };
    let outcome = match launched.rank() {
        0 => run_as(&args, Some(&launched)),
        _ => {
            let (data_dir, quiet) = (args.recipe_args.data_dir.path(), args.output.quiet);
            let data = (args.resume.as_deref(), data_dir);
            ranks::follow(&launched, &args.device, data, quiet).map(|()| ExitCode::SUCCESS)
        }
    };
    ranks::or_end_all(outcome, &launched)
}

/// Trains alone, or as the first of several processes.
fn run_as(args: &Args, launched: Option<&Launched>) -> Result<ExitCode> {
    if let Some(count) = args.folds {
        if launched.is_some() {
            return Err(Error::usage("--folds trains its runs one after another, in one process."));
        }
        if args.point.lr == Some(OrAuto::Auto) {
            return Err(Error::usage(
                "--folds trains all runs at one learning rate: find it with `gpunn lr-find`, and give it as --lr.",
            ));
        }
        if args.point.batch_size == Some(OrAuto::Auto) {
            return Err(Error::usage(
                "--folds trains all runs with one batch size: give it as --batch-size, and its parts as --accumulate.",
            ));
        }
        let recipe = args.recipe_args.recipe(&args.point, args.output.quiet)?;
        args.device.set_threads()?;
        let tools = Tools { data_dir: args.recipe_args.data_dir.path(), device: &args.device, output: &args.output };
        return super::sweep::folds::run(recipe, (count, args.new.path()), tools);
    }
    let listen = if launched.is_some() { StopFlag::on_signals_to_all } else { StopFlag::on_signals };
    let trained = args.live.watched(|watch| train_as(args, launched, listen, watch))?;
    let summary = match trained.outcome {
        RunOutcome::Finished(summary) => summary,
        RunOutcome::Interrupted { .. } => {
            if !trained.stop.is_set() {
                // Another process asked, or a page; scripts see the same as after Ctrl-C.
                trained.stop.ask();
            }
            return Ok(trained.stop.exit_code());
        }
    };
    if args.output.format.json {
        super::print_json(&summary)?;
    } else {
        print_summary(&summary, trained.page.as_deref());
    }
    written(&trained.lost)?;
    Ok(ExitCode::SUCCESS)
}

/// What a training leaves.
pub struct Trained {
    /// The run directory.
    pub run: PathBuf,
    /// How the run ended.
    pub outcome: RunOutcome,
    /// The report, if it was written.
    pub page: Option<PathBuf>,
    /// What could not be written, each as a sentence.
    pub lost: Vec<String>,
    /// What stopped the run.
    pub stop: StopFlag,
}

/// An error if something of a finished run could not be written.
pub fn written(lost: &[String]) -> Result<()> {
    match lost {
        [] => Ok(()),
        _ => Err(Error::data(format!("The training is done, but not all of it is on the disk. {}", lost.join(" ")))),
    }
}

/// Trains as the arguments say, and writes the report. `stop` is called when all is prepared. `watch` watches beside the display.
pub fn train(args: &Args, stop: impl FnOnce() -> StopFlag, watch: Option<&mut dyn Observer>) -> Result<Trained> {
    train_as(args, None, stop, watch)
}

/// As [`train`], also on the devices that the arguments name, or as the first of several processes.
fn train_as(
    args: &Args,
    launched: Option<&Launched>,
    stop: impl FnOnce() -> StopFlag,
    watch: Option<&mut dyn Observer>,
) -> Result<Trained> {
    let devices = args.devices.each(&args.device);
    if let Some(launched) = launched {
        args.check_for_ranks(!devices.is_empty())?;
        let (device, ranks) = (Place::own_device(&args.device), launched.collective());
        let Prepared { experiment, dataset, options, .. } = Prepared::by(args, &device, Some(ranks))?;
        ranks::send_recipe(launched, experiment.trainer.recipe())?;
        return finish(args, experiment, (&dataset, options), (stop(), watch), &mut |_, _| None);
    }
    let Some((first, others)) = devices.split_first() else {
        let Prepared { experiment, dataset, options, device } = Prepared::by(args, &args.device, None)?;
        let mut reopen = |failure, times| args.device.reopen(failure, times, device.clone());
        return finish(args, experiment, (&dataset, options), (stop(), watch), &mut reopen);
    };
    let mut ranks = crate::collective::threads(devices.len()).into_iter().map(|rank| Box::new(rank) as Box<_>);
    let Prepared { experiment, dataset, options, device } = Prepared::by(args, first, ranks.next())?;
    let open = |other: &DeviceArgs| other.open(device.clone(), args.output.quiet);
    let engines = others.iter().map(open).collect::<Result<Vec<_>>>()?;
    let (stop, recipe) = (stop(), experiment.trainer.recipe().clone());
    let training = Training { recipe: &recipe, dataset: &dataset, options };
    ranks::on_devices(engines.into_iter().zip(ranks).collect(), training, &stop.clone(), || {
        finish(args, experiment, (&dataset, options), (stop, watch), &mut |_, _| None)
    })
}

/// A training that is prepared: its images are loaded, its device and its run directory are open.
struct Prepared {
    experiment: Experiment,
    dataset: Dataset,
    options: TrainerOptions,
    /// How its device is opened again.
    device: gpu::DeviceOptions,
}

impl Args {
    /// An error if these settings are not for several processes.
    fn check_for_ranks(&self, has_devices: bool) -> Result<()> {
        let refused = [
            ("--devices", has_devices),
            ("--time", self.time.is_some()),
            ("--profile", self.profile),
            ("--verify", self.verify),
        ];
        match refused.into_iter().find(|(_, is_given)| *is_given) {
            Some((flag, _)) => {
                Err(Error::usage(format!("{flag} is for one process, but several were started together.")))
            }
            None => Ok(()),
        }
    }
}

impl Prepared {
    /// Prepares a training on a device, as rank 0 if there are `ranks`.
    fn by(args: &Args, device: &DeviceArgs, ranks: Option<Box<dyn Collective>>) -> Result<Self> {
        let (mut recipe, resumed) = match &args.resume {
            Some(path) => {
                let run = RunDirectory::open_to_train(path)?;
                let checkpoint = run.resumable()?;
                (resumed_recipe(args, &checkpoint)?, Some((run, checkpoint)))
            }
            None => (args.recipe_args.recipe(&args.point, args.output.quiet)?, None),
        };
        recipe.validate()?;
        divided(&mut recipe, ranks.as_deref(), args.output.quiet)?;
        device.set_threads()?;
        if resumed.is_none() {
            args.new.check()?;
        }
        if !args.output.quiet {
            print_warnings(&recipe);
        }
        let pretrained = match &resumed {
            None => recipe.open_pretrained(args.recipe_args.data_dir.path())?,
            Some(_) => None,
        };
        let data_dir = args.recipe_args.data_dir.path();
        let work = Working::new("loading the images", args.output.quiet);
        let (dataset, changes) = match &resumed {
            Some((run, _)) => run.load_data(&mut recipe, data_dir)?,
            None => (recipe.load_data(data_dir)?, None),
        };
        drop(work);
        print_skipped(&dataset);
        if !args.output.quiet {
            crate::datasets::folder_notes(&dataset, recipe.labels().as_ref())?
                .iter()
                .for_each(|note| eprintln!("warning: {note}"));
        }
        if let Some(changes) = changes {
            eprintln!("{changes}");
        }
        if let Some((_, checkpoint)) = &resumed {
            checkpoint.check_data(&dataset)?;
        }
        let options = gpu::DeviceOptions { profile: args.profile, ..options_to_train([&recipe]) };
        let mut engine =
            device.open_to_train((&recipe, &dataset, args.point.is_divided()), options.clone(), args.output.quiet)?;
        let plan = PlanOptions { reuse: !args.no_reuse, ..PlanOptions::default() };
        let how = (plan, args.output.quiet);
        engine = args.point.find((engine, pretrained.as_ref()), (&mut recipe, &dataset), how)?;
        if let Some(time) = args.time {
            engine = length::fit(engine, (&mut recipe, &dataset), time, args.output.quiet)?;
        }
        let trainer_options = TrainerOptions { plan, clock: Some(crate::runs::clock) };
        let kind = engine.kind();
        let work = Working::new("preparing the training", args.output.quiet);
        let mut trainer = match ranks {
            Some(ranks) => Trainer::among(engine, recipe, &dataset, trainer_options, ranks)?,
            None => Trainer::new(engine, recipe.clone(), &dataset, trainer_options)
                .or_else(|error| Trainer::new(device.fall_back(kind, error)?, recipe, &dataset, trainer_options))?,
        };
        drop(work);
        if let Some(file) = &pretrained {
            crate::blocking::block_on(trainer.load_pretrained(file))?;
            if !args.output.quiet {
                eprintln!("starting from the weights in {}", file.path().display());
            }
        }
        if !args.output.quiet {
            print_validation(&trainer, &dataset);
            print_plan(&trainer);
        }
        if args.verify {
            first_steps::verify(&mut trainer)?;
        }
        let mut experiment = experiment((trainer, &dataset), resumed, &args.new)?;
        experiment.save_every = args.save_every.unwrap_or(experiment.save_every);
        if args.profile {
            first_steps::profile(&mut experiment)?;
        }
        if args.output.tensorboard {
            experiment.events = Some(experiment.run.events()?);
        }
        Ok(Self { experiment, dataset, options: trainer_options, device: options })
    }
}

/// Divides the batches of a recipe among ranks, and says how.
fn divided(recipe: &mut Recipe, ranks: Option<&dyn Collective>, quiet: bool) -> Result<()> {
    let before = recipe.training.accumulate;
    divide_batch(recipe, ranks.map_or(1, |ranks| ranks.ranks()))?;
    let (parts, each) = (recipe.training.accumulate, recipe.training.batch_size);
    if parts != before && !quiet {
        eprintln!("a batch of {} images is computed in {parts} parts of {each}", parts * each);
    }
    Ok(())
}

/// Opens the run directory: the resumed one, or a new one.
fn experiment(
    (trainer, dataset): (Trainer, &Dataset),
    resumed: Option<(RunDirectory, Checkpoint)>,
    new: &NewRunArgs,
) -> Result<Experiment> {
    if let Some((run, checkpoint)) = resumed {
        let experiment = Experiment::resumed(trainer, run, dataset, &checkpoint)?;
        experiment.run.write_recipe(experiment.trainer.recipe())?;
        let (known, done) = (experiment.run.metrics()?.len(), experiment.trainer.counters().epoch as usize);
        if known < done {
            eprintln!(
                "warning: metrics.jsonl has {known} of the {done} epochs so far; the others will be missing in curves"
            );
        }
        return Ok(experiment);
    }
    let run = new.create(trainer.recipe())?;
    Experiment::new(trainer, run, dataset)
}

/// Trains with a progress display.
pub(super) fn train_with_progress(
    experiment: &mut Experiment,
    (dataset, options): (&Dataset, TrainerOptions),
    (quiet, stop, watch): (bool, &StopFlag, Option<&mut dyn Observer>),
    reopen: &mut Reopen<'_>,
) -> Result<RunOutcome> {
    let (training, steps) = (experiment.trainer.recipe().training.clone(), experiment.trainer.steps());
    let mut progress = Progress::new(training, steps, &experiment.run.metrics()?, quiet, stop);
    let mut both;
    let observer: &mut dyn Observer = match watch {
        None => &mut progress,
        Some(watch) => {
            both = Watched { shown: &mut progress, watch };
            &mut both
        }
    };
    let outcome = crate::blocking::block_on(experiment.run_on(observer, (dataset, options), reopen));
    progress.finish();
    outcome
}

/// Trains what is prepared, and writes the report.
fn finish(
    args: &Args,
    mut experiment: Experiment,
    (dataset, options): (&Dataset, TrainerOptions),
    (stop, watch): (StopFlag, Option<&mut dyn Observer>),
    reopen: &mut Reopen<'_>,
) -> Result<Trained> {
    let epochs = experiment.trainer.recipe().training.epochs;
    let done = experiment.trainer.counters().epoch;
    if args.resume.is_some() && experiment.trainer.is_over() && !args.output.quiet {
        match f64::from(done) >= epochs {
            true => eprintln!("all {epochs} epochs are already done; a larger --epochs continues the training"),
            false => eprintln!(
                "the run stopped early after {done} of {epochs} epochs, because none was better for as many epochs as its patience; a \
                 larger --patience continues the training"
            ),
        }
    }
    let told = (args.output.quiet, &stop, watch);
    let outcome = train_with_progress(&mut experiment, (dataset, options), told, reopen)?;
    stop.end_at_once();
    let (run, lost) = (experiment.run.path().to_owned(), experiment.lost().collect());
    let page = match &outcome {
        RunOutcome::Finished(summary) => {
            if !args.output.quiet {
                warn_of_guessing(summary, &dataset.train.labels);
            }
            if !args.output.quiet {
                ranks::print_exchanged(&experiment.trainer);
            }
            let mut engine = experiment.trainer.into_engine();
            let report = || super::report::after_training(&run, &mut engine, dataset, args.output.quiet);
            (!args.no_report).then(report).flatten()
        }
        RunOutcome::Interrupted { epochs, steps } => {
            let path = run.display();
            eprintln!("stopped after epoch {epochs} and {steps} steps; resume with: gpunn train --resume {path}");
            None
        }
    };
    Ok(Trained { run, outcome, page, lost, stop })
}

/// A resumed run's recipe: its own, with --epochs, --patience and --on-nonfinite.
fn resumed_recipe(args: &Args, checkpoint: &Checkpoint) -> Result<Recipe> {
    let mut recipe = checkpoint.recipe.clone();
    if let Some(epochs) = args.recipe_args.epochs {
        if epochs <= f64::from(checkpoint.counters.epoch) - 1.0 {
            return Err(Error::usage(format!(
                "--epochs is {epochs}, but the run already has {} epochs. Give a larger number.",
                checkpoint.counters.epoch
            )));
        }
        recipe.training.epochs = epochs;
    }
    args.recipe_args.set_limits(&mut recipe.training);
    Ok(recipe)
}
