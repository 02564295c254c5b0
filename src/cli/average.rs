//! `gpunn average`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::blocking::block_on;
use crate::runs::{ImportedFrom, RunDirectory};
use crate::train::{Checkpoint, average, began_alike, network_difference, recompute_statistics};
use crate::{Error, Result};

use super::flags::{ComputeArgs, EpochArgs, NewRunArgs, held_out_otherwise, load_data_of};
use super::working::Working;

/// Makes one network of several: the mean of their weights (a "model soup"). It answers as fast as one of them. The runs have to be of the
/// same network, trained from the same weights, such as fine-tunings of a pretrained network with several seeds or settings: the mean of
/// networks that began at different random weights answers like a guess. The new run has the recipe of the first one, and all commands
/// accept it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpunn average runs/pets-1 runs/pets-2 runs/pets-3 --out runs/pets-mean\n\n\
        `gpunn predict RUN IMAGE --ensemble RUN` averages answers instead of weights; that works for any networks with the same classes.")]
pub struct Args {
    /// Run directories or checkpoint files, at least two
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Compute the running statistics of batch norm again, from up to 10,000 training images of the first run; without this, they are
    /// averaged, too
    #[arg(long)]
    recompute_batch_norm: bool,
    /// The folder with the datasets, for --recompute-batch-norm [default: the one that the run used]
    #[arg(long, value_name = "DIR", requires = "recompute_batch_norm")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    new: NewRunArgs,
    #[command(flatten)]
    epoch: EpochArgs,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct AverageOutput {
    /// The new run directory.
    run: String,
    runs: Vec<String>,
    /// The number of training images from which the statistics of batch norm were computed. Null if they were averaged, or there are none.
    batch_norm_images: Option<usize>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    args.compute.device.set_threads()?;
    args.new.check()?;
    let members = args.runs.iter().map(|path| args.epoch.checkpoint(path)).collect::<Result<Vec<_>>>()?;
    check(&args, &members)?;
    let mut checkpoint = average(&members)?;
    let batch_norm_images = if args.recompute_batch_norm { recompute(&args, &mut checkpoint)? } else { None };
    let run = args.new.create(&checkpoint.recipe)?;
    // The images that the first run held out are held out.
    if let Some(images) = RunDirectory::open(&args.runs[0]).ok().map(|first| first.images()).transpose()?.flatten() {
        run.write_list(&images)?;
    }
    let runs: Vec<String> = args.runs.iter().map(|path| path.display().to_string()).collect();
    run.write_import(&ImportedFrom { file: format!("the mean of {}", runs.join(", ")), has_recipe: false })?;
    run.write_best(&checkpoint)?;
    run.write_last(&checkpoint)?;
    let output = AverageOutput { run: run.path().display().to_string(), runs, batch_norm_images };
    args.compute.output.print(&output, |output| {
        let AverageOutput { run, runs, batch_norm_images } = output;
        let statistics = batch_norm_images
            .map_or_else(String::new, |images| format!(", batch norm's statistics of {images} training images"));
        super::print_line(&format!("the mean of {} networks as the run {run}{statistics}", runs.len()));
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Checks that the networks are the same, and warns if their mean is probably not what was meant.
fn check(args: &Args, members: &[Checkpoint]) -> Result<()> {
    let first = &members[0];
    for (path, other) in args.runs.iter().zip(members).skip(1) {
        let path = path.display();
        if let Some(difference) = network_difference(first, other) {
            let first = args.runs[0].display();
            return Err(Error::usage(format!(
                "The weights of {path} cannot be averaged with those of {first}: {difference}. `gpunn predict --ensemble` averages the \
                 answers of any networks with the same classes."
            )));
        }
        if !began_alike(first, other) {
            eprintln!(
                "warning: {path} and {} seem to have begun at different random weights. The mean of such networks answers like a guess; \
                 evaluate it. `gpunn predict --ensemble` averages their answers instead.",
                args.runs[0].display()
            );
        }
        if held_out_otherwise(first, other) {
            eprintln!(
                "warning: {path} held out other images than {} for validation, so the new run's validation split is no measure of it; use \
                 images that none of them saw",
                args.runs[0].display()
            );
        }
    }
    Ok(())
}

/// Computes batch norm's statistics from the training images of the first run. `None` without batch norm.
fn recompute(args: &Args, checkpoint: &mut Checkpoint) -> Result<Option<usize>> {
    let dataset = load_data_of(&args.runs[0], checkpoint, args.data_dir.as_deref())?;
    let mut engine = args.compute.open()?;
    let what = "measuring batch norm's statistics";
    let work = Working::new(what, args.compute.quiet);
    let mut watch = |done: usize, of: usize| work.at(what, done, of);
    let images = block_on(recompute_statistics(&mut engine, checkpoint, &dataset.train, &mut watch))?;
    drop(work);
    if images == 0 {
        eprintln!("note: the network has no batch norm, so there was nothing to compute again");
    }
    Ok((images > 0).then_some(images))
}
