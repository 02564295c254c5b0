//! The settings of a sweep's runs: all combinations of values, or drawn at random.

use std::collections::BTreeSet;

use toml::Value;

use super::keys::{self, Setting};
use super::values::{Draw, Tried, Values};
use crate::hash::Fnv1a;
use crate::random::{CounterRng, Purpose};
use crate::{Error, Result};

/// The largest number of runs of a sweep: more are probably a typing mistake.
const MAX_RUNS: usize = 1000;
/// So often as many settings are drawn, at most, as are wanted: some are drawn twice.
const MAX_DRAWS: usize = 100;
/// Longer names of folders end with a hash.
const LONGEST_NAME: usize = 100;

/// What a run tries.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The number of its setting. Runs that differ only in their seed or fold have the same.
    pub candidate: usize,
    /// The values of the tried keys.
    pub settings: Vec<Setting>,
    /// The name of the run's folder: the tried keys and their values.
    pub folder: String,
}

/// The number of settings to draw, and the seed that they are drawn with.
#[derive(Clone, Copy, Debug)]
pub struct Drawn {
    pub settings: usize,
    pub seed: u64,
}

/// Whether a key only repeats a setting.
pub fn repeats(key: &str) -> bool {
    [keys::SEED, keys::FOLD].contains(&key)
}

/// The points of all runs. Without `drawn`, the settings are all combinations, and the values of the last key change fastest.
///
/// # Errors
/// [`Error::Usage`] when there are too many, a key or a value is given twice, or a range is given that nothing is drawn from.
pub fn points(tried: &[Tried], drawn: Option<Drawn>) -> Result<Vec<Point>> {
    let mut keys = BTreeSet::new();
    if let Some(twice) = tried.iter().find(|tried| !keys.insert(&tried.key)) {
        return Err(Error::usage(format!("Values of {} are given twice. Give all of them in one list.", twice.key)));
    }
    let (repeated, varied): (Vec<&Tried>, Vec<&Tried>) = tried.iter().partition(|tried| repeats(&tried.key));
    let combine = |tried: &[&Tried]| -> Result<Vec<Vec<Setting>>> {
        tried.iter().try_fold(vec![Vec::new()], |points, tried| {
            let values = tried.values.settings(&tried.key).ok_or_else(|| needs_values(&tried.key))?;
            if points.len() * values.len() > MAX_RUNS {
                return Err(too_many(points.len() * values.len()));
            }
            let with = |point: &Vec<Setting>, value: &Setting| [point.as_slice(), std::slice::from_ref(value)].concat();
            Ok(points.iter().flat_map(|point| values.iter().map(move |value| with(point, value))).collect())
        })
    };
    let repeats = combine(&repeated)?;
    let settings = match drawn {
        Some(drawn) => draw_all(&varied, drawn)?,
        None => combine(&varied)?,
    };
    if settings.len() * repeats.len() > MAX_RUNS {
        return Err(too_many(settings.len() * repeats.len()));
    }
    let of = |(candidate, setting): (usize, &Vec<Setting>)| {
        let point = |repeat: &Vec<Setting>| {
            let settings = [setting.as_slice(), repeat.as_slice()].concat();
            Point { candidate, folder: folder(&settings), settings }
        };
        repeats.iter().map(point).collect::<Vec<_>>()
    };
    let points: Vec<Point> = settings.iter().enumerate().flat_map(of).collect();
    let names: BTreeSet<&String> = points.iter().map(|point| &point.folder).collect();
    match names.len() == points.len() {
        true => Ok(points),
        false => Err(Error::usage(
            "A key has the same value twice, or two values whose folders would have the same name. Remove one of them.",
        )),
    }
}

fn too_many(runs: usize) -> Error {
    Error::usage(format!("The flags give {runs} runs, but a sweep has at most {MAX_RUNS}. Give fewer values."))
}

fn needs_values(key: &str) -> Error {
    Error::usage(match repeats(key) {
        true => format!("{key} takes values, as in 1,2,3, and no range."),
        false => format!(
            "The grid has no values in a range: give those of {key} one by one, or draw them with --search random --runs N."
        ),
    })
}

/// Different settings that are drawn one after the other. Those of a smaller number are the first ones.
fn draw_all(varied: &[&Tried], drawn: Drawn) -> Result<Vec<Vec<Setting>>> {
    if varied.is_empty() {
        return Err(Error::usage("There is nothing to draw. Give the values of a key, as in --lr log:1e-4..1e-1."));
    }
    if drawn.settings > MAX_RUNS {
        return Err(too_many(drawn.settings));
    }
    let mut names = BTreeSet::new();
    let settings = (0..(drawn.settings * MAX_DRAWS) as u32).map(|number| -> Vec<Setting> {
        let one = |tried: &&Tried| Setting { key: tried.key.clone(), value: draw(tried, drawn.seed, number) };
        varied.iter().map(one).collect()
    });
    let found: Vec<_> = settings.filter(|setting| names.insert(folder(setting))).take(drawn.settings).collect();
    match found.len() == drawn.settings {
        true => Ok(found),
        false => Err(Error::usage(format!(
            "--runs asks for {} settings, but the values give only {} different ones. Give a smaller number, or --search grid.",
            drawn.settings,
            found.len()
        ))),
    }
}

/// A key's value in the setting of this number. It depends on the seed, the key and the number alone.
fn draw(tried: &Tried, seed: u64, number: u32) -> Option<Value> {
    let mut hash = Fnv1a::new();
    hash.add(tried.key.as_bytes());
    let stream = (hash.value() ^ (hash.value() >> 32)) as u32;
    let word = CounterRng::new(seed, Purpose::Sweep, stream, number).word(0);
    let part = (f64::from(word) + 0.5) / 4_294_967_296.0;
    match &tried.values {
        Values::Each(values) => values[((part * values.len() as f64) as usize).min(values.len() - 1)].clone(),
        &Values::Range { draw, low, high } => {
            let number = match draw {
                Draw::Int => return Some(Value::from((low + (part * (high - low + 1.0)).floor()).min(high) as i64)),
                Draw::Uniform => low + part * (high - low),
                Draw::Log => (low.ln() + part * (high.ln() - low.ln())).exp(),
            };
            // Short numbers are readable, and do not depend on the last bit of a machine's logarithm.
            let rounded = format!("{number:.3e}").parse().unwrap_or(number);
            Some(Value::from(rounded.clamp(low, high)))
        }
    }
}

/// The name of a run's folder.
fn folder(settings: &[Setting]) -> String {
    let short = |key: &str| match key {
        keys::RATE => "lr".to_owned(),
        keys::BATCH => "batch".to_owned(),
        key => key.rsplit('.').next().unwrap_or(key).to_owned(),
    };
    let part = |setting: &Setting| {
        let own = short(&setting.key);
        let shared = settings.iter().filter(|other| short(&other.key) == own).count() > 1;
        let name = if shared { setting.key.replace('.', "-") } else { own };
        format!("{name}-{}", setting.value.as_ref().map_or_else(|| "none".into(), word))
    };
    let name = settings.iter().map(part).collect::<Vec<_>>().join("-");
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || "-._".contains(letter) { letter } else { '_' };
    let plain: String = name.chars().map(plain).collect();
    match (plain.len(), plain == name) {
        (0, _) => "run".into(),
        (1..=LONGEST_NAME, _) => plain,
        _ => {
            let mut hash = Fnv1a::new();
            hash.add(name.as_bytes());
            format!("{}-{:016x}", &plain[..LONGEST_NAME], hash.value())
        }
    }
}

/// A value as a short text: layer sizes as `128x64`, text without quotes.
pub fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Float(number) => number.to_string(),
        Value::Array(values) => values.iter().map(word).collect::<Vec<_>>().join("x"),
        Value::Table(table) => {
            table.iter().map(|(key, value)| format!("{key}-{}", word(value))).collect::<Vec<_>>().join("-")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(words: &str) -> Vec<Tried> {
        words.split_whitespace().map(|word| word.parse().expect("right")).collect()
    }

    fn folders(words: &str, drawn: Option<usize>) -> Vec<String> {
        let drawn = drawn.map(|settings| Drawn { settings, seed: 1 });
        points(&tried(words), drawn).expect("points").into_iter().map(|point| point.folder).collect()
    }

    #[test]
    fn a_grid_has_every_combination_once() {
        let all = folders("hidden=[64],[128,64] lr=0.1,0.01 seed=1,2,3", None);
        assert_eq!(all.len(), 12);
        assert_eq!([&all[0], &all[11]], ["hidden-64-lr-0.1-seed-1", "hidden-128x64-lr-0.01-seed-3"]);
        assert_eq!(folders("", None), ["run"]);
        let points = points(&tried("lr=0.1,0.01 seed=1,2"), None).expect("points");
        assert_eq!(points.iter().map(|point| point.candidate).collect::<Vec<_>>(), [0, 0, 1, 1]);
    }

    #[test]
    fn names_of_folders_are_short_and_plain() {
        assert_eq!(folders("data.fold=1/5", None), ["fold-1_5"]);
        assert_eq!(
            folders("augment.scale=[0.9,1.1] model.pretrained=a/b.pth", None),
            ["scale-0.9x1.1-pretrained-a_b.pth"]
        );
        assert_eq!(folders("model.name=cnn optimizer.name=adam", None), ["model-name-cnn-optimizer-name-adam"]);
        let long = format!("model.pretrained={}", "x".repeat(300));
        assert!(folders(&long, None)[0].len() < 120);
        assert_eq!(folders("training.ema=none,0.99", None), ["ema-none", "ema-0.99"]);
    }

    #[test]
    fn what_is_no_grid_is_refused() {
        let says = |words: &str, drawn: Option<usize>| {
            let drawn = drawn.map(|settings| Drawn { settings, seed: 1 });
            points(&tried(words), drawn).expect_err("refused").to_string()
        };
        assert!(says("lr=0.1,0.1", None).contains("same value twice"));
        assert!(says("lr=0.1 optimizer.learning_rate=0.2", None).contains("given twice"));
        assert!(says("lr=log:0.1..1", None).contains("--search random"));
        assert!(says("seed=int:1..5 lr=1", Some(3)).contains("no range"));
        assert!(says("seed=1", Some(3)).contains("nothing to draw"));
        assert!(says("lr=0.1,0.2", Some(3)).contains("only 2 different"));
        let seeds = (0..1001).map(|seed| seed.to_string()).collect::<Vec<_>>().join(",");
        assert!(says(&format!("seed={seeds}"), None).contains("1001 runs"));
    }

    #[test]
    fn drawn_settings_depend_on_nothing_but_seed_key_and_number() {
        let words = "lr=log:1e-4..1e-1 optimizer.momentum=uniform:0..0.9 hidden=[8],[16] model.depth=int:1..4";
        let all = folders(words, Some(50));
        assert_eq!(all.len(), 50);
        assert_eq!(folders(words, Some(20)), all[..20]);
        assert_eq!(all[0], "lr-0.000124-momentum-0.1064-hidden-8-depth-2");
        let values = |words: &str, key: &str| -> Vec<Value> {
            let points = points(&tried(words), Some(Drawn { settings: 50, seed: 1 })).expect("points");
            let of = |point: Point| point.settings.into_iter().find(|setting| setting.key == key)?.value;
            points.into_iter().filter_map(of).collect()
        };
        let other = "optimizer.momentum=uniform:0..0.9 lr=log:1e-4..1e-1";
        assert_eq!(values(words, keys::RATE), values(other, keys::RATE));
        let rates: Vec<f64> = values(words, keys::RATE).iter().filter_map(Value::as_float).collect();
        let small = rates.iter().filter(|&&rate| rate < 10_f64.powf(-2.5)).count();
        assert!(rates.iter().all(|rate| (1e-4..=1e-1).contains(rate)) && (15..35).contains(&small), "{rates:?}");
        let depths: BTreeSet<i64> = values(words, "model.depth").iter().filter_map(Value::as_integer).collect();
        assert_eq!(depths.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_ne!(
            points(&tried("lr=log:1e-4..1"), Some(Drawn { settings: 1, seed: 2 })).expect("one")[0].folder,
            folders("lr=log:1e-4..1", Some(1))[0]
        );
    }
}
