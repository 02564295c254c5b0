//! What identifies the drivers of this machine, without loading them.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::missing::{LIBRARIES, Machine, number};
use crate::cli::program;

/// Whether Vulkan's loader finds drivers by files, and takes others from variables of the environment.
pub const BY_FILES: bool = cfg!(all(unix, not(target_vendor = "apple")));
/// The variables that replace the loader's own list: the present name, and that of loaders before 1.3.207.
pub const LIST_VARIABLES: [&str; 2] = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"];
/// The variable that adds to the loader's own list.
pub const ADD_VARIABLE: &str = "VK_ADD_DRIVER_FILES";
/// Drivers, their loader and the system's linker read variables that begin so. The folders of XDG count by the files in them.
const VARIABLES: [&str; 17] = [
    "VK_",
    "LD_",
    "DRI_",
    "MESA_",
    "LIBGL_",
    "GALLIUM_",
    "LP_",
    "LVP_",
    "RADV_",
    "ANV_",
    "INTEL_",
    "AMD_",
    "NVK_",
    "NVIDIA_",
    "CUDA_",
    "__NV",
    super::usable::SECONDS_VARIABLE,
];

/// What can be left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Part {
    /// A driver, by the file that names it to Vulkan's loader.
    File(PathBuf),
    /// A backend of wgpu, with all its drivers.
    Backend(String),
}

impl Part {
    /// Whether it is no file, or one that names a library.
    pub fn says_something(&self) -> bool {
        match self {
            Self::File(path) => library_path(path).is_some(),
            Self::Backend(_) => true,
        }
    }

    /// Its name in a sentence.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => format!("The GPU driver of {}", path.display()),
            Self::Backend(name) => format!("A GPU driver of {name}"),
        }
    }
}

/// The parts of this machine, of which each can be left out.
pub fn parts() -> Vec<Part> {
    if BY_FILES {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        return files(&variable).into_iter().map(Part::File).collect();
    }
    let backends: &[&str] = if cfg!(windows) { &["Vulkan", "DX12"] } else { &["Metal"] };
    backends.iter().map(|&name| Part::Backend(name.into())).collect()
}

/// The files that name drivers, in the loader's order.
fn files(variable: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let named =
        |list: String| -> Vec<PathBuf> { std::env::split_paths(&list).flat_map(|path| json_of(&path)).collect() };
    if let Some(list) = LIST_VARIABLES.iter().find_map(|name| variable(name)) {
        return named(list);
    }
    let mut found: Vec<PathBuf> = variable(ADD_VARIABLE).map(named).unwrap_or_default();
    for folder in folders(variable) {
        for file in json_of(&folder.join("vulkan/icd.d")) {
            if !found.contains(&file) {
                found.push(file);
            }
        }
    }
    found
}

/// The folders that the loader searches, by the XDG base directory specification.
fn folders(variable: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let home = |name: &str, default: &str| {
        variable(name).map(PathBuf::from).or_else(|| variable("HOME").map(|home| Path::new(&home).join(default)))
    };
    let list = |name: &str, default: &str| -> Vec<PathBuf> {
        std::env::split_paths(&variable(name).unwrap_or_else(|| default.into())).collect()
    };
    let mut folders: Vec<PathBuf> = home("XDG_CONFIG_HOME", ".config").into_iter().collect();
    folders.extend(list("XDG_CONFIG_DIRS", "/etc/xdg"));
    folders.extend(["/usr/local/etc", "/etc"].map(PathBuf::from));
    folders.extend(home("XDG_DATA_HOME", ".local/share"));
    folders.extend(list("XDG_DATA_DIRS", "/usr/local/share:/usr/share"));
    folders.extend(["/usr/local/share", "/usr/share", "/run/opengl-driver/share"].map(PathBuf::from));
    folders
}

/// A file, or the JSON files of a folder in the order of their names.
fn json_of(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return path.exists().then(|| path.to_owned()).into_iter().collect();
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    files.sort();
    files
}

/// A digest that changes when a driver, a GPU, the system or this program does. Variables may hold secrets, so the text itself is not
/// kept.
pub fn identity(parts: &[Part]) -> String {
    let mut lines = Vec::new();
    let mut add = |line: String| lines.push(line);
    // The program stands for the versions of itself and of wgpu.
    add(program::this().map_or_else(|| env!("CARGO_PKG_VERSION").into(), |program| stamp(&program.file)));
    for part in parts {
        add(format!("{part:?}"));
        if let Part::File(path) = part {
            add(stamp(path));
            add(library(path).map_or_else(|| "no library".into(), |library| stamp(&library)));
        }
    }
    let mut variables: Vec<(String, String)> = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .filter(|(name, _)| VARIABLES.iter().any(|begins| name.starts_with(begins)))
        .collect();
    variables.sort();
    add(format!("{variables:?}"));
    for file in ["/proc/sys/kernel/osrelease", "/proc/driver/nvidia/version"] {
        add(std::fs::read_to_string(file).unwrap_or_default());
    }
    let machine = Machine { root: Path::new("/"), variable: &|_| None };
    for gpu in machine.gpus() {
        add(format!("{} {:?}", gpu.display(), ["vendor", "device"].map(|name| number(&gpu.join(name)))));
    }
    if !BY_FILES {
        // What is installed is not known there, so a new answer is looked for once a week.
        let days = UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs() / 86_400);
        add(format!("{:?} week {}", sysinfo::System::long_os_version(), days / 7));
    }
    crate::files::sha256(lines.join("\n").as_bytes())
}

/// A file's real path, length and time.
fn stamp(path: &Path) -> String {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let Ok(known) = real.metadata() else { return format!("{} is not there", path.display()) };
    let time = known.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    format!("{} {} {:?}", real.display(), known.len(), time)
}

/// What a driver's file says of its library, if the file is whole.
fn library_path(file: &Path) -> Option<String> {
    let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    manifest["ICD"]["library_path"].as_str().map(str::to_owned)
}

/// The library that a driver's file names, as the loader finds it.
fn library(file: &Path) -> Option<PathBuf> {
    let named = library_path(file)?;
    let named = Path::new(&named);
    if named.components().count() > 1 {
        // Relative to the file; an absolute path replaces the folder.
        return Some(file.parent()?.join(named));
    }
    let given = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let folders = std::env::split_paths(&given).chain(LIBRARIES.iter().map(|folder| Path::new("/").join(folder)));
    folders.map(|folder| folder.join(named)).find(|path| path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, text).expect("written");
        path
    }

    #[test]
    fn the_files_are_those_that_the_loader_reads() {
        let folder = tempfile::tempdir().expect("a folder");
        let of = |name: &str| written(folder.path(), name, "{}");
        let (a, b, added) = (of("share/vulkan/icd.d/a.json"), of("share/vulkan/icd.d/b.json"), of("more/c.json"));
        written(folder.path(), "share/vulkan/icd.d/notes.txt", "");
        let text = |path: &Path| path.display().to_string();
        let share = text(&folder.path().join("share"));
        let found = |variables: &[(&str, String)]| {
            files(&|name| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| value.clone()))
        };
        let own = found(&[("XDG_DATA_DIRS", share.clone()), (ADD_VARIABLE, text(&added))]);
        assert_eq!(own[..3], [added.clone(), a.clone(), b.clone()]);
        // A list replaces all, and may name a folder. The older name is read where the newer is not set.
        let list = format!("{}:{}:/nowhere/d.json", text(&b), text(&folder.path().join("more")));
        for name in LIST_VARIABLES {
            assert_eq!(found(&[(name, list.clone()), ("XDG_DATA_DIRS", share.clone())]), [b.clone(), added.clone()]);
        }
    }

    #[test]
    fn another_library_is_another_identity() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = written(folder.path(), "a.json", r#"{"ICD": {"library_path": "./lib/liba.so"}}"#);
        let parts = [Part::File(file)];
        let without = identity(&parts);
        written(folder.path(), "lib/liba.so", "one");
        let with = identity(&parts);
        assert!(without != with && identity(&parts) == with, "{with}");
        written(folder.path(), "lib/liba.so", "other");
        assert_ne!(identity(&parts), with);
        assert_ne!(identity(&[]), with);
    }
}
