//! `gpunn import`.

use std::path::PathBuf;
use std::process::ExitCode;

use gpunn::Result;
use gpunn::formats::tensors::TensorFile;
use gpunn::runs::weights;

use super::flags::{DataDirArgs, NewRunArgs};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpunn import squeezenet1_1.safetensors --model squeezenet --out runs/imagenet\n\n\
        All commands accept the new run. `gpunn train --resume` continues its training.")]
pub struct Args {
    /// A file with weights under PyTorch's names: safetensors, or a state dict or checkpoint of torch.save
    file: PathBuf,
    /// The weights' model, by name or TOML file [default: recognized from the file]
    #[arg(long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// The dataset that the weights were trained on [default: as the file says, else ImageNet]
    #[arg(long, value_name = "NAME|FOLDER")]
    dataset: Option<String>,
    #[command(flatten)]
    data_dir: DataDirArgs,
    #[command(flatten)]
    new: NewRunArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let file = TensorFile::open(&args.file)?;
    let model = args.model.as_deref().map(gpunn::runs::model).transpose()?;
    let dataset = args.dataset.as_deref().map(|name| {
        // The model's recipe decides how images are loaded.
        let name = gpunn::datasets::name_of(name, args.data_dir.path())?;
        gpunn::runs::choose(None, model.clone(), Some(&name))?.load_data(args.data_dir.path())
    });
    let checkpoint = weights::import(&file, model, dataset.transpose()?.as_ref())?;
    let run = args.new.create(&checkpoint.recipe)?;
    run.write_best(&checkpoint)?;
    run.write_last(&checkpoint)?;
    super::print_line(&format!(
        "{} with {} classes imported as the run {}",
        checkpoint.recipe.model.name,
        checkpoint.classes.len(),
        run.path().display()
    ));
    Ok(ExitCode::SUCCESS)
}
