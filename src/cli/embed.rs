//! `gpunn embed`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::blocking::block_on;
use crate::files::AtomicFile;
use crate::formats::npy::NpyRows;
use crate::inference::{Embedder, IMAGES_AT_ONCE, normalize};
use crate::{Error, Result};

use super::flags::ComputeArgs;
use super::image_loop::ImageLoop;
use super::network::NetworkArgs;
use super::outputs::{csv_row, ending};
use super::predict::inputs::sources;
use super::working::Working;

/// Writes what a network knows of images: the features that reach its classifier, as the mean over the places of an image, or the code of
/// an autoencoder. The file is an array of NumPy, 32-bit floats [images, features]. Beside it, a CSV file of the same name lists the
/// images in the order of the rows. Images are prepared as `gpunn predict` does. Similar images have similar features.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "gpunn embed [OPTIONS] --out FILE RUN IMAGE...\n       gpunn embed [OPTIONS] --out FILE --model NAME IMAGE...",
    after_help = "Examples:\n  gpunn embed runs/pets-20260101-1 photos/ --out features.npy\n  \
        gpunn embed --model squeezenet photos/ --out features.npy --normalize"
)]
pub struct Args {
    /// A run directory or a checkpoint file, then images: files, folders (with the folders in them), patterns such as
    /// 'photos/*.jpg', or - for standard input, which holds an image or a path in each line. With --pretrained or --model only
    /// images
    #[arg(required = true, value_name = "RUN IMAGE")]
    paths: Vec<PathBuf>,
    /// The file for the features: NumPy's NPY format. The list of images has the same name with the ending csv
    #[arg(long, value_name = "NPY", value_parser = ending("npy"))]
    out: PathBuf,
    /// Divide the features of each image by their Euclidean length, so that a dot product is the cosine similarity
    #[arg(long)]
    normalize: bool,
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
struct EmbedOutput {
    out: String,
    list: String,
    /// The number of rows.
    images: usize,
    /// The number of columns.
    features: usize,
    /// The images in the order of the rows.
    files: Vec<String>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    args.compute.device.set_threads()?;
    let (checkpoint, paths) = args.network.checkpoint(&args.paths, args.compute.quiet)?;
    let sources = sources(paths)?;
    let mut images = ImageLoop::new(&checkpoint, args.skip_bad, (sources.len(), args.compute.quiet));
    let engine = args.compute.open()?;
    let work = Working::new("preparing the network", args.compute.quiet);
    let mut embedder = Embedder::new(engine, &checkpoint, IMAGES_AT_ONCE.min(sources.len()))?;
    drop(work);
    let work = Working::new("computing features", args.compute.quiet || !images.bar().is_hidden());
    let mut rows = Rows::create(&args.out, embedder.width())?;
    images.each(sources, |sources, values| {
        let features = block_on(embedder.embed(values))?;
        for (source, mut features) in sources.iter().zip(features) {
            if args.normalize {
                normalize(&mut features);
            }
            rows.push(source.name(), &features)?;
        }
        Ok(())
    })?;
    drop(work);
    images.end_bar();
    let output = rows.finish(&args.out)?;
    args.compute.output.print(&output, |output| {
        let EmbedOutput { out, list, images, features, .. } = output;
        super::print_line(&format!("{out}: {images} x {features}, the images are listed in {list}"));
    })?;
    images.print_skipped();
    Ok(ExitCode::SUCCESS)
}

/// The two files that grow together.
struct Rows {
    array: NpyRows,
    list: AtomicFile,
    list_path: PathBuf,
    width: usize,
    files: Vec<String>,
}

impl Rows {
    fn create(out: &Path, width: usize) -> Result<Self> {
        let list_path = out.with_extension("csv");
        let (array, list) = (NpyRows::create(out, width)?, AtomicFile::create(&list_path)?);
        let mut rows = Self { array, list, list_path, width, files: Vec::new() };
        rows.list("image")?;
        Ok(rows)
    }

    fn list(&mut self, name: &str) -> Result<()> {
        self.list.write_all(csv_row(&[name]).as_bytes()).map_err(Error::file("cannot write", &self.list_path))
    }

    fn push(&mut self, name: String, features: &[f32]) -> Result<()> {
        self.array.push(features)?;
        self.list(&name)?;
        self.files.push(name);
        Ok(())
    }

    /// Ends both files.
    fn finish(self, out: &Path) -> Result<EmbedOutput> {
        let Self { array, list, list_path, width, files } = self;
        if files.is_empty() {
            return Err(super::image_loop::none_left());
        }
        array.finish()?;
        list.commit()?;
        Ok(EmbedOutput {
            out: out.display().to_string(),
            list: list_path.display().to_string(),
            images: files.len(),
            features: width,
            files,
        })
    }
}
