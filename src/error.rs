//! The error type: a kind, which decides the exit code, and a message that says what was asked, what was found and
//! what to do.
//!
//! ```
//! let error = gpunn::train::Recipe::new("mpl").validate().unwrap_err();
//! assert!(matches!(error, gpunn::Error::Usage(_)));
//! assert!(error.to_string().contains("did you mean `mlp`?"));
//! ```

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
    /// The operating system refused a file.
    #[error("{action} {}: {source}", path.display())]
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
    /// The process's exit code: 2 if the user can fix the request, 1 otherwise.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            _ => 1,
        }
    }
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

/// The [`Error::Usage`] for an unknown name. It suggests the most similar known name and lists all.
pub fn unknown(kind: &str, name: &str, known: &[&str]) -> Error {
    let asked = name.to_lowercase();
    // Jaro-Winkler recognises common prefixes. Damerau-Levenshtein recognises swapped letters.
    let likeness = |known: &str| {
        let known = known.to_lowercase();
        strsim::jaro_winkler(&known, &asked).max(strsim::normalized_damerau_levenshtein(&known, &asked))
    };
    let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let hint = match nearest.filter(|nearest| likeness(nearest) > 0.5) {
        Some(nearest) => format!("did you mean `{nearest}`? "),
        None => String::new(),
    };
    Error::Usage(format!("There is no {kind} `{name}`; {hint}Known are {}.", known.join(", ")))
}
