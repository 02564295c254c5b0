//! Tests that cannot run say so here, so that `scripts/test.sh` can count them: to libtest a test that returns early has
//! passed.

use std::io::Write;

/// Says that this test is skipped, or a part of it, because the machine lacks what can be installed: an adapter, a data set.
/// `GPUNN_SKIPPED` names a file to note it in.
///
/// # Panics
/// With `GPUNN_REQUIRE_ALL`, which CI sets: there nothing may be missing.
pub fn skipped(reason: &str) {
    note(reason);
    assert!(std::env::var_os("GPUNN_REQUIRE_ALL").is_none(), "GPUNN_REQUIRE_ALL is set, but {reason}");
}

/// Says that this test is skipped, or a part of it, because the backend or the adapter cannot do what it is about. It is noted
/// as [`skipped`] does.
///
/// # Panics
/// With `GPUNN_REQUIRE_ALL` on Linux, whose software adapter can do all that the tests ask for.
pub fn unsupported(reason: &str) {
    if cfg!(target_os = "linux") { skipped(reason) } else { note(reason) }
}

/// Prints it, and adds it to the file that `GPUNN_SKIPPED` names: the test, a tab, and the reason.
fn note(reason: &str) {
    println!("skipped: {reason}");
    let Some(path) = std::env::var_os("GPUNN_SKIPPED") else { return };
    // Cargo adds a hash to the name of a test's program; libtest names the thread after the test.
    let program = std::env::current_exe().unwrap_or_default();
    let program = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let program = program.rsplit_once('-').map_or(program.as_str(), |(name, _)| name);
    let thread = std::thread::current();
    let line = format!("{program}::{}\t{reason}\n", thread.name().unwrap_or("a thread"));
    // One write, since several tests note at the same time.
    let file = std::fs::File::options().append(true).create(true).open(&path);
    file.and_then(|mut file| file.write_all(line.as_bytes()))
        .expect("the file that GPUNN_SKIPPED names can be written");
}
