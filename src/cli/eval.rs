//! `gpunn eval`.

use std::process::ExitCode;

use gpunn::Result;
use gpunn::data::SplitName;
use gpunn::train::{Evaluation, evaluate};

use super::flags::{ComputeArgs, EvaluatedArgs, RunArgs, ViewArgs};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpunn eval runs/glyphs-mlp-20260101-1 --split test --json")]
pub struct Args {
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    data: EvaluatedArgs,
    #[command(flatten)]
    views: ViewArgs,
    #[command(flatten)]
    compute: ComputeArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    args.compute.device.set_threads()?;
    let asked = args.data.split()?;
    let checkpoint = args.views.with(args.run.checkpoint()?)?;
    let order = [SplitName::Test, SplitName::Val, SplitName::Train];
    let (dataset, split) = args.data.load(&checkpoint, asked, order)?;
    let mut engine = args.compute.open()?;
    let evaluation = gpunn::blocking::block_on(evaluate(&mut engine, &checkpoint, &dataset, split))?;
    args.compute.output.print(&evaluation, |evaluation| print(evaluation, &checkpoint.classes))?;
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
