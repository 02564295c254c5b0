//! Run directories whose files are damaged, removed or exchanged: reported, evaluated, resumed.

use std::collections::BTreeMap;
use std::path::Path;

use gpunn::blocking::block_on;
use gpunn::data::{Size, SplitName};
use gpunn::report::{ReportOptions, compare, write};
use gpunn::runs::{Experiment, Observer, RunDirectory};
use gpunn::train::{EpochLine, EpochProgress, Recipe, Trainer, TrainerOptions, evaluate};
use gpunn::{Engine, Result};

use super::change;
use crate::common::files::pictures;
use crate::common::fuzz::{Dice, Fuzz};
use crate::common::training::finish;

/// The recipe of the run: a small network, trained for two epochs on a folder of images, some of them held out.
fn recipe(folder: &Path) -> Recipe {
    let mut recipe = Recipe::find("glyphs-mlp").expect("built in");
    recipe.model.hidden = Some(vec![5]);
    recipe.training.epochs = 2.0;
    recipe.training.batch_size = 4;
    recipe.data.name = "pics".into();
    recipe.data.folder = Some(folder.into());
    recipe.data.val_fraction = Some(0.3);
    recipe.data.size = Some(Size::Square(8));
    recipe.data.channels = Some(1);
    recipe
}

/// The files of a trained and reported run, by name.
fn run_files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let path = folder.join("run");
    let mut recipe = recipe(folder);
    let dataset = recipe.load_data(None).expect("images");
    let trainer = Trainer::new(Engine::cpu(), recipe, &dataset, TrainerOptions::default()).expect("a trainer");
    let run = RunDirectory::create(&path, trainer.recipe(), false).expect("a directory");
    finish(&mut Experiment::new(trainer, run, &dataset).expect("begun"));
    block_on(write(&path, &mut Engine::cpu(), ReportOptions::default())).expect("reported");
    let entries = std::fs::read_dir(&path).expect("listed").map(|entry| entry.expect("an entry"));
    let files = entries.filter(|entry| entry.path().is_file() && entry.file_name() != "report.html");
    files
        .map(|file| (file.file_name().to_string_lossy().into(), std::fs::read(file.path()).expect("it reads")))
        .collect()
}

/// A file of a run after a change; `None` if it is gone.
fn changed(name: &str, files: &BTreeMap<String, Vec<u8>>, dice: &mut Dice) -> Option<Vec<u8>> {
    let bytes = &files[name];
    match dice.below(12) {
        0 => None,
        1 => Some(Vec::new()),
        2 => files.values().nth(dice.below(files.len())).cloned(),
        3 | 4 => Some(change::bytes(bytes, dice)),
        _ if name.ends_with("safetensors") => Some(change::header(bytes, dice)),
        _ => {
            let separator = if name.ends_with("toml") { "= " } else { ":" };
            Some(change::text(&String::from_utf8_lossy(bytes), separator, dice).into_bytes())
        }
    }
}

/// What `gpunn eval` does.
fn evaluated(path: &Path) -> Result<()> {
    let run = RunDirectory::open(path)?;
    let checkpoint = run.best_or_last()?;
    let (dataset, _) = run.load_data(&mut checkpoint.recipe.clone(), None)?;
    for split in [SplitName::Train, SplitName::Val] {
        block_on(evaluate(&mut Engine::cpu(), &checkpoint, &dataset, split))?;
    }
    Ok(())
}

/// Stops a training after this number of submissions or epochs.
struct Briefly(u32);

impl Briefly {
    fn goes_on(&mut self) -> bool {
        self.0 = self.0.saturating_sub(1);
        self.0 > 0
    }
}

impl Observer for Briefly {
    fn progress(&mut self, _: u32, _: EpochProgress) -> bool {
        self.goes_on()
    }
    fn epoch(&mut self, _: &EpochLine) -> bool {
        self.goes_on()
    }
    fn not_written(&mut self, _: &gpunn::Error) {}
    fn not_finite(&mut self, _: &str) {}
    fn device_failed(&mut self, error: &gpunn::Error, _: &str) {
        panic!("{error}");
    }
}

/// What `gpunn train --resume` does, for some submissions.
fn resumed(path: &Path) -> Result<()> {
    let run = RunDirectory::open_to_train(path)?;
    let checkpoint = run.resumable()?;
    let mut recipe = checkpoint.recipe.clone();
    recipe.validate()?;
    let (dataset, _) = run.load_data(&mut recipe, None)?;
    checkpoint.check_data(&dataset)?;
    let trainer = Trainer::new(Engine::cpu(), recipe, &dataset, TrainerOptions::default())?;
    let mut experiment = Experiment::resumed(trainer, run, &dataset, &checkpoint)?;
    experiment.events = Some(experiment.run.events()?);
    block_on(experiment.run(&mut Briefly(4))).map(drop)
}

#[test]
fn runs() {
    let Some(fuzz) = Fuzz::alone("fuzz::runs::runs") else { return };
    let folder = pictures(6);
    let files = run_files(folder.path());
    let names: Vec<&String> = files.keys().collect();
    fuzz.inputs(
        |dice| {
            let mut damaged: BTreeMap<String, Option<Vec<u8>>> =
                files.iter().map(|(name, bytes)| (name.clone(), Some(bytes.clone()))).collect();
            for _ in 0..=dice.below(2) {
                let name = *dice.one_of(&names);
                damaged.insert(name.clone(), changed(name, &files, dice));
            }
            if dice.once_in(8) {
                // A run that stopped in its first epoch, whose only checkpoint has another name.
                let last = damaged.remove("last.safetensors").flatten();
                damaged.insert("initial.safetensors".into(), last);
            }
            (damaged, dice.below(6))
        },
        |(damaged, number)| {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("run");
            std::fs::create_dir(&path).expect("made");
            for (name, bytes) in &damaged {
                match bytes {
                    Some(bytes) => std::fs::write(path.join(name), bytes).expect("written"),
                    // A folder in the place of a file, or nothing.
                    None if number == 0 => std::fs::create_dir(path.join(name)).expect("made"),
                    None => {}
                }
            }
            let _ = evaluated(&path);
            let out = folder.path().join("out");
            match number {
                0 | 1 => drop(block_on(write(
                    &path,
                    &mut Engine::cpu(),
                    ReportOptions { out: Some(&out), ..ReportOptions::default() },
                ))),
                2 => drop(compare(&[path.clone(), path.clone()], &out.with_extension("html"))),
                _ => {}
            }
            let _ = resumed(&path);
        },
    );
}
