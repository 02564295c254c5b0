//! `gpunn predict` as a user calls it: files, folders, patterns, standard input, and where the answers go.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use crate::common::files::pictures;
use crate::common::{gpunn, gpunn_on_cpu, is_refusal, json, names, text};

/// A folder with the images `pics` and a run `run` that tells their classes apart.
fn trained() -> tempfile::TempDir {
    let folder = pictures(20);
    let train = ["train", "pics", "--epochs", "4", "--batch-size", "4", "--no-report", "--json", "--out", "run"];
    let summary = json(&gpunn_on_cpu(folder.path(), &train));
    assert_eq!(summary["best_val_accuracy"], 1.0, "{summary}");
    folder
}

/// The lines of standard output.
fn lines(at: &Path, args: &[&str]) -> Vec<String> {
    let output = gpunn_on_cpu(at, &[&["predict", "run"], args].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn files_folders_patterns_and_standard_input_are_read() {
    let folder = trained();
    let at = folder.path();
    let slashes = |lines: &[String]| lines.iter().map(|line| line.replace('\\', "/")).collect::<Vec<_>>();
    let all = slashes(&lines(at, &["pics"]));
    assert_eq!(all.len(), 40);
    assert!(all[..20].iter().all(|line| line.starts_with("pics/bright/") && line.contains(": bright (")), "{all:?}");
    assert!(all[20..].iter().all(|line| line.starts_with("pics/dark/") && line.contains(": dark (")), "{all:?}");
    assert_eq!(slashes(&lines(at, &["pics/dark/1?.png"])), all[22..32]);
    assert_eq!(slashes(&lines(at, &["pics/dark/0.png", "pics/bright"])), [&all[20..21], &all[..20]].concat());

    let from_stdin = |bytes: &[u8]| {
        let mut command = crate::common::command(at);
        let command = command.args(["predict", "run", "-", "--device", "cpu"]).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
        child.stdin.take().expect("piped").write_all(bytes).expect("written");
        child.wait_with_output().expect("it ends")
    };
    let image = from_stdin(&std::fs::read(at.join("pics/dark/3.png")).expect("bytes"));
    assert!(text(&image.stdout).starts_with("-: dark ("), "{}", text(&image.stderr));
    let paths = from_stdin(b"pics/dark/0.png\npics/bright/0.png\n");
    assert_eq!(text(&paths.stdout).lines().count(), 2, "{}", text(&paths.stderr));
    is_refusal(&from_stdin(b""), 2, &["Standard input is empty"]);
    is_refusal(&from_stdin(&[0, 159, 1]), 1, &["neither an image"]);
}

#[test]
fn answers_go_to_a_csv_file_and_into_folders() {
    let folder = trained();
    let at = folder.path();
    let told = lines(at, &["pics", "--csv", "made/answers.csv", "--top", "2", "--sort-into", "sorted"]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("bright 20") && told[0].contains("dark 20"), "{told:?}");
    let csv = std::fs::read_to_string(at.join("made/answers.csv")).expect("written");
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0], ["image", "class", "confidence", "class_2", "confidence_2"]);
    assert_eq!((rows.len(), rows[1][1], rows[1][3]), (41, "bright", "dark"));
    let sum = |row: &[&str]| row[2].parse::<f64>().expect("a number") + row[4].parse::<f64>().expect("a number");
    assert!(rows[1..].iter().all(|row| (sum(row) - 1.0).abs() < 1e-5));
    assert_eq!(names(&at.join("sorted")), ["bright", "dark"]);
    assert_eq!(names(&at.join("sorted/dark")), names(&at.join("pics/dark")));
    // Files of equal names do not replace each other.
    lines(at, &["pics/dark/0.png", "--sort-into", "sorted"]);
    assert!(at.join("sorted/dark/0-2.png").is_file());
}

#[test]
fn unsure_answers_are_unknown() {
    let folder = trained();
    let at = folder.path();
    let answers = json(&gpunn_on_cpu(at, &["predict", "run", "pics/dark", "--min-confidence", "1", "--json"]));
    let answers = answers["predictions"].as_array().expect("a list");
    let unknown = answers.iter().find(|answer| answer["class"] == "unknown").expect("no network is that sure");
    assert!(unknown["index"].is_null() && unknown["confidence"].as_f64().expect("a number") < 1.0, "{unknown}");
    let output = gpunn(at, &["predict", "run", "pics", "--min-confidence", "80"]);
    is_refusal(&output, 2, &["--min-confidence is 80", "from 0 to 1"]);
}

#[test]
fn broken_images_stop_after_the_answers_before_them_or_are_skipped() {
    let folder = trained();
    let at = folder.path();
    std::fs::write(at.join("pics/dark/5.png"), b"no image").expect("written");
    let output = gpunn_on_cpu(at, &["predict", "run", "pics/dark/4.png", "pics/dark/5.png", "pics/dark/6.png"]);
    assert_eq!((output.status.code(), text(&output.stdout).lines().count()), (Some(1), 1));
    assert!(text(&output.stderr).contains("5.png is not an image"), "{}", text(&output.stderr));
    let output = gpunn_on_cpu(at, &["predict", "run", "pics", "--skip-bad"]);
    assert_eq!(text(&output.stdout).lines().count(), 39);
    let said = text(&output.stderr);
    assert!(said.contains("skipped: ") && said.contains("1 image that cannot be decoded was skipped"), "{said}");
    is_refusal(&gpunn_on_cpu(at, &["predict", "run", "nowhere"]), 1, &["nowhere"]);
    std::fs::create_dir(at.join("empty")).expect("made");
    is_refusal(&gpunn_on_cpu(at, &["predict", "run", "empty"]), 1, &["has no image (JPEG"]);
}

#[test]
fn the_best_epochs_weights_are_used_unless_the_last_ones_are_asked_for() {
    let folder = trained();
    let at = folder.path();
    let best = std::fs::read(at.join("run/best.safetensors")).expect("bytes");
    // The two differ from here on: the last weights become those of a run with another seed.
    let other = ["train", "pics", "--epochs", "1", "--lr", "0.00001", "--no-report", "--seed", "5", "--out", "other"];
    assert!(gpunn_on_cpu(at, &other).status.success());
    std::fs::copy(at.join("other/last.safetensors"), at.join("run/last.safetensors")).expect("copied");
    let answers = |args: &[&str]| lines(at, &[&["pics"], args].concat());
    assert_ne!(answers(&[]), answers(&["--last"]));
    std::fs::write(at.join("best-alone.safetensors"), &best).expect("written");
    let alone = gpunn_on_cpu(at, &["predict", "best-alone.safetensors", "pics"]);
    assert_eq!(text(&alone.stdout).lines().collect::<Vec<_>>(), answers(&[]));
}

#[test]
fn answers_are_explained_with_heat_maps() {
    let folder = pictures(6);
    let at = folder.path();
    for (model, run) in [("cnn", "run"), ("mlp", "flat")] {
        let train = [
            "train",
            "pics",
            "--model",
            model,
            "--size",
            "28",
            "--epochs",
            "2",
            "--batch-size",
            "4",
            "--out",
            run,
            "--json",
        ];
        json(&gpunn_on_cpu(at, &train));
    }
    let images = ["pics/bright/0.png", "pics/dark/0.png"];
    let explained =
        json(&gpunn_on_cpu(at, &[&["explain", "run"], &images[..], &["--out", "made/heat.png", "--json"]].concat()));
    for image in explained["images"].as_array().expect("a list") {
        assert_eq!(image["class"], image["explained"]);
        let rows = image["map"].as_array().expect("rows");
        assert!(
            rows.len() > 1
                && rows.iter().flat_map(|row| row.as_array().expect("a row")).all(|value| value.as_f64() >= Some(0.0))
        );
    }
    let sheet = image::open(at.join("made/heat.png")).expect("an image");
    assert!(sheet.width() > 4 * 256 && sheet.height() > 256);
    let dark = json(&gpunn_on_cpu(at, &["explain", "run", images[0], "--class", "dark", "--json"]));
    assert_eq!(dark["images"][0]["explained"], "dark");
    is_refusal(
        &gpunn_on_cpu(at, &["explain", "run", images[0], "--class", "cat", "--json"]),
        2,
        &["no class \"cat\"", "bright, dark"],
    );
    is_refusal(&gpunn_on_cpu(at, &["explain", "flat", images[0], "--json"]), 2, &["mlp has no convolution"]);
    is_refusal(&gpunn_on_cpu(at, &["explain", "run", images[0]]), 2, &["--out"]);
}
