//! One process at a time trains in a run directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::{Error, Result};

/// The file that is locked. It stays: if it were removed, two processes could lock two files of this name.
pub(super) const LOCK: &str = ".lock";

/// How old the temporary file of another process is, at least, before it is removed: that process may be writing a report.
const ABANDONED: Duration = Duration::from_secs(60);

/// The right to train in a run directory, for as long as this value exists. The system takes it from a process that ends, however it
/// ends.
#[derive(Debug)]
pub(super) struct RunLock {
    /// `None` where the file system has no locks.
    file: Option<File>,
}

/// What became of a locked directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is still there.
    Own,
    /// Somebody removed it.
    Gone,
    /// Somebody removed it, and another run is in its place.
    Others,
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
        match file.try_lock() {
            Ok(()) => {
                crate::files::remove_temporaries(run, ABANDONED);
                Ok(Self { file: Some(file) })
            }
            Err(TryLockError::WouldBlock) => Err(Error::usage(format!(
                "Another process is training in {}. Wait until it ends, or choose another --out.",
                run.display()
            ))),
            // Some network file systems have no locks. A run there is not refused.
            Err(TryLockError::Error(_)) => Ok(Self { file: None }),
        }
    }

    /// Whether the directory still is the one that was locked. A disk that does not answer changes nothing.
    pub fn standing(&self, run: &Path) -> Standing {
        match std::fs::metadata(run.join(LOCK)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Standing::Gone,
            Ok(there) => match self.file.as_ref().map(File::metadata) {
                Some(Ok(own)) if !is_same(&own, &there) => Standing::Others,
                _ => Standing::Own,
            },
            Err(_) => Standing::Own,
        }
    }
}

#[cfg(unix)]
fn is_same(a: &std::fs::Metadata, b: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// Other systems do not say which file it is, but they keep a file that is open.
#[cfg(not(unix))]
fn is_same(_: &std::fs::Metadata, _: &std::fs::Metadata) -> bool {
    true
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

    #[cfg(unix)]
    #[test]
    fn a_directory_that_was_removed_or_replaced_is_known() {
        let folder = tempfile::tempdir().expect("a folder");
        let run = folder.path().join("run");
        std::fs::create_dir(&run).expect("made");
        let own = RunLock::of(&run).expect("free");
        assert_eq!(own.standing(&run), Standing::Own);
        std::fs::rename(&run, folder.path().join("moved")).expect("moved");
        assert_eq!(own.standing(&run), Standing::Gone);
        std::fs::create_dir(&run).expect("made");
        let _other = RunLock::of(&run).expect("free");
        assert_eq!(own.standing(&run), Standing::Others);
    }

    #[test]
    fn what_a_killed_process_left_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let [old, new] = [".gpunn-abc123", ".gpunn-def456"].map(|name| folder.path().join(name));
        for path in [&old, &new, &folder.path().join("last.safetensors")] {
            std::fs::write(path, b"half a checkpoint").expect("written");
        }
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(120);
        let file = File::options().write(true).open(&old).expect("it opens");
        file.set_modified(long_ago).expect("it has a time");
        RunLock::of(folder.path()).expect("free");
        assert!(!old.exists() && new.exists() && folder.path().join("last.safetensors").exists());
    }
}
