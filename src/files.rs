//! Atomic file writes: a file is either complete or unchanged.
//!
//! ```
//! let folder = tempfile::tempdir().unwrap();
//! let path = folder.path().join("notes.txt");
//! gpunn::files::write_atomic(&path, b"whole")?;
//! assert_eq!(std::fs::read(&path).unwrap(), b"whole");
//! # Ok::<(), gpunn::Error>(())
//! ```

pub(crate) mod kept;
pub(crate) mod sha256;

pub use kept::KeptFile;
pub use sha256::sha256;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Error, Result};

/// Reads a file of text, such as a recipe. `what` names it in messages.
///
/// # Errors
/// [`Error::Usage`] for a folder, and for a file that is not UTF-8 text; [`Error::File`] when it cannot be read.
pub(crate) fn read_text(path: &Path, what: &str) -> Result<String> {
    if path.is_dir() {
        return Err(Error::usage(format!("{} is a folder, not a {what} file.", path.display())));
    }
    let bytes = std::fs::read(path).map_err(Error::file("cannot read", path))?;
    String::from_utf8(bytes)
        .map_err(|_| Error::usage(format!("{} is not a {what} file: it is not text.", path.display())))
}

/// Maps a file into memory: only what is read of it is loaded.
///
/// # Errors
/// As the system says.
#[expect(unsafe_code, reason = "a memory map")]
pub(crate) fn map(file: &std::fs::File) -> std::io::Result<memmap2::Mmap> {
    // SAFETY: the map is only read. Another program that truncates the file meanwhile would crash this one. This program
    // never does so: `write_atomic` replaces a file and leaves the mapped one intact. Systems replace their fonts likewise.
    unsafe { memmap2::Mmap::map(file) }
}

/// The beginning of the names of temporary files.
const TEMPORARY: &str = ".gpunn-";

/// Removes the temporary files in a folder that nobody has written to for this time: killed processes left them. Errors are ignored:
/// such files only take space.
pub(crate) fn remove_temporaries(folder: &Path, age: Duration) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let is_old = modified.is_ok_and(|time| time.elapsed().is_ok_and(|elapsed| elapsed >= age));
        if is_old && entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Writes a file under a temporary name beside it, flushes it to the disk and renames it.
///
/// # Errors
/// [`Error::File`] when the file cannot be written. An earlier file of that name is then unchanged.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes).map_err(Error::file("cannot write", path))?;
    file.commit()
}

/// A file that is written in pieces. It appears under its name when [`AtomicFile::commit`] is called. If it is dropped
/// before that, no file is left.
#[derive(Debug)]
pub struct AtomicFile {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

impl AtomicFile {
    /// Opens a temporary file in the folder of `path`. A missing folder is made, as for a run.
    ///
    /// # Errors
    /// [`Error::File`] when the folder cannot be made or is not writable.
    pub fn create(path: &Path) -> Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(Error::file("cannot make the folder", folder))?;
        let file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(folder);
        // The original error names the temporary file, which means nothing to the user.
        let file = file.map_err(|error| Error::file("cannot write", path)(error.kind().into()))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Flushes the file to the disk and renames it to its final name. It replaces an earlier file of that name.
    ///
    /// # Errors
    /// [`Error::File`] when that fails. An earlier file of that name is then unchanged.
    pub fn commit(self) -> Result<()> {
        let Self { file, path } = self;
        file.as_file().sync_all().map_err(Error::file("cannot write", &path))?;
        readable(file.as_file(), &path)?;
        file.persist(&path).map_err(|error| Error::file("cannot write", &path)(error.error))?;
        Ok(())
    }
}

impl std::io::Seek for AtomicFile {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Temporary files are readable by their owner only. The final file gets the usual permissions.
#[cfg(unix)]
fn readable(file: &std::fs::File, path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644)).map_err(Error::file("cannot write", path))
}
#[cfg(not(unix))]
fn readable(_: &std::fs::File, _: &Path) -> Result<()> {
    Ok(())
}
