//! `gpunn predict`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gpunn::datasets::{has_dark_ink, rule};
use gpunn::formats::tensors::TensorFile;
use gpunn::images::open;
use gpunn::images::prepare;
use gpunn::inference::{Prediction, Predictor};
use gpunn::nn::models::{self, IMAGENET, ModelConfig};
use gpunn::runs::weights;
use gpunn::train::{Checkpoint, Recipe, Tta};
use gpunn::{Error, Result, gpu};

use super::engine::DeviceArgs;

/// Classes that are named where weights are given instead of a run, whose classes are many.
const LIKELIEST: usize = 5;

/// An image is a PNG, JPEG, BMP or WebP file. For a network that was trained on a folder of images it is brought to
/// their size as they were; for one of ImageNet its shorter side is scaled to 256 and its middle 224 x 224 cut out. For a
/// network of grey characters it becomes grey; where its edge is light (ink on paper) it is inverted, unless the training data
/// are dark on light themselves; and the box around the ink is centred in a square of 1.35 times its longer side, as the
/// training data are.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "gpunn predict [OPTIONS] RUN IMAGE...\n       gpunn predict [OPTIONS] --pretrained FILE IMAGE...",
    after_help = "Examples:\n  gpunn predict runs/glyphs-mlp-20260101-1 letter.png\n  \
        gpunn predict --model squeezenet --pretrained squeezenet1_1.safetensors photo.jpg"
)]
pub struct Args {
    /// A run directory or a checkpoint file, then images of one character (or thing) each; images alone where weights are
    /// given by --pretrained or --model
    #[arg(required = true, value_name = "RUN IMAGE")]
    paths: Vec<PathBuf>,
    /// Use the weights in a safetensors file instead of a run's
    #[arg(long, value_name = "FILE")]
    pretrained: Option<PathBuf>,
    /// The model that the weights are of [default: what their names say]; alone, its weights of ImageNet in a data directory
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// The folder that holds data sets, and weights of ImageNet as squeezenet/squeezenet1_1.safetensors
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Name so many of the likeliest classes [default: 5 with --pretrained or --model, else 1]
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Use the best epoch's weights instead of the last's
    #[arg(long)]
    best: bool,
    /// Average over views of an image: flip (it and its mirror image), shift (both, and both moved by a pixel either way) or
    /// shift-only (no mirror images)
    #[arg(long, value_name = "VIEWS", num_args = 0..=1, default_missing_value = "flip")]
    tta: Option<Tta>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one line of JSON last
    #[arg(long)]
    json: bool,
    /// Do not say which device computes
    #[arg(long, short)]
    quiet: bool,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Answer {
    predictions: Vec<Of>,
}

/// One image's part of it.
#[derive(serde::Serialize)]
struct Of {
    image: String,
    #[serde(flatten)]
    prediction: Prediction,
    /// The likeliest classes, the first among them, where more than one is asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    likeliest: Vec<Prediction>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    args.device.set_threads()?;
    let (checkpoint, paths) = checkpoint(&args)?;
    // All images before any answer: nothing is half printed.
    let images: Vec<Vec<f32>> = paths.iter().map(|path| read(path, &checkpoint)).collect::<Result<_>>()?;
    let engine = args.device.open(gpu::DeviceOptions::default(), args.quiet)?;
    let mut predictor = Predictor::new(engine, &checkpoint)?;
    let given = args.pretrained.is_some() || args.model.is_some();
    let top = args.top.unwrap_or(if given { LIKELIEST } else { 1 });
    let mut predictions = Vec::new();
    for (path, image) in paths.iter().zip(&images) {
        let prediction = gpunn::blocking::block_on(predictor.predict(image))?;
        let likeliest = if top > 1 { prediction.likeliest(top, &checkpoint.classes) } else { Vec::new() };
        predictions.push(Of { image: path.display().to_string(), prediction, likeliest });
    }
    if args.json {
        super::print_json(&Answer { predictions })?;
        return Ok(ExitCode::SUCCESS);
    }
    let line = |of: &Prediction| format!("{} ({})", of.class, super::percent(of.confidence));
    for Of { image, prediction, likeliest } in &predictions {
        let classes = likeliest.iter().map(line).collect::<Vec<_>>().join(", ");
        super::print_line(&format!("{image}: {}", if classes.is_empty() { line(prediction) } else { classes }));
    }
    Ok(ExitCode::SUCCESS)
}

/// What is to predict, and the images.
fn checkpoint(args: &Args) -> Result<(Checkpoint, &[PathBuf])> {
    let model = args.model.as_deref().map(gpunn::runs::model).transpose()?;
    let file = match (&args.pretrained, &model) {
        (Some(path), _) => Some(TensorFile::open(path)?),
        (None, Some(model)) => published(model, args.data_dir.as_deref())?,
        (None, None) => None,
    };
    if let Some(file) = file {
        let mut checkpoint = weights::import(&file, model, None)?;
        super::eval::average(&mut checkpoint, args.tta)?;
        return Ok((checkpoint, &args.paths));
    }
    let [run, images @ ..] = &args.paths[..] else { return Err(Error::usage("Name a run and images.")) };
    if images.is_empty() {
        return Err(Error::usage(format!(
            "Name images after the run {}; or weights with --pretrained, if that is an image.",
            run.display()
        )));
    }
    Ok((super::eval::checkpoint(run, args.best, args.tta)?, images))
}

/// The weights of ImageNet for a model.
fn published(model: &ModelConfig, data_dir: Option<&Path>) -> Result<Option<TensorFile>> {
    if models::published(&model.name).is_none() {
        return Err(Error::usage(format!(
            "The model {} has no published weights of ImageNet; name a file with --pretrained, or a run instead of --model.",
            model.name
        )));
    }
    let mut recipe = Recipe::find(gpunn::train::recipe::DEFAULT)?;
    recipe.model = ModelConfig { pretrained: Some(IMAGENET.into()), ..model.clone() };
    recipe.open_pretrained(data_dir)
}

/// An image as the network takes it: for one that was trained on a folder of images by the rule that those went through.
pub(super) fn read(path: &Path, checkpoint: &Checkpoint) -> Result<Vec<f32>> {
    let image = open(path)?;
    let data = &checkpoint.recipe.data;
    Ok(match rule(&data.name, &data.asked()).filter(|rule| rule.input() == checkpoint.input) {
        Some(rule) => rule.apply(&image).into_iter().map(|byte| f32::from(byte) / 255.0).collect(),
        None if has_dark_ink(&data.name) => prepare(&image, checkpoint.input).iter().map(|value| 1.0 - value).collect(),
        None => prepare(&image, checkpoint.input),
    })
}
