//! `gpunn train`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use gpunn::data::pictures::Asked;
use gpunn::graph::PlanOptions;
use gpunn::nn::{Activation, Scheme, Unfreeze};
use gpunn::optim::{Method, Schedule};
use gpunn::profile::{by_kernel, trace};
use gpunn::train::{
    self, Checkpoint, Experiment, Options, Outcome, Recipe, RunDirectory, Summary, Trainer, Tta, automatic_name,
};
use gpunn::{Engine, Error, Result, gpu};

use super::augment::AugmentArgs;
use super::engine::DeviceArgs;
use super::pictures::{PictureArgs, say_skipped};
use super::progress::{Progress, Stop};

/// The flags that describe a run, which a resumed run has from its directory.
const DESCRIBING: [&str; 33] = [
    "recipe",
    "model",
    "dataset",
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
    "label_smoothing",
    "ema",
    "tta",
    "patience",
    "stream",
    "AugmentArgs",
    "pretrained",
    "unfreeze",
    "scratch",
];

/// What the help calls the flags of how a network learns, and those of where it does and what it leaves.
pub(super) const LEARNING: &str = "Learning";
pub(super) const RUN: &str = "Machine and run";

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    gpunn train\n  \
    gpunn train --recipe nist36-mlp --dataset emnist36 --data-dir DIR --epochs 10 --json\n  \
    gpunn train --model my-network.toml --dataset my-pictures/\n  \
    gpunn train --resume runs/glyphs-mlp-20260101-1")]
pub struct Args {
    #[command(flatten)]
    asked: RecipeArgs,
    #[command(flatten, next_help_heading = LEARNING)]
    point: Point,
    #[command(flatten, next_help_heading = RUN)]
    device: DeviceArgs,
    /// The run directory [default: runs/RECIPE-DATE-NUMBER]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Overwrite the run that is in --out
    #[arg(long)]
    force: bool,
    /// Go on with a run that was interrupted, or that --epochs prolongs, as if it had never stopped
    #[arg(long, value_name = "DIR", conflicts_with_all = DESCRIBING)]
    resume: Option<PathBuf>,
    #[command(flatten)]
    telling: TellingArgs,
    /// Give every tensor its own memory, to check the planner
    #[arg(long)]
    no_reuse: bool,
    /// Time each kernel, on the CPU each op, of some training steps: a table, and trace.json in the run directory
    #[arg(long)]
    profile: bool,
    /// Compare each node of the first training step with the CPU in double precision (GPU only)
    #[arg(long)]
    verify: bool,
}

/// What is told of runs, and to whom.
#[derive(Debug, clap::Args)]
pub(super) struct TellingArgs {
    /// Write each epoch's figures for TensorBoard as well, into the folder tensorboard in the run directory
    #[arg(long)]
    pub tensorboard: bool,
    /// Print one line of JSON last
    #[arg(long)]
    pub json: bool,
    /// Print no progress
    #[arg(long, short)]
    pub quiet: bool,
}

/// The flags of a run that a sweep tries several values of.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Point {
    /// Features of each hidden layer, as in 128,64
    #[arg(long, value_delimiter = ',', value_name = "N,...")]
    pub hidden: Option<Vec<usize>>,
    /// Pictures of a step
    #[arg(long, value_name = "N")]
    pub batch_size: Option<usize>,
    /// The learning rate
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub lr: Option<f64>,
    /// What every random number depends on
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// The flags that make a recipe, but for those of a [`Point`].
#[derive(Debug, clap::Args)]
pub(super) struct RecipeArgs {
    /// A built-in recipe's name or a recipe file [default: glyphs-mlp]
    #[arg(long, value_name = "NAME|FILE")]
    recipe: Option<String>,
    /// The network: mlp, autoencoder, autoencoder-conv, cnn, resnet9, resnet18-small, squeezenet, squeezenet1_0, resnet18 or
    /// mobilenet_v2, or a TOML file with your own
    #[arg(long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// The data set, see `gpunn data list`, or the path of a folder of pictures, one folder a class
    #[arg(long, value_name = "NAME|FOLDER")]
    dataset: Option<String>,
    /// The folder that holds data sets, each in a folder of its own name
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// What follows each hidden layer: sigmoid, tanh, relu, relu6, leaky-relu, silu, gelu
    #[arg(long, value_name = "NAME")]
    activation: Option<String>,
    /// How weights begin: pytorch, xavier, he, dirac, zeros
    #[arg(long, value_name = "NAME")]
    init: Option<String>,
    /// How often every picture is seen
    #[arg(long, value_name = "N", help_heading = LEARNING)]
    epochs: Option<u32>,
    /// sgd, adam or adamw
    #[arg(long, value_name = "NAME", help_heading = LEARNING)]
    optimizer: Option<String>,
    /// Momentum of SGD
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = LEARNING)]
    momentum: Option<f64>,
    /// Nesterov's form of momentum
    #[arg(long, help_heading = LEARNING)]
    nesterov: bool,
    /// Decay of the weights
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = LEARNING)]
    weight_decay: Option<f64>,
    /// The largest norm of all gradients together
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = LEARNING)]
    clip: Option<f64>,
    /// The share of the target that is spread over all classes
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = LEARNING)]
    label_smoothing: Option<f32>,
    /// constant, step:EVERY:FACTOR, exponential:FACTOR, cosine[:FLOOR] or one-cycle
    #[arg(long, value_name = "S", help_heading = LEARNING)]
    schedule: Option<String>,
    /// Epochs over which the learning rate grows from 0
    #[arg(long, value_name = "EPOCHS", allow_negative_numbers = true, help_heading = LEARNING)]
    warmup: Option<f64>,
    /// Measure and use a moving average of the weights that decays by this a step, as in 0.999
    #[arg(long, value_name = "DECAY", allow_negative_numbers = true, help_heading = LEARNING)]
    ema: Option<f64>,
    /// Average over views of a picture when measuring: flip (it and its mirror image), shift (both, and both moved by a pixel
    /// either way) or shift-only (no mirror images)
    #[arg(long, value_name = "VIEWS", num_args = 0..=1, default_missing_value = "flip", help_heading = LEARNING)]
    tta: Option<Tta>,
    /// End the run after so many epochs without a better validation figure
    #[arg(long, value_name = "EPOCHS", help_heading = LEARNING)]
    patience: Option<u32>,
    /// Keep the pictures off the device and send each batch when it is needed: from the disk for a folder of pictures, else
    /// from memory; by itself where they are too large
    #[arg(long)]
    stream: bool,
    /// Begin with the weights in a safetensors file, but for the classifier
    #[arg(long, value_name = "FILE", conflicts_with = "scratch")]
    pretrained: Option<String>,
    /// Which layers learn: all, classifier, or last:N for the last N [default: the classifier with pretrained weights, else all]
    #[arg(long, value_name = "LAYERS")]
    unfreeze: Option<Unfreeze>,
    /// Begin without pretrained weights, where the recipe has some; all layers learn
    #[arg(long)]
    scratch: bool,
    /// Train on so many pictures only, as many of each class
    #[arg(long, value_name = "N")]
    limit_train: Option<usize>,
    /// Hold this part of the training pictures out for validation
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    val_fraction: Option<f64>,
    #[command(flatten)]
    pictures: PictureArgs,
    #[command(flatten)]
    augment: AugmentArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let (mut recipe, resumed) = match &args.resume {
        Some(path) => {
            let run = RunDirectory::open(path)?;
            let checkpoint = run.last()?;
            (resumed_recipe(&args, &checkpoint)?, Some((run, checkpoint)))
        }
        None => (args.asked.recipe(&args.point, args.telling.quiet)?, None),
    };
    recipe.validate()?;
    args.device.set_threads()?;
    let out = args.out.clone().unwrap_or_else(|| automatic_name(&recipe.name));
    if resumed.is_none() {
        RunDirectory::check(&out, args.force)?;
    }
    let pretrained = match &resumed {
        None => recipe.open_pretrained(args.asked.data_dir.as_deref())?,
        Some(_) => None,
    };
    let dataset = recipe.load_data(args.asked.data_dir.as_deref())?;
    say_skipped(&dataset);
    let options = gpu::Options { profile: args.profile, ..gpu::Options::default() };
    let engine = args.device.open(options, args.telling.quiet)?;
    let plan = PlanOptions { reuse: !args.no_reuse, ..PlanOptions::default() };
    let mut trainer = Trainer::new(engine, recipe, &dataset, Options { plan })?;
    if let Some(file) = &pretrained {
        pollster::block_on(trainer.begin_from(file))?;
        if !args.telling.quiet {
            eprintln!("begins with the weights in {}", file.path().display());
        }
    }
    if !args.telling.quiet {
        announce(&trainer);
    }
    if args.verify {
        verify(&mut trainer)?;
    }
    let mut experiment = match resumed {
        Some((run, checkpoint)) => {
            let experiment = Experiment::resumed(trainer, run, &checkpoint)?;
            experiment.run.write_recipe(experiment.trainer.recipe())?;
            experiment
        }
        None => {
            let run = RunDirectory::create(&out, trainer.recipe(), args.force)?;
            Experiment { trainer, run, events: None }
        }
    };
    if args.profile {
        profile(&mut experiment)?;
    }
    if args.telling.tensorboard {
        experiment.events = Some(experiment.run.events()?);
    }
    train(&args, &mut experiment)
}

/// Says what is about to be trained.
pub(super) fn announce(trainer: &Trainer) {
    let recipe = trainer.recipe();
    eprintln!(
        "recipe {}: {} on {}, {} parameters, {} steps an epoch; planned memory {} ({} bytes)",
        recipe.name,
        recipe.model.name,
        recipe.data.name,
        trainer.model().parameters().count(),
        trainer.steps(),
        super::bytes(trainer.planned_bytes()),
        trainer.planned_bytes()
    );
}

/// Trains with what a person sees of it.
pub(super) fn watched(experiment: &mut Experiment, quiet: bool, stop: &Stop) -> Result<Outcome> {
    let (epochs, steps) = (experiment.trainer.recipe().training.epochs, experiment.trainer.steps());
    let mut progress = Progress::new(epochs, steps, &experiment.run.metrics()?, quiet, stop);
    let outcome = pollster::block_on(experiment.run(&mut progress));
    progress.finish();
    outcome
}

/// Trains and says how it ended.
fn train(args: &Args, experiment: &mut Experiment) -> Result<ExitCode> {
    let epochs = experiment.trainer.recipe().training.epochs;
    let done = experiment.trainer.counters().epoch;
    if args.resume.is_some() && done >= epochs && !args.telling.quiet {
        eprintln!("all {epochs} epochs are done already; --epochs asks for more");
    }
    match watched(experiment, args.telling.quiet, &Stop::on_ctrl_c())? {
        Outcome::Finished(summary) if args.telling.json => super::print_json(&summary)?,
        Outcome::Finished(summary) => print_summary(&summary),
        Outcome::Interrupted { epochs, steps } => {
            let path = experiment.run.path().display();
            eprintln!("stopped after epoch {epochs} and {steps} steps; go on with: gpunn train --resume {path}");
            return Ok(ExitCode::from(130));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print_summary(summary: &Summary) {
    let figure = |accuracy: Option<f64>, psnr: Option<f64>| match (accuracy, psnr) {
        (Some(accuracy), _) => Some(super::percent(accuracy)),
        (_, Some(psnr)) => Some(format!("{psnr:.2} dB")),
        _ => None,
    };
    let line = |name: &str, loss: Option<f64>, figure: Option<String>| {
        if let Some(loss) = loss {
            super::print_line(&format!("{name:<11}loss {loss:.4}  {}", figure.unwrap_or_default()));
        }
    };
    line("train", Some(summary.train_loss), figure(summary.train_accuracy, None));
    line("validation", summary.val_loss, figure(summary.val_accuracy, summary.val_psnr));
    line("test", summary.test_loss, figure(summary.test_accuracy, summary.test_psnr));
    super::print_line(&format!(
        "{} epochs in {:.1} s, weights {}",
        summary.epochs, summary.seconds, summary.weights_hash
    ));
    if let (true, Some(best)) = (summary.stopped_early, summary.best_epoch) {
        super::print_line(&format!(
            "stopped early: no epoch was better than epoch {best} for as long as --patience asks"
        ));
    }
    super::print_line(&format!("run: {}", summary.run));
}

/// A resumed run's recipe: its own, with more epochs where they are asked for.
fn resumed_recipe(args: &Args, checkpoint: &Checkpoint) -> Result<Recipe> {
    let mut recipe = checkpoint.recipe.clone();
    if let Some(epochs) = args.asked.epochs {
        if epochs < checkpoint.counters.epoch {
            return Err(Error::usage(format!(
                "The run has {} epochs already, so that it cannot end after {epochs}.",
                checkpoint.counters.epoch
            )));
        }
        recipe.training.epochs = epochs;
    }
    Ok(recipe)
}

impl RecipeArgs {
    /// The recipe that the flags ask for, with what they change.
    pub fn recipe(&self, point: &Point, quiet: bool) -> Result<Recipe> {
        let mut recipe = self.base(quiet)?;
        if let Some(hidden) = &point.hidden {
            recipe.model.hidden = Some(hidden.clone());
        }
        if let Some(activation) = &self.activation {
            recipe.model.activation = Some(activation.parse::<Activation>()?);
        }
        if let Some(init) = &self.init {
            recipe.model.init = init.parse::<Scheme>()?;
        }
        if self.scratch {
            (recipe.model.pretrained, recipe.model.unfreeze) = (None, None);
        }
        recipe.model.pretrained = self.pretrained.clone().or(recipe.model.pretrained);
        recipe.model.unfreeze = self.unfreeze.or(recipe.model.unfreeze);
        self.change_optimizer(&mut recipe, point.lr, quiet)?;
        if let Some(schedule) = &self.schedule {
            recipe.schedule = Schedule { warmup: recipe.schedule.warmup, ..schedule.parse()? };
        }
        set(&mut recipe.schedule.warmup, self.warmup);
        set(&mut recipe.training.epochs, self.epochs);
        set(&mut recipe.training.batch_size, point.batch_size);
        set(&mut recipe.training.label_smoothing, self.label_smoothing);
        recipe.training.ema = self.ema.or(recipe.training.ema);
        recipe.training.tta = self.tta.or(recipe.training.tta);
        recipe.training.patience = self.patience.or(recipe.training.patience);
        recipe.data.stream |= self.stream;
        set(&mut recipe.seed, point.seed);
        recipe.data.limit_train = self.limit_train.or(recipe.data.limit_train);
        recipe.data.val_fraction = self.val_fraction.or(recipe.data.val_fraction);
        let Asked { size, fit, channels } = self.pictures.or(recipe.data.asked());
        (recipe.data.size, recipe.data.fit, recipe.data.channels) = (size, fit, channels);
        recipe.data.skip_bad |= self.pictures.skip_bad;
        recipe.augment = self.augment.or(recipe.augment.take());
        Ok(recipe)
    }

    /// The recipe before the other flags: the one named, else that of the model and data set, else the default.
    fn base(&self, quiet: bool) -> Result<Recipe> {
        let model = self.model.as_deref().map(train::model).transpose()?;
        let name_of = |dataset| gpunn::data::name_of(dataset, self.data_dir.as_deref());
        let dataset = self.dataset.as_deref().map(name_of).transpose()?;
        let recipe = train::choose(self.recipe.as_deref(), model, dataset.as_deref())?;
        if self.recipe.is_none() && (self.model.is_some() || self.dataset.is_some()) && !quiet {
            eprintln!("no recipe was named; taking {}", recipe.name);
        }
        Ok(recipe)
    }

    fn change_optimizer(&self, recipe: &mut Recipe, rate: Option<f64>, quiet: bool) -> Result<()> {
        let optimizer = &mut recipe.optimizer;
        if let Some(name) = &self.optimizer {
            let method: Method = name.parse()?;
            if method != optimizer.name && method != Method::Sgd {
                // Rates of SGD and Adam are not of one kind.
                (optimizer.momentum, optimizer.nesterov) = (0.0, false);
                optimizer.learning_rate = 1e-3;
                if rate.is_none() && !quiet {
                    eprintln!("the learning rate for {name} is 0.001; --lr sets another");
                }
            }
            optimizer.name = method;
        }
        set(&mut optimizer.learning_rate, rate);
        set(&mut optimizer.momentum, self.momentum);
        set(&mut optimizer.weight_decay, self.weight_decay);
        optimizer.nesterov |= self.nesterov;
        optimizer.clip = self.clip.or(optimizer.clip);
        Ok(())
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// Runs one step node by node against the oracle and prints the worst node; the step leaves no trace.
fn verify(trainer: &mut Trainer) -> Result<()> {
    let before = pollster::block_on(trainer.checkpoint())?;
    trainer.prepare_epoch()?;
    let (engine, program) = trainer.engine_mut();
    let Engine::Gpu(executor) = engine else {
        return Err(Error::usage("--verify compares a GPU with the CPU; name one with --device."));
    };
    let checks = pollster::block_on(executor.verify(program.index(), 0))?;
    let worst = checks.iter().max_by(|a, b| a.worst.excess.total_cmp(&b.worst.excess));
    if let Some(check) = worst {
        let gpu::verify::Worst { index, value, reference, excess } = check.worst;
        eprintln!(
            "verified {} nodes; the worst is '{}' ({}), element {index}: {value:e} where {reference:e} is right, {:.1} % of what \
             is allowed",
            checks.len(),
            check.name,
            check.op,
            100.0 * excess
        );
        if excess > 1.0 {
            return Err(Error::Device(format!("{} computes '{}' wrongly", trainer.engine().device_name(), check.name)));
        }
    }
    trainer.restore(&before)
}

/// Times some steps' kernels, prints the table and writes the trace; the steps leave no trace in the run.
fn profile(experiment: &mut Experiment) -> Result<()> {
    let trainer = &mut experiment.trainer;
    let before = pollster::block_on(trainer.checkpoint())?;
    trainer.prepare_epoch()?;
    let steps = trainer.steps().min(10) as usize;
    let (engine, program) = trainer.engine_mut();
    let timed = match engine {
        Engine::Gpu(executor) => pollster::block_on(executor.profile(program.index(), 0..steps))?,
        Engine::Cpu(executor) => {
            executor.run(program.index(), 0..1); // the first touch of the memory
            let start = Instant::now();
            executor.profile(program.index(), 0..steps, || start.elapsed().as_secs_f64() * 1e9)
        }
    };
    eprintln!("{:<44} {:>6} {:>10} {:>7} {:>9} {:>8}", "kernel", "calls", "ms", "share", "GFLOP/s", "GB/s");
    for line in by_kernel(&timed) {
        eprintln!(
            "{:<44} {:>6} {:>10.3} {:>5.1} % {:>9.2} {:>8.2}",
            line.kernel,
            line.calls,
            line.milliseconds,
            100.0 * line.share,
            line.gflops,
            line.gbytes
        );
    }
    let path: &Path = experiment.run.path();
    train::files::write_whole(&path.join("trace.json"), trace(&timed).as_bytes())?;
    experiment.trainer.restore(&before)
}
