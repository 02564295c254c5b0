//! `gpunn import`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::data::{Dataset, ImageOptions};
use crate::formats::tensors::TensorFile;
use crate::nn::models::ModelConfig;
use crate::ops::augment::Augment;
use crate::runs::ImportedFrom;
use crate::runs::onnx::{OnnxFile, is_onnx};
use crate::runs::weights::{self, Imported};
use crate::train::{Checkpoint, Recipe};
use crate::{Error, Result};

use super::flags::{DataDirArgs, NewRunArgs};
use super::images::ImageArgs;
use super::numbers::real;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpunn import squeezenet1_1.safetensors --model squeezenet --out runs/imagenet\n\n\
        All commands accept the new run. `gpunn train --resume` continues its training.")]
pub struct Args {
    /// A file with weights under PyTorch's names: safetensors, or a state dict or checkpoint of torch.save. Or an ONNX file
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
    images: ImageArgs,
    /// The mean of each channel that the weights' images were normalized with, with --dataset and --std; pixels are from 0 to 1
    #[arg(long, value_name = "X,...", value_delimiter = ',', value_parser = real::<f64>, requires_all = ["dataset", "std"])]
    mean: Option<Vec<f64>>,
    /// The standard deviation of each channel, with --mean
    #[arg(long, value_name = "X,...", value_delimiter = ',', value_parser = real::<f64>, requires = "mean")]
    std: Option<Vec<f64>>,
    #[command(flatten)]
    new: NewRunArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let (checkpoint, has_recipe) = if is_onnx(&args.file) { from_onnx(&args)? } else { from_weights(&args)? };
    let run = args.new.create(&checkpoint.recipe)?;
    run.write_import(&ImportedFrom { file: args.file.display().to_string(), has_recipe })?;
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

/// The checkpoint of a file of weights, and whether the file has the recipe that made them.
fn from_weights(args: &Args) -> Result<(Checkpoint, bool)> {
    let file = TensorFile::open(&args.file)?;
    let model = args.model.as_deref().map(crate::runs::model).transpose()?;
    if let Some(name) = &args.dataset {
        return Ok((import_for(args, &file, model, name)?, false));
    }
    let Imported { mut checkpoint, has_recipe } = weights::import(&file, model)?;
    if has_recipe {
        know_places(&mut checkpoint.recipe, args.data_dir.path())?;
    }
    Ok((checkpoint, has_recipe))
}

/// The checkpoint of an ONNX file, for its own images and classes, or for those of a dataset.
fn from_onnx(args: &Args) -> Result<(Checkpoint, bool)> {
    if let Some(model) = &args.model {
        return Err(Error::usage(format!("{} has its own network; leave out --model {model}.", args.file.display())));
    }
    let file = OnnxFile::open(&args.file, &args.images.or(ImageOptions::default()))?;
    file.notes.iter().for_each(|note| eprintln!("{}: {note}", args.file.display()));
    let Some(name) = &args.dataset else {
        let checkpoint = file.checkpoint()?;
        print_images(&checkpoint);
        return Ok((checkpoint, false));
    };
    let dataset = crate::datasets::name_of(name, args.data_dir.path())?;
    let mut recipe = file.recipe()?;
    recipe.data.name = dataset;
    let dataset = prepared(args, &mut recipe)?;
    if dataset.classes.len() != file.classes.len() {
        return Err(Error::usage(format!(
            "{} is for {} classes, but {} has {}. `gpunn train --model {}` replaces its last layer.",
            args.file.display(),
            file.classes.len(),
            dataset.name,
            dataset.classes.len(),
            args.file.display()
        )));
    }
    let checkpoint = weights::import_for(&file.weights, recipe, &dataset)?;
    print_images(&checkpoint);
    Ok((checkpoint, false))
}

/// Stores where the data directory and the pretrained weights of a recipe are on this machine, if they are there. An exported file has
/// no paths.
fn know_places(recipe: &mut Recipe, data_dir: Option<&Path>) -> Result<()> {
    if let Some(directory) = data_dir {
        let there = std::fs::canonicalize(directory).map_err(Error::file("cannot find the folder", directory))?;
        recipe.data.folder = Some(there);
    }
    // Without the weights that training started from, the run is still good for everything but training it again.
    let _ = recipe.open_pretrained(data_dir);
    Ok(())
}

/// Imports weights for the images of a dataset. How the images are prepared is what the flags say, else what the recipe in the file
/// says, else the recipe for the model. It is printed, because few files say for which images their weights are.
fn import_for(args: &Args, file: &TensorFile, model: Option<ModelConfig>, dataset: &str) -> Result<Checkpoint> {
    let dataset = crate::datasets::name_of(dataset, args.data_dir.path())?;
    let mut recipe = weights::recipe_for(file, model, &dataset)?;
    let dataset = prepared(args, &mut recipe)?;
    let checkpoint = weights::import_for(file, recipe, &dataset)?;
    print_images(&checkpoint);
    Ok(checkpoint)
}

/// The dataset of a recipe, prepared as the flags say.
fn prepared(args: &Args, recipe: &mut Recipe) -> Result<Dataset> {
    recipe.set_images(args.images.or(recipe.data.asked()));
    recipe.data.skip_bad |= args.images.skip_bad;
    if args.mean.is_some() {
        let augment = recipe.augment.take().unwrap_or_default();
        recipe.augment = Some(Augment { mean: args.mean.clone(), std: args.std.clone(), ..augment });
    }
    recipe.validate()?;
    recipe.load_data(args.data_dir.path())
}

/// Prints how the images of an imported run are prepared.
fn print_images(checkpoint: &Checkpoint) {
    let [channels, height, width] = checkpoint.input;
    let augment = checkpoint.recipe.augment.as_ref();
    let normalized = match augment.and_then(|augment| augment.mean.as_ref().zip(augment.std.as_ref())) {
        Some((mean, std)) => format!("normalized with mean {mean:?} and standard deviation {std:?}"),
        None => "not normalized".into(),
    };
    eprintln!(
        "images: {channels} x {height} x {width}, {normalized}; --size, --fit, --channels, --mean and --std change this"
    );
}
