//! How well pages and photos are read. Without photos it draws pages of writing from a set's test glyphs and reads them:
//!
//!     cargo run --release --example read_rates -- --data-dir DIR                 1,000 lines from emnist36's test split
//!     cargo run --release --example read_rates -- photo.jpg ...                  each beside a photo.txt that says what it shows
//!
//! `--dataset glyphs` takes the set inside the program, `--pages N` (125), `--seed N` (1) and `--run RUN` are what they say,
//! `--raw` lets no line decide; `--write DIR` writes the pages (PNG) and their text instead of reading them; `--text READ TRUTH`
//! compares two text files, as another program's with what is right.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gpunn::data::SplitName;
use gpunn::images;
use gpunn::ocr::evaluate::{ReadingCounts, similarity};
use gpunn::ocr::synthetic::{self, Glyphs, SyntheticPage};
use gpunn::ocr::{self, ReadOptions, Reader};
use gpunn::runs::RunDirectory;
use gpunn::{Engine, Error, Result};
use image::DynamicImage;

/// What was asked for.
#[derive(Default)]
struct ImageOptions {
    flags: BTreeMap<String, String>,
    raw: bool,
    text: bool,
    confusions: bool,
    files: Vec<PathBuf>,
}

impl ImageOptions {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut asked = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--raw" => asked.raw = true,
                "--text" => asked.text = true,
                "--confusions" => asked.confusions = true,
                "--dataset" | "--data-dir" | "--pages" | "--seed" | "--run" | "--write" => {
                    let value = words.next().ok_or_else(|| Error::usage(format!("{word} needs a value.")))?;
                    asked.flags.insert(word, value);
                }
                _ if word.starts_with('-') => return Err(Error::usage(format!("There is no flag {word} here."))),
                _ => asked.files.push(word.into()),
            }
        }
        Ok(asked)
    }

    fn number(&self, flag: &str, other: u32) -> Result<u32> {
        let Some(value) = self.flags.get(flag) else { return Ok(other) };
        value.parse().map_err(|_| Error::usage(format!("{flag} is {value}, but has to be a whole number.")))
    }

    fn reader(&self) -> Result<Reader> {
        match self.flags.get("--run") {
            Some(run) => Reader::of(Engine::cpu(), &RunDirectory::open(Path::new(run))?.last()?),
            None => Reader::new(Engine::cpu()),
        }
    }

    fn pages(&self) -> Result<impl Iterator<Item = (u32, SyntheticPage)>> {
        let name = self.flags.get("--dataset").map_or("emnist36", String::as_str);
        let set = gpunn::datasets::load(name, self.flags.get("--data-dir").map(Path::new))?;
        let glyphs = Glyphs::of(&set, set.split(SplitName::Test)?)?;
        let seed = u64::from(self.number("--seed", 1)?);
        Ok((0..self.number("--pages", 125)?).map(move |number| (number, synthetic::draw(&glyphs, seed, number))))
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

fn text(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(Error::file("cannot read", file))
}

fn text_of(page: &SyntheticPage) -> String {
    page.lines.iter().map(|line| line.text.clone() + "\n").collect()
}

/// Writes the pages, `page-000.png` and `page-000.txt` and so on.
fn write(asked: &ImageOptions, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(Error::file("cannot make the folder", folder))?;
    for (number, page) in asked.pages()? {
        let path = folder.join(format!("page-{number:03}.png"));
        page.image.save(&path).map_err(|error| Error::data(format!("Cannot write {}: {error}.", path.display())))?;
        let path = path.with_extension("txt");
        std::fs::write(&path, text_of(&page)).map_err(Error::file("cannot write", path))?;
    }
    Ok(())
}

async fn read_pages(asked: &ImageOptions) -> Result<()> {
    let mut reader = asked.reader()?;
    let mut all = ReadingCounts::default();
    let (mut letters, mut words, mut count) = (0.0, 0.0, 0.0);
    let mut lines = 0;
    let mut confused: BTreeMap<(char, char), usize> = BTreeMap::new();
    for (number, written) in asked.pages()? {
        let image = DynamicImage::ImageLuma8(written.image.clone());
        let page = ocr::read_with(&image, &mut reader, ReadOptions { raw: asked.raw }).await?;
        let measured = ReadingCounts::of(&page, &written.lines);
        let (right, read) = (text_of(&written), page.to_string());
        letters += similarity(&right, &read, false);
        words += similarity(&right, &read, true);
        count += 1.0;
        lines += written.lines.len();
        if asked.confusions {
            let ReadingCounts { characters, found, right, extra } = measured;
            let (turned, light) = (page.turned, page.light_ink);
            eprintln!(
                "page {number}: {characters} characters, {found} found, {right} right, {extra} extra, turned {turned}, light \
                 {light}, lines {} of {}",
                page.lines.len(),
                written.lines.len()
            );
            for (character, area) in written.lines.iter().flat_map(|line| &line.characters) {
                let read = page.characters().find(|other| other.bounds.overlap(area) >= 0.5);
                let read = read.map_or('-', |other| other.best.character);
                if read != *character {
                    *confused.entry((*character, read)).or_default() += 1;
                }
            }
        }
        all.add(measured);
    }
    let mut confused: Vec<((char, char), usize)> = confused.into_iter().collect();
    confused.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for ((character, read), count) in confused.into_iter().take(30) {
        eprint!("{character} as {read}: {count}  ");
    }
    println!("{lines} lines, {} characters", all.characters);
    println!("found      {:.2} %, {} more where nothing stands", percent(all.found, all.characters), all.extra);
    println!("read right {:.2} %", percent(all.right, all.characters));
    println!(
        "text       {:.2} % of letters and digits, {:.2} % with spaces",
        100.0 * letters / count,
        100.0 * words / count
    );
    Ok(())
}

async fn read_photos(asked: &ImageOptions) -> Result<()> {
    let mut reader = asked.reader()?;
    let mut sum = [0.0; 2];
    for file in &asked.files {
        let truth = text(&file.with_extension("txt"))?;
        let page = ocr::read_with(&images::open(file)?, &mut reader, ReadOptions { raw: asked.raw }).await?;
        let name = format!("{} (turned by {:.1} degrees)", file.display(), page.turned);
        let percent = compare(&name, &truth, &page.to_string());
        sum.iter_mut().zip(percent).for_each(|(sum, percent)| *sum += percent);
    }
    let count = asked.files.len();
    let [letters, words] = sum.map(|sum| sum / count as f64);
    println!("mean of {count}: {letters:.2} % of letters and digits, {words:.2} % with spaces");
    Ok(())
}

/// Prints and returns the similarity of two texts in per cent, without and with spaces.
fn compare(name: &str, truth: &str, read: &str) -> [f64; 2] {
    let [letters, words] = [false, true].map(|spaces| 100.0 * similarity(truth, read, spaces));
    println!("{name}: {letters:.2} % of letters and digits, {words:.2} % with spaces");
    [letters, words]
}

async fn run(asked: ImageOptions) -> Result<()> {
    if let Some(folder) = asked.flags.get("--write") {
        return write(&asked, Path::new(folder));
    }
    match (&asked.files[..], asked.text) {
        ([read, truth], true) => drop(compare(&read.display().to_string(), &text(truth)?, &text(read)?)),
        (_, true) => return Err(Error::usage("--text needs two files: what was read, and what is right.")),
        ([], false) => read_pages(&asked).await?,
        (_, false) => read_photos(&asked).await?,
    }
    Ok(())
}

fn main() -> ExitCode {
    let outcome = ImageOptions::parse(std::env::args().skip(1)).and_then(|asked| gpunn::blocking::block_on(run(asked)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
