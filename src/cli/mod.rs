//! The command line: one file per subcommand, each with its `Args` and a `run`, and one for each set of flags that several have.

mod augment;
mod bench;
mod check;
mod codes;
mod completions;
mod data;
mod devices;
mod engine;
mod eval;
mod export;
mod images;
mod import;
mod info;
mod predict;
mod progress;
mod read;
mod recipe;
mod reconstruct;
mod report;
mod summary;
mod sweep;
mod train;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use gpunn::Result;
use gpunn::report::bytes;

/// Train and run small image networks on any GPU, through wgpu and shaders written by hand, or on the CPU.
#[derive(Debug, Parser)]
#[command(
    name = "gpunn",
    version,
    arg_required_else_help = true,
    after_help = "Example:\n  gpunn train        trains a character classifier on the data set inside the program"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a network and keep the run in a directory.
    Train(Box<train::Args>),
    /// Train a run for each combination of some values, and compare them.
    Sweep(Box<sweep::Args>),
    /// Measure a trained run on a split of its data set.
    Eval(eval::Args),
    /// Say what images show, with a trained run.
    Predict(predict::Args),
    /// Draw a run's page of curves, mistakes and weights, or one that compares runs.
    Report(report::Args),
    /// Print the handwritten capitals and digits that photos show.
    Read(read::Args),
    /// Show what an autoencoder gives back, and how well, beside principal components.
    Reconstruct(reconstruct::Args),
    /// Write the few numbers that an autoencoder makes of images into a file.
    Encode(codes::EncodeArgs),
    /// Make images of such a file.
    Decode(codes::DecodeArgs),
    /// Write a run's weights for PyTorch and others.
    Export(export::Args),
    /// Make a run of weights from elsewhere.
    Import(import::Args),
    /// List the tensors of a weight file.
    Info(info::Args),
    /// List the adapters of this machine and say which one is taken.
    Devices(devices::Args),
    /// Check every kernel and gradient against the CPU, on this machine.
    Check(check::Args),
    /// Time kernels, matrix products and training steps.
    Bench(bench::Args),
    /// List data sets, say what they hold, fetch them, draw a sheet of their images.
    Data(data::Args),
    /// Print a script that completes gpunn's commands in a shell.
    Completions(completions::Args),
    /// Show a model's layers, shapes, parameters, operations and planned memory.
    Summary(summary::Args),
}

/// Parses the arguments and runs the command; says what went wrong on standard error.
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Train(args) => train::run(*args),
        Command::Sweep(args) => sweep::run(*args),
        Command::Eval(args) => eval::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Report(args) => report::run(args),
        Command::Read(args) => read::run(args),
        Command::Reconstruct(args) => reconstruct::run(args),
        Command::Encode(args) => codes::encode(args),
        Command::Decode(args) => codes::decode(args),
        Command::Export(args) => export::run(args),
        Command::Import(args) => import::run(args),
        Command::Info(args) => info::run(args),
        Command::Devices(args) => devices::run(args),
        Command::Check(args) => check::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Data(args) => data::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Summary(args) => summary::run(args),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Prints what `--json` promises: one line, the last of standard output.
fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let line = serde_json::to_string(value).map_err(|error| gpunn::Error::data(format!("no JSON: {error}")))?;
    print_line(&line);
    Ok(())
}

/// Prints a line on standard output. Nobody reading it is no reason to panic.
fn print_line(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A fraction in percent.
fn percent(fraction: f64) -> String {
    format!("{:.2} %", 100.0 * fraction)
}
