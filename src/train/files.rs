//! Files that are whole or absent.

use std::io::Write;
use std::path::Path;

use crate::{Error, Result};

/// Writes a file under a temporary name beside it, flushes it to the disk and renames it.
///
/// # Errors
/// When the system refuses; then the file is as it was before.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::Builder::new().prefix(".gpunn-").tempfile_in(folder);
    let mut file = file.map_err(Error::file("cannot write into", folder))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(Error::file("cannot write", path))?;
    readable(file.as_file(), path)?;
    file.persist(path).map_err(|error| Error::file("cannot write", path)(error.error))?;
    Ok(())
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
