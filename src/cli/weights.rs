//! `gpunn weights`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::Result;
use crate::datasets::fetch;
use crate::datasets::pretrained::{PUBLISHED, PublishedWeights};
use crate::datasets::weights_file;
use crate::nn::models;
use serde::Serialize;

use super::data::print_outcome;
use super::flags::{DataDirArgs, JsonArgs};
use super::progress::DownloadProgress;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpunn weights get squeezenet")]
pub struct Args {
    #[command(subcommand)]
    command: WeightsCommand,
}

#[derive(Debug, clap::Subcommand)]
enum WeightsCommand {
    /// List the networks with published ImageNet weights, and the files on this machine
    #[command(after_help = "Example:\n  gpunn weights list")]
    List {
        #[command(flatten)]
        folder: DataDirArgs,
        #[command(flatten)]
        output: JsonArgs,
    },
    /// Download a network's ImageNet weights from their makers
    #[command(after_help = "Example:\n  gpunn weights get squeezenet\n\n\
        An interrupted download is resumed, and the file's digest is checked. `gpunn train my-images` then starts from these \
        weights, and `gpunn predict --model squeezenet photo.jpg` uses them.")]
    Get {
        /// The network, by a name of `gpunn weights list`; squeezenet is torchvision's squeezenet1_1
        name: String,
        /// The folder to put the file into, in a subfolder [default: GPUNN_DATA, else the user's cache folder]
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
        /// Print no progress
        #[arg(long, short)]
        quiet: bool,
    },
}

/// What `--json` prints for a network.
#[derive(Serialize)]
struct WeightsOutput {
    model: &'static str,
    /// The makers' file, in a data directory.
    file: String,
    /// The first address of the file.
    address: String,
    mebibytes: f64,
    /// The file that is used. Null if there is none on this machine.
    path: Option<PathBuf>,
}

impl WeightsOutput {
    fn of(weights: &PublishedWeights<'static>, data_dir: Option<&Path>) -> Self {
        let own = models::published(weights.model).unwrap_or(weights.file);
        Self {
            model: weights.model,
            file: format!("{}/{}", weights.folder, weights.file),
            address: format!("{}{}", weights.addresses.first().unwrap_or(&""), weights.file),
            mebibytes: weights.mebibytes,
            path: weights_file(weights.model, own, data_dir).ok(),
        }
    }
}

pub fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        WeightsCommand::List { folder, output } => list(folder.path(), &output)?,
        WeightsCommand::Get { name, data_dir, quiet } => get(&name, data_dir.as_deref(), quiet)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(data_dir: Option<&Path>, output: &JsonArgs) -> Result<()> {
    let all = PUBLISHED.map(|weights| WeightsOutput::of(&weights, data_dir));
    output.print(&all, |all| {
        for WeightsOutput { model, file, mebibytes, path, .. } in all {
            let here = match path {
                Some(path) => format!("here: {}", path.display()),
                None => format!("not here; `gpunn weights get {model}` downloads it"),
            };
            super::print_line(&format!("{model:<18} {file:<50} {mebibytes:>5.1} MiB  {here}"));
        }
    })
}

/// Downloads weights: with a progress bar on a terminal, else with one line.
fn get(name: &str, data_dir: Option<&Path>, quiet: bool) -> Result<()> {
    let mut progress = DownloadProgress::new(quiet);
    let got = fetch::get_weights(name, data_dir, &mut |file, done, total| progress.show(file, done, total));
    progress.finish();
    print_outcome(name, &got?);
    Ok(())
}
