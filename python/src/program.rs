//! The program `gpunn` in this module.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use gpunn::cli::{self, program};
use pyo3::prelude::*;

use super::errors::raised;

/// Runs the program, whose command line these words are; the first one names it. Returns its exit code.
#[pyfunction]
pub fn main(py: Python<'_>, words: Vec<OsString>) -> u8 {
    let code = py.detach(|| cli::main(words.into_iter()));
    // Nothing else tells the number of a code.
    (0..=u8::MAX).find(|&number| ExitCode::from(number) == code).unwrap_or(1)
}

/// Sets the number of CPU threads, before the first call that computes.
#[pyfunction]
pub fn set_threads(count: usize) -> PyResult<()> {
    cli::calls::set_threads(count).map_err(raised)
}

/// Says how this module is started as a program: `command` are the words, `file` is the module's own.
#[pyfunction]
pub fn set_program(command: Vec<OsString>, file: PathBuf) {
    program::set(program::Program { command, file });
}
