//! The adapters of the drivers that neither crash nor hang.

use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use crate::blocking::block_on;
use crate::files::KeptFile;
use crate::gpu::{Adapter, adapters_of};

use super::identity::{ADD_VARIABLE, BY_FILES, LIST_VARIABLES, Part, identity, parts};
use super::trial::{LeftOut, Trial, backends, list, names};
use crate::cli::{kept, program};

/// The variable that sets how long a driver may take to open its adapters, in seconds.
pub const SECONDS_VARIABLE: &str = "GPUNN_DRIVER_SECONDS";
/// The default of [`SECONDS_VARIABLE`]. A server with many GPUs takes long to wake them.
const SECONDS: f64 = 30.0;
/// A driver that failed is tried again after a day: perhaps the machine was busy, or its memory limited.
const BELIEVED: Duration = Duration::from_secs(86_400);

/// The adapters, and one sentence for each driver that is left out.
#[derive(Debug)]
pub struct Usable {
    /// The adapters, hardware first.
    pub adapters: Vec<Adapter>,
    /// Sentences.
    pub left_out: Vec<String>,
}

impl Usable {
    /// Prints a warning for each driver that is left out, once in a process.
    pub fn warn(&self) {
        static WARNED: OnceLock<()> = OnceLock::new();
        WARNED.get_or_init(|| self.left_out.iter().for_each(|sentence| eprintln!("warning: {sentence}")));
    }
}

/// The adapters of the drivers that are right. What was learned of these drivers before is believed.
pub fn usable() -> Usable {
    of(false)
}

/// As [`usable`], but a driver that failed before is tried again.
pub fn again() -> Usable {
    of(true)
}

fn of(again: bool) -> Usable {
    static VERDICT: OnceLock<(Vec<Part>, Vec<LeftOut>)> = OnceLock::new();
    let (used, left_out) = VERDICT.get_or_init(|| {
        let parts = parts();
        let left_out = verdict(&parts, again);
        let used: Vec<Part> =
            parts.into_iter().filter(|part| left_out.iter().all(|other| other.part != *part)).collect();
        if !left_out.is_empty() {
            restrict(&used);
        }
        (used, left_out)
    });
    let names = names(used);
    // Without a driver, not even the loader is asked: it may be what failed.
    let none = used.is_empty() && !left_out.is_empty();
    let adapters = if none { Vec::new() } else { block_on(adapters_of(backends(&names))) };
    Usable { adapters, left_out: left_out.iter().map(LeftOut::sentence).collect() }
}

/// Lets Vulkan's loader see only these drivers.
#[expect(unsafe_code, reason = "Vulkan's loader takes the list of drivers from the environment only")]
fn restrict(used: &[Part]) {
    if BY_FILES {
        // SAFETY: no driver is loaded yet. Threads of this program that read the environment do so by the standard library, which locks it.
        // In a process of Python, its own threads read a copy of the environment.
        unsafe {
            LIST_VARIABLES.iter().for_each(|name| std::env::set_var(name, list(used)));
            std::env::remove_var(ADD_VARIABLE);
        }
    }
}

/// What is left out of these parts: as remembered, else by a trial. Where no trial is possible, nothing is.
fn verdict(parts: &[Part], again: bool) -> Vec<LeftOut> {
    if parts.is_empty() {
        return Vec::new();
    }
    let file = crate::datasets::cache_dir().map(|cache| record(&cache, parts));
    if let Some(known) = file.as_ref().and_then(remembered).filter(|known| known.is_empty() || !again) {
        return known;
    }
    let Some(program) = program::this() else { return Vec::new() };
    let Ok(left_out) = (Trial { program, limit: limit() }).left_out(parts) else { return Vec::new() };
    if let Some(file) = &file
        && let Ok(text) = serde_json::to_vec(&left_out)
    {
        remove_others(file.path());
        // Without the file, the drivers are tried by each start.
        let _ = file.write(&text);
    }
    left_out
}

/// Removes what is known of other parts: drivers that were there before. Errors are ignored, as such files only take space.
fn remove_others(file: &Path) {
    let entries = file.parent().and_then(|folder| std::fs::read_dir(folder).ok());
    for entry in entries.into_iter().flatten().flatten().filter(|entry| entry.path() != file) {
        let _ = std::fs::remove_file(entry.path());
    }
}

/// The file of what is known of these parts.
fn record(cache: &Path, parts: &[Part]) -> KeptFile {
    kept::file(cache, "drivers", identity(parts))
}

/// What a file says, if it can be believed and, where something failed, is not too old.
fn remembered(file: &KeptFile) -> Option<Vec<LeftOut>> {
    let known: Vec<LeftOut> = serde_json::from_slice(&kept::read(file)?).ok()?;
    let age = SystemTime::now().duration_since(file.path().metadata().ok()?.modified().ok()?).unwrap_or_default();
    (known.is_empty() || age < BELIEVED).then_some(known)
}

fn limit() -> Duration {
    let given = std::env::var(SECONDS_VARIABLE).ok().and_then(|value| value.trim().parse::<f64>().ok());
    let seconds = given.filter(|seconds| (0.1..=3600.0).contains(seconds)).unwrap_or(SECONDS);
    Duration::from_secs_f64(seconds)
}
