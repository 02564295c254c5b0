//! `gpunn read`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::files::write_atomic;
use crate::images;
use crate::ocr::{self, PageText, Reader};
use crate::{Error, Result};
use image::DynamicImage;

use super::flags::{ComputeArgs, EpochArgs};
use super::working::Working;

/// Reads handwritten capitals and digits in photos, and prints the text line by line. The writing may be dark or light, on plain
/// or lined paper, in uneven light; photos turned by any angle are turned upright. Lowercase letters and connected handwriting
/// are not supported. The other characters of a line decide between similar characters, such as O and 0, or I, L and 1, unless
/// --raw is given. Exits with 1 if a photo shows writing that cannot be read.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  gpunn read photo.jpg --overlay seen.png\n  gpunn read page-1.jpg page-2.jpg --html pages.html\n  \
    camera-command | gpunn read - --json",
    mut_arg("json", |json| json.help(
        "Print one line of JSON last: lines, words and characters, each with its box, confidence and second prediction"
    )),
    mut_arg("quiet", |quiet| quiet.help("Do not print the device, and do not warn about photos without writing"))
)]
pub struct Args {
    /// Photos of handwritten capitals and digits (JPEG, PNG, WebP, GIF, TIFF or BMP); `-` reads a photo from standard input
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// A run directory or a checkpoint file of the network to use [default: the network inside the program]
    #[arg(long, value_name = "RUN")]
    run: Option<PathBuf>,
    /// Print the network's prediction for each character; do not use its line to decide between O and 0, I and 1, ...
    #[arg(long)]
    raw: bool,
    /// Write the photo with a box and the predicted class at each character; for several photos, PATH is a folder
    #[arg(long, value_name = "PATH")]
    overlay: Option<PathBuf>,
    /// Write an HTML page: each photo with its boxes and its text, and the characters with low confidence
    #[arg(long, value_name = "FILE", value_parser = super::outputs::ending("html"))]
    html: Option<PathBuf>,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct ReadOutput<'a> {
    pages: Vec<PageOutput<'a>>,
}

/// The result for one image.
#[derive(serde::Serialize)]
struct PageOutput<'a> {
    image: &'a str,
    text: String,
    #[serde(flatten)]
    page: &'a PageText,
}

pub fn run(args: Args) -> Result<ExitCode> {
    args.compute.device.set_threads()?;
    // All images are read first, so that an unreadable image leaves no partial output.
    let images: Vec<(String, DynamicImage)> = args.images.iter().map(|path| open(path)).collect::<Result<_>>()?;
    let engine = args.compute.open()?;
    let work = Working::new("reading", args.compute.quiet);
    let mut reader = match &args.run {
        Some(run) => Reader::of(engine, &EpochArgs::default().checkpoint(run)?)?,
        None => Reader::new(engine)?,
    };
    let options = ocr::ReadOptions { raw: args.raw };
    let read = |(number, (name, image)): (usize, &(String, DynamicImage))| {
        work.at(&format!("reading {name}"), number, images.len());
        crate::blocking::block_on(ocr::read_with(image, &mut reader, options))
    };
    let pages: Vec<PageText> = images.iter().enumerate().map(read).collect::<Result<_>>()?;
    drop(work);
    if let Some(path) = &args.overlay {
        write_overlays(path, &images, &pages)?;
    }
    if let Some(path) = &args.html {
        let read: Vec<ocr::ReadImage> =
            images.iter().zip(&pages).map(|((name, image), page)| ocr::ReadImage { name, image, page }).collect();
        write_atomic(path, ocr::html(&read)?.as_bytes())?;
    }
    print(&args, &images, &pages)?;
    let unreadable = pages.iter().any(|page| page.unreadable.is_some());
    Ok(if unreadable { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Reads an image; returns its name too.
fn open(path: &Path) -> Result<(String, DynamicImage)> {
    if path != Path::new("-") {
        return Ok((path.display().to_string(), images::open(path)?));
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).map_err(Error::file("cannot read", "standard input"))?;
    Ok(("-".into(), images::decode(bytes, "Standard input")?))
}

/// Prints the text, below the image's name if there are several images, or everything as JSON. Images without writing and
/// images that cannot be read are named on standard error.
fn print(args: &Args, images: &[(String, DynamicImage)], pages: &[PageText]) -> Result<()> {
    let read = || images.iter().map(|(name, _)| name.as_str()).zip(pages);
    for (name, page) in read().filter(|(_, page)| page.is_empty()) {
        match page.fault(name) {
            Some(fault) => eprintln!("error: {fault}"),
            None if args.compute.quiet => {}
            None => eprintln!("{name} shows no writing ({}x{} pixels)", page.width, page.height),
        }
    }
    if args.compute.output.json {
        let of = |(image, page)| PageOutput { image, text: ToString::to_string(page), page };
        return super::print_json(&ReadOutput { pages: read().map(of).collect() });
    }
    for (number, (name, page)) in read().enumerate() {
        if pages.len() > 1 {
            super::print_line(&format!("{}{name}:", if number > 0 { "\n" } else { "" }));
        }
        if !page.is_empty() {
            super::print_line(&page.to_string());
        }
    }
    Ok(())
}

/// Writes the images with boxes and predictions. Several images go into a folder, under their own names; equal names get
/// numbers.
fn write_overlays(path: &Path, images: &[(String, DynamicImage)], pages: &[PageText]) -> Result<()> {
    let seen = images.iter().zip(pages).map(|((_, image), page)| ocr::overlay(image, page));
    if images.len() == 1 {
        return seen.into_iter().try_for_each(|seen| images::write(&seen.into(), path));
    }
    std::fs::create_dir_all(path).map_err(Error::file("cannot create the folder", path))?;
    let stem =
        |name: &str| Path::new(name).file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let stems: Vec<String> = images.iter().map(|(name, _)| stem(name)).collect();
    for (number, (seen, stem)) in seen.zip(&stems).enumerate() {
        let same = stems.iter().filter(|other| *other == stem).count() > 1;
        let name = if same { format!("{stem}-{}.png", number + 1) } else { format!("{stem}.png") };
        images::write(&seen.into(), &path.join(name))?;
    }
    Ok(())
}
