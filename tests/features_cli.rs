//! What uses trained networks on images beside `predict`: features, similar images, ensembles, and the mean of weights.

use std::path::Path;

use gpunn::formats::npy;
use gpunn::runs::RunDirectory;
use gpunn::train::Checkpoint;

use crate::common::files::pictures;
use crate::common::{gpunn, gpunn_on_cpu, is_refusal, json, names, text};

/// Trains a run on the images `pics` of a folder, for so many epochs.
fn train(at: &Path, run: &str, epochs: &str, more: &[&str]) {
    let train = ["train", "pics", "--epochs", epochs, "--batch-size", "4", "--no-report", "--json", "--out", run];
    json(&gpunn_on_cpu(at, &[&train[..], more].concat()));
}

fn rows(path: &Path) -> (usize, Vec<Vec<f32>>) {
    let found = npy::read(path).expect("an array");
    let &[rows, width] = &found.dims[..] else { panic!("{:?}", found.dims) };
    (rows, found.values.chunks(width).map(<[f32]>::to_vec).collect())
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn features_are_an_array_and_a_list_of_images() {
    let folder = pictures(15);
    let at = folder.path();
    train(at, "run", "3", &[]);
    std::fs::rename(at.join("pics/dark/7.png"), at.join("pics/dark/7, or so.png")).expect("renamed");
    let told = json(&gpunn_on_cpu(at, &["embed", "run", "pics", "--out", "made/features.npy", "--json"]));
    let width = told["features"].as_u64().expect("a number") as usize;
    assert_eq!((told["images"].as_u64(), told["files"].as_array().map(Vec::len)), (Some(30), Some(30)));
    assert_eq!(names(&at.join("made")), ["features.csv", "features.npy"]);
    let (count, features) = rows(&at.join("made/features.npy"));
    assert_eq!((count, features.len(), features[0].len()), (30, 30, width));
    let list = std::fs::read_to_string(at.join("made/features.csv")).expect("a list").replace('\\', "/");
    let list: Vec<&str> = list.lines().collect();
    assert_eq!((list[0], list[1], list.len()), ("image", "pics/bright/0.png", 31));
    assert!(list.contains(&"\"pics/dark/7, or so.png\""), "{list:?}");

    // The row of an image is what it has alone, and what the library gives.
    let alone = ["embed", "run", "pics/dark/3.png", "--out", "one.npy", "--quiet"];
    let said = gpunn_on_cpu(at, &alone);
    assert_eq!(text(&said.stdout).trim(), format!("one.npy: 1 x {width}, the images are listed in one.csv"));
    let place = list.iter().position(|line| line.ends_with("dark/3.png")).expect("listed") - 1;
    assert_eq!(rows(&at.join("one.npy")).1[0], features[place]);

    json(&gpunn_on_cpu(at, &["embed", "run", "pics", "--out", "unit.npy", "--normalize", "--json"]));
    for (unit, whole) in rows(&at.join("unit.npy")).1.iter().zip(&features) {
        let length = unit.iter().map(|value| value * value).sum::<f32>().sqrt();
        assert!((length - 1.0).abs() < 1e-5 && (cosine(unit, whole) - 1.0).abs() < 1e-5, "{length}");
    }
}

#[test]
fn images_that_cannot_be_decoded_are_left_out_of_both_files_or_end_the_command() {
    let folder = pictures(6);
    let at = folder.path();
    train(at, "run", "1", &[]);
    std::fs::write(at.join("pics/bright/2.png"), b"no image").expect("written");
    let embed = ["embed", "run", "pics", "--out", "features.npy"];
    is_refusal(&gpunn_on_cpu(at, &embed), 1, &["2.png is not an image"]);
    assert!(!at.join("features.npy").exists() && !at.join("features.csv").exists());
    let said = gpunn_on_cpu(at, &[&embed[..], &["--skip-bad"]].concat());
    assert!(text(&said.stderr).contains("1 image that cannot be decoded was skipped"), "{}", text(&said.stderr));
    let list = std::fs::read_to_string(at.join("features.csv")).expect("a list");
    assert_eq!((rows(&at.join("features.npy")).0, list.lines().count()), (11, 12));
    assert!(!list.contains("bright/2.png") && !list.contains("bright\\2.png"));
    let only = gpunn_on_cpu(at, &["embed", "run", "pics/bright/2.png", "--out", "none.npy", "--skip-bad"]);
    is_refusal(&only, 1, &["No image could be decoded"]);
    assert!(!at.join("none.npy").exists());
    is_refusal(&gpunn(at, &["embed", "run", "pics", "--out", "x.txt"]), 2, &["ends in .npy"]);
    is_refusal(&gpunn(at, &["embed", "run", "--out", "x.npy"]), 2, &["No images were given after the run run"]);
}

#[test]
fn similar_images_are_those_with_similar_features() {
    let folder = pictures(12);
    let at = folder.path();
    train(at, "run", "3", &[]);
    let similar = ["similar", "run", "pics/dark/4.png", "--in", "pics", "--top", "5"];
    let told = json(&gpunn_on_cpu(at, &[&similar[..], &["--json", "--sheet", "made/similar.png"]].concat()));
    assert_eq!((told["compared"].as_u64(), told["image"].as_str()), (Some(23), Some("pics/dark/4.png")));
    let found = told["similar"].as_array().expect("a list");
    let file = |found: &serde_json::Value| found["image"].as_str().expect("a name").replace('\\', "/");
    assert!(found.len() == 5 && found.iter().all(|found| file(found).starts_with("pics/dark/")), "{found:?}");
    assert!(found.iter().all(|found| file(found) != "pics/dark/4.png"));
    // The same as from the array.
    json(&gpunn_on_cpu(at, &["embed", "run", "pics", "--out", "features.npy", "--json"]));
    let list = std::fs::read_to_string(at.join("features.csv")).expect("a list").replace('\\', "/");
    let list: Vec<&str> = list.lines().skip(1).collect();
    let features = rows(&at.join("features.npy")).1;
    let own = list.iter().position(|&name| name == "pics/dark/4.png").expect("listed");
    let mut wanted: Vec<(f32, &str)> =
        (0..list.len()).filter(|&at| at != own).map(|at| (cosine(&features[own], &features[at]), list[at])).collect();
    wanted.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (found, (similarity, _)) in found.iter().zip(&wanted) {
        assert!((found["similarity"].as_f64().expect("a number") as f32 - similarity).abs() < 1e-5, "{found}");
    }
    let sheet = image::open(at.join("made/similar.png")).expect("a sheet");
    // Two rows of up to four images of 192 pixels.
    assert_eq!(sheet.width(), 4 * (192 + 12) + 4);
    assert!(sheet.height() > 2 * 192);
    let lines = text(&gpunn_on_cpu(at, &similar).stdout);
    assert!(lines.lines().count() == 5 && lines.starts_with(" 0.9") || lines.starts_with(" 1.0"), "{lines}");
}

#[test]
fn wrong_arguments_of_similar_are_sentences() {
    let folder = pictures(2);
    let at = folder.path();
    let refused = |args: &[&str], code: i32, parts: &[&str]| is_refusal(&gpunn_on_cpu(at, args), code, parts);
    refused(&["similar", "pics", "--in", "pics"], 2, &["pics is a folder, but one image is needed"]);
    refused(&["similar", "pics/*/?.png", "--in", "pics"], 2, &["names 4 images, but one is needed"]);
    let one = "pics/dark/0.png";
    refused(&["similar", one, "--in", one], 2, &["--in names no other image than pics/dark/0.png"]);
    refused(
        &["similar", one, "--in", "pics"],
        2,
        &["Without a run or --model, the network is squeezenet", "gpunn weights get"],
    );
    refused(&["similar", "--model", "squeezenet", one, one, "--in", "pics"], 2, &["take the place of a run"]);
    refused(&["similar", one], 2, &["--in <FOLDER>"]);
    refused(&["similar", one, "--in", "nowhere"], 1, &["nowhere"]);
}

#[test]
fn runs_answer_together() {
    let folder = pictures(12);
    let at = folder.path();
    let few = ["--val-fraction", "0.25", "--lr", "0.0003"];
    train(at, "a", "1", &[&few[..], &["--seed", "1"]].concat());
    train(at, "b", "1", &[&few[..], &["--seed", "2"]].concat());
    let bright = |args: &[&str]| -> Vec<f64> {
        let told = json(&gpunn_on_cpu(at, &[&["predict"], args, &["pics", "--top", "2", "--json"]].concat()));
        let of = |answer: &serde_json::Value| {
            let found = answer["likeliest"].as_array().expect("a list").iter().find(|class| class["class"] == "bright");
            found.expect("a class")["confidence"].as_f64().expect("a number")
        };
        told["predictions"].as_array().expect("a list").iter().map(of).collect()
    };
    let (a, b, both) = (bright(&["a"]), bright(&["b"]), bright(&["a", "--ensemble", "b"]));
    assert_ne!(a, b);
    for (at, mean) in both.iter().enumerate() {
        assert!((mean - (a[at] + b[at]) / 2.0).abs() < 1e-6, "{at}: {mean}");
    }
    assert_eq!(bright(&["a", "--ensemble", "a,a"]), a);

    // The evaluation says the same as the answers.
    let all = gpunn_on_cpu(at, &["eval", "a", "--ensemble", "b", "--dataset", "pics", "--json"]);
    let told = json(&all);
    assert_eq!((told["networks"].as_u64(), told["images"].as_u64()), (Some(2), Some(24)));
    assert!(!text(&all.stderr).contains("warning"), "{}", text(&all.stderr));
    let right = |at: usize, bright: f64| if at < 12 { bright } else { 1.0 - bright };
    let losses = both.iter().enumerate().map(|(at, &bright)| -right(at, bright).ln());
    let loss = losses.sum::<f64>() / 24.0;
    assert!((told["loss"].as_f64().expect("a number") - loss).abs() < 1e-4, "{told} {loss}");
    let correct = both.iter().enumerate().filter(|&(at, &bright)| right(at, bright) > 0.5).count();
    assert!((told["accuracy"].as_f64().expect("a number") - correct as f64 / 24.0).abs() < 1e-9);
    let mistakes = told["mistakes"].as_array().expect("a list");
    assert_eq!(mistakes.len(), 24 - correct);
    // Of one network the ensemble's evaluation is its own.
    let same = |args: &[&str]| {
        let mut told = json(&gpunn_on_cpu(at, &[&["eval", "a", "--dataset", "pics", "--json"], args].concat()));
        for of_mean in ["networks", "loss", "measures"] {
            told[of_mean].take();
        }
        told
    };
    assert_eq!(same(&[]), same(&["--ensemble", "a"]));

    // Another seed held out other images.
    let val = gpunn_on_cpu(at, &["eval", "a", "--ensemble", "b", "--split", "val"]);
    assert!(
        text(&val.stderr).contains("with the seed 2 held out other images than the first one"),
        "{}",
        text(&val.stderr)
    );
    assert!(text(&val.stdout).contains("mean of 2 networks"), "{}", text(&val.stdout));
}

#[test]
fn networks_that_differ_do_not_answer_together() {
    let folder = pictures(6);
    let at = folder.path();
    train(at, "run", "1", &[]);
    train(at, "small", "1", &["--size", "36"]);
    std::fs::rename(at.join("pics/dark"), at.join("pics/night")).expect("renamed");
    train(at, "others", "1", &[]);
    let image = "pics/night/0.png";
    for command in [&["predict", "run", image][..], &["eval", "run"]] {
        let refused = |other: &str, parts: &[&str]| {
            is_refusal(&gpunn_on_cpu(at, &[command, &["--ensemble", other]].concat()), 2, parts);
        };
        refused("others", &["The network of others cannot answer together", "new: night; missing: dark"]);
        refused("small", &["The network of small", "its images are [3, 36, 36] instead of ["]);
        refused("nowhere", &["There is no run directory nowhere"]);
    }
    let mean = gpunn_on_cpu(at, &["average", "run", "others", "--out", "mean"]);
    is_refusal(&mean, 2, &["The weights of others cannot be averaged with those of run", "new: night", "--ensemble"]);
    is_refusal(&gpunn_on_cpu(at, &["average", "run", "--out", "mean"]), 2, &["2 values required"]);
    is_refusal(&gpunn_on_cpu(at, &["average", "run", "run", "--out", "small"]), 2, &["small is already in use"]);
    assert!(!at.join("mean").exists());
}

#[test]
fn a_mean_of_weights_is_a_run() {
    let folder = pictures(12);
    let at = folder.path();
    // A common start, with batch norm.
    train(at, "start", "1", &["--model", "resnet9", "--size", "32"]);
    assert!(gpunn(at, &["export", "start", "--out", "start.safetensors"]).status.success());
    for seed in ["1", "2"] {
        let tune = ["--model", "resnet9", "--size", "32", "--pretrained", "start.safetensors", "--unfreeze", "all"];
        train(at, seed, "2", &[&tune[..], &["--seed", seed, "--val-fraction", "0"]].concat());
    }
    // A run gives the weights that are exported from it.
    let of_run = ["--model", "resnet9", "--size", "32", "--pretrained", "start", "--unfreeze", "all"];
    train(at, "from-run", "2", &[&of_run[..], &["--seed", "1", "--val-fraction", "0"]].concat());
    let hash = |run: &str| {
        RunDirectory::open(&at.join(run)).and_then(|run| run.summary()).expect("read").expect("a summary").weights_hash
    };
    assert_eq!(hash("from-run"), hash("1"));
    let told = gpunn_on_cpu(at, &["average", "1", "2", "--out", "mean"]);
    assert!(told.status.success() && !text(&told.stderr).contains("warning"), "{}", text(&told.stderr));
    assert_eq!(text(&told.stdout).trim(), "the mean of 2 networks as the run mean");
    let weights =
        |run: &str| RunDirectory::open(&at.join(run)).and_then(|run| run.best_or_last()).expect("a checkpoint");
    let [one, two, mean] = ["1", "2", "mean"].map(weights);
    let values = |of: &Checkpoint, name: &str| of.tensors[name].1.clone();
    let statistic = mean.tensors.keys().find(|name| name.ends_with("running_var")).expect("batch norm").clone();
    for name in [mean.tensors.keys().next().expect("a tensor"), &statistic] {
        for (at, value) in values(&mean, name).into_iter().enumerate() {
            let wanted = (values(&one, name)[at] + values(&two, name)[at]) / 2.0;
            assert!((value - wanted).abs() <= 1e-6 * wanted.abs().max(1e-3), "{name}: {value} {wanted}");
        }
    }
    // All commands accept it.
    let evaluated = json(&gpunn_on_cpu(at, &["eval", "mean", "--json"]));
    assert_eq!(evaluated["images"], 24);
    let report = gpunn_on_cpu(at, &["report", "mean"]);
    assert!(report.status.success() && at.join("mean/report.html").is_file(), "{}", text(&report.stderr));

    let again = ["average", "1", "2", "--out", "again", "--recompute-batch-norm", "--json"];
    let told = json(&gpunn_on_cpu(at, &again));
    assert_eq!((told["run"].as_str(), told["batch_norm_images"].as_u64()), (Some("again"), Some(24)));
    let again = weights("again");
    let learned = mean.tensors.keys().find(|name| name.ends_with(".weight")).expect("a weight");
    assert_eq!(values(&again, learned), values(&mean, learned));
    assert_ne!(values(&again, &statistic), values(&mean, &statistic));

    // Other starts are warned of.
    train(at, "3", "1", &["--model", "resnet9", "--size", "32", "--seed", "3", "--val-fraction", "0"]);
    let told = gpunn_on_cpu(at, &["average", "3", "start", "--out", "guess"]);
    let said = text(&told.stderr);
    assert!(told.status.success() && said.contains("seem to have begun at different random weights"), "{said}");
}
