//! The note that a run diverged. A sweep does not train such a run again.

use super::directory::RunDirectory;
use crate::files::write_atomic;
use crate::{Error, Result};

pub(super) const DIVERGED: &str = "diverged.json";

#[derive(serde::Serialize, serde::Deserialize)]
struct Diverged {
    /// What the training said.
    reason: String,
}

impl RunDirectory {
    /// Notes that the run diverged, and why.
    ///
    /// # Errors
    /// [`Error::File`] when the system refuses.
    pub fn write_diverged(&self, reason: &str) -> Result<()> {
        let text = serde_json::to_string(&Diverged { reason: reason.into() })
            .map_err(|error| Error::data(format!("a note: {error}")))?;
        self.check_own()?;
        write_atomic(&self.path().join(DIVERGED), format!("{text}\n").as_bytes())
    }

    /// Why the run diverged. `None` if it did not.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn diverged(&self) -> Result<Option<String>> {
        let note: Option<Diverged> = self.read_json(DIVERGED, "a valid note about a run that diverged")?;
        Ok(note.map(|note| note.reason))
    }
}
