//! Training on a folder of one's own images, as a new user does.

use std::path::Path;
use std::process::{Command, Output};

/// Runs gpunn in a folder.
fn gpunn(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpunn"));
    command
        .current_dir(folder)
        .args(arguments)
        .env("GPUNN_DATA", folder.join("data"))
        .env("XDG_CACHE_HOME", folder.join("cache"));
    command.env("NODEVICE_SELECT", "1").output().expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The last line of standard output, as JSON.
fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    let stdout = text(&output.stdout);
    serde_json::from_str(stdout.lines().last().expect("a line")).expect("JSON")
}

/// A folder `pics` with images of 28 pixels: class `bright` is bright, class `dark` is dark.
fn pictures(of_class: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (class, base) in [("bright", 150), ("dark", 10)] {
        let path = folder.path().join("pics").join(class);
        std::fs::create_dir_all(&path).expect("a class");
        for number in 0..of_class {
            let pixel = |x: u32, y: u32| image::Luma([base + ((x * 7 + y * 3 + number as u32 * 11) % 90) as u8]);
            image::GrayImage::from_fn(28, 28, pixel).save(path.join(format!("{number}.png"))).expect("an image");
        }
    }
    folder
}

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
