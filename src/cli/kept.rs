//! Files that earlier runs left in the user's cache folder.

use gpunn::files::KeptFile;

/// What an earlier run left. If it cannot be believed, a warning says why, and the caller makes it anew.
pub fn read(file: &KeptFile) -> Option<Vec<u8>> {
    file.read().unwrap_or_else(|error| {
        eprintln!("warning: {error}. It is not used, but made anew.");
        None
    })
}
