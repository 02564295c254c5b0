//! `gpunn lr-find`, and the learning rate of `gpunn train --lr auto`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::data::Dataset;
use crate::formats::tensors::TensorFile;
use crate::graph::PlanOptions;
use crate::report::{Across, Curve, CurvePlot, Unit, svg};
use crate::train::{
    EpochProgress, FoundRate, RateRange, Recipe, Trainer, TrainerOptions, find_rate, recipe_to_find_rate,
};
use crate::{Engine, Error, Result};

use super::engine::{DeviceArgs, options_to_train};
use super::flags::JsonArgs;
use super::images::print_skipped;
use super::numbers::{real, whole};
use super::outputs;
use super::recipe::{GridPoint, OrAuto, RecipeArgs, TRAINING_HEADING};
use super::stop::StopFlag;
use super::train::RUN_HEADING;
use super::working::Working;

/// Suggests a learning rate: trains for some steps with a rate that grows from step to step, and looks where the loss falls.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  gpunn lr-find my-images\n  gpunn lr-find --recipe cifar10-cnn --out lr.svg\n\n\
    `gpunn train --lr auto` does the same before the training, and takes the suggested rate.")]
pub struct Args {
    #[command(flatten)]
    recipe_args: RecipeArgs,
    #[command(flatten, next_help_heading = TRAINING_HEADING)]
    point: GridPoint,
    /// The first learning rate
    #[arg(long, value_name = "X", value_parser = real::<f64>, default_value = "0.000001", help_heading = "Range")]
    low: f64,
    /// The last learning rate
    #[arg(long, value_name = "X", value_parser = real::<f64>, default_value = "10", help_heading = "Range")]
    high: f64,
    /// The number of steps
    #[arg(long, value_name = "N", value_parser = whole::<usize>(1), default_value = "200", help_heading = "Range")]
    steps: usize,
    /// Write a plot of the loss over the learning rate
    #[arg(long, value_name = "FILE.svg", value_parser = outputs::ending("svg"))]
    out: Option<PathBuf>,
    #[command(flatten, next_help_heading = RUN_HEADING)]
    device: DeviceArgs,
    #[command(flatten)]
    format: JsonArgs,
    /// Print no progress
    #[arg(long, short)]
    quiet: bool,
}

pub fn run(args: Args) -> Result<ExitCode> {
    if args.point.lr == Some(OrAuto::Auto) {
        return Err(Error::usage("`gpunn lr-find` finds the learning rate: leave --lr auto out."));
    }
    let recipe_args = &args.recipe_args;
    let mut recipe = recipe_args.recipe(&args.point, args.quiet)?;
    recipe.validate()?;
    args.device.set_threads()?;
    let pretrained = recipe.open_pretrained(recipe_args.data_dir.path())?;
    let work = Working::new("loading the images", args.quiet);
    let dataset = recipe.load_data(recipe_args.data_dir.path())?;
    drop(work);
    print_skipped(&dataset);
    let options = options_to_train([&recipe]);
    let engine = args.device.open_to_train((&recipe, &dataset, args.point.is_divided()), options, args.quiet)?;
    args.point.divide(&engine, (&mut recipe, &dataset), PlanOptions::default(), args.quiet)?;
    let stop = StopFlag::on_signals();
    let range = RateRange { ends: [args.low, args.high], steps: args.steps };
    let going = || !stop.is_set();
    let found = find((engine, pretrained.as_ref()), (&recipe, &dataset), range, (&going, args.quiet))?;
    let Some((found, _)) = found else { return Ok(stop.exit_code()) };
    if let Some(out) = &args.out {
        write_plot(&found, out)?;
    }
    if args.format.json {
        super::print_json(&found)?;
    } else {
        print_found(&found, args.out.as_deref())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a range test of a recipe. Returns the engine, too. `None` if it was stopped, because `going` returned false.
pub fn find(
    (engine, pretrained): (Engine, Option<&TensorFile>),
    (recipe, dataset): (&Recipe, &Dataset),
    range: RateRange,
    (going, quiet): (&dyn Fn() -> bool, bool),
) -> Result<Option<(FoundRate, Engine)>> {
    let work = Working::new("looking for a learning rate", quiet);
    let mut trainer = Trainer::new(engine, recipe_to_find_rate(recipe), dataset, TrainerOptions::default())?;
    if let Some(file) = pretrained {
        crate::blocking::block_on(trainer.load_pretrained(file))?;
    }
    let mut progress = |at: EpochProgress| {
        if let EpochProgress::Trained(step) = at {
            work.at("looking for a learning rate", step as usize, range.steps);
        }
        going()
    };
    let (found, engine) = crate::blocking::block_on(find_rate(trainer, range, &mut progress))?;
    Ok(found.map(|found| (found, engine)))
}

fn print_found(found: &FoundRate, out: Option<&Path>) -> Result<()> {
    let FoundRate { rates, losses, .. } = found;
    super::print_line("learning rate      loss");
    for place in (0..rates.len()).step_by((rates.len() / 20).max(1)) {
        super::print_line(&format!("{:>13.2e}  {:>8.4}", rates[place], losses[place]));
    }
    super::print_line(&format!("suggested learning rate: {} (--lr {0})", found.learning_rate));
    if let Some(out) = out {
        super::print_line(&format!("{}", out.display()));
    }
    Ok(())
}

/// Draws the loss over the learning rate.
fn write_plot(found: &FoundRate, out: &Path) -> Result<()> {
    let points = found.rates.iter().copied().zip(found.losses.iter().copied()).collect();
    let plot = CurvePlot {
        what: "loss".into(),
        unit: Unit::Plain,
        across: Across::Setting("learning rate".into()),
        curves: vec![Curve { name: format!("suggested: {}", found.learning_rate), points }],
    };
    crate::files::write_atomic(out, svg(&plot)?.as_bytes())
}
