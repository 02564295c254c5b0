//! `gpunn explain`.

use std::path::PathBuf;
use std::process::ExitCode;

use image::RgbImage;

use crate::images::{self, ExplainedImage, explanation_sheet};
use crate::inference::{Explainer, Explanation, heat_image, prepare_for};
use crate::{Error, Result};

use super::flags::{ComputeArgs, EpochArgs};
use super::outputs;
use super::predict::inputs::{Source, sources};
use super::working::Working;

/// Draws which places of an image decided the network's answer (Grad-CAM): each image beside a copy with a heat map, in which
/// light places speak for the class and dark places do not. The network has to have a convolution.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  gpunn explain runs/pets-20260101-1 photo.jpg --out heat.png\n  \
    gpunn explain runs/pets-20260101-1 photo.jpg --class dog --out dog.png")]
pub struct Args {
    /// A run directory or a checkpoint file
    run: PathBuf,
    /// Image files, folders (with the folders in them), patterns such as 'photos/*.jpg', or - for standard input
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// The image file to write; several images make one sheet
    #[arg(long, value_name = "FILE", required_unless_present = "json", value_parser = outputs::image())]
    out: Option<PathBuf>,
    /// Explain this class instead of the answer
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    #[command(flatten)]
    epoch: EpochArgs,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct ExplainOutput {
    #[serde(skip_serializing_if = "Option::is_none")]
    out: Option<String>,
    images: Vec<Explained>,
}

#[derive(serde::Serialize)]
struct Explained {
    image: String,
    /// The answer.
    class: String,
    confidence: f64,
    /// The class that the map explains.
    explained: String,
    /// The probability of `explained`.
    probability: f64,
    /// Rows of the map, from top to bottom. The unit is that of the class's logit.
    map: Vec<Vec<f32>>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    args.compute.device.set_threads()?;
    let checkpoint = args.epoch.checkpoint(&args.run)?;
    let class = args.class.as_deref().map(|name| class_index(name, &checkpoint.classes)).transpose()?;
    let sources = sources(&args.images)?;
    let engine = args.compute.open()?;
    let work = Working::new("explaining", args.compute.quiet);
    let mut explainer = Explainer::new(engine, &checkpoint)?;
    let (mut explained, mut drawn) = (Vec::new(), Vec::new());
    let count = sources.len();
    for (number, source) in sources.into_iter().enumerate() {
        work.at("explaining", number, count);
        let values = prepare_for(&source.open()?, &checkpoint);
        let explanation = explainer.explain_blocking(&values, class)?;
        let of_image = Explained::of(&source, explanation.clone(), &checkpoint.classes);
        if args.out.is_some() {
            let images = heat_image(&values, checkpoint.input, &explainer, &explanation.map);
            drawn.push(captioned(&of_image, images));
        }
        explained.push(of_image);
    }
    drop(work);
    if let Some(out) = &args.out {
        images::write(&explanation_sheet(&drawn).into(), out)?;
    }
    let output = ExplainOutput { out: args.out.map(|out| out.display().to_string()), images: explained };
    args.compute.output.print(&output, print)?;
    Ok(ExitCode::SUCCESS)
}

/// The index of a class.
fn class_index(name: &str, classes: &[String]) -> Result<usize> {
    const NAMED: usize = 20;
    classes.iter().position(|class| class == name).ok_or_else(|| {
        let others = classes.len().saturating_sub(NAMED);
        let more = if others > 0 { format!(" and {others} others") } else { String::new() };
        let named = classes.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        Error::usage(format!("The run has no class {name:?}. Its classes are {named}{more}."))
    })
}

impl Explained {
    fn of(source: &Source, explanation: Explanation, classes: &[String]) -> Self {
        let Explanation { prediction, class, map } = explanation;
        Self {
            image: source.name(),
            explained: classes[class].clone(),
            probability: f64::from(prediction.probabilities[class]),
            class: prediction.class,
            confidence: prediction.confidence,
            map: map.values.chunks(map.width).map(<[f32]>::to_vec).collect(),
        }
    }
}

/// The image as the network takes it, with its map, the file's name, the answer and the explained class.
fn captioned(explained: &Explained, (image, heat): (RgbImage, RgbImage)) -> ExplainedImage {
    let Explained { image: path, class, confidence, explained, probability, .. } = explained;
    let file = std::path::Path::new(path).file_name().map_or(path.clone(), |name| name.to_string_lossy().into_owned());
    let answer = format!("{class} {}", super::percent(*confidence));
    let map =
        if explained == class { String::new() } else { format!("map: {explained} {}", super::percent(*probability)) };
    ExplainedImage { image, heat, lines: [file, answer, map] }
}

fn print(output: &ExplainOutput) {
    for Explained { image, class, confidence, explained, probability, map } in &output.images {
        let answer = format!("{image}: {class} ({})", super::percent(*confidence));
        let map = if map.iter().flatten().all(|&value| value <= 0.0) {
            format!("; nothing in the image speaks for {explained}")
        } else if explained == class {
            String::new()
        } else {
            format!("; the map explains {explained} ({})", super::percent(*probability))
        };
        super::print_line(&(answer + &map));
    }
    if let Some(out) = &output.out {
        super::print_line(&format!("heat maps: {out}"));
    }
}
