//! The error type: a kind, which decides the exit code, and a message that says what was asked, what was found and
//! what to do.
//!
//! ```
//! let error = gpunn::train::Recipe::new("mpl").validate().unwrap_err();
//! assert!(matches!(error, gpunn::Error::Usage(_)));
//! assert!(error.to_string().contains("did you mean `mlp`?"));
//! ```

use std::cell::Cell;

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. Each variant carries a complete message for the user.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user asked for something that does not exist or is not valid: a name, a number, a path.
    #[error("{0}")]
    Usage(String),
    /// Shapes do not fit each other.
    #[error("{0}")]
    Shape(String),
    /// The content of a file is not valid.
    #[error("{0}")]
    Data(String),
    /// A training run diverged: its loss or weights are no longer finite.
    #[error("{0}")]
    Diverged(String),
    /// The device cannot do what was asked, was lost, or has too little memory.
    #[error("{0}")]
    Device(String),
    /// A plan does not fit the device. A smaller batch may fit.
    #[error("{0}")]
    Memory(String),
    /// A network address could not be reached, or did not return what was requested.
    #[error("{0}")]
    Network(String),
    /// Another rank of a training on several devices ended, or has other data.
    #[error("{0}")]
    Ranks(String),
    /// The operating system refused a file.
    #[error("{action} {}: {}", path.display(), reason(source))]
    File {
        /// The failed action, such as "cannot read".
        action: &'static str,
        /// The file.
        path: std::path::PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl Error {
    /// A [`Error::Usage`] with this message.
    pub fn usage(sentence: impl Into<String>) -> Self {
        Self::Usage(sentence.into())
    }
    /// A [`Error::Data`] with this message.
    pub fn data(sentence: impl Into<String>) -> Self {
        Self::Data(sentence.into())
    }
    /// A [`Error::File`], for `map_err`: `.map_err(Error::file("cannot read", path))`.
    pub fn file(action: &'static str, path: impl Into<std::path::PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
    /// The error for a buffer that an executor does not have.
    pub(crate) fn unknown_buffer(name: &str) -> Self {
        Self::Usage(format!("there is no buffer '{name}'; load a plan that uses it first"))
    }
    /// The error for an access beyond the end of a buffer.
    pub(crate) fn short_buffer(name: &str, len: usize, end: usize) -> Self {
        Self::Shape(format!("the buffer '{name}' has {len} bytes, but the access ends at byte {end}"))
    }
    /// The [`Error::Usage`] for a value outside its range, which is written as in "from 0 to below 1".
    pub(crate) fn out_of_range(what: &str, value: impl std::fmt::Display, range: &str) -> Self {
        Self::Usage(format!("{what} is {value}, but has to be {range}."))
    }
    /// The process's exit code: 2 if the user can fix the request, 1 otherwise.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            _ => 1,
        }
    }
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs code of another library on data from outside. If it panics, the message of the panic is the error.
#[cfg(feature = "images")]
pub(crate) fn without_panic<T>(run: impl FnOnce() -> T) -> std::result::Result<T, String> {
    let before = GUARDED.replace(true);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    GUARDED.set(before);
    result.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".into())
    })
}

/// Whether a panic of this thread is going to be an [`Error`], because it is in another library's code on data from outside. A
/// program's panic hook should say nothing of it.
pub fn panic_is_handled() -> bool {
    GUARDED.get()
}

/// All values, or the first error in the order of the list. Rayon's own collection into a `Result` keeps the error
/// that occurs first in time, so the message could differ from run to run.
#[cfg(feature = "files")]
pub(crate) fn all_or_first<T, C: FromIterator<T>>(results: Vec<Result<T>>) -> Result<C> {
    results.into_iter().collect()
}

/// The value with this name in a table.
///
/// # Errors
/// [`unknown`] when the table does not have the name.
pub fn named<T: Copy>(kind: &str, name: &str, table: &[(&str, T)]) -> Result<T> {
    let found = table.iter().find(|(known, _)| *known == name).map(|&(_, value)| value);
    found.ok_or_else(|| unknown(kind, name, &table.iter().map(|&(known, _)| known).collect::<Vec<_>>()))
}

/// The [`Error::Usage`] for an unknown name. It suggests the most similar known name, if one is similar, and lists all.
pub fn unknown(kind: &str, name: &str, known: &[&str]) -> Error {
    let hint = did_you_mean(name, known.iter().copied());
    Error::Usage(format!("There is no {kind} `{name}`{hint} Known are {}.", known.join(", ")))
}

/// The end of a sentence about an unknown name: "; did you mean `NAME`?" if a known name is similar, else a full stop.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(|| ".".into(), |nearest| format!("; did you mean `{nearest}`?"))
}

/// The known name that was probably meant: one with few letters to change, else one of which the name is the beginning.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let (length, known) = (name.chars().count(), known.collect::<Vec<_>>());
    // Damerau-Levenshtein counts swapped letters as one change. At most a third of the letters may differ.
    let changes = |known: &str| strsim::damerau_levenshtein(&known.to_lowercase(), &name);
    let is_near = |known: &&str| 3 * changes(known) <= length.max(known.chars().count());
    let near = known.iter().copied().filter(is_near).min_by_key(|known| changes(known));
    near.or_else(|| known.iter().copied().find(|known| length >= 3 && known.to_lowercase().starts_with(&name)))
}

/// Why the operating system refused a file. Its own words, such as "Is a directory (os error 21)", do not say what to do.
fn reason(error: &std::io::Error) -> String {
    use std::io::ErrorKind::{
        AlreadyExists, IsADirectory, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem, StorageFull,
    };
    match error.kind() {
        NotFound => "there is no such file or folder".into(),
        IsADirectory => "it is a folder, but has to be a file".into(),
        NotADirectory | AlreadyExists => "a file is where a folder has to be".into(),
        // Windows answers so for a folder.
        PermissionDenied if cfg!(windows) => "access is denied, or it is a folder".into(),
        PermissionDenied => "permission is denied".into(),
        ReadOnlyFilesystem => "the disk is read-only".into(),
        StorageFull => "the disk is full".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_similar_names_are_suggested() {
        let known = ["glyphs-mlp", "photos", "flowers17", "flowers17-best", "fashion-mnist", "mnist", "he", "xavier"];
        let suggested = |name| nearest(name, known.into_iter());
        let cases = [
            ("glyphs-mpl", "glyphs-mlp"),
            ("PHOTO", "photos"),
            ("flowers", "flowers17"),
            ("fashion", "fashion-mnist"),
            ("mnits", "mnist"),
        ];
        for (name, known) in cases {
            assert_eq!(suggested(name), Some(known), "{name}");
        }
        for name in ["foo", "pics", "kaiming", "cats", "", "x"] {
            assert_eq!(suggested(name), None, "{name}");
        }
        assert_eq!(unknown("recipe", "foo", &["a", "b"]).to_string(), "There is no recipe `foo`. Known are a, b.");
    }
}
