//! Sweeps over any key, drawn settings, successive halving, several seeds, and shares of a sweep.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{command, gpunn_on_cpu as gpunn, is_refusal, json, names, text};

/// A sweep on a few glyphs into a folder, with JSON as its result.
fn sweep(at: &Path, out: &str, words: &str) -> Value {
    json(&gpunn(at, &args(out, words)))
}

fn args<'a>(out: &'a str, words: &'a str) -> Vec<&'a str> {
    let fixed = ["sweep", "--limit-train", "180", "--quiet", "--json", "--out", out];
    fixed.into_iter().chain(words.split(' ')).collect()
}

/// The folders and hashes of a table's runs, in the table's order.
fn hashes(table: &Value) -> Vec<(String, String)> {
    let of = |run: &Value| {
        let path = Path::new(run["run"].as_str().expect("a path")).file_name().expect("a name");
        (path.to_string_lossy().into_owned(), format!("{} {}", run["epochs"], run["weights_hash"]))
    };
    table["runs"].as_array().expect("runs").iter().map(of).collect()
}

/// Everything in a table but paths and times.
fn without_times(table: &Value) -> Value {
    let mut table = table.clone();
    (table["out"], table["seconds"]) = (Value::Null, Value::Null);
    for run in table["runs"].as_array_mut().expect("runs") {
        (run["seconds"], run["run"]) = (Value::Null, Value::Null);
    }
    table
}

#[test]
fn any_key_of_the_recipe_is_tried() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let words = "--epochs 1 --try optimizer.momentum=0,0.9 --try augment.flip=true,false --try training.ema=none,0.9";
    let table = sweep(at, "s", words);
    assert_eq!(table["runs"].as_array().expect("runs").len(), 8);
    let run = at.join("s/momentum-0.9-flip-true-ema-none");
    let recipe = std::fs::read_to_string(run.join("recipe.toml")).expect("a recipe");
    assert!(recipe.contains("momentum = 0.9") && recipe.contains("flip = true") && !recipe.contains("ema"), "{recipe}");
    let own =
        table["runs"].as_array().expect("runs").iter().find(|row| row["run"] == "s/momentum-0.9-flip-true-ema-none");
    let settings = &own.expect("a row")["settings"];
    assert_eq!(settings["training.ema"], Value::Null);
    assert_eq!((&settings["augment.flip"], &settings["optimizer.momentum"]), (&true.into(), &0.9.into()));
    let csv = std::fs::read_to_string(at.join("s/sweep.csv")).expect("a table");
    assert!(csv.starts_with("lr,batch_size,hidden,seed,augment.flip,optimizer.momentum,training.ema,epochs,"), "{csv}");
    // The flags for some keys are short forms.
    let short = hashes(&sweep(at, "a", "--epochs 1 --lr 0.1 --batch-size 16 --hidden 8 --seed 3"));
    let long = "--epochs 1 --try optimizer.lr=0.1 --try training.batch_size=16 --try model.hidden=[8] --try seed=3";
    assert_eq!(hashes(&sweep(at, "b", long))[0].1, short[0].1);
}

#[test]
fn what_is_no_sweep_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let cases: [(&str, &[&str]); 9] = [
        ("--try optimizer.momentom=1", &["`optimizer.momentom`; did you mean `optimizer.momentum`?", "optimizer.clip"]),
        ("--try optimizer.momentum=0.5,2", &["optimizer.momentum=2 cannot be tried", "from 0 to below 1"]),
        ("--try optimizer.lr=fast", &["optimizer.learning_rate=\"fast\"", "expected a number"]),
        ("--lr 0.1 --try lr=0.2", &["optimizer.learning_rate are given twice"]),
        ("--lr log:0.1..1", &["--search random"]),
        ("--search random --lr 0.1,0.2", &["--runs 20"]),
        ("--search halving --lr 0.1,0.2,0.3 --part 1/2", &["cannot share"]),
        ("--search halving --lr 0.1,0.2", &["at least 3 settings"]),
        ("--search halving --try training.epochs=9,10,11", &["same number of epochs"]),
    ];
    for (words, parts) in cases {
        is_refusal(&gpunn(at, &args("s", words)), 2, parts);
        assert!(!at.join("s").exists(), "{words}");
    }
}

#[test]
fn drawn_settings_repeat_and_more_runs_keep_the_first_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let words = "--epochs 1 --search random --lr log:1e-3..1 --try optimizer.momentum=uniform:0..0.9 --runs";
    let mut few = hashes(&sweep(at, "a", &format!("{words} 2")));
    let mut again = hashes(&sweep(at, "b", &format!("{words} 2")));
    let more = hashes(&sweep(at, "c", &format!("{words} 4")));
    let other = hashes(&sweep(at, "d", &format!("{words} 2 --sweep-seed 2")));
    few.sort();
    again.sort();
    assert_eq!(few, again);
    assert!(few.iter().all(|run| more.contains(run)) && more.len() == 4, "{more:?}");
    assert!(other.iter().all(|run| !more.contains(run)), "{other:?}");
}

const HALVING: &str = "--epochs 9 --search halving --lr 0.1,0.05,0.01 --hidden 8/16/32";

#[test]
fn halving_trains_the_best_further_and_nothing_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let table = sweep(at, "h", HALVING);
    let epochs: Vec<u64> =
        table["runs"].as_array().expect("runs").iter().map(|run| run["epochs"].as_u64().expect("a number")).collect();
    assert_eq!(epochs, [9, 3, 3, 1, 1, 1, 1, 1, 1]);
    let dropped = |run: &Value| run["dropped"] == true;
    assert_eq!(table["runs"].as_array().expect("runs").iter().filter(|run| dropped(run)).count(), 8);
    assert_eq!(table["rungs"].as_array().expect("rungs").len(), 3);

    // Each rung kept the best of what it compared: their accuracies after 1 and 3 epochs of a whole run.
    let grid = sweep(at, "g", "--epochs 9 --lr 0.1,0.05,0.01 --hidden 8/16/32");
    let after = |name: &str, epoch: usize| -> f64 {
        let lines = std::fs::read_to_string(at.join("g").join(name).join("metrics.jsonl")).expect("metrics");
        let line: Value = serde_json::from_str(lines.lines().nth(epoch - 1).expect("a line")).expect("JSON");
        line["val_accuracy"].as_f64().expect("a number")
    };
    let all = names(&at.join("h"));
    let runs: Vec<&String> = all.iter().filter(|name| name.starts_with("hidden")).collect();
    let trained = |name: &str, least: usize| {
        let lines = std::fs::read_to_string(at.join("h").join(name).join("metrics.jsonl")).expect("metrics");
        lines.lines().count() >= least
    };
    for (epoch, next, kept) in [(1, 3, 3), (3, 9, 1)] {
        let (on, off): (Vec<&String>, Vec<&String>) =
            runs.iter().filter(|name| trained(name, epoch)).partition(|name| trained(name, next));
        let worst = on.iter().map(|name| after(name, epoch)).fold(1.0, f64::min);
        assert_eq!(on.len(), kept);
        assert!(off.iter().all(|name| after(name, epoch) <= worst), "{on:?} {off:?}");
    }
    // What came to the end has the weights of a run without stops, and a dropped run can be trained to the same end.
    let whole = hashes(&grid);
    assert!(whole.contains(&hashes(&table)[0]), "{whole:?}");
    let (name, _) = hashes(&table).remove(8);
    let resumed = json(&gpunn(at, &["train", "--resume", &format!("h/{name}"), "--quiet", "--json", "--no-report"]));
    assert!(whole.contains(&(name, format!("9 {}", resumed["weights_hash"]))), "{whole:?}");
}

/// Kills a sweep again and again, as soon as it has written something new, and returns its table at the end.
fn killed(at: &Path, out: &str, words: &str) -> (Value, usize) {
    let lines = |at: &Path| -> usize {
        let runs = std::fs::read_dir(at.join(out)).into_iter().flatten().flatten();
        let texts = runs.filter_map(|run| std::fs::read_to_string(run.path().join("metrics.jsonl")).ok());
        texts.map(|text| text.lines().count()).sum()
    };
    for kills in 0.. {
        let before = lines(at);
        let mut program = command(at);
        program.args(args(out, words)).args(["--device", "cpu"]);
        let mut child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let begun = Instant::now();
        loop {
            if child.try_wait().expect("asked").is_some() {
                return (json(&child.wait_with_output().expect("its output")), kills);
            }
            assert!(begun.elapsed() < Duration::from_secs(120), "{out} does not go on");
            if lines(at) > before + 4 {
                child.kill().expect("it is killed");
                child.wait().expect("it ended");
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    unreachable!("a sweep comes to its end")
}

#[test]
fn killed_sweeps_end_with_the_same_table() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let grid = "--epochs 6 --lr 0.1,0.05 --hidden 32 --seed 1,2";
    for (out, words) in [("h", HALVING), ("g", grid)] {
        let whole = sweep(at, "whole", words);
        let (table, kills) = killed(at, out, words);
        assert!(kills > 0, "{out} was never killed");
        assert_eq!((hashes(&table), without_times(&table)), (hashes(&whole), without_times(&whole)));
        std::fs::remove_dir_all(at.join("whole")).expect("removed");
    }
}

#[test]
fn a_diverged_run_is_not_trained_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let words =
        ["sweep", "--limit-train", "72", "--epochs", "2", "--activation", "relu", "--lr", "0.01,1e30", "--out", "s"];
    let first = gpunn(folder.path(), &words);
    let again = gpunn(folder.path(), &words);
    assert!(first.status.success() && again.status.success(), "{}", text(&again.stderr));
    assert_eq!(text(&again.stderr).matches("already finished").count(), 2, "{}", text(&again.stderr));
    assert!(text(&again.stdout).contains("diverged"), "{}", text(&again.stdout));
}

#[test]
fn seeds_make_groups_that_are_judged() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let table = sweep(at, "s", "--epochs 5 --lr 0.1,0.0001 --seed 1,2,3");
    let groups = table["groups"].as_array().expect("groups");
    assert_eq!(groups.len(), 2);
    let accuracies = |group: &Value| -> Vec<f64> {
        let rate = &group["settings"]["optimizer.learning_rate"];
        let own = table["runs"].as_array().expect("runs").iter().filter(|run| run["lr"] == *rate);
        own.map(|run| run["val_accuracy"].as_f64().expect("a number")).collect()
    };
    for group in groups {
        let values = accuracies(group);
        let mean = values.iter().sum::<f64>() / 3.0;
        let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
        let near = |key: &str, wanted: f64| (group[key].as_f64().expect("a number") - wanted).abs() < 1e-12;
        assert!(near("mean", mean) && near("standard_error", deviation / 3.0_f64.sqrt()), "{group}");
        assert_eq!((group["runs"].as_u64(), values.len()), (Some(3), 3));
    }
    assert_eq!(groups[1]["difference"]["more_than_noise"], true, "{groups:?}");
    assert!(table["noise"].as_str().expect("a sentence").contains("more than noise"));
    let csv = std::fs::read_to_string(at.join("s/sweep.csv")).expect("a table");
    assert_eq!(csv.matches(",more than noise,").count(), 3, "{csv}");
    let page = std::fs::read_to_string(at.join("s/sweep.html")).expect("a page");
    assert!(page.contains("Settings with several runs") && page.contains("more than noise"));
    let shown = gpunn(
        at,
        &["sweep", "--limit-train", "180", "--epochs", "5", "--lr", "0.1,0.0001", "--seed", "1,2,3", "--out", "s"],
    );
    let shown = text(&shown.stdout);
    assert!(shown.contains("standard error") && shown.contains("better than the other one"), "{shown}");
    // Without a second seed nothing can be said.
    let single = sweep(at, "t", "--epochs 1 --lr 0.1,0.01");
    assert!(single["noise"].as_str().expect("a sentence").contains("cannot be judged"), "{single}");
    assert!(std::fs::read_to_string(at.join("t/sweep.html")).expect("a page").contains("cannot be judged"));
}

#[test]
fn parts_share_a_folder_and_the_last_one_writes_the_table() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let words = "--epochs 2 --lr 0.1,0.05,0.01 --seed 1,2";
    let whole = sweep(at, "whole", words);
    // One after the other: only the last one writes.
    for part in ["1/3", "3/3"] {
        let output = gpunn(at, &args("p", &format!("{words} --part {part}")));
        assert!(json(&output)["missing"].as_u64().is_some_and(|missing| missing > 0));
        assert!(!at.join("p/sweep.json").exists());
    }
    let last = sweep(at, "p", &format!("{words} --part 2/3"));
    assert_eq!((hashes(&last), without_times(&last)), (hashes(&whole), without_times(&whole)));
    // Together: when all have ended, the tables are there and whole.
    let part = |number: usize| {
        let words = format!("{words} --part {number}/3 --device cpu");
        command(at).args(args("q", &words)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
    };
    let parts = [1, 2, 3].map(part).map(|child| child.wait_with_output().expect("it ends"));
    assert!(parts.iter().all(|output| output.status.success()), "{}", text(&parts[0].stderr));
    assert!(parts.iter().any(|output| json(output)["missing"] == 0));
    let written: Value =
        serde_json::from_slice(&std::fs::read(at.join("q/sweep.json")).expect("a table")).expect("whole");
    assert_eq!((hashes(&written), without_times(&written)), (hashes(&whole), without_times(&whole)));
    assert!(at.join("q/sweep.html").is_file() && at.join("q/sweep.csv").is_file());
}

#[test]
fn folds_hold_out_each_image_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let words = ["train", "--folds", "3", "--limit-train", "180", "--epochs", "3", "--quiet", "--out", "f"];
    let table = json(&gpunn(at, &[&words[..], &["--json"]].concat()));
    let runs = table["runs"].as_array().expect("runs");
    assert_eq!(
        runs.iter().map(|run| run["run"].as_str().expect("a path")).collect::<Vec<_>>(),
        ["f/fold-1_3", "f/fold-2_3", "f/fold-3_3"]
    );
    for measure in ["val_accuracy", "val_loss", "test_accuracy", "train_loss"] {
        let values: Vec<f64> = runs.iter().map(|run| run[measure].as_f64().expect("a number")).collect();
        let mean = values.iter().sum::<f64>() / 3.0;
        let error = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 6.0).sqrt();
        let of = |key: &str| table["means"][measure][key].as_f64().expect("a number");
        assert!((of("mean") - mean).abs() < 1e-12 && (of("standard_error") - error).abs() < 1e-12, "{measure}");
    }
    // A fold is a run like others: it is evaluated on what it held out.
    let held: Vec<Value> = (1..=3)
        .map(|part| json(&gpunn(at, &["eval", &format!("f/fold-{part}_3"), "--split", "val", "--last", "--json"])))
        .collect();
    assert!(held.iter().zip(runs).all(|(held, run)| held["accuracy"] == run["val_accuracy"]), "{held:?}");
    let dataset = gpunn::data::glyphs::dataset();
    let all = dataset.train.len() + dataset.val.as_ref().expect("a split").len();
    assert_eq!(held.iter().map(|held| held["images"].as_u64().expect("a number")).sum::<u64>(), all as u64);
    let shown = text(&gpunn(at, &words).stdout);
    assert!(
        shown.contains("standard error") && shown.contains("val accuracy") && shown.contains("f/folds.csv"),
        "{shown}"
    );
    assert!(at.join("f/folds.html").is_file() && at.join("f/folds.json").is_file());
    // The same folds in a sweep are a group.
    let swept = sweep(at, "s", "--epochs 3 --folds 3");
    assert_eq!(swept["groups"][0]["runs"], 3);
    assert_eq!(swept["groups"][0]["mean"], table["means"]["val_accuracy"]["mean"]);
    is_refusal(&gpunn(at, &["train", "--folds", "1"]), 2, &["at least 2"]);
    is_refusal(&gpunn(at, &["train", "--folds", "3", "--val-fraction", "0.2"]), 2, &["--val-fraction"]);
}

/// A run of a fold that goes on after a file was removed holds out what it held out before.
#[test]
fn a_fold_keeps_its_images_when_files_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    for (class, level) in [("cats", 40), ("dogs", 200)] {
        std::fs::create_dir_all(at.join("pets").join(class)).expect("a class");
        for number in 0..12 {
            let image = image::RgbImage::from_pixel(16, 16, image::Rgb([level, level + number, 9 * number]));
            image.save(at.join("pets").join(class).join(format!("{number}.png"))).expect("an image");
        }
    }
    let words = |epochs: &'static str, out: &'static str| {
        let fixed =
            ["train", "pets", "--model", "mlp", "--folds", "3", "--size", "16", "--epochs", epochs, "--out", out];
        gpunn(at, &fixed)
    };
    assert!(words("1", "half").status.success() && words("2", "f").status.success());
    let run = at.join("f/fold-1_3");
    for name in ["last.safetensors", "metrics.jsonl"] {
        std::fs::copy(at.join("half/fold-1_3").join(name), run.join(name)).expect("copied");
    }
    std::fs::remove_file(run.join("summary.json")).expect("removed");
    let held = || -> Vec<String> {
        let images: Value =
            serde_json::from_slice(&std::fs::read(run.join("images.json")).expect("a list")).expect("JSON");
        let files = images["val"].as_array().expect("files").iter();
        files.map(|file| file["path"].as_str().expect("a path").to_owned()).collect()
    };
    let before = held();
    let gone =
        (0..12).map(|number| format!("cats/{number}.png")).find(|name| !before.iter().any(|path| path.ends_with(name)));
    std::fs::remove_file(at.join("pets").join(gone.expect("a trained image"))).expect("removed");
    let output = words("2", "f");
    assert!(
        text(&output.stderr).contains("1 image gone; the images that the run held out are still held out"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!((held(), output.status.success()), (before, true));
}
