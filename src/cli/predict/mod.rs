//! `gpunn predict`.

mod answers;
pub(super) mod inputs;
mod tags;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::inference::{IMAGES_AT_ONCE as BATCH, Predictor};
use crate::{Error, Result};
use indicatif::ProgressBar;

use super::flags::{ComputeArgs, EnsembleArgs, ViewArgs};
use super::image_loop::ImageLoop;
use super::network::NetworkArgs;
use super::numbers::{real, whole};
use super::outputs::ending;
use super::working::Working;
use answers::{Answer, Counts, Sheet, Sorted};
use inputs::{Source, sources};
use tags::{Given, Labelled};

/// Default of --top for imported weights, because ImageNet has many classes.
const TOP_CLASSES: usize = 5;
/// Help heading of the flags for the answers.
const OUTPUT_HEADING: &str = "Answers";

/// Classifies images: PNG, JPEG, BMP or WebP files, and folders of them. Each answer is printed as it comes. Each image is prepared like the training images. For a network trained on a
/// folder of images, it is resized as that folder's images were. For an ImageNet network, the shorter side is scaled to 256
/// and the center 224 x 224 is cropped. For a network of gray characters, the image becomes gray; dark ink on a light
/// background is inverted, unless the training images are dark on light. The ink is then centered in a square with 1.35 times
/// its longer side.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "gpunn predict [OPTIONS] RUN IMAGE...\n       gpunn predict [OPTIONS] --pretrained FILE IMAGE...",
    after_help = "Examples:\n  gpunn predict runs/glyphs-mlp-20260101-1 letter.png\n  \
        gpunn predict runs/pets-20260101-1 camera/ --csv answers.csv --min-confidence 0.8\n  \
        gpunn predict --model squeezenet --pretrained squeezenet1_1.safetensors photo.jpg\n  \
        gpunn predict --model network.onnx photo.jpg\n  \
        gpunn predict runs/a photo.jpg --ensemble runs/b --ensemble runs/c"
)]
pub struct Args {
    /// A run directory or a checkpoint file, then images of one character or object each: files, folders (with the folders in
    /// them), patterns such as 'photos/*.jpg', or - for standard input, which holds an image or a path in each line. With
    /// --pretrained or --model only images
    #[arg(required = true, value_name = "RUN IMAGE")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    network: NetworkArgs,
    /// Print the N most probable classes [default: 5 with --pretrained or --model, else 1; of several labels those from --threshold on]
    #[arg(long, value_name = "N", value_parser = whole::<usize>(1))]
    top: Option<usize>,
    /// Write the answers to a CSV file instead of standard output: image, class, confidence; or image, labels, confidences
    #[arg(long, value_name = "FILE", value_parser = ending("csv"), help_heading = OUTPUT_HEADING)]
    csv: Option<PathBuf>,
    /// Copy each image into the folder DIR/CLASS, instead of printing the answers
    #[arg(long, value_name = "DIR", help_heading = OUTPUT_HEADING)]
    sort_into: Option<PathBuf>,
    /// Answer `unknown` if the confidence is below X, from 0 to 1
    #[arg(
        long,
        value_name = "X",
        value_parser = real::<f64>,
        default_value_t = 0.0,
        hide_default_value = true,
        help_heading = OUTPUT_HEADING
    )]
    min_confidence: f64,
    /// For networks that give an image any number of labels: give it those with at least the probability X, from 0 to 1 [default: 0.5]
    #[arg(long, value_name = "X", value_parser = real::<f64>, conflicts_with = "top", help_heading = OUTPUT_HEADING)]
    threshold: Option<f64>,
    /// Skip images that cannot be decoded, instead of stopping with an error
    #[arg(long)]
    skip_bad: bool,
    #[command(flatten)]
    ensemble: EnsembleArgs,
    #[command(flatten)]
    views: ViewArgs,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct PredictOutput {
    predictions: Vec<Shown>,
}

/// The answer for one image.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum Shown {
    Class(Answer),
    Labels(Labelled),
}

pub fn run(args: Args) -> Result<ExitCode> {
    args.compute.device.set_threads()?;
    let top = args.top.unwrap_or(if args.network.is_given() { TOP_CLASSES } else { 1 });
    let (checkpoint, paths) = args.network.checkpoint(&args.paths, args.compute.quiet)?;
    let members = args.ensemble.with(checkpoint, &args.network.epoch)?;
    let members = members.into_iter().map(|member| args.views.with(member)).collect::<Result<Vec<_>>>()?;
    let checkpoint = &members[0];
    let given = Given::of(&args, checkpoint.recipe.data.is_multi_label())?;
    let sources = sources(paths)?;
    let mut images = ImageLoop::new(checkpoint, args.skip_bad, (sources.len(), args.compute.quiet));
    let mut output = Output::new(&args, (top.min(checkpoint.classes.len()), given), images.bar())?;
    let engine = args.compute.open()?;
    let batch = if sources.len() == 1 { 1 } else { BATCH };
    let work = Working::new("preparing the network", args.compute.quiet);
    let mut predictor = Predictor::ensemble(engine, &members, batch)?;
    drop(work);
    images.each(sources, |sources, images| output.answers(sources, images, &mut predictor, &checkpoint.classes))?;
    images.end_bar();
    output.finish()?;
    images.print_skipped();
    Ok(ExitCode::SUCCESS)
}

/// Prints and writes answers as they come.
struct Output<'a> {
    args: &'a Args,
    top: usize,
    given: Option<Given>,
    csv: Option<Sheet>,
    sorted: Option<Sorted>,
    counts: Counts,
    /// All answers, for JSON.
    all: Vec<Shown>,
    bar: ProgressBar,
}

impl<'a> Output<'a> {
    fn new(args: &'a Args, (top, given): (usize, Option<Given>), bar: ProgressBar) -> Result<Self> {
        if !(0.0..=1.0).contains(&args.min_confidence) {
            return Err(Error::usage(format!(
                "--min-confidence is {}, but has to be from 0 to 1, as in 0.8.",
                args.min_confidence
            )));
        }
        let head = if given.is_some() { Labelled::head() } else { Answer::head(top) };
        Ok(Self {
            args,
            top,
            given,
            csv: args.csv.as_deref().map(|path| Sheet::create(path, &head)).transpose()?,
            sorted: args.sort_into.as_deref().map(Sorted::new),
            counts: Counts::default(),
            all: Vec::new(),
            bar,
        })
    }

    /// Classifies some images and gives out the answers.
    fn answers(
        &mut self,
        sources: &[Source],
        images: &[Vec<f32>],
        predictor: &mut Predictor,
        classes: &[String],
    ) -> Result<()> {
        let work = Working::new("classifying", self.args.compute.quiet || !self.bar.is_hidden());
        let predictions = crate::blocking::block_on(predictor.predict_all(images))?;
        drop(work);
        for (source, prediction) in sources.iter().zip(predictions) {
            match self.given {
                Some(given) => self.labels(Labelled::new(source.name(), &prediction, given, classes))?,
                None => {
                    let likeliest = if self.top > 1 { prediction.likeliest(self.top, classes) } else { Vec::new() };
                    let confidence = self.args.min_confidence;
                    self.class(source, Answer::new(source.name(), &prediction, likeliest, confidence))?;
                }
            }
        }
        Ok(())
    }

    fn class(&mut self, source: &Source, answer: Answer) -> Result<()> {
        if let Some(sorted) = &self.sorted {
            sorted.copy(source, &answer)?;
        }
        if let Some(csv) = &mut self.csv {
            answer.write(csv)?;
        }
        self.counts.add(&answer.class);
        self.show(answer.to_string(), Shown::Class(answer));
        Ok(())
    }

    fn labels(&mut self, answer: Labelled) -> Result<()> {
        if let Some(csv) = &mut self.csv {
            answer.write(csv)?;
        }
        answer.labels.iter().for_each(|label| self.counts.add(&label.class));
        self.show(answer.to_string(), Shown::Labels(answer));
        Ok(())
    }

    /// Prints an answer, or keeps it for JSON. What is written to files is not printed.
    fn show(&mut self, line: String, answer: Shown) {
        match (self.args.compute.output.json, self.csv.is_some() || self.sorted.is_some()) {
            (true, _) => self.all.push(answer),
            (false, false) => self.bar.suspend(|| crate::cli::print_line(&line)),
            (false, true) => {}
        }
    }

    fn finish(self) -> Result<()> {
        let written: Vec<String> = [&self.args.csv, &self.args.sort_into]
            .into_iter()
            .flatten()
            .map(|path| path.display().to_string())
            .collect();
        if self.args.compute.output.json {
            crate::cli::print_json(&PredictOutput { predictions: self.all })?;
        } else if !written.is_empty() {
            crate::cli::print_line(&format!("{}: {}", written.join(", "), self.counts));
        }
        Ok(())
    }
}
