//! Work of the library, away from Python: other threads of Python go on meanwhile, and Ctrl-C is seen.

use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use gpunn::Result;
use gpunn::cli::streams::{Listener, listen, quiet_handled_panics};
use pyo3::prelude::*;

use super::errors::raised;

/// How often Ctrl-C is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// Sends what the library says to `sys.stderr`, which a notebook shows. The program in this module writes to the process's.
pub fn notes_to_python() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        listen(Listener { hear, at_terminal });
        quiet_handled_panics();
    });
}

/// Writes a line to `sys.stderr`. Where it is closed, or Python ends, the line is lost.
fn hear(line: &str) {
    Python::try_attach(|py| {
        let written = py.import("sys").and_then(|sys| sys.getattr("stderr")).and_then(|stderr| {
            stderr.call_method1("write", (format!("{line}\n"),))?;
            stderr.call_method0("flush")
        });
        drop(written);
    });
}

/// Whether `sys.stderr` is a terminal.
fn at_terminal() -> bool {
    let asked = Python::try_attach(|py| py.import("sys")?.getattr("stderr")?.call_method0("isatty")?.extract::<bool>());
    asked.is_some_and(|answer| answer.unwrap_or(false))
}

/// Runs work on a thread of its own, and waits for it. Ctrl-C ends the waiting at once; the thread ends when its work does, and its
/// result is dropped.
pub fn away<T: Send + 'static>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send + 'static) -> PyResult<T> {
    notes_to_python();
    let (ended, mut events) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let _ended = ended;
        work()
    });
    while next(py, &mut events)?.is_some() {}
    joined(py, thread).map_err(raised)
}

/// What a thread sent, or nothing for a while. `None` when the thread has ended.
///
/// # Errors
/// What the handler of a signal raised: `KeyboardInterrupt`.
pub fn next<T: Send>(py: Python<'_>, events: &mut Receiver<T>) -> PyResult<Option<Option<T>>> {
    let got = py.detach(move || events.recv_timeout(LOOK));
    py.check_signals()?;
    Ok(match got {
        Ok(event) => Some(Some(event)),
        Err(RecvTimeoutError::Timeout) => Some(None),
        Err(RecvTimeoutError::Disconnected) => None,
    })
}

/// What a thread that has ended returned. Its panic goes on here.
pub fn joined<T: Send>(py: Python<'_>, thread: JoinHandle<T>) -> T {
    py.detach(|| thread.join()).unwrap_or_else(|panic| resume_unwind(panic))
}
