//! Training on a folder of one's own images, as a new user does.

use std::path::Path;

use crate::common::files::{pictures, weights_of};
use crate::common::{gpunn, json, text};

#[test]
fn one_command_on_a_folder_chooses_holds_out_and_says_so() {
    let folder = pictures(20);
    let output = gpunn(folder.path(), &["train", "pics", "--epochs", "2", "--device", "cpu", "--json", "--no-report"]);
    let said = text(&output.stderr);
    let summary = json(&output);
    for part in [
        "pics: 40 training images of 2 classes, 20 of each",
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
fn training_begins_with_a_short_check_of_the_folder() {
    let folder = pictures(4);
    let at = folder.path();
    std::fs::copy(at.join("pics/bright/0.png"), at.join("pics/dark/copy.png")).expect("copied");
    std::fs::write(at.join("pics/dark/photo.heic"), b"\0\0\0\x18ftypheic\0\0\0\0mif1heic").expect("written");
    for name in ["pics/notes.txt", "pics/.DS_Store"] {
        std::fs::write(at.join(name), b"no image").expect("written");
    }
    let train = ["train", "pics", "--epochs", "1", "--device", "cpu", "--no-report"];
    let said = text(&gpunn(at, &train).stderr);
    for part in [
        "9 training images of 2 classes, 4 (bright) to 5 (dark) of each",
        "warning: 2 files are left out, such as dark/photo.heic (HEIC",
        "warning: 1 image is in two classes, so one label is wrong, such as bright/0.png = dark/copy.png",
        "`gpunn data check",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    std::fs::remove_file(at.join("pics/dark/copy.png")).expect("removed");
    std::fs::create_dir_all(at.join("set/test")).expect("made");
    std::fs::rename(at.join("pics"), at.join("set/train")).expect("moved");
    std::fs::create_dir_all(at.join("set/test/dark")).expect("made");
    std::fs::create_dir_all(at.join("set/test/bright")).expect("made");
    image::GrayImage::from_pixel(28, 28, image::Luma([250])).save(at.join("set/test/bright/9.png")).expect("saved");
    std::fs::copy(at.join("set/train/dark/1.png"), at.join("set/test/dark/9.png")).expect("copied");
    let train = ["train", "set", "--epochs", "1", "--device", "cpu", "--no-report"];
    let said = text(&gpunn(at, &train).stderr);
    let part = "1 image is in two splits, so it is trained on and measured, such as train/dark/1.png = test/dark/9.png";
    assert!(said.contains(part), "{said}");
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

#[test]
fn held_out_images_stay_held_out_when_the_folder_changes() {
    let folder = pictures(20);
    let at = folder.path();
    let train = ["train", "pics", "--epochs", "1", "--device", "cpu", "--json", "--no-report", "--out", "run"];
    json(&gpunn(at, &train));
    let eval = || gpunn(at, &["eval", "run", "--split", "val", "--device", "cpu", "--json"]);
    let before = json(&eval());
    assert_eq!((&before["images"], &before["epoch"]), (&6.into(), &1.into()));
    let kept = std::fs::read_to_string(at.join("run/images.json")).expect("a list");
    let kept: serde_json::Value = serde_json::from_str(&kept).expect("JSON");
    assert_eq!((kept["train"].as_array().map(Vec::len), kept["val"].as_array().map(Vec::len)), (Some(34), Some(6)));

    // A held-out file gets another name, a trained one goes, and many are new. The rule for new runs would move some.
    let held = kept["val"][0]["path"].as_str().expect("a path");
    let class = at.join("pics").join(held.split('/').next().expect("a class"));
    std::fs::rename(at.join("pics").join(held), class.join("renamed.png")).expect("renamed");
    let gone = kept["train"][0]["path"].as_str().expect("a path");
    std::fs::remove_file(at.join("pics").join(gone)).expect("removed");
    for number in 0..10 {
        let image = image::GrayImage::from_pixel(28, 28, image::Luma([30 + number]));
        image.save(class.join(format!("new-{number}.png"))).expect("saved");
    }
    let after = eval();
    assert!(text(&after.stderr).contains("10 images new, 1 image gone"), "{}", text(&after.stderr));
    let report = gpunn(at, &["report", "run", "--device", "cpu"]);
    assert!(text(&report.stderr).contains("10 images new, 1 image gone"), "{}", text(&report.stderr));
    let page = std::fs::read_to_string(at.join("run/report.html")).expect("a report");
    assert!(page.contains("10 images new, 1 image gone"));
    let refused = gpunn(at, &["report", "run", "--dataset", "pics"]);
    crate::common::is_refusal(&refused, 2, &["gpunn eval RUN --dataset pics"]);
    let after = json(&after);
    assert_eq!((&after["images"], &after["accuracy"]), (&before["images"], &before["accuracy"]));
    let loss = |evaluation: &serde_json::Value| evaluation["loss"].as_f64().expect("a number");
    assert!((loss(&after) - loss(&before)).abs() < 1e-5, "{after} {before}");
    // The run goes on with the new images, and holds out the same ones.
    let longer = gpunn(at, &["train", "--resume", "run", "--epochs", "2", "--device", "cpu", "--json", "--no-report"]);
    json(&longer);
    assert_eq!(json(&eval())["images"], 6);
}

#[test]
fn every_mistake_is_named_by_its_file() {
    let folder = pictures(20);
    let at = folder.path();
    let train = ["train", "pics", "--epochs", "4", "--batch-size", "4", "--device", "cpu", "--json", "--out", "run"];
    json(&gpunn(at, &train));
    // All images of a folder `bright` are dark here, so that all are mistakes.
    std::fs::create_dir_all(at.join("wrong/bright")).expect("made");
    for number in 0..3 {
        std::fs::copy(at.join(format!("pics/dark/{number}.png")), at.join(format!("wrong/bright/{number}.png")))
            .expect("copied");
    }
    let measured = json(&gpunn(at, &["eval", "run", "--dataset", "wrong", "--device", "cpu", "--json"]));
    let mistakes = measured["mistakes"].as_array().expect("a list");
    let names: Vec<&str> = mistakes.iter().filter_map(|mistake| mistake["image"].as_str()).collect();
    assert_eq!(names, ["bright/0.png", "bright/1.png", "bright/2.png"]);
    assert_eq!((&mistakes[0]["class"], &mistakes[0]["predicted"]), (&"bright".into(), &"dark".into()));
    let outcomes = std::fs::read_to_string(at.join("run/outcomes.json")).expect("written");
    let outcomes: serde_json::Value = serde_json::from_str(&outcomes).expect("JSON");
    assert_eq!(
        outcomes["files"].as_array().expect("a list").len(),
        outcomes["pictures"].as_array().expect("a list").len()
    );
    let page = std::fs::read_to_string(at.join("run/report.html")).expect("a report");
    let file = outcomes["files"][0].as_str().expect("a path");
    assert!(page.contains(file), "{file}");
}

#[test]
fn wrong_labels_are_found_by_cross_validation() {
    let folder = pictures(20);
    let at = folder.path();
    for (from, to) in [("bright/3.png", "dark/wrong.png"), ("dark/7.png", "bright/wrong.png")] {
        std::fs::rename(at.join("pics").join(from), at.join("pics").join(to)).expect("moved");
    }
    let train = "train pics --epochs 5 --batch-size 4 --device cpu --out run --no-report";
    assert!(gpunn(at, &train.split(" ").collect::<Vec<_>>()).status.success());
    let checked = json(&gpunn(at, &["data", "check", "--run", "run", "--device", "cpu", "--json", "--quiet"]));
    assert_eq!((&checked["images"], &checked["folds"]), (&40.into(), &5.into()));
    let suspected = checked["suspected"].as_array().expect("a list");
    let mut names: Vec<&str> = suspected.iter().filter_map(|suspect| suspect["image"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["bright/wrong.png", "dark/wrong.png"]);
    assert!(suspected.iter().all(|suspect| suspect["class"] != suspect["label"]), "{checked}");
    let said = gpunn(at, &["data", "check", "--run", "run", "--device", "cpu", "--folds", "3"]);
    let said = text(&said.stdout);
    assert!(said.contains("labels that are probably wrong: 2") && said.contains("bright instead of dark?"), "{said}");
}

#[test]
fn the_printed_command_repeats_a_run_also_after_export_and_import() {
    let folder = pictures(6);
    let at = folder.path();
    std::fs::create_dir_all(at.join("weights/squeezenet")).expect("made");
    std::fs::write(at.join("weights/squeezenet/squeezenet1_1.safetensors"), weights_of("squeezenet", 1000))
        .expect("written");
    let recipe = ["--recipe", "photos", "--size", "64", "--epochs", "2", "--seed", "3", "--data-dir", "weights"];
    let train = ["train", "pics", "--device", "cpu", "--quiet", "--json", "--out", "run"];
    let first = json(&gpunn(at, &[&train[..], &recipe].concat()));
    // As the report prints it, and as someone types it who has no GPUNN_DATA.
    let repeated = |run: &str, again: &str| {
        let page = std::fs::read_to_string(at.join(run).join("report.html")).expect("a report");
        let start = page.find("gpunn train --recipe").expect("a command");
        let command = page[start..].split('<').next().expect("a line").replace("--out again", again);
        let args: Vec<&str> = command.split(' ').skip(1).collect();
        json(&gpunn(at, &[&args[..], &["--quiet", "--json", "--no-report"]].concat()))["weights_hash"].clone()
    };
    assert_eq!(repeated("run", "--out twice"), first["weights_hash"]);
    let done = |args: &[&str]| {
        let output = gpunn(at, args);
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    done(&["export", "run", "--out", "w.safetensors"]);
    let exported = std::fs::read(at.join("w.safetensors")).expect("a file");
    let own_path = at.display().to_string();
    assert!(!exported.windows(own_path.len()).any(|part| part == own_path.as_bytes()), "a private path is exported");
    done(&["import", "w.safetensors", "--data-dir", "weights", "--out", "imported"]);
    done(&["report", "imported", "--device", "cpu"]);
    assert_eq!(repeated("imported", "--out thrice"), first["weights_hash"]);
    // Nobody knows how weights of other programs were trained.
    done(&["import", "weights/squeezenet/squeezenet1_1.safetensors", "--out", "other"]);
    done(&["report", "other", "--device", "cpu"]);
    let page = std::fs::read_to_string(at.join("other/report.html")).expect("a report");
    assert!(page.contains("no gpunn command can repeat") && !page.contains("gpunn train --recipe"));
}

/// A crop of the recipe follows the size that is asked for.
#[test]
fn another_size_is_one_flag_and_imported_weights_keep_it() {
    let folder = pictures(3);
    let at = folder.path();
    for (class, number) in ["dark", "bright"].into_iter().flat_map(|class| (0..3).map(move |number| (class, number))) {
        let level = if class == "dark" { 20 } else { 200 } + number;
        let photo = image::GrayImage::from_pixel(90, 70, image::Luma([level]));
        photo.save(at.join("pics").join(class).join(format!("{number}.png"))).expect("saved");
    }
    let train = "train pics --scratch --size 36 --epochs 1 --device cpu --no-report --out run";
    let output = gpunn(at, &train.split(' ').collect::<Vec<_>>());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let recipe = |run: &str| std::fs::read_to_string(at.join(run).join("recipe.toml")).expect("a recipe");
    for line in ["name = \"four-residual-blocks\"", "size = 36", "crop = [32, 32]"] {
        assert!(recipe("run").contains(line), "{line:?} is not in {}", recipe("run"));
    }
    // What the run's images were is in the exported file, and --size may say otherwise.
    let done = |args: &str| {
        let output = gpunn(at, &args.split(' ').collect::<Vec<_>>());
        assert!(output.status.success(), "{args}: {}", text(&output.stderr));
        text(&output.stderr)
    };
    done("export run --out w.safetensors");
    let said = done("import w.safetensors --dataset pics --out imported");
    assert!(said.contains("images: 3 x 36 x 36, normalized with mean [0.45, 0.45, 0.42]"), "{said}");
    assert!(recipe("imported").contains("crop = [32, 32]") && recipe("imported").contains("fit = \"resize\""));
    done("import w.safetensors --dataset pics --size 72 --out larger");
    assert!(recipe("larger").contains("crop = [64, 64]"), "{}", recipe("larger"));
    // Weights of other programs are for images as the recipe for their network has them.
    std::fs::write(at.join("two.safetensors"), weights_of("squeezenet", 2)).expect("written");
    let said = done("import two.safetensors --dataset pics --out tuned");
    assert!(said.contains("images: 3 x 256 x 256"), "{said}");
    let answers = gpunn(at, &["eval", "tuned", "--split", "train", "--device", "cpu", "--json"]);
    assert_eq!(json(&answers)["images"], 6, "{}", text(&answers.stderr));
}
