//! `gpunn data`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gpunn::data::{self, Dataset, Info, Part};
use gpunn::{Error, Result};
use serde::Serialize;

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
        /// The data set
        name: String,
        /// The folder that holds data sets, each under its own name
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
        /// Print one line of JSON last
        #[arg(long)]
        json: bool,
    },
    /// Draw a sheet of each class's pictures.
    #[command(after_help = "Example:\n  gpunn data preview emnist36 --data-dir DIR --split val --out sheet.png")]
    Preview {
        /// The data set
        name: String,
        /// The picture to write (PNG)
        #[arg(long, value_name = "PNG")]
        out: PathBuf,
        /// train, val or test [default: train, else val, else test]
        #[arg(long, value_name = "SPLIT")]
        split: Option<String>,
        /// Pictures of each class
        #[arg(long, default_value_t = 12, value_name = "N")]
        per_class: usize,
        /// The folder that holds data sets, each under its own name
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
    },
}

/// What `--json` prints of a data set.
#[derive(Serialize)]
struct Described {
    name: &'static str,
    aliases: &'static [&'static str],
    title: &'static str,
    classes: &'static str,
    input: [usize; 3],
    splits: &'static str,
    /// How many pictures each split holds; none where the set is not here, or was not looked for.
    images: Option<Images>,
}

#[derive(Serialize)]
struct Images {
    train: usize,
    val: usize,
    test: usize,
}

impl Described {
    fn of(info: &Info, here: Option<&Dataset>) -> Self {
        let count = |dataset: &Dataset, part| dataset.part(part).map_or(0, |split| split.len());
        Self {
            name: info.name,
            aliases: info.aliases,
            title: info.title,
            classes: info.classes,
            input: info.input,
            splits: info.splits,
            images: here.map(|set| Images {
                train: count(set, Part::Train),
                val: count(set, Part::Val),
                test: count(set, Part::Test),
            }),
        }
    }
}

pub fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        Command::List { json } => list(json)?,
        Command::Info { name, data_dir, json } => info(&name, data_dir, json)?,
        Command::Preview { name, out, split, per_class, data_dir } => {
            preview(&data::load(&name, data_dir.as_deref())?, split, per_class, &out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(json: bool) -> Result<()> {
    if json {
        let all: Vec<Described> = data::known().iter().map(|info| Described::of(info, None)).collect();
        return super::print_json(&all);
    }
    for info in data::known() {
        super::print_line(&format!("{:<14} {} ({})", info.name, info.title, info.splits));
    }
    Ok(())
}

fn info(name: &str, data_dir: Option<PathBuf>, json: bool) -> Result<()> {
    let info = data::find(name)?;
    let here = data::load(name, data_dir.as_deref());
    let described = Described::of(info, here.as_ref().ok());
    if json {
        return super::print_json(&described);
    }
    let [channels, height, width] = info.input;
    super::print_line(&format!("{}: {}", info.name, info.title));
    super::print_line(&format!("classes   {}", info.classes));
    super::print_line(&format!("pictures  {channels} x {height} x {width}; {}", info.splits));
    super::print_line(&format!("from      {}", info.where_from));
    super::print_line(&format!("notes     {}", info.notes));
    match (here, described.images) {
        (Ok(set), Some(Images { train, val, test })) => {
            let folder = set.folder.map_or("inside the program".into(), |folder| folder.display().to_string());
            super::print_line(&format!("here      {train} train, {val} val, {test} test; {folder}"));
        }
        (Err(error), _) => super::print_line(&format!("not here  {error}")),
        _ => {}
    }
    Ok(())
}

fn preview(dataset: &Dataset, split: Option<String>, per_class: usize, out: &Path) -> Result<()> {
    if per_class == 0 {
        return Err(Error::usage("A sheet of 0 pictures a class shows nothing; ask for at least 1."));
    }
    let part: Option<Part> = split.map(|split| split.parse()).transpose()?;
    let there = |part: &Part| dataset.part(*part).is_ok();
    let first = [Part::Train, Part::Val, Part::Test].into_iter().find(there).unwrap_or(Part::Train);
    let split = dataset.part(part.unwrap_or(first))?;
    let sheet = data::sheet(dataset, split, per_class);
    let mut png = std::io::Cursor::new(Vec::new());
    sheet
        .write_to(&mut png, image::ImageFormat::Png)
        .map_err(|error| Error::data(format!("Cannot make a PNG of the sheet: {error}.")))?;
    gpunn::train::files::write_whole(out, png.get_ref())?;
    super::print_line(&format!("{} x {} pixels in {}", sheet.width(), sheet.height(), out.display()));
    Ok(())
}
