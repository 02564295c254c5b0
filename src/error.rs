//! The one error type: a kind, which decides the exit code, and a sentence that says what was asked, what was found
//! and what to do.
//!
//! ```
//! let error = gpunn::train::Recipe::new("mpl").validate().unwrap_err();
//! assert!(matches!(error, gpunn::Error::Usage(_)));
//! assert!(error.to_string().contains("did you mean `mlp`?"));
//! ```

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. Each variant carries a whole sentence for the user.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something was asked for that does not exist or makes no sense: a name, a number, a path.
    #[error("{0}")]
    Usage(String),
    /// Shapes do not fit one another.
    #[error("{0}")]
    Shape(String),
    /// A file's content is not what it has to be.
    #[error("{0}")]
    Data(String),
    /// A training whose loss or weights are no longer finite numbers.
    #[error("{0}")]
    Diverged(String),
    /// The device cannot do what was asked, was lost, or has not enough memory.
    #[error("{0}")]
    Device(String),
    /// A plan does not fit the device: a smaller batch might.
    #[error("{0}")]
    Memory(String),
    /// An address could not be reached, or did not give what was asked of it.
    #[error("{0}")]
    Network(String),
    /// The operating system refused a file.
    #[error("{action} {}: {source}", path.display())]
    File {
        /// What was being done, as in "cannot read".
        action: &'static str,
        /// The file.
        path: std::path::PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl Error {
    /// A [`Error::Usage`] from anything that prints.
    pub fn usage(sentence: impl Into<String>) -> Self {
        Self::Usage(sentence.into())
    }
    /// A [`Error::Data`] from anything that prints.
    pub fn data(sentence: impl Into<String>) -> Self {
        Self::Data(sentence.into())
    }
    /// A [`Error::File`]: `Error::file("cannot read", path)` fits `map_err`.
    pub fn file(action: &'static str, path: impl Into<std::path::PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
    /// A buffer that an executor does not have.
    pub(crate) fn unknown_buffer(name: &str) -> Self {
        Self::Usage(format!("there is no buffer '{name}'; a plan that has one must be loaded first"))
    }
    /// A buffer that is shorter than what is asked of it.
    pub(crate) fn short_buffer(name: &str, len: usize, end: usize) -> Self {
        Self::Shape(format!("the buffer '{name}' has {len} bytes, but up to {end} were asked for"))
    }
    /// The process's exit code: 2 for what the user can mend by asking otherwise, 1 for the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            _ => 1,
        }
    }
}

/// All values, or the first error in their order: rayon's own collection into a `Result` keeps whichever error came up first, so
/// that the same files would be refused in other words from run to run.
#[cfg(feature = "files")]
pub(crate) fn all_or_first<T, C: FromIterator<T>>(results: Vec<Result<T>>) -> Result<C> {
    results.into_iter().collect()
}

/// The [`Error::Usage`] for a name that is not known: it offers the nearest that is, and lists all.
pub fn unknown(kind: &str, name: &str, known: &[&str]) -> Error {
    let asked = name.to_lowercase();
    // The first knows common beginnings, the second letters that changed places.
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
