//! Changed files and texts, and random ones: whatever they say, the answer is a value or an error, soon, in little memory, without a panic.
//! `tests/common/fuzz.rs` says what soon and little are.

mod change;
mod datasets;
mod folders;
mod images;
mod models;
mod reading;
mod runs;

use std::path::Path;

/// The contents of the files in a folder of this package, sorted by name.
fn files(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().filter(|path| path.is_file()).map(|path| std::fs::read(path).expect("it reads")).collect()
}
