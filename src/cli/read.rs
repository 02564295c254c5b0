//! `gpunn read`.

use std::path::PathBuf;
use std::process::ExitCode;

use gpunn::ocr::{self, Page, Reader};
use gpunn::{Result, gpu};

use super::engine::DeviceArgs;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpunn read photo.jpg --overlay seen.png")]
pub struct Args {
    /// Photos of handwritten capitals and digits; `-` reads one from standard input
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// A run directory, or a checkpoint file, whose network reads [default: the one in the program]
    #[arg(long, value_name = "RUN")]
    run: Option<PathBuf>,
    /// Take every character for what the network takes it for: do not let its word decide between O and 0, I and 1, ...
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one line of JSON last
    #[arg(long)]
    json: bool,
    /// Do not say which device computes
    #[arg(long, short)]
    quiet: bool,
}

pub fn run(args: Args) -> Result<ExitCode> {
    args.device.set_threads()?;
    let engine = args.device.open(gpu::Options::default(), args.quiet)?;
    let mut reader = match &args.run {
        Some(run) => Reader::of(engine, &super::eval::checkpoint(run, false, None)?)?,
        None => Reader::new(engine)?,
    };
    for path in &args.images {
        let picture = gpunn::data::pictures::open(path)?;
        let page: Page = pollster::block_on(ocr::read_with(&picture, &mut reader, ocr::Options { raw: args.raw }))?;
        if args.json {
            super::print_json(&page)?;
        } else {
            super::print_line(&page.to_string());
        }
    }
    Ok(ExitCode::SUCCESS)
}
