//! `gpunn info`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::Result;
use crate::data::ImageOptions;
use crate::formats::tensors::{TensorEntry, TensorFile};

use crate::nn::operators::Known;
use crate::onnx::read::Program;
use crate::runs::onnx::{OnnxFile, is_onnx};

use super::flags::JsonArgs;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpunn info squeezenet1_1.safetensors")]
pub struct Args {
    /// A file of weights: safetensors or of torch.save, a checkpoint, or an ONNX file
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

/// What `--json` prints of an ONNX file.
#[derive(serde::Serialize)]
struct OnnxOutput<'a> {
    file: String,
    producer: &'a str,
    opset: i64,
    inputs: Vec<String>,
    outputs: &'a [String],
    /// How often each operator stands in it.
    operators: BTreeMap<&'a str, usize>,
    /// The number of values that it holds.
    tensors: usize,
    parameters: usize,
    metadata: &'a BTreeMap<String, String>,
    /// Whether gpunn can use it as a classifier of images; if not, why.
    usable: bool,
    reason: Option<String>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    if is_onnx(&args.file) {
        return of_onnx(&args);
    }
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

fn of_onnx(args: &Args) -> Result<ExitCode> {
    let program = Program::open(&args.file)?;
    let mut operators = BTreeMap::new();
    program.nodes.iter().for_each(|node| *operators.entry(node.op.as_str()).or_insert(0) += 1);
    let file = OnnxFile::open(&args.file, &ImageOptions::default());
    let reason = file.and_then(|file| file.checkpoint()?.model()).err();
    let info = OnnxOutput {
        file: args.file.display().to_string(),
        producer: &program.producer,
        opset: program.opset,
        inputs: program.inputs.iter().map(ToString::to_string).collect(),
        outputs: &program.outputs,
        operators,
        tensors: program.tensors.len(),
        parameters: program.tensors.values().map(Known::elements).sum(),
        metadata: &program.metadata,
        usable: reason.is_none(),
        reason: reason.map(|error| error.to_string()),
    };
    args.output.print(&info, print_onnx)?;
    Ok(ExitCode::SUCCESS)
}

fn print_onnx(info: &OnnxOutput) {
    let by = if info.producer.is_empty() { String::new() } else { format!(", written by {}", info.producer) };
    super::print_line(&format!("opset {}{by}", info.opset));
    info.inputs.iter().for_each(|input| super::print_line(&format!("input {input}")));
    info.outputs.iter().for_each(|output| super::print_line(&format!("output {output}")));
    for (op, count) in &info.operators {
        super::print_line(&format!("{count:>5} {op}"));
    }
    for (key, value) in info.metadata {
        super::print_line(&format!("metadata {key}: {value}"));
    }
    super::print_line(&format!("{} tensors, {} numbers in total", info.tensors, info.parameters));
    super::print_line(
        info.reason.as_deref().unwrap_or("gpunn can use it: predict, train, import and summary take --model FILE"),
    );
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
