//! Standard output, and panics that are not printed. A line that cannot be written is an error at the end of the program, unless its
//! reader has gone: `gpunn ... | head`.

use std::io::{ErrorKind, Write};
use std::sync::OnceLock;

use gpunn::{Error, Result};

/// Why the first line that was lost could not be written.
static LOST: OnceLock<std::io::Error> = OnceLock::new();

/// Prints a line to standard output. Unlike `println!`, it does not panic.
pub fn print_line(line: &str) {
    note(writeln!(std::io::stdout(), "{line}"));
}

fn note(written: std::io::Result<()>) {
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        let _ = LOST.set(error);
    }
}

/// Panics that become errors print nothing.
pub fn quiet_handled_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !gpunn::error::panic_is_handled() {
            print(panic);
        }
    }));
}

/// Whether all lines were written.
///
/// # Errors
/// [`Error::Data`] when one was lost.
pub fn written() -> Result<()> {
    note(std::io::stdout().flush());
    match LOST.get() {
        None => Ok(()),
        Some(error) => Err(Error::data(format!("Standard output cannot be written: {error}. A part of it is lost."))),
    }
}
