//! `gpunn export`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::onnx::{NEWEST_OPSET, OLDEST_OPSET};
use crate::runs::onnx::{self, OPSET, OnnxOptions};
use crate::train::Checkpoint;
use crate::{Error, Result, files, runs::weights};

use super::flags::{DataDirArgs, RunArgs};

/// File formats for trained networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Tensors with PyTorch's names
    Safetensors,
    /// A network that takes images with values from 0 to 1, for ONNX Runtime and other programs
    Onnx,
}

/// Types of integers for weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Integers {
    /// From -128 to 127
    Int8,
}

impl Format {
    fn ending(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::Onnx => "onnx",
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  gpunn export runs/flowers17-squeezenet-20260101-1 --out flowers.safetensors\n  \
        gpunn export runs/flowers17-squeezenet-20260101-1 --format onnx --softmax --out flowers.onnx\n\n\
        docs/pytorch.md shows how to load the first file in PyTorch, docs/onnx.md how to run the second.",
    mut_arg("last", |last| last.help("Export the last epoch's weights instead of the best epoch's")))]
pub struct Args {
    #[command(flatten)]
    run: RunArgs,
    /// The file format [default: by the file's ending, else safetensors]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Safetensors: write weights as 16-bit floats; batch-norm statistics stay 32-bit
    #[arg(long)]
    f16: bool,
    /// ONNX: make batch norm a part of the convolution before it
    #[arg(long)]
    fold_batch_norm: bool,
    /// ONNX: a classifier's output is the probabilities instead of the logits
    #[arg(long)]
    softmax: bool,
    /// ONNX: weights and activations as 8-bit integers, in a quarter of the size. Batch norm becomes a part of convolutions, and
    /// 256 training images say in which range the activations are
    #[arg(long, value_enum, value_name = "int8")]
    quantize: Option<Integers>,
    #[command(flatten)]
    data_dir: DataDirArgs,
    /// ONNX: the version of the operators, from 13 to 21 [default: 17]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(OLDEST_OPSET..=NEWEST_OPSET))]
    opset: Option<i64>,
}

impl Args {
    /// The format: as asked, else by the file's ending.
    fn format(&self) -> Result<Format> {
        let ending = self.out.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let by_ending =
            [Format::Safetensors, Format::Onnx].into_iter().find(|of| ending.as_deref() == Some(of.ending()));
        let format = self.format.or(by_ending).unwrap_or(Format::Safetensors);
        let (name, of_onnx) =
            (format.ending(), self.fold_batch_norm || self.softmax || self.opset.is_some() || self.quantize.is_some());
        if ending.is_some() && by_ending != Some(format) {
            let file = self.out.display();
            let other = if self.format.is_none() { " or .onnx" } else { "" };
            return Err(Error::usage(format!(
                "{file} would be written as {name}; choose a name that ends in .{name}{other}."
            )));
        }
        match format {
            Format::Safetensors if of_onnx => {
                Err(Error::usage("--fold-batch-norm, --softmax, --opset and --quantize are for --format onnx."))
            }
            Format::Onnx if self.f16 => Err(Error::usage("--f16 is for --format safetensors.")),
            _ => Ok(format),
        }
    }

    /// The file's bytes, and what is said of them.
    fn bytes(&self, format: Format, checkpoint: &Checkpoint) -> Result<(Vec<u8>, String)> {
        if format == Format::Safetensors {
            return Ok((weights::export(checkpoint, self.f16)?, String::new()));
        }
        let options = OnnxOptions {
            opset: self.opset.unwrap_or(OPSET),
            fold_batch_norm: self.fold_batch_norm || self.quantize.is_some(),
            softmax: self.softmax,
        };
        let mut network = onnx::export(checkpoint, options)?;
        if self.quantize.is_some() {
            network = onnx::quantised(network, &self.run.load_data(checkpoint, self.data_dir.path())?)?;
        }
        let onnx::OnnxNetwork { bytes, image: [channels, height, width], output, batch_norms } = network;
        let mut told = format!(
            "\nopset {}; input `{}`: batch x {channels} x {height} x {width}, from 0 to 1; output `{output}`",
            options.opset,
            onnx::INPUT
        );
        if options.fold_batch_norm && batch_norms > 0 {
            told += &match batch_norms {
                1 => "\n1 batch norm could not become a part of a convolution, and stays".to_owned(),
                _ => format!("\n{batch_norms} batch norms could not become a part of a convolution, and stay"),
            };
        }
        if checkpoint.recipe.training.tta.is_some() {
            told += "\nthe test-time views of the recipe are not in the file";
        }
        Ok((bytes, told))
    }
}

pub fn run(args: Args) -> Result<ExitCode> {
    super::print_line(&written(&args)?);
    Ok(ExitCode::SUCCESS)
}

/// Writes the file, and says what it is.
pub fn written(args: &Args) -> Result<String> {
    let format = args.format()?;
    let checkpoint = args.run.checkpoint()?;
    let (bytes, told) = args.bytes(format, &checkpoint)?;
    files::write_atomic(&args.out, &bytes)?;
    Ok(format!(
        "{} with {} classes written to {}, {}{told}",
        checkpoint.recipe.model.name,
        checkpoint.classes.len(),
        args.out.display(),
        super::bytes(bytes.len())
    ))
}
