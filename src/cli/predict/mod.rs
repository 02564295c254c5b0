//! `gpunn predict`.

mod answers;
pub(super) mod inputs;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{SyncSender, sync_channel};

use crate::data::ImageOptions;
use crate::formats::tensors::TensorFile;
use crate::inference::{IMAGES_AT_ONCE as BATCH, Predictor, prepare_for};
use crate::nn::models::{self, IMAGENET, ModelConfig};
use crate::runs::onnx::{OnnxFile, is_onnx};
use crate::runs::weights;
use crate::train::{Checkpoint, Recipe};
use crate::{Error, Result};
use indicatif::ProgressBar;
use rayon::prelude::*;

use super::flags::{ComputeArgs, EpochArgs, ViewArgs};
use super::numbers::{real, whole};
use super::outputs::ending;
use super::working::{TICK, Working};
use answers::{Answer, Counts, Csv, Sorted};
use inputs::{Source, sources};

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
        gpunn predict --model network.onnx photo.jpg"
)]
pub struct Args {
    /// A run directory or a checkpoint file, then images of one character or object each: files, folders (with the folders in
    /// them), patterns such as 'photos/*.jpg', or - for standard input, which holds an image or a path in each line. With
    /// --pretrained or --model only images
    #[arg(required = true, value_name = "RUN IMAGE")]
    paths: Vec<PathBuf>,
    /// Use the weights in a file (safetensors, or .pth of torch.save) instead of a run's
    #[arg(long, value_name = "FILE")]
    pretrained: Option<PathBuf>,
    /// The model of the weights [default: recognized by tensor names]; without --pretrained, its ImageNet weights are loaded
    /// from the folder of --data-dir. Or an ONNX file, which has weights of its own
    #[arg(long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// The folder with the datasets, and with ImageNet weights such as squeezenet/squeezenet1_1.safetensors
    /// [default: GPUNN_DATA, else the user's cache folder]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print the N most probable classes [default: 5 with --pretrained or --model, else 1]
    #[arg(long, value_name = "N", value_parser = whole::<usize>(1))]
    top: Option<usize>,
    /// Write the answers to a CSV file instead of standard output: image, class, confidence
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
    /// Skip images that cannot be decoded, instead of stopping with an error
    #[arg(long)]
    skip_bad: bool,
    #[command(flatten)]
    epoch: EpochArgs,
    #[command(flatten)]
    views: ViewArgs,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct PredictOutput {
    predictions: Vec<Answer>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    args.compute.device.set_threads()?;
    let given = args.pretrained.is_some() || args.model.is_some();
    let top = args.top.unwrap_or(if given { TOP_CLASSES } else { 1 });
    let (checkpoint, paths) = checkpoint(&args)?;
    let sources = sources(paths)?;
    let mut output = Output::new(&args, top.min(checkpoint.classes.len()), sources.len())?;
    let engine = args.compute.open()?;
    let batch = if sources.len() == 1 { 1 } else { BATCH };
    let work = Working::new("preparing the network", args.compute.quiet);
    let mut predictor = Predictor::with_batch(engine, &checkpoint, batch)?;
    drop(work);
    std::thread::scope(|scope| {
        let (sender, loaded) = sync_channel(1);
        scope.spawn(|| load_ahead(sources, &checkpoint, sender));
        for chunk in loaded {
            output.chunk(chunk, &mut predictor, &checkpoint.classes)?;
        }
        Ok::<_, Error>(())
    })?;
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Images with their pixels, or the reason why they cannot be read.
type Chunk = Vec<(Source, Result<Vec<f32>>)>;

/// Decodes images in parallel, while the network classifies the images before them. Memory use does not grow with their number.
fn load_ahead(sources: Vec<Source>, checkpoint: &Checkpoint, to: SyncSender<Chunk>) {
    let mut sources = sources.into_iter();
    loop {
        let chunk: Vec<Source> = sources.by_ref().take(BATCH).collect();
        let read = |source: Source| {
            let pixels = source.open().map(|image| prepare_for(&image, checkpoint));
            (source, pixels)
        };
        let chunk: Chunk = chunk.into_par_iter().map(read).collect();
        // The receiver is gone after an error.
        if chunk.is_empty() || to.send(chunk).is_err() {
            return;
        }
    }
}

/// Prints and writes answers as they come.
struct Output<'a> {
    args: &'a Args,
    top: usize,
    csv: Option<Csv>,
    sorted: Option<Sorted>,
    counts: Counts,
    skipped: usize,
    /// All answers, for JSON.
    all: Vec<Answer>,
    bar: ProgressBar,
}

impl<'a> Output<'a> {
    fn new(args: &'a Args, top: usize, images: usize) -> Result<Self> {
        if !(0.0..=1.0).contains(&args.min_confidence) {
            return Err(Error::usage(format!(
                "--min-confidence is {}, but has to be from 0 to 1, as in 0.8.",
                args.min_confidence
            )));
        }
        let shows = !args.compute.quiet && images > BATCH && std::io::stderr().is_terminal();
        let bar = if shows { ProgressBar::new(images as u64) } else { ProgressBar::hidden() };
        if shows {
            bar.enable_steady_tick(TICK);
        }
        Ok(Self {
            args,
            top,
            csv: args.csv.as_deref().map(|path| Csv::create(path, top)).transpose()?,
            sorted: args.sort_into.as_deref().map(Sorted::new),
            counts: Counts::default(),
            skipped: 0,
            all: Vec::new(),
            bar,
        })
    }

    /// Classifies a chunk of images and gives out the answers.
    fn chunk(&mut self, chunk: Chunk, predictor: &mut Predictor, classes: &[String]) -> Result<()> {
        let (mut sources, mut images) = (Vec::new(), Vec::new());
        let mut bad = None;
        for (source, pixels) in chunk {
            match pixels {
                Ok(pixels) => {
                    sources.push(source);
                    images.push(pixels);
                }
                Err(error) if self.args.skip_bad => {
                    self.skipped += 1;
                    self.bar.suspend(|| eprintln!("skipped: {error}"));
                }
                // The images before it get their answers.
                Err(error) => {
                    bad = Some(error);
                    break;
                }
            }
        }
        let work = Working::new("classifying", self.args.compute.quiet || !self.bar.is_hidden());
        let predictions = crate::blocking::block_on(predictor.predict_all(&images))?;
        drop(work);
        for (source, prediction) in sources.iter().zip(predictions) {
            let likeliest = if self.top > 1 { prediction.likeliest(self.top, classes) } else { Vec::new() };
            self.answer(source, Answer::new(source.name(), &prediction, likeliest, self.args.min_confidence))?;
        }
        bad.map_or(Ok(()), Err)
    }

    fn answer(&mut self, source: &Source, answer: Answer) -> Result<()> {
        if let Some(sorted) = &self.sorted {
            sorted.copy(source, &answer)?;
        }
        if let Some(csv) = &mut self.csv {
            csv.write(&answer)?;
        }
        self.counts.add(&answer.class);
        self.bar.inc(1);
        match (self.args.compute.output.json, self.csv.is_some() || self.sorted.is_some()) {
            (true, _) => self.all.push(answer),
            (false, false) => self.bar.suspend(|| crate::cli::print_line(&answer.to_string())),
            (false, true) => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        self.bar.finish_and_clear();
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
        if self.skipped > 0 {
            eprintln!("{}", crate::cli::images::number_skipped(self.skipped));
        }
        Ok(())
    }
}

/// The checkpoint to use, and the paths of the images.
fn checkpoint(args: &Args) -> Result<(Checkpoint, &[PathBuf])> {
    if let Some(path) = args.model.as_deref().map(Path::new).filter(|path| is_onnx(path)) {
        if let Some(weights) = &args.pretrained {
            return Err(Error::usage(format!(
                "{} has its own weights; leave out --pretrained {}.",
                path.display(),
                weights.display()
            )));
        }
        let file = OnnxFile::open(path, &ImageOptions::default())?;
        if !args.compute.quiet {
            file.notes.iter().for_each(|note| eprintln!("{}: {note}", path.display()));
        }
        return Ok((args.views.with(file.checkpoint()?)?, &args.paths));
    }
    let model = args.model.as_deref().map(crate::runs::model).transpose()?;
    let file = match (&args.pretrained, &model) {
        (Some(path), _) => Some(TensorFile::open(path)?),
        (None, Some(model)) => published(model, args.data_dir.as_deref())?,
        (None, None) => None,
    };
    if let Some(file) = file {
        return Ok((args.views.with(weights::import(&file, model)?.checkpoint)?, &args.paths));
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
    Ok((args.views.with(args.epoch.checkpoint(run)?)?, images))
}

/// The ImageNet weights of a model.
fn published(model: &ModelConfig, data_dir: Option<&Path>) -> Result<Option<TensorFile>> {
    if models::published(&model.name).is_none() {
        return Err(Error::usage(format!(
            "No ImageNet weights are known for the model {}. Give a weight file with --pretrained, or a run instead of --model.",
            model.name
        )));
    }
    let mut recipe = Recipe::find(crate::train::recipe::DEFAULT)?;
    recipe.model = ModelConfig { pretrained: Some(IMAGENET.into()), ..model.clone() };
    recipe.open_pretrained(data_dir)
}
