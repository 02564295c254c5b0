//! Writes the network of a run as the reader that ships with the program: its weights in use, as 16-bit numbers.
//!
//!     cargo run --release --example ship_reader -- runs/reader-... data/reader.safetensors

use std::path::PathBuf;
use std::process::ExitCode;

use gpunn::train::RunDirectory;
use gpunn::{Error, Result};

fn ship(arguments: &[PathBuf]) -> Result<()> {
    let [run, to] = arguments else {
        return Err(Error::usage("Give a run directory and the file to write, as in: ship_reader RUN data/reader.safetensors"));
    };
    let checkpoint = RunDirectory::open(run)?.last()?;
    checkpoint.write_half(to)?;
    let model = checkpoint.recipe.build_model(checkpoint.input, checkpoint.classes.len())?;
    let hash = model.parameters().hash(&checkpoint.weights_in_use(model.parameters())?);
    let bytes = std::fs::metadata(to).map_err(Error::file("cannot read", to))?.len();
    println!("{} bytes in {}, of weights {hash}", bytes, to.display());
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    match ship(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
