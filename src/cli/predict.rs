//! `gpunn predict`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gpunn::train::{Prediction, Predictor, prepare};
use gpunn::{Error, Result, gpu};

use super::engine::DeviceArgs;

/// A picture is a PNG, JPEG, BMP or WebP file. For a network of grey pictures it becomes grey; where its edge is light
/// (ink on paper) it is inverted; and the box around the ink is centred in a square of 1.35 times its longer side, as the
/// training data are.
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
    let checkpoint = super::eval::checkpoint(&args.run, args.best)?;
    // All pictures before any answer: nothing is half printed.
    let pictures: Vec<Vec<f32>> =
        args.images.iter().map(|path| Ok(prepare(&open(path)?, checkpoint.input))).collect::<Result<_>>()?;
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

/// Decodes a picture by its content.
fn open(path: &Path) -> Result<image::DynamicImage> {
    let reader = image::ImageReader::open(path).and_then(image::ImageReader::with_guessed_format);
    let reader = reader.map_err(Error::file("cannot read the picture", path))?;
    reader.decode().map_err(|error| {
        Error::data(format!("{} is no picture that can be read (PNG, JPEG, BMP or WebP): {error}.", path.display()))
    })
}
