//! `gpunn info`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::Result;
use crate::formats::tensors::{TensorEntry, TensorFile};

use super::flags::JsonArgs;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpunn info squeezenet1_1.safetensors")]
pub struct Args {
    /// A file of weights: safetensors or of torch.save, or a checkpoint
    file: PathBuf,
    #[command(flatten)]
    output: JsonArgs,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct WeightFileOutput<'a> {
    file: String,
    /// The model whose torchvision version has these tensor names.
    model: Option<&'static str>,
    tensors: &'a BTreeMap<String, TensorEntry>,
    /// Total number of floating-point values.
    parameters: usize,
    metadata: &'a BTreeMap<String, String>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let file = TensorFile::open(&args.file)?;
    let floats = file.tensors().values().filter(|tensor| tensor.is_float());
    let info = WeightFileOutput {
        file: args.file.display().to_string(),
        model: crate::runs::weights::architecture_of(&file),
        tensors: file.tensors(),
        parameters: floats.map(TensorEntry::elements).sum(),
        metadata: file.metadata(),
    };
    args.output.print(&info, print)?;
    Ok(ExitCode::SUCCESS)
}

fn print(info: &WeightFileOutput) {
    let names = info.tensors.keys().map(String::len).max().unwrap_or(0);
    for (name, tensor) in info.tensors {
        super::print_line(&format!("{name:<names$}  {:<4} {tensor}", tensor.kind));
    }
    for (key, value) in info.metadata {
        super::print_line(&format!("metadata {key}: {value}"));
    }
    let model = info.model.map_or_else(String::new, |model| format!(", with the names of {model}"));
    super::print_line(&format!("{} tensors{model}, {} parameters in total", info.tensors.len(), info.parameters));
}
