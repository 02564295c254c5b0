//! How this program is started again, in a process of its own. In a Python module it is not the file of the process.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::OnceLock;

/// How a program is started, and what it is.
#[derive(Clone, Debug)]
pub struct Program {
    /// The command: a file, and the arguments that come before those of a subcommand.
    pub command: Vec<OsString>,
    /// The file with this code in it. It stands for the version.
    pub file: PathBuf,
}

static PROGRAM: OnceLock<Program> = OnceLock::new();

/// Says how the program is started, where it is not the file of this process. The first word counts.
pub fn set(program: Program) {
    let _ = PROGRAM.set(program);
}

/// How the program is started. `None` where that is not known, or its file has been removed.
pub fn this() -> Option<Program> {
    let own = || std::env::current_exe().ok().map(|file| Program { command: vec![file.clone().into()], file });
    PROGRAM.get().cloned().or_else(own).filter(|program| program.file.exists())
}
