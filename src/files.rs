//! Files that are whole or absent.
//!
//! ```
//! let folder = tempfile::tempdir().unwrap();
//! let path = folder.path().join("notes.txt");
//! gpunn::files::write_whole(&path, b"whole")?;
//! assert_eq!(std::fs::read(&path).unwrap(), b"whole");
//! # Ok::<(), gpunn::Error>(())
//! ```

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Writes a file under a temporary name beside it, flushes it to the disk and renames it.
///
/// # Errors
/// When the system refuses; then the file is as it was before.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = Whole::create(path)?;
    file.write_all(bytes).map_err(Error::file("cannot write", path))?;
    file.keep()
}

/// A file that is written piece by piece and appears under its name when [`Whole::keep`] is called; dropped before, it
/// leaves nothing.
#[derive(Debug)]
pub struct Whole {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

impl Whole {
    /// Begins under a temporary name beside `path`.
    ///
    /// # Errors
    /// When the folder is not there or cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::Builder::new().prefix(".gpunn-").tempfile_in(folder);
        // The error names the temporary file, which no one knows.
        let file = file.map_err(|error| Error::file("cannot write", path)(error.kind().into()))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Flushes it to the disk and gives it its name, in place of what had it.
    ///
    /// # Errors
    /// When the system refuses; then what had the name is as it was before.
    pub fn keep(self) -> Result<()> {
        let Self { file, path } = self;
        file.as_file().sync_all().map_err(Error::file("cannot write", &path))?;
        readable(file.as_file(), &path)?;
        file.persist(&path).map_err(|error| Error::file("cannot write", &path)(error.error))?;
        Ok(())
    }
}

impl Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Temporary files are their owner's alone; what a run leaves is as readable as other files.
#[cfg(unix)]
fn readable(file: &std::fs::File, path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644)).map_err(Error::file("cannot write", path))
}
#[cfg(not(unix))]
fn readable(_: &std::fs::File, _: &Path) -> Result<()> {
    Ok(())
}
