//! Helpers of several tests.

pub mod files;
pub mod fuzz;
pub mod numbers;
pub mod skip;
pub mod training;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gpunn::data::Dataset;
use gpunn::datasets::LoadOptions;

/// The program, prepared to run in a folder. Its cache is in that folder, and it does not see this machine's datasets.
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpunn"));
    command.current_dir(folder).env_remove("GPUNN_DATA");
    // The variables that set the cache folder on Linux, Windows and macOS.
    for variable in ["XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"] {
        command.env(variable, folder.join("cache"));
    }
    command
}

/// Runs the program in a folder.
pub fn gpunn(folder: &Path, args: &[&str]) -> Output {
    command(folder).args(args).output().expect("the program runs")
}

/// Runs the program in a folder, on the CPU.
pub fn gpunn_on_cpu(folder: &Path, args: &[&str]) -> Output {
    gpunn(folder, &[args, &["--device", "cpu"]].concat())
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The one line of JSON on standard output.
pub fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    let out = text(&output.stdout);
    assert_eq!(out.lines().count(), 1, "{out}");
    serde_json::from_str(out.trim()).expect("JSON")
}

/// Asserts that a command failed with an exit code and a message that contains all of `parts`, without a panic.
#[track_caller]
pub fn is_refusal(output: &Output, code: i32, parts: &[&str]) {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(!error.contains("panicked") && output.stdout.is_empty(), "{error}");
    for part in parts {
        assert!(error.contains(part), "{part}: {error}");
    }
}

/// The names of all entries of a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("listed");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A published dataset, if the folder in `GPUNN_DATA` has it.
pub fn real_set(name: &str, folder: &str, options: &LoadOptions) -> Option<Dataset> {
    let directory = std::env::var_os("GPUNN_DATA").map(PathBuf::from);
    let Some(directory) = directory.filter(|directory| directory.join(folder).is_dir()) else {
        skip::skipped(&format!("GPUNN_DATA names no directory with {folder}"));
        return None;
    };
    Some(gpunn::datasets::load_with(name, Some(&directory), options).expect("the published files are whole"))
}
