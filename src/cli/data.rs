//! `gpunn data`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gpunn::data::ImageOptions;
use gpunn::data::{Dataset, SplitName};
use gpunn::datasets::DatasetInfo;
use gpunn::datasets::fetch::FetchOutcome;
use gpunn::nn::models;
use gpunn::ops::augment::Augment;
use gpunn::{Error, Result, train};
use serde::Serialize;

use super::augment::AugmentArgs;
use super::images::{ImageArgs, say_skipped};
use super::progress::Download;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpunn data preview glyphs --out glyphs.png")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the known data sets.
    List {
        /// Print one line of JSON last
        #[arg(long)]
        json: bool,
    },
    /// Say what a data set holds, where it comes from and whether it is here.
    #[command(after_help = "Example:\n  gpunn data info emnist36 --data-dir DIR")]
    Info {
        /// The data set, or the path of a folder of images
        name: String,
        /// The folder that holds data sets, each in its own folder
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
        /// Print one line of JSON last
        #[arg(long)]
        json: bool,
    },
    /// Fetch a data set from where its makers publish it.
    #[command(after_help = "Example:\n  gpunn data get cifar10\n\n\
        A download that was interrupted goes on where it stopped. Every file's digest is checked, and archives are unpacked.\n\n\
        emnist36 is made, and flowers17 and sun8 are laid out, from what was fetched by hand:\n  \
        gpunn data get emnist36 --from DIR     with EMNIST's four emnist-letters-*-ubyte.gz and MNIST's four files in DIR\n  \
        gpunn data get flowers17 --from DIR    with 17flowers.tgz and datasplits.mat in DIR\n  \
        gpunn data get sun8 --from DIR         with train_files.txt, test_files.txt and the classes' folders in DIR")]
    Get {
        /// The data set
        name: String,
        /// The folder to put it into [default: GPUNN_DATA, else the user's cache folder]
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
        /// Lay it out from what its makers hand out, which is in this folder: emnist36, flowers17 and sun8
        #[arg(long, value_name = "DIR")]
        from: Option<PathBuf>,
        /// Print no progress
        #[arg(long, short)]
        quiet: bool,
    },
    /// Draw a sheet of each class's images.
    #[command(after_help = "Example:\n  gpunn data preview emnist36 --data-dir DIR --split val --out sheet.png")]
    Preview {
        /// The data set, or the path of a folder of images
        name: String,
        /// The image to write (PNG)
        #[arg(long, value_name = "PNG")]
        out: PathBuf,
        /// train, val or test [default: train, else val, else test]
        #[arg(long, value_name = "SPLIT")]
        split: Option<String>,
        /// Images of each class
        #[arg(long, default_value_t = 12, value_name = "N")]
        per_class: usize,
        /// The folder that holds data sets, each in its own folder
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
        #[command(flatten)]
        images: ImageArgs,
        /// Draw the images as a training step shows them to the network
        #[arg(long)]
        augment: bool,
        /// The recipe whose [augment] is drawn, by its name or file [default: that of the data set]
        #[arg(long, value_name = "NAME|FILE", requires = "augment")]
        recipe: Option<String>,
        #[command(flatten)]
        changes: Box<AugmentArgs>,
    },
}

/// What `--json` prints of a data set.
#[derive(Serialize)]
struct Described<'a> {
    name: &'a str,
    aliases: &'a [&'a str],
    title: &'a str,
    classes: &'a str,
    input: [usize; 3],
    splits: &'a str,
    /// Whether `gpunn data get` fetches it.
    fetched: bool,
    /// How many images each split holds; none where the set is not here, or was not looked for.
    images: Option<Images>,
}

#[derive(Serialize)]
struct Images {
    train: usize,
    val: usize,
    test: usize,
}

impl Images {
    fn of(set: &Dataset) -> Self {
        let [train, val, test] =
            [SplitName::Train, SplitName::Val, SplitName::Test].map(|part| set.split(part).map_or(0, |s| s.len()));
        Self { train, val, test }
    }
}

impl std::fmt::Display for Images {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{} train, {} val, {} test", self.train, self.val, self.test)
    }
}

impl<'a> Described<'a> {
    fn of(info: &'a DatasetInfo, here: Option<&Dataset>) -> Self {
        Self {
            name: info.name,
            aliases: info.aliases,
            title: info.title,
            classes: info.classes,
            input: info.input,
            splits: info.splits,
            fetched: gpunn::datasets::sources::source(info.name).is_some(),
            images: here.map(Images::of),
        }
    }

    /// The lines that a known set and a folder have alike.
    fn print(&self) {
        let [channels, height, width] = self.input;
        super::print_line(&format!("{}: {}", self.name, self.title));
        super::print_line(&format!("classes   {}", self.classes));
        super::print_line(&format!("images  {channels} x {height} x {width}; {}", self.splits));
    }
}

pub fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        Command::List { json } => list(json)?,
        Command::Info { name, data_dir, json } => info(&name, data_dir, json)?,
        Command::Get { name, data_dir, from: Some(from), .. } => {
            say_got(&name, gpunn::datasets::fetch::lay_out(&name, &from, data_dir.as_deref())?);
        }
        Command::Get { name, data_dir, quiet, .. } => get(&name, data_dir.as_deref(), quiet)?,
        Command::Preview { name, out, split, per_class, data_dir, images, augment, recipe, changes } => {
            let asked = images.or(ImageOptions::default());
            let options = gpunn::datasets::LoadOptions {
                image_options: asked,
                skip_bad: images.skip_bad,
                ..gpunn::datasets::LoadOptions::default()
            };
            let dataset = gpunn::datasets::load_with(&name, data_dir.as_deref(), &options)?;
            say_skipped(&dataset);
            let augment = (augment || changes.or(None).is_some())
                .then(|| augmentation(recipe.as_deref(), &changes, &dataset))
                .transpose()?;
            preview(&dataset, split, per_class, augment.as_ref(), &out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(json: bool) -> Result<()> {
    if json {
        let all: Vec<Described> = gpunn::datasets::known().iter().map(|info| Described::of(info, None)).collect();
        return super::print_json(&all);
    }
    for info in gpunn::datasets::known() {
        let fetched =
            if gpunn::datasets::sources::source(info.name).is_some() { "; `gpunn data get` fetches it" } else { "" };
        super::print_line(&format!("{:<14} {} ({}){fetched}", info.name, info.title, info.splits));
    }
    super::print_line("A folder of images, one folder a class, is given by its path.");
    Ok(())
}

fn info(name: &str, data_dir: Option<PathBuf>, json: bool) -> Result<()> {
    let Ok(info) = gpunn::datasets::find(name) else {
        return info_of_folder(&gpunn::datasets::load(name, data_dir.as_deref())?, json);
    };
    let here = gpunn::datasets::load(name, data_dir.as_deref());
    let described = Described::of(info, here.as_ref().ok());
    if json {
        return super::print_json(&described);
    }
    described.print();
    super::print_line(&format!("files     {}", where_the_files_are(info)));
    super::print_line(&format!("from      {}", info.where_from));
    super::print_line(&format!("notes     {}", info.notes));
    match here {
        Ok(set) => {
            let images = Images::of(&set);
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
    Ok(())
}

/// What a folder of images holds.
fn info_of_folder(set: &Dataset, json: bool) -> Result<()> {
    let images = Images::of(set);
    let described = Described {
        name: &set.name,
        aliases: &[],
        title: "a folder of images",
        classes: &format!("{}: {}", set.classes.len(), set.classes.join(", ")),
        input: set.input,
        splits: &images.to_string(),
        fetched: false,
        images: Some(images),
    };
    if json {
        return super::print_json(&described);
    }
    described.print();
    Ok(())
}

/// What a set's folder has to hold, and how it gets there.
fn where_the_files_are(info: &DatasetInfo) -> String {
    if info.files.is_empty() {
        return "none".into();
    }
    let archive = info.archive.map_or_else(String::new, |archive| format!("; or {archive} beside that folder"));
    let get = gpunn::datasets::sources::source(info.name)
        .map_or_else(String::new, |_| format!("; `gpunn data get {}` fetches them", info.name));
    format!("{} in the folder {}{archive}{get}", info.files.join(", "), info.folder)
}

/// Fetches a set, with a bar on a terminal and a line a file elsewhere.
fn get(name: &str, data_dir: Option<&Path>, quiet: bool) -> Result<()> {
    if let Some(file) = models::published(name) {
        return Err(Error::usage(where_weights_are(name, file)));
    }
    let mut progress = Download::new(quiet);
    let got = gpunn::datasets::fetch::get(name, data_dir, &mut |file, done, total| progress.show(file, done, total));
    progress.finish();
    say_got(name, got?);
    Ok(())
}

fn say_got(name: &str, got: FetchOutcome) {
    match got {
        FetchOutcome::AlreadyPresent(folder) => {
            super::print_line(&format!("{name} is in {} already", folder.display()))
        }
        FetchOutcome::Fetched(folder) => super::print_line(&format!("{name} is in {}", folder.display())),
    }
}

/// How a model's weights of ImageNet are got: they are published in a format that is not read.
fn where_weights_are(model: &str, file: &str) -> String {
    let path = Path::new(file);
    let (own, twin) = (path.file_name().unwrap_or_default(), path.file_stem().unwrap_or_default());
    let (own, twin) = (own.to_string_lossy(), twin.to_string_lossy());
    format!(
        "The weights of ImageNet for {model} are published in PyTorch's own format alone, which runs code when it is read. \
         Where torchvision is at hand, this fetches and converts them: python -c \"import torchvision, safetensors.torch as s; \
         s.save_file(torchvision.models.{twin}(weights='DEFAULT').state_dict(), '{own}')\". Put the file into a data directory \
         as {file}, or name it with --pretrained."
    )
}

/// What the recipe named, else the one for the data set, does to images, with what the flags change; and the recipe's seed.
fn augmentation(named: Option<&str>, changes: &AugmentArgs, dataset: &Dataset) -> Result<(Augment, u64)> {
    let recipe = gpunn::runs::choose(named, None, Some(&dataset.name))?;
    let augment = changes.or(recipe.augment).ok_or_else(|| {
        let taken = if named.is_some() { "" } else { ", which is taken where none is named," };
        Error::usage(format!(
            "The recipe {}{taken} has no section [augment]; name another with --recipe, or say by flags what to draw, as --flip.",
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
    if per_class == 0 {
        return Err(Error::usage("A sheet of 0 images a class shows nothing; ask for at least 1."));
    }
    let part: Option<SplitName> = split.map(|split| split.parse()).transpose()?;
    let there = |part: &SplitName| dataset.split(*part).is_ok();
    let first = [SplitName::Train, SplitName::Val, SplitName::Test].into_iter().find(there).unwrap_or(SplitName::Train);
    let split = dataset.split(part.unwrap_or(first))?;
    let sheet = match augment {
        None => gpunn::images::sheet(dataset, &split.select(&split.first_of_each(per_class)).in_memory()?, per_class),
        Some((augment, seed)) => {
            let (split, input) = train::augmented(augment, split, dataset.input, per_class, *seed)?;
            gpunn::images::sheet(&dataset.without_images(input), &split, per_class)
        }
    };
    let (width, height) = sheet.dimensions();
    super::images::write_png(&sheet.into(), out)?;
    super::print_line(&format!("{width} x {height} pixels in {}", out.display()));
    Ok(())
}
