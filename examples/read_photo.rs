//! Reads the photos named and prints their text, with what the reader is unsure of.
//!
//!     cargo run --release --example read_photo -- photo.jpg

use std::path::Path;
use std::process::ExitCode;

use gpunn::images;
use gpunn::ocr::{self, Reader};
use gpunn::{Engine, Error, Result};

async fn read(files: &[String]) -> Result<()> {
    if files.is_empty() {
        return Err(Error::usage("Name a photo of handwriting, as in: read_photo photo.jpg"));
    }
    let mut reader = Reader::new(Engine::cpu())?;
    for file in files {
        let page = ocr::read(&images::open(Path::new(file))?, &mut reader).await?;
        println!("{page}");
        for character in page.characters().filter(|character| character.best.confidence < 0.6) {
            let (best, area) = (character.best, character.bounds);
            let second = character.second.map_or(String::new(), |second| format!(", perhaps {}", second.character));
            println!(
                "  unsure: {} at {}, {} ({:.0} %){second}",
                best.character,
                area.left,
                area.top,
                100.0 * best.confidence
            );
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    match gpunn::blocking::block_on(read(&files)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
