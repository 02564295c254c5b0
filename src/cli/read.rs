//! `gpunn read`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gpunn::files::write_atomic;
use gpunn::images;
use gpunn::ocr::{self, PageText, Reader};
use gpunn::{Error, Result, gpu};
use image::DynamicImage;

use super::engine::DeviceArgs;

/// Prints the handwritten capitals and digits that photos show, line by line, words apart. Dark writing or light, on even paper or
/// lined, in uneven light; on its side or upside down it is turned. Lower case that is not written as capitals are, and letters
/// that run into one another, are beyond it. Where a form alone does not say whether it is O or 0, I, L or 1, the other characters
/// of its word decide, unless --raw is given.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  gpunn read photo.jpg --overlay seen.png\n  gpunn read page-1.jpg page-2.jpg --html pages.html\n  \
    camera-command | gpunn read - --json"
)]
pub struct Args {
    /// Photos of handwritten capitals and digits (JPEG, PNG, WebP or BMP); `-` reads one from standard input
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// A run directory, or a checkpoint file, whose network reads [default: the one in the program]
    #[arg(long, value_name = "RUN")]
    run: Option<PathBuf>,
    /// Take every character for what the network takes it for: do not let its word decide between O and 0, I and 1, ...
    #[arg(long)]
    raw: bool,
    /// Write the photo with a box and a reading at each character; for several photos, into a folder of that name
    #[arg(long, value_name = "PNG")]
    overlay: Option<PathBuf>,
    /// Write a page for a browser: each photo with its boxes, its text, and what the reader is unsure of
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one line of JSON last: lines, words and characters, each with its box, confidence and second guess
    #[arg(long)]
    json: bool,
    /// Do not say which device computes, nor that a photo shows no writing
    #[arg(long, short)]
    quiet: bool,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Answer<'a> {
    pages: Vec<Of<'a>>,
}

/// One image's part of it.
#[derive(serde::Serialize)]
struct Of<'a> {
    image: &'a str,
    text: String,
    #[serde(flatten)]
    page: &'a PageText,
}

pub fn run(args: Args) -> Result<ExitCode> {
    args.device.set_threads()?;
    // All images before any answer: nothing is half printed.
    let images: Vec<(String, DynamicImage)> = args.images.iter().map(|path| open(path)).collect::<Result<_>>()?;
    let engine = args.device.open(gpu::DeviceOptions::default(), args.quiet)?;
    let mut reader = match &args.run {
        Some(run) => Reader::of(engine, &super::eval::checkpoint(run, false, None)?)?,
        None => Reader::new(engine)?,
    };
    let options = ocr::ReadOptions { raw: args.raw };
    let read =
        |(_, image): &(String, DynamicImage)| gpunn::blocking::block_on(ocr::read_with(image, &mut reader, options));
    let pages: Vec<PageText> = images.iter().map(read).collect::<Result<_>>()?;
    if let Some(path) = &args.overlay {
        write_overlays(path, &images, &pages)?;
    }
    if let Some(path) = &args.html {
        let read: Vec<ocr::ReadImage> =
            images.iter().zip(&pages).map(|((name, image), page)| ocr::ReadImage { name, image, page }).collect();
        write_atomic(path, ocr::html(&read)?.as_bytes())?;
    }
    print(&args, &images, &pages)?;
    Ok(ExitCode::SUCCESS)
}

/// An image and what it is called.
fn open(path: &Path) -> Result<(String, DynamicImage)> {
    if path != Path::new("-") {
        return Ok((path.display().to_string(), images::open(path)?));
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).map_err(Error::file("cannot read", "standard input"))?;
    Ok(("-".into(), images::decode(bytes, "Standard input")?))
}

/// Prints the text alone, under the image's name where there are several, or all as JSON. That there is none is said on
/// standard error.
fn print(args: &Args, images: &[(String, DynamicImage)], pages: &[PageText]) -> Result<()> {
    let read = || images.iter().map(|(name, _)| name.as_str()).zip(pages);
    for (name, page) in read().filter(|(_, page)| !args.quiet && page.is_empty()) {
        eprintln!("{name} shows no writing ({}x{} pixels)", page.width, page.height);
    }
    if args.json {
        let of = |(image, page)| Of { image, text: ToString::to_string(page), page };
        return super::print_json(&Answer { pages: read().map(of).collect() });
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

/// Writes the image with what was read; several into a folder, each under its own name, numbered where names are the same.
fn write_overlays(path: &Path, images: &[(String, DynamicImage)], pages: &[PageText]) -> Result<()> {
    let seen = images.iter().zip(pages).map(|((_, image), page)| ocr::overlay(image, page));
    if images.len() == 1 {
        return seen.into_iter().try_for_each(|seen| images::write_png(&seen.into(), path));
    }
    std::fs::create_dir_all(path).map_err(Error::file("cannot make the folder", path))?;
    let stem =
        |name: &str| Path::new(name).file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let stems: Vec<String> = images.iter().map(|(name, _)| stem(name)).collect();
    for (number, (seen, stem)) in seen.zip(&stems).enumerate() {
        let same = stems.iter().filter(|other| *other == stem).count() > 1;
        let name = if same { format!("{stem}-{}.png", number + 1) } else { format!("{stem}.png") };
        images::write_png(&seen.into(), &path.join(name))?;
    }
    Ok(())
}
