//! Changed files and texts: whatever they say, the answer is a value or an error, soon, without a panic. Each test runs for a second, or for
//! as many as GPUNN_FUZZ_SECONDS says. Its seed is a constant, or GPUNN_FUZZ_SEED.

use std::path::Path;
use std::time::{Duration, Instant};

use gpunn::formats::tensors::TensorFile;
use gpunn::graph::{Passes, Plan, PlanOptions, Target, optimize};
use gpunn::train::graphs::{DeviceData, training};
use gpunn::train::{Checkpoint, Recipe};

use crate::common::training::{documented, small, trainer};

/// The longest time for one input. Most take microseconds; an image that claims just less than the limit of pixels takes seconds on a busy
/// machine.
const LONGEST: Duration = Duration::from_secs(20);

fn variable(name: &str, missing: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(missing)
}

/// A linear congruential generator: the inputs of a seed are always the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % bound.max(1) as u64) as usize
    }
    fn one_of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// Calls `run` with one changed seed after another until the time is over. Fails where an input takes too long.
fn each<T>(name: &str, seeds: &[T], change: impl Fn(&T, &mut Dice) -> T, mut run: impl FnMut(&T)) {
    assert!(!seeds.is_empty(), "{name} has no seeds");
    let end = Instant::now() + Duration::from_secs(variable("GPUNN_FUZZ_SECONDS", 1));
    let mut dice = Dice(variable("GPUNN_FUZZ_SEED", 1));
    let (mut inputs, mut slowest) = (0, Duration::ZERO);
    while Instant::now() < end || inputs < 20 {
        let state = dice.0;
        let input = change(&seeds[dice.below(seeds.len())], &mut dice);
        let begun = Instant::now();
        run(&input);
        let took = begun.elapsed();
        assert!(took < LONGEST, "{name}: an input took {took:?}; GPUNN_FUZZ_SEED={state} begins with it");
        (inputs, slowest) = (inputs + 1, slowest.max(took));
    }
    println!("{name}: {inputs} inputs, the slowest took {slowest:?}");
}

/// Changes bytes, mostly in the first 400, which hold lengths and types; cuts; repeats a part.
fn changed_bytes(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=dice.below(4) {
        let near = dice.below(3) > 0;
        let place = dice.below(if near { bytes.len().min(400) } else { bytes.len() });
        match dice.below(8) {
            0 => bytes.truncate(place),
            1 => {
                let end = (place + dice.below(64)).min(bytes.len());
                let part = bytes[place.min(end)..end].to_vec();
                bytes.splice(place..place, part);
            }
            2 => {
                let word = *dice.one_of(&[0_u32, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x0001_0000]);
                let word = if dice.below(2) == 0 { word.to_le_bytes() } else { word.to_be_bytes() };
                let end = (place + 4).min(bytes.len());
                bytes.splice(place.min(end)..end, word);
            }
            _ => {
                let value = *dice.one_of(&[0, 1, 0x7f, 0x80, 0xff, dice.0 as u8]);
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = value;
                }
            }
        }
    }
    bytes
}

/// Changes numbers and words, removes and repeats lines.
fn changed_text(text: &str, dice: &mut Dice) -> String {
    const VALUES: [&str; 20] = [
        "0",
        "1",
        "2",
        "3",
        "7",
        "64",
        "-1",
        "65535",
        "65536",
        "4294967296",
        "9223372036854775807",
        "1e308",
        "-0.5",
        "nan",
        "inf",
        "true",
        "\"x\"",
        "[]",
        "[1, 2, 3]",
        "1e-30",
    ];
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..=dice.below(3) {
        let place = dice.below(lines.len());
        match dice.below(6) {
            0 => drop(lines.remove(place)),
            1 => lines.insert(place, lines[dice.below(lines.len())].clone()),
            _ => {
                // The value of a key, or the number of words after it.
                let line = &mut lines[place];
                let starts: Vec<usize> = line.match_indices("= ").map(|(at, _)| at + 2).collect();
                if !starts.is_empty() {
                    let start = *dice.one_of(&starts);
                    let rest = &line[start..];
                    let end = start + rest.find([',', ' ', '}']).unwrap_or(rest.len());
                    let value: &str = dice.one_of::<&str>(&VALUES);
                    line.replace_range(start..end, value);
                }
            }
        }
        if lines.is_empty() {
            break;
        }
    }
    lines.join("\n")
}

fn files(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().filter(|path| path.is_file()).map(|path| std::fs::read(path).expect("it reads")).collect()
}

#[test]
fn images() {
    each(
        "images",
        &files("tests/images"),
        |bytes, dice| changed_bytes(bytes, dice),
        |bytes| {
            let _ = gpunn::images::decode(bytes.clone(), "an image");
        },
    );
}

#[test]
fn weights() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    each(
        "weights",
        &files("tests/weights"),
        |bytes, dice| changed_bytes(bytes, dice),
        |bytes| {
            std::fs::write(file.path(), bytes).expect("written");
            if let Ok(tensors) = TensorFile::open(file.path()) {
                for name in tensors.tensors().keys() {
                    let _ = tensors.values(name);
                }
                let _ = gpunn::runs::weights::import(&tensors, None);
            }
        },
    );
}

#[test]
fn checkpoints() {
    let (recipe, dataset) = small(40, 1, |_| {});
    let checkpoint = gpunn::blocking::block_on(trainer(gpunn::Engine::cpu(), &recipe, &dataset).checkpoint());
    let file = tempfile::NamedTempFile::new().expect("a file");
    checkpoint.expect("a checkpoint").write(file.path()).expect("written");
    let seeds = [std::fs::read(file.path()).expect("it reads")];
    each(
        "checkpoints",
        &seeds,
        |bytes, dice| changed_bytes(bytes, dice),
        |bytes| {
            if let Ok(checkpoint) = Checkpoint::parse(bytes, "it") {
                let _ = checkpoint.model();
            }
        },
    );
}

/// A network that can be built is planned, for the CPU and for a GPU, or refused.
fn plans(recipe: &Recipe) {
    for (input, classes) in [([3, 32, 32], 10), ([1, 32, 32], 36)] {
        let Ok(model) = recipe.build_model(input, classes) else { continue };
        let _ = model.describe();
        let batch = recipe.training.batch_size.min(64);
        let data = DeviceData::whole("train", batch, true, input);
        let Ok(graph) = training(&model, recipe, data, batch) else { continue };
        let Ok(graph) = optimize(&graph, Passes::default()) else { continue };
        for target in [Target::cpu(), Target::portable()] {
            let _ = Plan::new(graph.clone(), &target, PlanOptions::default());
        }
    }
}

#[test]
fn recipes() {
    let seeds: Vec<String> =
        files("recipes").into_iter().map(|bytes| String::from_utf8(bytes).expect("text")).collect();
    each(
        "recipes",
        &seeds,
        |text, dice| changed_text(text, dice),
        |text| {
            if let Ok(recipe) = Recipe::parse(text, "in it")
                && recipe.validate().is_ok()
            {
                plans(&recipe);
            }
        },
    );
}

#[test]
fn networks() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("net.toml");
    each(
        "networks",
        &[documented()],
        |text, dice| changed_text(text, dice),
        |text| {
            std::fs::write(&path, text).expect("written");
            if let Ok(model) = gpunn::runs::model(&path.display().to_string())
                && let Ok(recipe) = gpunn::runs::choose(None, Some(model), None)
            {
                plans(&recipe);
            }
        },
    );
}
