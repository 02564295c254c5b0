//! `gpunn export`.

use std::path::PathBuf;
use std::process::ExitCode;

use gpunn::{Result, files, runs::weights};

use super::flags::RunArgs;

/// File formats for weights.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// Tensors with PyTorch's names
    Safetensors,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpunn export runs/flowers17-squeezenet-20260101-1 --out flowers.safetensors\n\n\
        docs/pytorch.md shows how to load the file in PyTorch.",
    mut_arg("last", |last| last.help("Export the last epoch's weights instead of the best epoch's")))]
pub struct Args {
    #[command(flatten)]
    run: RunArgs,
    /// The file format
    #[arg(long, value_enum, default_value_t = Format::Safetensors)]
    format: Format,
    /// The file to write
    #[arg(long, value_name = "FILE", value_parser = super::outputs::ending("safetensors"))]
    out: PathBuf,
    /// Write weights as 16-bit floats; batch-norm statistics stay 32-bit
    #[arg(long)]
    f16: bool,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let checkpoint = args.run.checkpoint()?;
    let Format::Safetensors = args.format;
    let bytes = weights::export(&checkpoint, args.f16)?;
    files::write_atomic(&args.out, &bytes)?;
    super::print_line(&format!(
        "{} with {} classes written to {}, {}",
        checkpoint.recipe.model.name,
        checkpoint.classes.len(),
        args.out.display(),
        super::bytes(bytes.len())
    ));
    Ok(ExitCode::SUCCESS)
}
