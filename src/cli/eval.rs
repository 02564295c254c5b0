//! `gpunn eval`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gpunn::data::SplitName;
use gpunn::runs::RunDirectory;
use gpunn::train::{Checkpoint, Evaluation, Tta, evaluate};
use gpunn::{Result, gpu};

use super::engine::DeviceArgs;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpunn eval runs/glyphs-mlp-20260101-1 --split test --json")]
pub struct Args {
    /// A run directory or a checkpoint file
    run: PathBuf,
    /// The split to evaluate: train, val or test [default: test, else val, else train]
    #[arg(long, value_name = "SPLIT")]
    split: Option<String>,
    /// Use the best epoch's weights instead of the last epoch's
    #[arg(long)]
    best: bool,
    /// Test-time augmentation, averages the predictions for several views: flip (the image and its mirror image), shift (both,
    /// also shifted by one pixel) or shift-only (no mirror images); --tta alone means flip
    #[arg(long, value_name = "VIEWS", num_args = 0..=1, default_missing_value = "flip")]
    tta: Option<Tta>,
    /// The folder with the datasets [default: the one that the run used]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print the result as JSON, as the last line of standard output
    #[arg(long)]
    json: bool,
    /// Do not print the device
    #[arg(long, short)]
    quiet: bool,
}

/// The checkpoint of a run directory or of a file, with this test-time augmentation.
pub fn checkpoint(path: &Path, best: bool, tta: Option<Tta>) -> Result<Checkpoint> {
    let mut checkpoint = if path.is_file() {
        Checkpoint::read(path)?
    } else {
        let run = RunDirectory::open(path)?;
        if best { run.best()? } else { run.last()? }
    };
    average(&mut checkpoint, tta)?;
    Ok(checkpoint)
}

/// Sets the checkpoint's test-time augmentation, if `tta` is given.
pub fn average(checkpoint: &mut Checkpoint, tta: Option<Tta>) -> Result<()> {
    if tta.is_some() {
        checkpoint.recipe.training.tta = tta;
        checkpoint.recipe.validate()?;
    }
    Ok(())
}

pub fn run(args: Args) -> Result<ExitCode> {
    args.device.set_threads()?;
    let asked: Option<SplitName> = args.split.as_deref().map(str::parse).transpose()?;
    let checkpoint = checkpoint(&args.run, args.best, args.tta)?;
    let dataset = checkpoint.recipe.clone().load_data(args.data_dir.as_deref())?;
    super::images::print_skipped(&dataset);
    let split_name =
        asked.unwrap_or_else(|| super::first_split(&dataset, [SplitName::Test, SplitName::Val, SplitName::Train]));
    dataset.split(split_name)?;
    let mut engine = args.device.open(gpu::DeviceOptions::default(), args.quiet)?;
    let evaluation = gpunn::blocking::block_on(evaluate(&mut engine, &checkpoint, &dataset, split_name))?;
    if args.json {
        super::print_json(&evaluation)?;
    } else {
        print(&evaluation, &checkpoint.classes);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(evaluation: &Evaluation, classes: &[String]) {
    let Evaluation { split, images, loss, accuracy, psnr, per_class, .. } = evaluation;
    super::print_line(&format!("{split}: {images} images, loss {loss:.4}"));
    if let Some(accuracy) = accuracy {
        super::print_line(&format!("accuracy {}", super::percent(*accuracy)));
    }
    if let Some(psnr) = psnr {
        super::print_line(&format!("PSNR {psnr:.2} dB"));
    }
    for (index, (class, accuracy)) in classes.iter().zip(per_class.iter().flatten()).enumerate() {
        let Some(accuracy) = accuracy else { continue };
        let row = evaluation.confusion.as_ref().map_or(&[][..], |confusion| &confusion[index]);
        let others = row.iter().enumerate().filter(|&(other, &count)| other != index && count > 0);
        let most = others.max_by_key(|&(_, count)| count);
        let most = most
            .map_or(String::new(), |(other, count)| format!("  most often confused with {} ({count})", classes[other]));
        super::print_line(&format!("  {class:<12} {:>8}{most}", super::percent(*accuracy)));
    }
}
