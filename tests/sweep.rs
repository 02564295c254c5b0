//! Sweeps, and the event files of runs that are stopped and resumed.

use std::path::Path;

use crate::common::{gpunn_on_cpu as gpunn, json, text};
use gpunn::formats::tfrecord;

const SWEEP: [&str; 12] = [
    "sweep",
    "--limit-train",
    "360",
    "--epochs",
    "2",
    "--lr",
    "0.1,0.0001",
    "--hidden",
    "8/16,8",
    "--out",
    "s",
    "--json",
];

fn runs(table: &serde_json::Value) -> Vec<&serde_json::Value> {
    table["runs"].as_array().expect("runs").iter().collect()
}

#[test]
fn a_sweep_trains_a_grid_and_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let table = json(&gpunn(at, &SWEEP));
    let accuracies: Vec<f64> = runs(&table).iter().filter_map(|run| run["val_accuracy"].as_f64()).collect();
    assert!(accuracies.len() == 4 && accuracies.is_sorted_by(|a, b| a >= b), "{accuracies:?}");
    let best = runs(&table)[0];
    assert_eq!(
        (&best["lr"], &table["recipe"], &table["dataset"]),
        (&0.1.into(), &"glyphs-mlp".into(), &"glyphs".into())
    );
    let csv = std::fs::read_to_string(at.join("s/sweep.csv")).expect("a table");
    assert_eq!(csv.lines().count(), 5);
    let written: serde_json::Value =
        serde_json::from_slice(&std::fs::read(at.join("s/sweep.json")).expect("bytes")).expect("JSON");
    assert_eq!(written, table);
    let page = std::fs::read_to_string(at.join("s/sweep.html")).expect("a page");
    assert!(page.contains("4 runs compared") && at.join("s/sweep.svg").is_file() && at.join("s/sweep.png").is_file());

    // Each run equals a run of `train` with the same flags.
    let alone =
        ["train", "--limit-train", "360", "--epochs", "2", "--lr", "0.1", "--hidden", "16,8", "--out", "t", "--json"];
    let alone = json(&gpunn(at, &alone));
    let run = at.join("s/hidden-16x8-lr-0.1");
    let summary = |run: &Path| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(run.join("summary.json")).expect("bytes")).expect("JSON")
    };
    assert_eq!(summary(&run)["weights_hash"], alone["weights_hash"]);

    // One run is half done, and one was stopped before its first checkpoint. The other runs are only read.
    let times = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified()).expect("a time");
    let kept = times(&at.join("s/hidden-8-lr-0.1/last.safetensors"));
    let half = [
        "train",
        "--limit-train",
        "360",
        "--epochs",
        "1",
        "--lr",
        "0.1",
        "--hidden",
        "16,8",
        "--out",
        "half",
        "--quiet",
    ];
    assert!(gpunn(at, &half).status.success());
    let recipe = std::fs::read(run.join("recipe.toml")).expect("a recipe");
    std::fs::remove_dir_all(&run).expect("removed");
    std::fs::rename(at.join("half"), &run).expect("moved");
    std::fs::remove_file(run.join("summary.json")).expect("removed");
    std::fs::write(run.join("recipe.toml"), recipe).expect("written");
    let begun = at.join("s/hidden-8-lr-0.0001");
    for name in ["summary.json", "last.safetensors", "best.safetensors"] {
        std::fs::remove_file(begun.join(name)).expect("removed");
    }
    let output = gpunn(at, &SWEEP);
    let again = json(&output);
    let told = text(&output.stderr);
    assert_eq!(told.matches("already finished").count(), 2, "{told}");
    let figures = |table: &serde_json::Value| -> Vec<(String, String)> {
        runs(table).iter().map(|run| (run["run"].to_string(), run["val_accuracy"].to_string())).collect()
    };
    assert_eq!(figures(&again), figures(&table));
    assert_eq!(summary(&run)["weights_hash"], alone["weights_hash"]);
    assert_eq!(times(&at.join("s/hidden-8-lr-0.1/last.safetensors")), kept);

    // A folder with runs of another recipe is refused.
    let mut other = SWEEP;
    other[4] = "3";
    let output = gpunn(at, &other);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("another recipe"), "{}", text(&output.stderr));
}

#[test]
fn a_run_that_diverges_is_a_row_without_figures() {
    let folder = tempfile::tempdir().expect("a folder");
    let args =
        ["sweep", "--limit-train", "72", "--epochs", "1", "--activation", "relu", "--lr", "0.01,1e30", "--out", "s"];
    let output = gpunn(folder.path(), &args);
    let out = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[1].contains("0.01") && lines[2].contains("diverged"), "{out}");
}

#[test]
fn event_files_go_on_with_the_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let train = ["train", "--limit-train", "72", "--epochs", "2", "--out", "run", "--tensorboard", "--quiet"];
    assert!(gpunn(at, &train).status.success());
    let resume = ["train", "--resume", "run", "--epochs", "3", "--tensorboard", "--quiet"];
    assert!(gpunn(at, &resume).status.success());
    let mut files: Vec<_> = std::fs::read_dir(at.join("run/tensorboard")).expect("listed").flatten().collect();
    files.sort_by_key(|file| file.file_name());
    let records = |file: &std::fs::DirEntry| {
        let bytes = std::fs::read(file.path()).expect("bytes");
        tfrecord::parse(&bytes, "it").expect("sound").len()
    };
    // First file: the version and two epochs. Second file: the version, the step to continue from, and one epoch.
    assert_eq!(files.iter().map(records).collect::<Vec<_>>(), [3, 3]);
    // With --force nothing of the old run is kept.
    assert!(
        gpunn(at, &["train", "--limit-train", "72", "--epochs", "1", "--out", "run", "--force", "--quiet"])
            .status
            .success()
    );
    assert!(!at.join("run/tensorboard").exists());
}
