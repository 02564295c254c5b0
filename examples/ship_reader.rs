//! Writes the reader that the program carries from a run: the weights in use, rounded to 16 bits, and the recipe.
//!
//!     gpunn train --recipe recipes/reader.toml --data-dir DIR --out reader-run
//!     cargo run --release --example ship_reader -- reader-run data/reader.safetensors

use std::path::Path;
use std::process::ExitCode;

use gpunn::runs::RunDirectory;
use gpunn::train::Recipe;
use gpunn::{Error, Result};

fn ship(words: &[String]) -> Result<()> {
    let [run, out] = words else {
        return Err(Error::usage(
            "Name a run and the file to write, as in: ship_reader reader-run data/reader.safetensors",
        ));
    };
    let mut checkpoint = RunDirectory::open(Path::new(run))?.last()?;
    // Views are averaged where accuracy is measured; reading a page has no time for that.
    checkpoint.recipe = Recipe { name: "reader".into(), ..checkpoint.recipe };
    checkpoint.recipe.training.tta = None;
    checkpoint.write_half(Path::new(out))
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match ship(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
