//! The command line. Each subcommand has a file with its `Args` and `run`; shared flags have files of their own.

/// Prints a line to standard error, by [`streams::note`]. std's macro of this name panics if the reader of a pipe has gone, and would end a training.
macro_rules! eprintln {
    ($($words:tt)*) => {
        $crate::cli::streams::note(&format!($($words)*))
    };
}

mod augment;
mod auto_device;
mod average;
mod bench;
pub mod calls;
mod check;
mod checking;
mod codes;
mod completions;
mod data;
mod data_check;
mod devices;
mod drivers;
mod embed;
mod engine;
mod eval;
mod explain;
mod export;
mod first_steps;
mod flags;
mod found;
mod image_loop;
mod images;
mod import;
mod info;
mod kept;
mod label_check;
mod ladder;
mod length;
mod live;
mod lr_find;
pub mod memory;
mod network;
mod numbers;
mod outputs;
mod predict;
pub mod program;
mod progress;
mod ranks;
mod read;
mod recipe;
mod reconstruct;
mod report;
mod serve;
mod similar;
mod step_time;
pub mod stop;
pub mod streams;
mod summary;
mod sweep;
mod told;
mod train;
mod verdict;
mod weights;
mod working;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use streams::print_line;

use crate::Result;
use crate::data::{Dataset, SplitName};
use crate::report::bytes;

/// Train and run small image networks on any GPU, through wgpu and handwritten WGSL shaders, or on the CPU.
#[derive(Debug, Parser)]
#[command(
    name = "gpunn",
    version,
    arg_required_else_help = true,
    after_help = "Example:\n  gpunn train        trains a character classifier on the dataset inside the program"
)]
struct Cli {
    /// The most pixels of an image file; one that claims more is refused [default: 128 million]
    #[arg(long, global = true, value_name = "N", value_parser = numbers::whole::<u64>(1), help_heading = "Limits")]
    max_pixels: Option<u64>,
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Train a network and save the run in a directory
    Train(Box<train::Args>),
    /// Train one run for each combination of given values, and compare the runs
    Sweep(Box<sweep::Args>),
    /// Evaluate a trained run on a split of its dataset
    Eval(eval::Args),
    /// Classify images with a trained run
    Predict(predict::Args),
    /// Suggest a learning rate, from some steps at rates that grow
    LrFind(Box<lr_find::Args>),
    /// Write what a network knows of images as a NumPy file: the features before its classifier
    Embed(embed::Args),
    /// Find the images of a folder that are most similar to an image
    Similar(similar::Args),
    /// Serve a trained network to a browser on this machine, and to programs over HTTP
    Serve(serve::Args),
    /// Draw heat maps of the places in images that decided the answers of a convolutional network
    Explain(explain::Args),
    /// Write an HTML report of a run (curves, mistakes, weights), or one that compares runs
    Report(report::Args),
    /// Read handwritten capitals and digits in photos
    Read(read::Args),
    /// Evaluate an autoencoder's reconstructions, compared with principal components
    Reconstruct(reconstruct::Args),
    /// Encode images with an autoencoder, into a file of codes
    Encode(codes::EncodeArgs),
    /// Decode a file of codes into images
    Decode(codes::DecodeArgs),
    /// Export a run's weights for PyTorch
    Export(export::Args),
    /// Make one network of several fine-tunings: the mean of their weights
    Average(average::Args),
    /// Import weights of another program as a run
    Import(import::Args),
    /// List the tensors of a weight file
    Info(info::Args),
    /// List the GPUs of this machine, and which device `auto` takes
    Devices(devices::Args),
    /// Compare every kernel and gradient with the CPU, on this machine
    Check(check::Args),
    /// Time kernels, matrix products and training steps
    Bench(bench::Args),
    /// List, describe and download datasets, and draw their images
    Data(data::Args),
    /// List and download ImageNet weights of networks
    Weights(weights::Args),
    /// Print a shell completion script
    Completions(completions::Args),
    /// Show a model's layers, shapes, parameters, FLOPs and planned memory
    Summary(summary::Args),
    #[command(name = drivers::trial::COMMAND, hide = true)]
    TryDrivers(drivers::trial::Args),
}

/// Parses the words of a command line, of which the first names the program, and runs the command; prints errors to standard error.
pub fn main(words: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    let Cli { max_pixels, command } =
        Cli::try_parse_from(numbers::with_negative_numbers(words)).unwrap_or_else(|error| streams::refuse(&error));
    max_pixels.into_iter().for_each(crate::images::set_most_pixels);
    streams::quiet_handled_panics();
    stop::survive_file_limit();
    let outcome = match command {
        CliCommand::Train(args) => train::run(*args),
        CliCommand::Sweep(args) => sweep::run(*args),
        CliCommand::Eval(args) => eval::run(args),
        CliCommand::Predict(args) => predict::run(args),
        CliCommand::LrFind(args) => lr_find::run(*args),
        CliCommand::Embed(args) => embed::run(args),
        CliCommand::Similar(args) => similar::run(args),
        CliCommand::Serve(args) => serve::run(args),
        CliCommand::Explain(args) => explain::run(args),
        CliCommand::Report(args) => report::run(args),
        CliCommand::Read(args) => read::run(args),
        CliCommand::Reconstruct(args) => reconstruct::run(args),
        CliCommand::Encode(args) => codes::encode(args),
        CliCommand::Decode(args) => codes::decode(args),
        CliCommand::Export(args) => export::run(args),
        CliCommand::Average(args) => average::run(args),
        CliCommand::Import(args) => import::run(args),
        CliCommand::Info(args) => info::run(args),
        CliCommand::Devices(args) => devices::run(args),
        CliCommand::Check(args) => check::run(args),
        CliCommand::Bench(args) => bench::run(args),
        CliCommand::Data(args) => data::run(args),
        CliCommand::Weights(args) => weights::run(args),
        CliCommand::Completions(args) => completions::run(args),
        CliCommand::Summary(args) => summary::run(args),
        CliCommand::TryDrivers(args) => drivers::trial::run(args),
    };
    match outcome.and_then(|code| streams::written().map(|()| code)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// The first split of `order` that the dataset has.
fn first_split(dataset: &Dataset, order: [SplitName; 3]) -> SplitName {
    order.into_iter().find(|&split| dataset.split(split).is_ok()).unwrap_or(order[2])
}

/// Prints a value as one line of JSON; with `--json` this is the last line of standard output.
fn print_json(value: &impl serde::Serialize) -> Result<()> {
    print_line(&json_line(value)?);
    Ok(())
}

/// A value as one line of JSON.
fn json_line(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| crate::Error::data(format!("The result cannot be written as JSON: {error}.")))
}

/// A fraction as percent.
fn percent(fraction: f64) -> String {
    format!("{:.2} %", 100.0 * fraction)
}
