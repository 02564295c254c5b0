//! The command line: the fields of `--json`, and each kind of bad input.

use std::path::Path;

use crate::common::{gpunn, is_refusal, json, names, text};

fn fields(value: &serde_json::Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// Asserts that the command fails with this exit code and a message that contains `part`, without a panic, and leaves no
/// files.
#[track_caller]
fn refused(args: &[&str], code: i32, part: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    refused_in(folder.path(), args, code, part);
    // The cache remembers that the drivers of GPUs were tried.
    assert!(names(folder.path()).iter().all(|name| name == "cache"), "{args:?} left something");
}

#[track_caller]
fn refused_in(folder: &Path, args: &[&str], code: i32, part: &str) {
    is_refusal(&gpunn(folder, args), code, &[part]);
}

const SMALL: [&str; 8] = ["--device", "cpu", "--limit-train", "720", "--epochs", "2", "--out", "run"];

fn small(more: &[&str]) -> Vec<&'static str> {
    ["train"].iter().chain(&SMALL).copied().chain(more.iter().map(|word| &*word.to_string().leak())).collect()
}

/// Flags for augmentation and averages: they are written to the run's recipe, change the result, and give the same result
/// as a recipe with the same section.
#[test]
fn augmentation_is_asked_for_by_flags() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let hash = |more: &[&str], out: &str| {
        let mut args = small(more);
        args[8] = out.to_string().leak();
        json(&gpunn(at, &args))["weights_hash"].clone()
    };
    let flags = ["--flip=alternate", "--translate", "2", "--padding", "reflect", "--scale", "0.9,1.1", "--json"];
    let changed = hash(&[&flags[..], &["--tta", "shift-only"]].concat(), "flags");
    let recipe = std::fs::read_to_string(at.join("flags/recipe.toml")).expect("a recipe");
    for line in
        ["flip = \"alternate\"", "translate = 2", "padding = \"reflect\"", "scale = [0.9, 1.1]", "\"shift-only\""]
    {
        assert!(recipe.contains(line), "{line} in {recipe}");
    }
    let again = hash(&["--recipe", "flags/recipe.toml", "--json"], "recipe");
    assert_eq!(changed, again);
    assert_ne!(changed, hash(&["--json"], "plain"));
    // A flag changes one field of the recipe's section and leaves the others.
    hash(&["--recipe", "flags/recipe.toml", "--cutout", "4", "--json"], "more");
    let recipe = std::fs::read_to_string(at.join("more/recipe.toml")).expect("a recipe");
    assert!(recipe.contains("cutout = 4") && recipe.contains("translate = 2"), "{recipe}");
    let loss = |tta: &[&str]| {
        json(&gpunn(at, &[&["eval", "plain", "--device", "cpu", "--json"], tta].concat()))["loss"].clone()
    };
    assert_ne!(loss(&["--tta", "shift"]), loss(&[]));
    let sheet = gpunn(at, &["data", "preview", "glyphs", "--rotate", "20", "--per-class", "2", "--out", "sheet.png"]);
    assert!(sheet.status.success() && at.join("sheet.png").is_file(), "{}", text(&sheet.stderr));
    let parts = ["--resized-crop=0.3,1", "--stroke", "0.5", "--noise", "0.1", "--per-class", "2", "--out", "parts.png"];
    let sheet = gpunn(at, &[&["data", "preview", "glyphs"][..], &parts].concat());
    assert!(sheet.status.success() && at.join("parts.png").is_file(), "{}", text(&sheet.stderr));
    refused_in(at, &["train", "--resized-crop", "--rotate", "5"], 2, "resized_crop goes with");
    refused_in(at, &["train", "--resized-crop=0,1"], 2, "first scale");
    refused_in(at, &["train", "--saturation", "0.5"], 2, "in colour");
    refused_in(at, &["train", "--resized-crop", "--saturation", "0.5"], 2, "in colour");
    refused_in(at, &["train", "--noise", "-1"], 2, "noise");
    refused_in(at, &["train", "--flip=sometimes"], 2, "alternate");
    refused_in(at, &["train", "--scale", "0.9"], 2, "0.9,1.1");
    refused_in(at, &["train", "--rotate", "-1"], 2, "rotate");
    refused_in(at, &["train", "--resume", "plain", "--cutout", "3"], 2, "cannot be used with");
    refused_in(at, &["eval", "plain", "--tta", "filp"], 2, "shift-only");
}

#[test]
fn train_eval_predict_and_resume_print_their_fields() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let summary = json(&gpunn(at, &small(&["--json"])));
    let wanted = [
        "run",
        "recipe",
        "model",
        "dataset",
        "executor",
        "device",
        "epochs",
        "seconds",
        "train_loss",
        "train_accuracy",
        "val_loss",
        "val_accuracy",
        "test_loss",
        "test_accuracy",
        "best_val_accuracy",
        "best_epoch",
        "weights_hash",
        "parameters",
        "planned_bytes",
        "version",
    ];
    let mut sorted = wanted.to_vec();
    sorted.sort_unstable();
    assert_eq!(fields(&summary), sorted);
    assert_eq!((&summary["executor"], &summary["epochs"]), (&"cpu".into(), &2.into()));
    for name in ["recipe.toml", "metrics.jsonl", "last.safetensors", "best.safetensors", "summary.json"] {
        assert!(at.join("run").join(name).is_file(), "{name}");
    }
    let lines = std::fs::read_to_string(at.join("run/metrics.jsonl")).expect("metrics");
    let line: serde_json::Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    assert_eq!(
        fields(&line),
        ["epoch", "images_per_second", "lr", "seconds", "train_accuracy", "train_loss", "val_accuracy", "val_loss"]
    );

    let test = json(&gpunn(at, &["eval", "run", "--device", "cpu", "--json"]));
    let wanted = "accuracy confusion dataset epoch images loss measures mistakes networks per_class split".split(' ');
    assert_eq!(fields(&test), wanted.collect::<Vec<_>>());
    let measures = &test["measures"];
    assert_eq!((&measures["accuracy"], &measures["images"]), (&test["accuracy"], &test["images"]));
    assert_eq!(measures["classes"].as_array().expect("classes")[9]["recall"], test["per_class"][9]);
    assert_eq!(test["accuracy"], summary["test_accuracy"]);
    assert_eq!((&test["split"], &test["images"]), (&"test".into(), &1800.into()));
    let confusion = test["confusion"].as_array().expect("rows");
    let images: u64 = confusion.iter().flat_map(|row| row.as_array().expect("a row")).filter_map(|n| n.as_u64()).sum();
    assert_eq!((confusion.len(), images), (36, 1800));
    assert_eq!(test["per_class"].as_array().expect("classes").len(), 36);

    let mut page = image::GrayImage::from_pixel(60, 80, image::Luma([255]));
    (10..70).for_each(|y| (28..33).for_each(|x| page.put_pixel(x, y, image::Luma([0]))));
    page.save(at.join("i.png")).expect("saved");
    let answer = json(&gpunn(at, &["predict", "run", "i.png", "i.png", "--device", "cpu", "--json"]));
    let first = &answer["predictions"][0];
    assert_eq!(fields(first), ["class", "confidence", "image", "index"]);
    assert_eq!(answer["predictions"][1]["class"], first["class"]);
    let plain = gpunn(at, &["predict", "run", "i.png", "--device", "cpu"]);
    assert!(text(&plain.stdout).starts_with("i.png: "), "{}", text(&plain.stdout));

    // More epochs give the same result as a run with this number of epochs from the start.
    let longer = json(&gpunn(at, &["train", "--resume", "run", "--epochs", "3", "--device", "cpu", "--json"]));
    let mut whole = small(&["--json"]);
    (whole[6], whole[8]) = ("3", "whole");
    assert_eq!(json(&gpunn(at, &whole))["weights_hash"], longer["weights_hash"]);

    // The folder of a run is not overwritten without --force.
    let before = std::fs::read(at.join("run/last.safetensors")).expect("bytes");
    refused_in(at, &small(&[]), 2, "--force");
    assert_eq!(std::fs::read(at.join("run/last.safetensors")).expect("bytes"), before);
    let again = json(&gpunn(at, &small(&["--force", "--threads", "1", "--json"])));
    assert_eq!(again["weights_hash"], summary["weights_hash"]);

    // Damaged checkpoints.
    std::fs::write(at.join("run/last.safetensors"), &before[..before.len() / 2]).expect("written");
    refused_in(at, &["eval", "run", "--last", "--device", "cpu"], 1, "not a valid checkpoint");
    refused_in(at, &["train", "--resume", "run", "--device", "cpu"], 1, "not a valid checkpoint");
    std::fs::write(at.join("text.png"), "no image").expect("written");
    refused_in(at, &["predict", "whole", "text.png", "--device", "cpu"], 1, "text.png is not an image");
    refused_in(at, &["predict", "whole", "gone.png", "--device", "cpu"], 1, "gone.png");
    refused_in(at, &["train", "--resume", "whole", "--epochs", "1", "--device", "cpu"], 2, "already has 3 epochs");
    refused_in(at, &["eval", "whole", "--split", "tests"], 2, "train, val and test");
}

#[test]
fn names_that_do_not_exist_are_answered_with_the_nearest() {
    refused(&["train", "--recipe", "nist36-mpl"], 2, "`nist36-mlp`");
    refused(&["train", "--recipe", "gone.toml"], 2, "gone.toml");
    refused(&["train", "--model", "mpl"], 2, "`mlp`");
    refused(&["train", "--dataset", "glyps"], 2, "`glyphs`");
    refused(&["train", "--device", "cpuu"], 2, "`cpu`");
    refused(&["train", "--device", "99"], 2, "index 99");
    refused(&["train", "--optimizer", "adm"], 2, "`adam`");
    refused(&["train", "--schedule", "cosin"], 2, "`cosine`");
    refused(&["train", "--activation", "sigmod"], 2, "`sigmoid`");
    refused(&["summary", "--model", "autoencodr"], 2, "`autoencoder`");
    refused(&["eval", "nowhere"], 2, "nowhere");
    refused(&["train", "--resume", "nowhere"], 2, "nowhere");
    refused(&["train", "--dataset", "emnist36", "--data-dir", "nowhere"], 2, "nowhere");
}

#[test]
fn numbers_that_cannot_train_are_refused_before_anything_is_written() {
    for rate in ["-0.1", "0", "nan", "inf"] {
        refused(&["train", "--lr", rate], 2, "learning rate");
    }
    refused(&["train", "--epochs", "0"], 2, "epochs");
    refused(&["train", "--batch-size", "0"], 2, "batch");
    refused(&["train", "--momentum", "1.5"], 2, "Momentum");
    refused(&["train", "--weight-decay", "-1"], 2, "weight decay");
    refused(&["train", "--clip", "0"], 2, "clip");
    refused(&["train", "--hidden", "0", "--device", "cpu"], 2, "at least 1");
    refused(&["train", "--threads", "0", "--device", "cpu"], 2, "threads");
    refused(&["train", "--limit-train", "0"], 2, "limit");
    refused(&["train", "--val-fraction", "2"], 2, "between 0 and 1");
    refused(
        &["train", "--recipe", "nist36-mlp", "--dataset", "glyphs", "--limit-train", "5", "--device", "cpu"],
        2,
        "batch of 8",
    );
    // The folder cannot be made, because a file has the name of its parent folder.
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("file"), "").expect("written");
    refused_in(folder.path(), &["train", "--device", "cpu", "--out", "file/run", "--epochs", "1"], 1, "file/run");
}

/// With the lower learning rate the weights are NaN, but ReLU hides this from the loss. With the higher one the loss shows
/// it.
#[test]
fn a_run_that_diverges_is_a_sentence_and_keeps_no_broken_weights() {
    for (limit, rate) in [("500", "1e20"), ("2000", "1e38")] {
        let folder = tempfile::tempdir().expect("a folder");
        let learning = ["train", "--model", "cnn", "--dataset", "glyphs", "--limit-train", limit, "--epochs", "1"];
        let args = [&learning[..], &["--lr", rate, "--device", "cpu", "--out", "run"]].concat();
        refused_in(folder.path(), &args, 1, "The run has diverged: numbers are no longer finite after step");
        assert!(!folder.path().join("run/last.safetensors").exists(), "{rate}");
    }
}

#[test]
fn a_summary_counts_what_the_layers_hold() {
    let folder = tempfile::tempdir().expect("a folder");
    let summary = json(&gpunn(folder.path(), &["summary", "--model", "mlp", "--json"]));
    assert_eq!(summary["parameters"], 67_940);
    let layers = summary["layers"].as_array().expect("layers");
    let sum: u64 = layers.iter().filter_map(|layer| layer["parameters"].as_u64()).sum();
    assert_eq!(sum, 67_940);
    assert!(summary["step_time"].is_null());
    let bytes = |key: &str| summary[key].as_u64().expect(key);
    // The constants of the graph are neither.
    assert!(
        bytes("activation_bytes") > 0
            && bytes("activation_bytes") + bytes("persistent_bytes") <= bytes("planned_bytes")
    );
    assert!(text(&gpunn(folder.path(), &["summary"]).stdout).contains("planned memory"));
}

#[test]
fn a_summary_times_a_step_on_the_device() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = ["summary", "--time", "--device", "cpu"];
    let summary = json(&gpunn(folder.path(), &[&at[..], &["--model", "mlp", "--json"]].concat()));
    let time = &summary["step_time"];
    assert!(time["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{time}");
    assert!(time["device"].as_str().is_some_and(|device| device.starts_with("CPU")), "{time}");
    assert_eq!(time["images"], summary["batch_size"]);
    // Of a large network, only some images are timed.
    let large = ["--model", "resnet18", "--input", "3x160x160", "--batch-size", "512"];
    let lines = text(&gpunn(folder.path(), &[&at[..], &large].concat()).stdout);
    assert!(lines.contains(" ms on CPU") && lines.contains("estimated from a step of "), "{lines}");
}

#[test]
fn an_mlp_learns_glyphs() {
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["train", "--device", "cpu", "--epochs", "6", "--json"];
    let summary = json(&gpunn(folder.path(), &args));
    let accuracy = summary["val_accuracy"].as_f64().expect("a fraction");
    assert!(accuracy > 0.75, "{accuracy}");
    assert!(summary["run"].as_str().expect("a path").starts_with("runs"));
}

/// Ctrl-C ends a run after the current step. The resumed run ends with the same bits as a run that was not interrupted.
#[cfg(unix)]
#[test]
fn ctrl_c_keeps_a_checkpoint_to_go_on_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let args = ["train", "--device", "cpu", "--limit-train", "720", "--epochs", "100000", "--out", "run"];
    let mut child = crate::common::command(at);
    let child = child.args(args).stderr(std::process::Stdio::piped()).spawn().expect("begun");
    let metrics = at.join("run/metrics.jsonl");
    let begun = std::time::Instant::now();
    while std::fs::read_to_string(&metrics).map_or(0, |text| text.lines().count()) < 2 {
        assert!(begun.elapsed().as_secs() < 60, "no epoch within a minute");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("sent");
    assert!(sent.success());
    let output = child.wait_with_output().expect("ended");
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{error}");
    assert!(error.contains("gpunn train --resume run"), "{error}");
    let done = std::fs::read_to_string(&metrics).expect("metrics").lines().count();
    let epochs = (done + 2).to_string();
    let rest = json(&gpunn(at, &["train", "--resume", "run", "--epochs", &epochs, "--device", "cpu", "--json"]));
    let mut whole = small(&["--json"]);
    (whole[6], whole[8]) = (Box::leak(epochs.into_boxed_str()), "whole");
    assert_eq!(json(&gpunn(at, &whole))["weights_hash"], rest["weights_hash"]);
}

/// A run that is killed in its first epoch, as by a second Ctrl-C, is resumed from its initial state.
#[test]
fn a_run_that_is_killed_in_its_first_epoch_is_resumed() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let train = "train --model cnn --limit-train 720 --epochs 1 --device cpu --json --quiet --no-report --out";
    let args = |out: &'static str| train.split(' ').chain([out]).collect::<Vec<_>>();
    let mut child = crate::common::command(at).args(args("run")).spawn().expect("begun");
    let begun = std::time::Instant::now();
    while !at.join("run/initial.safetensors").is_file() {
        assert!(begun.elapsed().as_secs() < 60, "no state within a minute");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert!(!at.join("run/last.safetensors").exists(), "the epoch was too short for this test");
    // Untrained weights are not used.
    is_refusal(&gpunn(at, &["eval", "run", "--device", "cpu", "--quiet"]), 2, &["--resume run"]);
    let rest = json(&gpunn(at, &["train", "--resume", "run", "--device", "cpu", "--json", "--no-report", "--quiet"]));
    assert_eq!(rest["weights_hash"], json(&gpunn(at, &args("whole")))["weights_hash"]);
    assert!(!at.join("run/initial.safetensors").exists() && !at.join("whole/initial.safetensors").exists());
}

#[test]
fn a_profile_on_the_cpu_is_a_table_and_a_trace_and_leaves_the_run_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let plain = json(&gpunn(folder.path(), &small(&["--json"])));
    let output = gpunn(folder.path(), &small(&["--json", "--quiet", "--force", "--profile"]));
    let profiled = json(&output);
    assert_eq!(plain["weights_hash"], profiled["weights_hash"]);
    let table = text(&output.stderr);
    let mut lines = table.lines();
    assert!(lines.next().is_some_and(|head| head.starts_with("kernel ") && head.ends_with("GB/s")), "{table}");
    assert!(lines.any(|line| line.starts_with("softmax_cross_entropy_backward ")), "{table}");
    let trace = std::fs::read(folder.path().join("run/trace.json")).expect("a trace");
    let trace: serde_json::Value = serde_json::from_slice(&trace).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("events");
    let start = |event: &serde_json::Value| event["ts"].as_f64().expect("a number");
    assert!(events.len() > 20 && start(&events[0]) == 0.0 && events.is_sorted_by(|a, b| start(a) <= start(b)));
}

/// Half precision needs matrix units. Without them the run says so, and is the run in single precision.
#[test]
fn half_precision_without_matrix_units_is_single_precision_and_says_so() {
    refused(&small(&["--precision", "f61"]), 2, "did you mean `f16`?");
    let folder = tempfile::tempdir().expect("a folder");
    let single = json(&gpunn(folder.path(), &small(&["--json", "--no-report"])));
    let mut args = small(&["--json", "--no-report", "--precision", "f16"]);
    args[8] = "half";
    let output = gpunn(folder.path(), &args);
    assert!(text(&output.stderr).contains("f16 was asked for, but CPU"), "{}", text(&output.stderr));
    assert_eq!(json(&output)["weights_hash"], single["weights_hash"]);
    let recipe = std::fs::read_to_string(folder.path().join("half/recipe.toml")).expect("written");
    assert!(recipe.contains("precision = \"f16\""), "{recipe}");
}
