//! Files that earlier runs left in the user's cache folder.

use std::path::Path;

use crate::files::KeptFile;

/// The file for a key in a folder of the cache.
pub fn file(cache: &Path, folder: &str, key: String) -> KeptFile {
    KeptFile::new(cache.join(folder).join(format!("{:x}", md5::compute(&key))), key)
}

/// What an earlier run left. If it cannot be believed, a warning says why, and the caller makes it anew.
pub fn read(file: &KeptFile) -> Option<Vec<u8>> {
    file.read().unwrap_or_else(|error| {
        eprintln!("warning: {error}. It is not used, but made anew.");
        None
    })
}
