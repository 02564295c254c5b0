//! `gpunn similar`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::blocking::block_on;
use crate::images::{self, CaptionedImage, captioned_sheet};
use crate::inference::{Embedder, IMAGES_AT_ONCE, Nearest, normalize, prepare_for};
use crate::{Error, Result};

use super::flags::ComputeArgs;
use super::image_loop::{ImageLoop, none_left};
use super::network::NetworkArgs;
use super::numbers::whole;
use super::outputs;
use super::predict::inputs::{Source, sources};
use super::working::Working;

/// The longer side of an image on the sheet, in pixels.
const SHOWN: u32 = 192;
/// Images side by side on the sheet.
const COLUMNS: usize = 4;

/// Finds the images of a folder that are most similar to one image: those with the largest cosine similarity of the features that reach
/// the network's classifier (`gpunn embed` writes them). A run knows best what its own images have in common; without a run, the network
/// is SqueezeNet with its ImageNet weights. The image itself is left out if it is in the folder.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "gpunn similar [OPTIONS] --in FOLDER [RUN] IMAGE",
    after_help = "Examples:\n  gpunn similar photo.jpg --in photos/ --sheet similar.png\n  \
        gpunn similar runs/pets-20260101-1 photo.jpg --in photos/ --top 5 --json"
)]
pub struct Args {
    /// A run directory or a checkpoint file, then an image file, or - for an image on standard input. The run may be left out
    #[arg(required = true, num_args = 1..=2, value_name = "RUN IMAGE")]
    paths: Vec<PathBuf>,
    /// Where to search: a folder (with the folders in it), a file, or a pattern such as 'photos/*.jpg'. May be given several times
    #[arg(long = "in", value_name = "FOLDER", required = true)]
    folders: Vec<PathBuf>,
    /// Print the N most similar images
    #[arg(long, value_name = "N", value_parser = whole::<usize>(1), default_value_t = 10)]
    top: usize,
    /// Draw the image and those found into an image file
    #[arg(long, value_name = "FILE", value_parser = outputs::image())]
    sheet: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkArgs,
    /// Skip images that cannot be decoded, instead of stopping with an error
    #[arg(long)]
    skip_bad: bool,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct SimilarOutput {
    image: String,
    /// The number of images that were compared with it.
    compared: usize,
    /// The most similar first.
    similar: Vec<SimilarImage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sheet: Option<String>,
}

#[derive(serde::Serialize)]
struct SimilarImage {
    image: String,
    /// The cosine similarity, from -1 to 1.
    similarity: f32,
}

pub fn run(args: Args) -> Result<ExitCode> {
    args.compute.device.set_threads()?;
    let (run, image) = args.run_and_image()?;
    let image = one_image(image)?;
    let mut searched = sources(&args.folders)?;
    searched.retain(|source| !is_same(source, &image));
    if searched.is_empty() {
        return Err(Error::usage(format!("--in names no other image than {}.", image.name())));
    }
    let checkpoint = args.network.of_run_or_imagenet(run, args.compute.quiet)?;
    let shown = image.open()?;
    let engine = args.compute.open()?;
    let work = Working::new("preparing the network", args.compute.quiet);
    let mut embedder = Embedder::new(engine, &checkpoint, IMAGES_AT_ONCE)?;
    let wanted = block_on(embedder.embed(&[prepare_for(&shown, &checkpoint)]))?;
    drop(work);
    let mut nearest = Nearest::new(wanted.concat(), args.top);
    let mut images = ImageLoop::new(&checkpoint, args.skip_bad, (searched.len(), args.compute.quiet));
    let work = Working::new("comparing images", args.compute.quiet || !images.bar().is_hidden());
    let mut compared: Vec<String> = Vec::new();
    images.each(searched, |sources, values| {
        for (source, mut features) in sources.iter().zip(block_on(embedder.embed(values))?) {
            normalize(&mut features);
            nearest.offer(compared.len(), &features);
            compared.push(source.name());
        }
        Ok(())
    })?;
    drop(work);
    images.end_bar();
    if compared.is_empty() {
        return Err(none_left());
    }
    let found = |found: &crate::inference::Neighbor| SimilarImage {
        image: compared[found.number].clone(),
        similarity: found.similarity,
    };
    let similar: Vec<SimilarImage> = nearest.found().iter().map(found).collect();
    if let Some(path) = &args.sheet {
        images::write(&sheet(&shown, &image.name(), &similar)?.into(), path)?;
    }
    let sheet = args.sheet.as_ref().map(|path| path.display().to_string());
    let output = SimilarOutput { image: image.name(), compared: compared.len(), similar, sheet };
    args.compute.output.print(&output, print)?;
    images.print_skipped();
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// The run, if there is one, and the image.
    fn run_and_image(&self) -> Result<(Option<&Path>, &Path)> {
        match (&self.paths[..], self.network.is_given()) {
            ([image], _) => Ok((None, image)),
            ([run, image], false) => Ok((Some(run), image)),
            _ => Err(Error::usage(
                "--model and --pretrained take the place of a run, so only the image is named beside them.",
            )),
        }
    }
}

/// The image that a path names.
fn one_image(path: &Path) -> Result<Source> {
    if path.is_dir() {
        return Err(Error::usage(format!(
            "{} is a folder, but one image is needed: gpunn similar [RUN] IMAGE --in FOLDER.",
            path.display()
        )));
    }
    let mut all = sources(&[path.to_owned()])?;
    match (all.pop(), all.len()) {
        (Some(image), 0) => Ok(image),
        (_, others) => Err(Error::usage(format!("{} names {} images, but one is needed.", path.display(), others + 1))),
    }
}

/// Whether two sources are the same file.
fn is_same(one: &Source, other: &Source) -> bool {
    let (Source::File(one), Source::File(other)) = (one, other) else { return false };
    let there = |path: &Path| std::fs::canonicalize(path).ok();
    one.file_name() == other.file_name() && there(one).is_some_and(|one| there(other) == Some(one))
}

/// The image, and those found in their order.
fn sheet(image: &image::DynamicImage, name: &str, similar: &[SimilarImage]) -> Result<image::RgbImage> {
    let file = |path: &str| Path::new(path).file_name().map_or(path.into(), |name| name.to_string_lossy().into_owned());
    let cell = |image: &image::DynamicImage, lines: [String; 2]| CaptionedImage {
        image: images::resize_longer_side(&image.to_rgb8(), SHOWN),
        lines: lines.into(),
    };
    let mut cells = vec![cell(image, [file(name), "the image".into()])];
    for (number, SimilarImage { image, similarity }) in (1..).zip(similar) {
        cells.push(cell(&images::open(image.as_ref())?, [file(image), format!("{number}: {similarity:.3}")]));
    }
    Ok(captioned_sheet(&cells, COLUMNS))
}

fn print(output: &SimilarOutput) {
    for SimilarImage { image, similarity } in &output.similar {
        super::print_line(&format!("{similarity:>7.4}  {image}"));
    }
    if let Some(sheet) = &output.sheet {
        super::print_line(&format!("sheet: {sheet}"));
    }
}
