//! `gpunn report`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gpunn::data::{Dataset, SplitName};
use gpunn::report::{self, Report, ReportOptions};
use gpunn::runs::RunDirectory;
use gpunn::{Engine, Error, Result, gpu};

use super::engine::DeviceArgs;

/// Where `--compare` writes without `--out`.
const COMPARED: &str = "compare.html";

/// The page needs nothing else: its images are inside it. It is drawn from the run directory, and from the data set where
/// that is found; what could not be drawn is said on the page and on standard error.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    gpunn report runs/glyphs-mlp-20260101-1\n  \
    gpunn report --compare runs/a runs/b runs/c --out compare.html")]
pub struct Args {
    /// A run directory; with --compare several
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// One page for all runs: their curves over one another, how they ended, what their recipes differ in
    #[arg(long)]
    compare: bool,
    /// The folder for report.html and plots [default: the run's]; with --compare the page's file [default: compare.html]
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// The split to measure: train, val or test [default: test, else val, else train]
    #[arg(long, value_name = "SPLIT", conflicts_with = "compare")]
    split: Option<String>,
    /// Measure all of its images, even where that takes longer than a second or two
    #[arg(long, conflicts_with = "compare")]
    all: bool,
    /// The folder that holds data sets, where it is not the one that the run used
    #[arg(long, value_name = "DIR", conflicts_with = "compare")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one line of JSON last
    #[arg(long)]
    json: bool,
    /// Do not say which device computes
    #[arg(long, short)]
    quiet: bool,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Answer {
    report: String,
    left_out: Vec<String>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let written = if args.compare { compare(&args)? } else { one(&args)? };
    if args.json {
        super::print_json(&Answer { report: written.page.display().to_string(), left_out: written.left_out })?;
    } else {
        super::print_line(&format!("report: {}", written.page.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn compare(args: &Args) -> Result<Report> {
    let page = args.out.clone().unwrap_or_else(|| COMPARED.into());
    report::compare(&args.runs, &page)?;
    Ok(Report { page, left_out: Vec::new() })
}

fn one(args: &Args) -> Result<Report> {
    let [run] = args.runs.as_slice() else {
        return Err(Error::usage(format!(
            "{} runs were named; a report is of one. --compare draws one page for several.",
            args.runs.len()
        )));
    };
    args.device.set_threads()?;
    let part: Option<SplitName> = args.split.as_deref().map(str::parse).transpose()?;
    // Before a device is opened: most of what can be wrong is wrong with the run.
    RunDirectory::open(run)?;
    let gpu = gpu::DeviceOptions { profile: true, ..gpu::DeviceOptions::default() };
    let mut engine = args.device.open(gpu, args.quiet)?;
    let (out, data_dir) = (args.out.as_deref(), args.data_dir.as_deref());
    let options = ReportOptions { out, data_dir, part, whole: args.all, ..ReportOptions::default() };
    let written = gpunn::blocking::block_on(report::write(run, &mut engine, options))?;
    say_left_out(&written);
    Ok(written)
}

/// Writes the report of a run that has just ended, on its engine and with its data. A report that fails is no failure of the
/// run: it is said.
pub fn after_training(run: &Path, engine: &mut Engine, dataset: &Dataset) -> Option<PathBuf> {
    let options = ReportOptions { dataset: Some(dataset), whole: true, ..ReportOptions::default() };
    match gpunn::blocking::block_on(report::write(run, engine, options)) {
        Ok(written) => {
            say_left_out(&written);
            Some(written.page)
        }
        Err(error) => {
            eprintln!("warning: the run is whole, but its report could not be written: {error}");
            None
        }
    }
}

fn say_left_out(report: &Report) {
    for sentence in &report.left_out {
        eprintln!("left out of the report: {sentence}");
    }
}
