//! One process at a time trains in a run directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::{Error, Result};

/// The file that is locked. It stays: if it were removed, two processes could lock two files of this name.
pub(super) const LOCK: &str = ".lock";

/// The right to train in a run directory, for as long as this value exists. The system takes it from a process that ends, however it
/// ends.
#[derive(Debug)]
pub(super) struct RunLock {
    _file: Option<File>,
}

impl RunLock {
    /// Locks a run directory and removes the temporary files of a process that was killed there.
    ///
    /// # Errors
    /// [`Error::Usage`] when another process trains there; [`Error::File`] when the system refuses.
    pub fn of(run: &Path) -> Result<Self> {
        let path = run.join(LOCK);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(Error::file("cannot open", &path))?;
        let file = match file.try_lock() {
            Ok(()) => Some(file),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::usage(format!(
                    "Another process is training in {}. Wait until it ends, or choose another --out.",
                    run.display()
                )));
            }
            // Some network file systems have no locks. A run there is not refused.
            Err(TryLockError::Error(_)) => None,
        };
        crate::files::remove_temporaries(run);
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = RunLock::of(folder.path()).expect("free");
        let sentence = RunLock::of(folder.path()).expect_err("locked").to_string();
        assert!(sentence.starts_with("Another process is training in "), "{sentence}");
        drop(first);
        RunLock::of(folder.path()).expect("free again");
    }

    #[test]
    fn what_a_killed_process_left_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let left = folder.path().join(".gpunn-abc123");
        std::fs::write(&left, b"half a checkpoint").expect("written");
        std::fs::write(folder.path().join("last.safetensors"), b"whole").expect("written");
        RunLock::of(folder.path()).expect("free");
        assert!(!left.exists() && folder.path().join("last.safetensors").exists());
    }
}
