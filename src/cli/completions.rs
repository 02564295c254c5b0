//! `gpunn completions`.

use std::process::ExitCode;

use crate::Result;
use clap::CommandFactory;
use clap_complete::Shell;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpunn completions bash > ~/.local/share/bash-completion/completions/gpunn")]
pub struct Args {
    /// The shell that the script is for
    shell: Shell,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "gpunn", &mut script);
    super::print_line(String::from_utf8_lossy(&script).trim_end());
    Ok(ExitCode::SUCCESS)
}
