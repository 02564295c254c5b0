//! Training on a folder of one's own images, as a new user does.

mod common;

use std::path::Path;

use common::files::pictures;
use common::{gpunn, json, text};

#[test]
fn one_command_on_a_folder_chooses_holds_out_and_says_so() {
    let folder = pictures(20);
    let output = gpunn(folder.path(), &["train", "pics", "--epochs", "2", "--device", "cpu", "--json", "--no-report"]);
    let said = text(&output.stderr);
    let summary = json(&output);
    for part in [
        "pics: 40 training images of 2 classes",
        "recipe small-images",
        "the images are small",
        "--val-fraction",
        "6 of 40 images held out",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    let run = summary["run"].as_str().expect("a path");
    assert!(Path::new(run).file_name().expect("a name").to_string_lossy().starts_with("pics-"), "{run}");
    assert!(summary["val_accuracy"].as_f64().is_some(), "{summary}");
}

#[test]
fn holding_out_can_be_switched_off_with_a_warning() {
    let folder = pictures(4);
    let train = ["train", "pics", "--epochs", "1", "--device", "cpu", "--json", "--no-report", "--val-fraction", "0"];
    let output = gpunn(folder.path(), &train);
    assert!(text(&output.stderr).contains("warning: no images are held out"), "{}", text(&output.stderr));
    assert!(json(&output)["val_accuracy"].is_null());
}

#[test]
fn classes_are_matched_by_name() {
    let folder = pictures(8);
    let trained = gpunn(
        folder.path(),
        &["train", "pics", "--epochs", "3", "--device", "cpu", "--json", "--no-report", "--out", "run"],
    );
    assert!(trained.status.success(), "{}", text(&trained.stderr));
    // Another folder with one of the classes, whose number there is 0 and in the run 1.
    let other = folder.path().join("other").join("dark");
    std::fs::create_dir_all(&other).expect("a class");
    for number in 0..8 {
        let name = format!("{number}.png");
        std::fs::copy(folder.path().join("pics/dark").join(&name), other.join(&name)).expect("copied");
    }
    let measured = json(&gpunn(folder.path(), &["eval", "run", "--dataset", "other", "--device", "cpu", "--json"]));
    assert_eq!(measured["images"], 8);
    let counts = measured["confusion"].as_array().expect("a matrix");
    let row = |class: usize| {
        counts[class].as_array().expect("a row").iter().filter_map(serde_json::Value::as_u64).sum::<u64>()
    };
    assert_eq!((row(0), row(1)), (0, 8), "{measured}");
    // A renamed folder is another class: it is named, and nothing is trained or measured.
    std::fs::rename(folder.path().join("pics/dark"), folder.path().join("pics/black")).expect("renamed");
    for command in [vec!["eval", "run"], vec!["train", "--resume", "run", "--epochs", "4"]] {
        let refused = gpunn(folder.path(), &[&command[..], &["--device", "cpu"]].concat());
        let said = text(&refused.stderr);
        assert!(!refused.status.success() && said.contains("new: black; missing: dark"), "{command:?}: {said}");
    }
}
