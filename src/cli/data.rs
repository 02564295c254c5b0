//! `gpunn data`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::data::ImageOptions;
use crate::data::{Dataset, SplitName};
use crate::datasets::DatasetInfo;
use crate::datasets::fetch::FetchOutcome;
use crate::ops::augment::Augment;
use crate::{Error, Result, train};
use serde::Serialize;

use super::augment::AugmentArgs;
use super::flags::{DataDirArgs, JsonArgs, LabelArgs};
use super::images::{ImageArgs, print_skipped};
use super::numbers::whole;
use super::outputs;
use super::progress::DownloadProgress;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpunn data preview glyphs --out glyphs.png")]
pub struct Args {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, clap::Subcommand)]
enum DataCommand {
    /// List the known datasets
    List {
        #[command(flatten)]
        output: JsonArgs,
    },
    /// Describe a dataset: images, classes, source, and whether it is on this machine
    #[command(after_help = "Example:\n  gpunn data info emnist36 --data-dir DIR")]
    Info {
        /// The dataset's name, or the path of a folder of images
        name: String,
        #[command(flatten)]
        folder: DataDirArgs,
        #[command(flatten)]
        output: JsonArgs,
    },
    /// Download a dataset from its publisher
    #[command(after_help = "Example:\n  gpunn data get cifar10\n\n\
        An interrupted download is resumed. Every file's digest is checked, and archives are unpacked.\n\n\
        emnist36, flowers17 and sun8 are made from files that you download yourself:\n  \
        gpunn data get emnist36 --from DIR     with EMNIST's four emnist-letters-*-ubyte.gz and MNIST's four files in DIR\n  \
        gpunn data get flowers17 --from DIR    with 17flowers.tgz and datasplits.mat in DIR\n  \
        gpunn data get sun8 --from DIR         with train_files.txt, test_files.txt and the classes' folders in DIR")]
    Get {
        /// The dataset's name
        name: String,
        /// The folder to put the dataset into [default: GPUNN_DATA, else the user's cache folder]
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
        /// Make the dataset from downloaded files in this folder, for emnist36, flowers17 and sun8
        #[arg(long, value_name = "DIR")]
        from: Option<PathBuf>,
        /// Print no progress
        #[arg(long, short)]
        quiet: bool,
    },
    /// Check a folder of images: files left out, broken images, copies, sizes
    Check(super::data_check::Args),
    /// Draw a sheet with images of each class
    #[command(after_help = "Example:\n  gpunn data preview emnist36 --data-dir DIR --split val --out sheet.png")]
    Preview {
        /// The dataset's name, or the path of a folder of images
        name: String,
        /// The image file to write: PNG, JPEG, BMP or WebP, by its ending
        #[arg(long, value_name = "FILE", value_parser = outputs::image())]
        out: PathBuf,
        /// The split to draw: train, val or test [default: train, else val, else test]
        #[arg(long, value_name = "SPLIT")]
        split: Option<String>,
        /// Images per class
        #[arg(long, default_value_t = 12, value_name = "N", value_parser = whole::<usize>(1))]
        per_class: usize,
        #[command(flatten)]
        folder: DataDirArgs,
        #[command(flatten)]
        labels: LabelArgs,
        #[command(flatten)]
        images: ImageArgs,
        /// Draw the images with augmentation, as the network sees them in training
        #[arg(long)]
        augment: bool,
        /// The recipe whose section [augment] is used, by name or file [default: the dataset's recipe]
        #[arg(long, value_name = "NAME|FILE", requires = "augment")]
        recipe: Option<String>,
        #[command(flatten)]
        changes: Box<AugmentArgs>,
    },
}

/// What `--json` prints for a dataset.
#[derive(Serialize)]
struct DatasetOutput<'a> {
    name: &'a str,
    aliases: &'a [&'a str],
    title: &'a str,
    classes: &'a str,
    input: [usize; 3],
    splits: &'a str,
    /// Whether `gpunn data get` downloads it.
    fetched: bool,
    /// Images per split; none if the dataset is not on this machine, or for `list`.
    images: Option<ImageCounts>,
}

#[derive(Serialize)]
struct ImageCounts {
    train: usize,
    val: usize,
    test: usize,
}

impl ImageCounts {
    fn of(set: &Dataset) -> Self {
        let [train, val, test] = [SplitName::Train, SplitName::Val, SplitName::Test]
            .map(|name| set.split(name).map_or(0, |split| split.len()));
        Self { train, val, test }
    }
}

impl std::fmt::Display for ImageCounts {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{} train, {} val, {} test", self.train, self.val, self.test)
    }
}

impl<'a> DatasetOutput<'a> {
    fn of(info: &'a DatasetInfo, here: Option<&Dataset>) -> Self {
        Self {
            name: info.name,
            aliases: info.aliases,
            title: info.title,
            classes: info.classes,
            input: info.input,
            splits: info.splits,
            fetched: crate::datasets::sources::source(info.name).is_some(),
            images: here.map(ImageCounts::of),
        }
    }

    /// Prints the lines that known datasets and folders have in common.
    fn print(&self) {
        let [channels, height, width] = self.input;
        super::print_line(&format!("{}: {}", self.name, self.title));
        super::print_line(&format!("classes   {}", self.classes));
        super::print_line(&format!("images  {channels} x {height} x {width}; {}", self.splits));
    }
}

pub fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        DataCommand::List { output } => list(&output)?,
        DataCommand::Info { name, folder, output } => info(&name, folder.path(), &output)?,
        DataCommand::Get { name, data_dir, from: Some(from), .. } => {
            print_outcome(&name, &crate::datasets::fetch::lay_out(&name, &from, data_dir.as_deref())?);
        }
        DataCommand::Get { name, data_dir, quiet, .. } => get(&name, data_dir.as_deref(), quiet)?,
        DataCommand::Check(args) => return super::data_check::run(args),
        DataCommand::Preview { name, out, split, per_class, folder, labels, images, augment, recipe, changes } => {
            let asked = images.or(ImageOptions::default());
            let options = crate::datasets::LoadOptions {
                image_options: asked,
                labels: labels.labels()?,
                skip_bad: images.skip_bad,
                ..crate::datasets::LoadOptions::default()
            };
            let dataset = crate::datasets::load_with(&name, folder.path(), &options)?;
            print_skipped(&dataset);
            let augment = (augment || changes.or(None).is_some())
                .then(|| augmentation(recipe.as_deref(), &changes, &dataset))
                .transpose()?;
            preview(&dataset, split, per_class, augment.as_ref(), &out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(output: &JsonArgs) -> Result<()> {
    let all: Vec<DatasetOutput> = crate::datasets::known().iter().map(|info| DatasetOutput::of(info, None)).collect();
    output.print(&all, |all| {
        for info in all {
            let fetched = if info.fetched { "; `gpunn data get` downloads it" } else { "" };
            super::print_line(&format!("{:<14} {} ({}){fetched}", info.name, info.title, info.splits));
        }
        super::print_line("A folder of images, with one subfolder per class, is named by its path.");
    })
}

fn info(name: &str, data_dir: Option<&Path>, output: &JsonArgs) -> Result<()> {
    let Ok(info) = crate::datasets::find(name) else {
        return info_of_folder(&crate::datasets::load(name, data_dir)?, output);
    };
    let here = crate::datasets::load(name, data_dir);
    let described = DatasetOutput::of(info, here.as_ref().ok());
    output.print(&described, |described| {
        described.print();
        print_files(info, here);
    })
}

/// Prints the lines about a known dataset's files, and its images if it is on this machine.
fn print_files(info: &DatasetInfo, here: Result<Dataset>) {
    super::print_line(&format!("files     {}", where_the_files_are(info)));
    super::print_line(&format!("source    {}", info.where_from));
    super::print_line(&format!("notes     {}", info.notes));
    match here {
        Ok(set) => {
            let images = ImageCounts::of(&set);
            let in_it = |directory: &Path| {
                let folder = directory.join(info.folder);
                let archive = info.archive.filter(|_| !folder.is_dir());
                archive.map_or(folder, |archive| directory.join(archive)).display().to_string()
            };
            let folder = set.folder.as_deref().map(in_it);
            super::print_line(&format!(
                "here      {images}; {}",
                folder.unwrap_or_else(|| "inside the program".into())
            ));
        }
        Err(error) => super::print_line(&format!("not here  {error}")),
    }
}

/// Describes a folder of images.
fn info_of_folder(set: &Dataset, output: &JsonArgs) -> Result<()> {
    let images = ImageCounts::of(set);
    let described = DatasetOutput {
        name: &set.name,
        aliases: &[],
        title: "a folder of images",
        classes: &format!("{}: {}", set.classes.len(), set.classes.join(", ")),
        input: set.input,
        splits: &images.to_string(),
        fetched: false,
        images: Some(images),
    };
    output.print(&described, DatasetOutput::print)
}

/// The files that a dataset's folder needs, and how to get them.
fn where_the_files_are(info: &DatasetInfo) -> String {
    if info.files.is_empty() {
        return "none".into();
    }
    let archive = info.archive.map_or_else(String::new, |archive| format!("; or {archive} next to that folder"));
    let get = crate::datasets::sources::source(info.name)
        .map_or_else(String::new, |_| format!("; `gpunn data get {}` downloads them", info.name));
    format!("{} in the folder {}{archive}{get}", info.files.join(", "), info.folder)
}

/// Downloads a dataset: with a progress bar on a terminal, else with one line per file.
fn get(name: &str, data_dir: Option<&Path>, quiet: bool) -> Result<()> {
    if crate::datasets::pretrained::find(name).is_ok() {
        return Err(Error::usage(format!(
            "{name} is a network, not a dataset; `gpunn weights get {name}` downloads its ImageNet weights."
        )));
    }
    let mut progress = DownloadProgress::new(quiet);
    let got = crate::datasets::fetch::get(name, data_dir, &mut |file, done, total| progress.show(file, done, total));
    progress.finish();
    print_outcome(name, &got?);
    Ok(())
}

/// Prints where something was or is now.
pub(super) fn print_outcome(what: &str, got: &FetchOutcome) {
    super::print_line(&match got {
        FetchOutcome::AlreadyPresent(path) => format!("{what} is already in {}", path.display()),
        FetchOutcome::Fetched(path) => format!("{what} is in {}", path.display()),
    });
}

/// The augmentation of the named recipe, else of the dataset's recipe, with the changes of the flags; and the recipe's seed.
fn augmentation(named: Option<&str>, changes: &AugmentArgs, dataset: &Dataset) -> Result<(Augment, u64)> {
    let recipe = crate::runs::choose(named, None, Some(&dataset.name))?;
    let augment = changes.or(recipe.augment).ok_or_else(|| {
        let taken = if named.is_some() { "" } else { ", the default for this dataset," };
        Error::usage(format!(
            "The recipe {}{taken} has no section [augment]. Name another recipe with --recipe, or add flags such as --flip.",
            recipe.name
        ))
    })?;
    augment.validate()?;
    Ok((augment, recipe.seed))
}

fn preview(
    dataset: &Dataset,
    split: Option<String>,
    per_class: usize,
    augment: Option<&(Augment, u64)>,
    out: &Path,
) -> Result<()> {
    let asked: Option<SplitName> = split.map(|split| split.parse()).transpose()?;
    let order = [SplitName::Train, SplitName::Val, SplitName::Test];
    let split = dataset.split(asked.unwrap_or_else(|| super::first_split(dataset, order)))?;
    // An image with several labels is drawn with each of them.
    let spread = dataset.sets.as_ref().map(|sets| sets.spread(split));
    let split = spread.as_ref().unwrap_or(split);
    let sheet = match augment {
        None => crate::images::sheet(dataset, &split.select(&split.first_of_each(per_class)).in_memory()?, per_class),
        Some((augment, seed)) => {
            let (split, input) = train::augmented(augment, split, dataset.input, per_class, *seed)?;
            crate::images::sheet(&dataset.without_images(input), &split, per_class)
        }
    };
    let (width, height) = sheet.dimensions();
    crate::images::write(&sheet.into(), out)?;
    super::print_line(&format!("{} ({width} x {height} pixels)", out.display()));
    Ok(())
}
