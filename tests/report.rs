//! Reports: the content of a page, what it says is missing, and runs for which no report can be made.

use std::path::Path;

use crate::common::{gpunn_on_cpu as gpunn, is_refusal, json, text};

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[track_caller]
fn refused(folder: &Path, args: &[&str], code: i32, parts: &[&str]) {
    is_refusal(&gpunn(folder, args), code, parts);
}

/// Trains briefly into `out` and returns the summary.
fn train(folder: &Path, out: &str, more: &[&str]) -> serde_json::Value {
    let short = ["train", "--limit-train", "360", "--epochs", "2", "--quiet", "--json", "--out", out];
    json(&gpunn(folder, &[&short[..], more].concat()))
}

/// The ids of a page's sections.
fn sections(page: &str) -> Vec<&str> {
    page.split("<section id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// Asserts that a page needs no other file: its images are inside it, its links stay in it, and it has no script.
fn stands_alone(page: &str) {
    for (attribute, inside) in [("src=\"", "data:image/"), ("href=\"", "#")] {
        assert!(page.split(attribute).skip(1).all(|value| value.starts_with(inside)), "{attribute}");
    }
    for outside in ["<script", "<link", "url(", "@import", "http:", "https:"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("width=device-width"));
}

#[test]
fn a_classifiers_page_shows_all_that_the_run_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let summary = train(at, "run", &[]);
    let page = read(&at.join("run/report.html"));
    stands_alone(&page);
    let all = ["results", "curves", "measures", "confusion", "pairs", "nearest", "examples", "weights", "recipe"];
    assert_eq!(sections(&page), [&all[..], &["device", "timings", "memory", "repeat"]].concat());
    let hash = summary["weights_hash"].as_str().expect("a hash");
    let accuracy = format!("{:.2} %", 100.0 * summary["test_accuracy"].as_f64().expect("a figure"));
    // On Windows the path has a backslash, which is quoted for the shell.
    let again = if cfg!(windows) { "--recipe 'run\\recipe.toml'" } else { "--recipe run/recipe.toml" };
    for part in [hash, &accuracy, "gpunn train", again, "predicted as", "Before training, computed again", "matmul"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("Left out"));
    for name in ["accuracy", "loss", "learning_rate", "reliability", "confusion", "memory"] {
        assert!(read(&at.join(format!("run/plots/{name}.svg"))).contains("</svg>"), "{name}");
        assert!(image::open(at.join(format!("run/plots/{name}.png"))).is_ok(), "{name}");
    }
    for name in ["weights_before", "weights_after"] {
        assert!(image::open(at.join(format!("run/plots/{name}.png"))).is_ok(), "{name}");
    }

    // The same report in another place, from `outcomes.json`. The run does not change.
    let kept = read(&at.join("run/outcomes.json"));
    let shown = Path::new("elsewhere").join("report.html").display().to_string();
    let answer = json(&gpunn(at, &["report", "run", "--out", "elsewhere", "--quiet", "--json"]));
    assert_eq!((&answer["report"], &answer["left_out"]), (&shown.into(), &serde_json::json!([])));
    let again = read(&at.join("elsewhere/report.html"));
    let confusion = |page: &str| page.split("<section id=\"").nth(4).expect("the fourth").to_owned();
    assert_eq!(confusion(&again), confusion(&page));
    assert_eq!((read(&at.join("run/outcomes.json")), read(&at.join("run/report.html"))), (kept.clone(), page));
    // Outcomes of other weights are not used.
    std::fs::write(at.join("run/outcomes.json"), kept.replace(hash, "0000000000000000")).expect("written");
    assert!(gpunn(at, &["report", "run", "--quiet"]).status.success());
    assert_eq!(confusion(&read(&at.join("run/report.html"))), confusion(&again));
    // Nor are those that are damaged: a class that does not exist, a probability beyond all.
    for (place, value) in [(1, serde_json::json!(999)), (2, 1e30.into())] {
        let mut damaged: serde_json::Value = serde_json::from_str(&kept).expect("JSON");
        damaged["pictures"][0][place] = value;
        std::fs::write(at.join("run/outcomes.json"), damaged.to_string()).expect("written");
        assert!(gpunn(at, &["report", "run", "--quiet"]).status.success(), "{place}");
        assert_eq!(confusion(&read(&at.join("run/report.html"))), confusion(&again), "{place}");
    }

    train(at, "bare", &["--no-report"]);
    assert!(!at.join("bare/report.html").exists() && !at.join("bare/plots").exists());
}

#[test]
fn an_autoencoders_page_shows_images_given_back_and_a_convolutions_its_filters() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let summary = train(at, "ae", &["--model", "autoencoder", "--dataset", "glyphs"]);
    let page = read(&at.join("ae/report.html"));
    stands_alone(&page);
    let expected =
        ["results", "curves", "reconstructions", "weights", "recipe", "device", "timings", "memory", "repeat"];
    assert_eq!(sections(&page), expected);
    // The PSNR computed image by image equals the PSNR of the training.
    let psnr = format!("{:.2} dB", summary["test_psnr"].as_f64().expect("a figure"));
    assert!(page.contains(&format!("mean peak signal-to-noise ratio is {psnr}")), "{psnr}");
    train(at, "cnn", &["--model", "cnn", "--dataset", "glyphs"]);
    let page = read(&at.join("cnn/report.html"));
    stands_alone(&page);
    assert!(page.contains("conv1.weight") && sections(&page).contains(&"weights"));
}

#[test]
fn what_a_run_lacks_is_said_and_the_rest_is_drawn() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    train(at, "run", &["--no-report"]);
    let without = |file: &str| {
        let (there, away) = (at.join("run").join(file), at.join("away"));
        std::fs::rename(&there, &away).expect("moved");
        let output = gpunn(at, &["report", "run", "--quiet", "--out", "page"]);
        std::fs::rename(&away, &there).expect("moved back");
        let error = text(&output.stderr);
        assert!(output.status.success() && error.contains(file), "{file}: {error}");
        let page = read(&at.join("page/report.html"));
        assert!(page.contains("Left out") && page.contains(file), "{file}");
        stands_alone(&page);
        page
    };
    assert!(!sections(&without("metrics.jsonl")).contains(&"curves"));
    assert!(sections(&without("summary.json")).contains(&"confusion"));
    // The best epoch's weights are enough.
    std::fs::remove_file(at.join("run/best.safetensors")).expect("removed");
    let page = without("last.safetensors");
    assert!(sections(&page).contains(&"curves") && !sections(&page).contains(&"weights"));
}

#[test]
fn a_run_whose_images_are_gone_is_still_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    for class in ["left", "right"] {
        let to = at.join("images").join(class);
        std::fs::create_dir_all(&to).expect("a folder");
        for number in 0..8_u32 {
            let bright = |x: u32| (x < 8) == (class == "left");
            let image = image::GrayImage::from_fn(16, 16, |x, y| {
                image::Luma([if bright(x) { 200 + ((x + y * number) % 50) as u8 } else { 10 }])
            });
            image.save(to.join(format!("{number}.png"))).expect("saved");
        }
    }
    let images = ["--dataset", "images", "--size", "16", "--channels", "1", "--model", "mlp", "--epochs", "2"];
    let named = ["--out", "run", "--quiet", "--batch-size", "4"];
    let output = gpunn(at, &[&["train"][..], &images, &named].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(sections(&read(&at.join("run/report.html"))).contains(&"confusion"));
    std::fs::rename(at.join("images"), at.join("moved")).expect("moved");
    let output = gpunn(at, &["report", "run", "--quiet"]);
    let error = text(&output.stderr);
    assert!(output.status.success() && error.contains("left out") && error.contains("images"), "{error}");
    let page = read(&at.join("run/report.html"));
    assert!(page.contains("Left out"));
    let there = sections(&page);
    assert!(["curves", "weights", "timings", "memory"].iter().all(|section| there.contains(section)), "{there:?}");
    assert!(!there.contains(&"confusion"), "{there:?}");
}

#[test]
fn runs_that_cannot_be_reported_are_refused_in_sentences() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    refused(at, &["report", "nowhere"], 2, &["There is no run directory nowhere"]);
    std::fs::create_dir(at.join("empty")).expect("a folder");
    refused(at, &["report", "empty"], 2, &["is not a run directory", "recipe.toml"]);
    train(at, "run", &["--no-report"]);
    refused(at, &["report", "run", "run"], 2, &["--compare"]);
    refused(at, &["report", "run", "--split", "all"], 2, &["no split `all`"]);

    std::fs::write(at.join("file"), "").expect("written");
    refused(at, &["report", "run", "--out", "file/page"], 1, &["cannot create the folder for plots", "file/page"]);
    refused(at, &["report", "--compare", "run", "--out", "file/page.html"], 1, &["cannot make the folder file"]);

    let change = |file: &str, from: &str, to: &str| {
        let path = at.join("run").join(file);
        let whole = std::fs::read(&path).expect("read");
        let changed = read(&path).replacen(from, to, 1);
        assert_ne!(changed.as_bytes(), whole, "{file}");
        std::fs::write(&path, changed).expect("written");
        move || std::fs::write(&path, &whole).expect("written")
    };
    let undo = change("recipe.toml", "format = 1", "format = 99");
    refused(at, &["report", "run"], 2, &["format", "99"]);
    undo();
    let undo = change("metrics.jsonl", "\"epoch\":1", "\"epoch\":\"one\"");
    refused(at, &["report", "run"], 1, &["metrics.jsonl, line 1"]);
    undo();
    let undo = change("summary.json", "{", "");
    refused(at, &["report", "run"], 1, &["summary.json"]);
    undo();

    // A run that was stopped in its first epoch.
    std::fs::write(at.join("run/metrics.jsonl"), "").expect("written");
    for file in ["last.safetensors", "best.safetensors", "summary.json"] {
        std::fs::remove_file(at.join("run").join(file)).expect("removed");
    }
    refused(at, &["report", "run"], 2, &["interrupted in its first epoch", "Train it again"]);
    refused(at, &["report", "--compare", "run"], 2, &["interrupted in its first epoch"]);
}

#[test]
fn runs_are_compared_on_one_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let figure = |summary: &serde_json::Value| summary["val_accuracy"].as_f64().expect("a figure");
    let good = train(at, "good", &["--no-report"]);
    let bad = train(at, "bad", &["--no-report", "--lr", "1e-6"]);
    assert!(figure(&good) > figure(&bad));
    let output = gpunn(at, &["report", "--compare", "bad", "good", "--quiet"]);
    assert!(output.status.success() && text(&output.stdout).contains("compare.html"), "{}", text(&output.stderr));
    let page = read(&at.join("compare.html"));
    stands_alone(&page);
    assert_eq!(sections(&page), ["results", "curves", "differences"]);
    let table = page.split("id=\"results\"").nth(1).expect("a table");
    assert!(table.find(">good<").expect("good") < table.find(">bad<").expect("bad"), "the best comes first");
    assert!(page.contains("optimizer.learning_rate") && !page.contains("training.batch_size"));
    assert!(read(&at.join("compare.svg")).contains("good: ") && image::open(at.join("compare.png")).is_ok());
}
