//! `gpunn predict`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gpunn::data::{has_dark_ink, pictures::open, rule};
use gpunn::train::{Checkpoint, Prediction, Predictor, Tta, prepare};
use gpunn::{Result, gpu};

use super::engine::DeviceArgs;

/// A picture is a PNG, JPEG, BMP or WebP file. For a network that was trained on a folder of pictures it is brought to
/// their size as they were. For a network of grey characters it becomes grey; where its edge is light (ink on paper) it is
/// inverted, unless the training data are dark on light themselves; and the box around the ink is centred in a square of 1.35
/// times its longer side, as the training data are.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpunn predict runs/glyphs-mlp-20260101-1 letter.png")]
pub struct Args {
    /// A run directory, or a checkpoint file
    run: PathBuf,
    /// Pictures of one character (or thing) each
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Use the best epoch's weights instead of the last's
    #[arg(long)]
    best: bool,
    /// Average over views of a picture: flip (it and its mirror image), shift (both, and both moved by a pixel either way) or
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

/// One picture's part of it.
#[derive(serde::Serialize)]
struct Of {
    image: String,
    #[serde(flatten)]
    prediction: Prediction,
}

pub fn run(args: Args) -> Result<ExitCode> {
    args.device.set_threads()?;
    let checkpoint = super::eval::checkpoint(&args.run, args.best, args.tta)?;
    // All pictures before any answer: nothing is half printed.
    let pictures: Vec<Vec<f32>> = args.images.iter().map(|path| read(path, &checkpoint)).collect::<Result<_>>()?;
    let engine = args.device.open(gpu::Options::default(), args.quiet)?;
    let mut predictor = Predictor::new(engine, &checkpoint)?;
    let mut predictions = Vec::new();
    for (path, picture) in args.images.iter().zip(&pictures) {
        let prediction = pollster::block_on(predictor.predict(picture))?;
        predictions.push(Of { image: path.display().to_string(), prediction });
    }
    if args.json {
        super::print_json(&Answer { predictions })?;
    } else {
        for Of { image, prediction } in &predictions {
            super::print_line(&format!("{image}: {} ({})", prediction.class, super::percent(prediction.confidence)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A picture as the network takes it: for one that was trained on a folder of pictures by the rule that those went through.
pub(super) fn read(path: &Path, checkpoint: &Checkpoint) -> Result<Vec<f32>> {
    let picture = open(path)?;
    let data = &checkpoint.recipe.data;
    Ok(match rule(&data.name, &data.asked()).filter(|rule| rule.input() == checkpoint.input) {
        Some(rule) => rule.apply(&picture).into_iter().map(|byte| f32::from(byte) / 255.0).collect(),
        None if has_dark_ink(&data.name) => {
            prepare(&picture, checkpoint.input).iter().map(|value| 1.0 - value).collect()
        }
        None => prepare(&picture, checkpoint.input),
    })
}
