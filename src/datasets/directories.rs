//! The directories in which datasets and their cache are stored.

use std::path::{Path, PathBuf};

/// The data directory that is searched last: the folder `gpunn` in `XDG_CACHE_HOME` or `~/.cache`, in `~/Library/Caches` on
/// macOS, in `LOCALAPPDATA` on Windows. `None` when the environment has none of these.
pub fn cache_dir() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let caches = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        variable("HOME").map(|home| home.join("Library/Caches"))
    } else {
        // The XDG base directory specification says that relative paths must be ignored.
        let given = variable("XDG_CACHE_HOME").filter(|path| path.is_absolute());
        given.or_else(|| variable("HOME").map(|home| home.join(".cache")))
    };
    caches.map(|caches| caches.join("gpunn"))
}

/// The data directories in the order in which they are searched.
pub(super) fn data_directories(data_dir: Option<&Path>) -> Vec<PathBuf> {
    match data_dir {
        Some(given) => vec![given.to_owned()],
        None => {
            let named = std::env::var_os("GPUNN_DATA").filter(|value| !value.is_empty()).map(PathBuf::from);
            named.into_iter().chain(cache_dir()).collect()
        }
    }
}
