//! `gpunn report`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::data::Dataset;
use crate::report::{self, ReportOptions, WrittenReport};
use crate::runs::RunDirectory;
use crate::{Engine, Error, Result, gpu};

use super::flags::{ComputeArgs, EpochArgs, EvaluatedArgs};
use super::working::Working;

/// Default of `--out` with `--compare`.
const COMPARE_PAGE: &str = "compare.html";

/// Writes a self-contained HTML report of a run, from its directory and its dataset. If the dataset is missing, the sections
/// that need it are left out; the page and standard error name them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    gpunn report runs/glyphs-mlp-20260101-1\n  \
    gpunn report --compare runs/a runs/b runs/c --out compare.html",
    mut_arg("split", |split| split.conflicts_with("compare")),
    mut_arg("dataset", |dataset| dataset.hide(true)),
    mut_arg("labels", |labels| labels.hide(true).conflicts_with("compare")),
    mut_arg("data_dir", |folder| folder.conflicts_with("compare")))]
pub struct Args {
    /// A run directory; with --compare one or more
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Write one page that compares all runs: curves, results, and the settings that differ
    #[arg(long)]
    compare: bool,
    /// The folder for report.html and plots [default: the run directory]; with --compare the HTML file [default: compare.html]
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    #[command(flatten)]
    data: EvaluatedArgs,
    /// Evaluate all images of the split, even if that takes longer than about half a second
    #[arg(long, conflicts_with = "compare")]
    all: bool,
    #[command(flatten)]
    epoch: EpochArgs,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct ReportOutput {
    report: String,
    left_out: Vec<String>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let written = if args.compare { compare(&args)? } else { one(&args)? };
    let output = ReportOutput { report: written.page.display().to_string(), left_out: written.left_out };
    args.compute.output.print(&output, |output| super::print_line(&format!("report: {}", output.report)))?;
    Ok(ExitCode::SUCCESS)
}

fn compare(args: &Args) -> Result<WrittenReport> {
    let page = args.out.clone().unwrap_or_else(|| COMPARE_PAGE.into());
    if page.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("html")) {
        return Err(Error::usage(format!(
            "With --compare, --out names an HTML file, but {} does not end in .html.",
            page.display()
        )));
    }
    report::compare(&args.runs, &page)?;
    Ok(WrittenReport { page, left_out: Vec::new(), changed: None })
}

/// Writes the report of one run.
pub fn one(args: &Args) -> Result<WrittenReport> {
    let [run] = args.runs.as_slice() else {
        return Err(Error::usage(format!(
            "{} runs were given, but a report is about one run. Add --compare to compare several runs on one page.",
            args.runs.len()
        )));
    };
    args.compute.device.set_threads()?;
    let split = args.data.split()?;
    if let Some(other) = args.data.other_dataset() {
        return Err(Error::usage(format!(
            "A report is about the dataset that the run used. `gpunn eval RUN --dataset {other}` measures on another one."
        )));
    }
    if args.data.labels().is_some() {
        return Err(Error::usage(
            "A report is about the labels that the run used. `gpunn eval RUN --labels FILE` measures with other ones.",
        ));
    }
    // Checked before the device is opened, because a wrong run is the most common error.
    RunDirectory::open(run)?;
    let gpu = gpu::DeviceOptions { profile: true, ..gpu::DeviceOptions::default() };
    let mut engine = args.compute.device.open(gpu, args.compute.quiet)?;
    let (out, data_dir) = (args.out.as_deref(), args.data.data_dir.as_deref());
    let options =
        ReportOptions { out, data_dir, split, all_images: args.all, last: args.epoch.last, ..ReportOptions::default() };
    let work = Working::new("measuring for the report", args.compute.quiet);
    let written = crate::blocking::block_on(report::write(run, &mut engine, options))?;
    drop(work);
    print_left_out(&written);
    Ok(written)
}

/// Writes the report of a run that has just ended, with its engine and dataset. An error is only a warning, because the run is
/// complete.
pub fn after_training(run: &Path, engine: &mut Engine, dataset: &Dataset, quiet: bool) -> Option<PathBuf> {
    let options = ReportOptions { dataset: Some(dataset), all_images: true, ..ReportOptions::default() };
    let work = Working::new("measuring for the report", quiet);
    let written = crate::blocking::block_on(report::write(run, engine, options));
    drop(work);
    match written {
        Ok(written) => {
            print_left_out(&written);
            Some(written.page)
        }
        Err(error) => {
            eprintln!("warning: the run is complete, but its report could not be written: {error}");
            None
        }
    }
}

fn print_left_out(report: &WrittenReport) {
    if let Some(changed) = &report.changed {
        eprintln!("{changed}");
    }
    for sentence in &report.left_out {
        eprintln!("left out of the report: {sentence}");
    }
}
