//! Standard output, notes beside it, and panics that are not printed. A line that cannot be written is an error at the end of the program, unless its
//! reader has gone: `gpunn ... | head`.

use std::borrow::Cow;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;

use crate::{Error, Result};

/// Why the first line that was lost could not be written.
static LOST: OnceLock<std::io::Error> = OnceLock::new();
/// Who gets the notes instead of standard error.
static LISTENER: OnceLock<Listener> = OnceLock::new();

/// Gets what a command says beside its result, where standard error is not the place: in a notebook.
#[derive(Clone, Copy, Debug)]
pub struct Listener {
    /// Gets a line. Any thread calls it.
    pub hear: fn(&str),
    /// Whether the lines go to the terminal of this process, so that a bar can be drawn there.
    pub at_terminal: fn() -> bool,
}

/// Sends all notes of this process to a listener. The first one counts.
pub fn listen(listener: Listener) {
    let _ = LISTENER.set(listener);
}

/// Says a line on standard error, or to the [`Listener`], as [`visible`] shows it.
pub fn note(words: &str) {
    let shown = visible(words);
    match LISTENER.get() {
        Some(listener) => (listener.hear)(&shown),
        None => drop(writeln!(std::io::stderr(), "{shown}")),
    }
}

/// Whether notes go to a terminal.
pub fn at_terminal() -> bool {
    LISTENER.get().map_or_else(|| std::io::stderr().is_terminal(), |listener| (listener.at_terminal)())
}

/// Prints a line to standard output, as [`visible`] shows it. Unlike `println!`, it does not panic.
pub fn print_line(line: &str) {
    keep(writeln!(std::io::stdout(), "{}", visible(line)));
}

/// Ends the program with what clap says of the arguments: an error, or the help that was asked for.
pub fn refuse(error: &clap::Error) -> ! {
    if error.use_stderr() {
        eprintln!("{}", error.render().to_string().trim_end());
        std::process::exit(error.exit_code())
    }
    error.exit()
}

/// A text without what a terminal would obey: a name of a file or class must not move the cursor, set the window's title or turn the
/// order of letters. Such characters are written as in JSON, `\u001b` for escape, so a line of JSON keeps its meaning. Line ends and
/// tabs stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    let commands = |c: char| (c.is_control() && c != '\n' && c != '\t') || turns(c);
    if !text.contains(commands) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if commands(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    Cow::Owned(text.chars().map(shown).collect())
}

/// Whether a character sets the direction of the letters after it.
fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn keep(written: std::io::Result<()>) {
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
        if !crate::error::panic_is_handled() {
            print(panic);
        }
    }));
}

/// Whether all lines were written.
///
/// # Errors
/// [`Error::Data`] when one was lost.
pub fn written() -> Result<()> {
    keep(std::io::stdout().flush());
    match LOST.get() {
        None => Ok(()),
        Some(error) => Err(Error::data(format!("Standard output cannot be written: {error}. A part of it is lost."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_to_a_terminal_are_shown_and_json_keeps_its_meaning() {
        assert!(matches!(visible("Ä\tЖ 日本 ✓ \u{1f468}\u{200d}\u{1f469}\nnext"), Cow::Borrowed(_)));
        assert_eq!(
            visible("a\u{1b}[31m\r\u{7}\u{7f}\u{9b}2J\u{202e}b\u{2066}"),
            "a\\u001b[31m\\u000d\\u0007\\u007f\\u009b2J\\u202eb\\u2066"
        );
        let name = "\u{9b}31m\u{202e}\u{1b}\\x";
        let line = serde_json::json!({ "class": name }).to_string();
        let back: serde_json::Value = serde_json::from_str(&visible(&line)).expect("JSON");
        assert_eq!(back["class"], name);
    }
}
