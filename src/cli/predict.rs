//! `gpunn predict`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gpunn::datasets::{has_dark_ink, preprocessing};
use gpunn::formats::tensors::TensorFile;
use gpunn::images::open;
use gpunn::images::prepare;
use gpunn::inference::{Prediction, Predictor};
use gpunn::nn::models::{self, IMAGENET, ModelConfig};
use gpunn::runs::weights;
use gpunn::train::{Checkpoint, Recipe};
use gpunn::{Error, Result};

use super::flags::{BestArgs, ComputeArgs, ViewArgs};

/// Default of --top for imported weights, because ImageNet has many classes.
const TOP_CLASSES: usize = 5;

/// Classifies images: PNG, JPEG, BMP or WebP files. Each image is prepared like the training images. For a network trained on a
/// folder of images, it is resized as that folder's images were. For an ImageNet network, the shorter side is scaled to 256
/// and the center 224 x 224 is cropped. For a network of gray characters, the image becomes gray; dark ink on a light
/// background is inverted, unless the training images are dark on light. The ink is then centered in a square with 1.35 times
/// its longer side.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "gpunn predict [OPTIONS] RUN IMAGE...\n       gpunn predict [OPTIONS] --pretrained FILE IMAGE...",
    after_help = "Examples:\n  gpunn predict runs/glyphs-mlp-20260101-1 letter.png\n  \
        gpunn predict --model squeezenet --pretrained squeezenet1_1.safetensors photo.jpg"
)]
pub struct Args {
    /// A run directory or a checkpoint file, then images of one character or object each; with --pretrained or --model only
    /// images
    #[arg(required = true, value_name = "RUN IMAGE")]
    paths: Vec<PathBuf>,
    /// Use the weights in a file (safetensors, or .pth of torch.save) instead of a run's
    #[arg(long, value_name = "FILE")]
    pretrained: Option<PathBuf>,
    /// The model of the weights [default: recognized by tensor names]; without --pretrained, its ImageNet weights are loaded
    /// from the folder of --data-dir
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// The folder with the datasets, and with ImageNet weights such as squeezenet/squeezenet1_1.safetensors
    /// [default: GPUNN_DATA, else the user's cache folder]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print the N most probable classes [default: 5 with --pretrained or --model, else 1]
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    #[command(flatten)]
    best: BestArgs,
    #[command(flatten)]
    views: ViewArgs,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct PredictOutput {
    predictions: Vec<ImageOutput>,
}

/// The result for one image.
#[derive(serde::Serialize)]
struct ImageOutput {
    image: String,
    #[serde(flatten)]
    prediction: Prediction,
    /// The most probable classes, if --top is above 1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    likeliest: Vec<Prediction>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    args.compute.device.set_threads()?;
    let (checkpoint, paths) = checkpoint(&args)?;
    // All images are read first, so that an unreadable image leaves no partial output.
    let images: Vec<Vec<f32>> = paths.iter().map(|path| read(path, &checkpoint)).collect::<Result<_>>()?;
    let engine = args.compute.open()?;
    let mut predictor = Predictor::new(engine, &checkpoint)?;
    let given = args.pretrained.is_some() || args.model.is_some();
    let top = args.top.unwrap_or(if given { TOP_CLASSES } else { 1 });
    let mut predictions = Vec::new();
    for (path, image) in paths.iter().zip(&images) {
        let prediction = gpunn::blocking::block_on(predictor.predict(image))?;
        let likeliest = if top > 1 { prediction.likeliest(top, &checkpoint.classes) } else { Vec::new() };
        predictions.push(ImageOutput { image: path.display().to_string(), prediction, likeliest });
    }
    args.compute.output.print(&PredictOutput { predictions }, print)?;
    Ok(ExitCode::SUCCESS)
}

fn print(output: &PredictOutput) {
    let line = |prediction: &Prediction| format!("{} ({})", prediction.class, super::percent(prediction.confidence));
    for ImageOutput { image, prediction, likeliest } in &output.predictions {
        let classes = likeliest.iter().map(line).collect::<Vec<_>>().join(", ");
        super::print_line(&format!("{image}: {}", if classes.is_empty() { line(prediction) } else { classes }));
    }
}

/// The checkpoint to use, and the paths of the images.
fn checkpoint(args: &Args) -> Result<(Checkpoint, &[PathBuf])> {
    let model = args.model.as_deref().map(gpunn::runs::model).transpose()?;
    let file = match (&args.pretrained, &model) {
        (Some(path), _) => Some(TensorFile::open(path)?),
        (None, Some(model)) => published(model, args.data_dir.as_deref())?,
        (None, None) => None,
    };
    if let Some(file) = file {
        return Ok((args.views.with(weights::import(&file, model, None)?)?, &args.paths));
    }
    let [run, images @ ..] = &args.paths[..] else {
        return Err(Error::usage("No images were given; give a run and images."));
    };
    if images.is_empty() {
        return Err(Error::usage(format!(
            "No images were given after the run {}. Add images; if that is an image, give the weights with --pretrained.",
            run.display()
        )));
    }
    Ok((args.views.with(args.best.checkpoint(run)?)?, images))
}

/// The ImageNet weights of a model.
fn published(model: &ModelConfig, data_dir: Option<&Path>) -> Result<Option<TensorFile>> {
    if models::published(&model.name).is_none() {
        return Err(Error::usage(format!(
            "No ImageNet weights are known for the model {}. Give a weight file with --pretrained, or a run instead of --model.",
            model.name
        )));
    }
    let mut recipe = Recipe::find(gpunn::train::recipe::DEFAULT)?;
    recipe.model = ModelConfig { pretrained: Some(IMAGENET.into()), ..model.clone() };
    recipe.open_pretrained(data_dir)
}

/// Reads an image and prepares it like the training images of the checkpoint.
pub(super) fn read(path: &Path, checkpoint: &Checkpoint) -> Result<Vec<f32>> {
    let image = open(path)?;
    let data = &checkpoint.recipe.data;
    Ok(match preprocessing(&data.name, &data.asked()).filter(|rule| rule.input() == checkpoint.input) {
        Some(rule) => rule.apply(&image).into_iter().map(|byte| f32::from(byte) / 255.0).collect(),
        None if has_dark_ink(&data.name) => prepare(&image, checkpoint.input).iter().map(|value| 1.0 - value).collect(),
        None => prepare(&image, checkpoint.input),
    })
}
