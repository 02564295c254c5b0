//! Tests that cannot run report it here, so that `scripts/test.sh` can count them. libtest counts a test that returns early
//! as passed.

use std::io::Write;

/// Reports that this test or a part of it is skipped because something is not installed: an adapter or a dataset.
/// `GPUNN_SKIPPED` names the file for such reports.
///
/// # Panics
/// If `GPUNN_REQUIRE_ALL` is set, as in CI, where nothing may be missing.
pub fn skipped(reason: &str) {
    note(reason);
    assert!(std::env::var_os("GPUNN_REQUIRE_ALL").is_none(), "GPUNN_REQUIRE_ALL is set, but {reason}");
}

/// Prints the test and the reason. Appends both, with a tab between them, to the file that `GPUNN_SKIPPED` names.
pub fn note(reason: &str) {
    println!("skipped: {reason}");
    let Some(path) = std::env::var_os("GPUNN_SKIPPED") else { return };
    // Cargo adds a hash to the name of a test's program; libtest names the thread after the test.
    let program = std::env::current_exe().unwrap_or_default();
    let program = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let program = program.rsplit_once('-').map_or(program.as_str(), |(name, _)| name);
    let thread = std::thread::current();
    let line = format!("{program}::{}\t{reason}\n", thread.name().unwrap_or("a thread"));
    // One write, because several tests may write at the same time.
    let file = std::fs::File::options().append(true).create(true).open(&path);
    file.and_then(|mut file| file.write_all(line.as_bytes()))
        .expect("the file that GPUNN_SKIPPED names can be written");
}
