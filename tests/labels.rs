//! Labels from a CSV file, one or several an image, as a user trains on them.

use std::path::Path;

use gpunn::Engine;
use gpunn::data::{Dataset, SplitName};
use gpunn::gpu::DeviceOptions;
use gpunn::nn::Unfreeze;
use gpunn::nn::models::ModelConfig;
use gpunn::ops::augment::Augment;
use gpunn::train::{ClassWeights, Recipe, Trainer, TrainerOptions, evaluate};
use image::{Rgb, RgbImage};

use crate::common::{gpunn, json, text};

/// The labels of image `number`: whether it has a red square, and whether it has a white line. The two are independent.
fn has(number: u32) -> [bool; 2] {
    [number.is_multiple_of(2), (number / 2).is_multiple_of(3)]
}

/// A folder `photos` of grey images without class folders, some with a red square, a white line, or both, and beside it `tags.csv` with
/// the labels of all but the last one, and `labels.csv` with the label square or none, and a split.
fn photos(count: u32) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join("photos/some");
    std::fs::create_dir_all(&folder).expect("made");
    let (mut tags, mut labels) = (String::from("Path,Tags\r\n"), String::from("label,file,split\n"));
    for number in 0..count {
        let [square, line] = has(number);
        let at = |k: u32| (number * 7 + number / 5 * k) % 20;
        let image = RgbImage::from_fn(32, 32, |x, y| match (x, y) {
            _ if square && (at(3)..at(3) + 10).contains(&x) && (at(5)..at(5) + 10).contains(&y) => Rgb([230, 30, 30]),
            _ if line && (at(11) + 5..at(11) + 8).contains(&y) => Rgb([240; 3]),
            _ => Rgb([(40 + number % 40) as u8; 3]),
        });
        image.save(folder.join(format!("{number}.png"))).expect("saved");
        let names: Vec<&str> =
            [(square, "square"), (line, "line")].iter().filter(|(has, _)| *has).map(|(_, n)| *n).collect();
        if number + 1 < count {
            tags += &format!("some\\{number}.png,{}\r\n", names.join(";"));
        }
        let split = ["train", "train", "val", "test"][number as usize / 2 % 4];
        labels += &format!("{},some/{number}.png,{split}\n", if square { "square" } else { "none" });
    }
    std::fs::write(root.path().join("tags.csv"), tags).expect("written");
    std::fs::write(root.path().join("labels.csv"), labels).expect("written");
    root
}

/// A recipe for a small network on these images.
const RECIPE: &str = r#"
format = 1
name = "tags"
model = { name = "cnn", channels = [8, 16], kernel = 3, padding = 1, hidden = [16], activation = "relu" }
data = { name = "photos", labels = "tags.csv", size = 16, val_fraction = 0.15 }
training = { epochs = 30, batch_size = 16 }
optimizer = { name = "adam", learning_rate = 0.01 }
"#;

fn train(at: &Path, words: &[&str]) -> std::process::Output {
    gpunn(at, &[&["train", "photos", "--device", "cpu", "--scratch"][..], words].concat())
}

#[test]
fn several_labels_are_learned_evaluated_predicted_and_reported() {
    let root = photos(121);
    let at = root.path();
    std::fs::write(at.join("tags.toml"), RECIPE).expect("written");
    let output = gpunn(at, &["train", "--recipe", "tags.toml", "--device", "cpu", "--out", "run", "--json"]);
    let (summary, said) = (json(&output), text(&output.stderr));
    for part in ["18 of 120 images held out", "1 image is left out, because the file of labels does not name"] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert!(summary["best_val_map"].as_f64().expect("a figure") > 0.9, "{summary}");
    assert!(summary["val_accuracy"].is_null() && summary["val_exact_match"].is_number(), "{summary}");
    let metrics = std::fs::read_to_string(at.join("run/metrics.jsonl")).expect("there");
    let maps: Vec<f64> = metrics
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["val_map"].as_f64().expect("mAP"))
        .collect();
    let best = maps.iter().copied().fold(0.0, f64::max);
    assert_eq!((summary["best_val_map"].as_f64(), maps.len()), (Some(best), 30));
    let last = maps.iter().rposition(|&map| map == best).expect("one");
    assert_eq!(summary["best_epoch"].as_u64(), Some(last as u64 + 1));

    // The run knows its labels, and evaluates as it did in training.
    let eval = ["eval", "run", "--split", "val", "--device", "cpu"];
    let evaluated = json(&gpunn(at, &[&eval[..], &["--json"]].concat()));
    let tags = &evaluated["tags"];
    assert!((tags["mean_average_precision"].as_f64().expect("mAP") - best).abs() < 1e-9, "{evaluated}");
    assert!(evaluated["confusion"].is_null() && tags["classes"][0]["class"] == "line", "{evaluated}");
    let wrong = 18.0 * (1.0 - tags["exact_match"].as_f64().expect("a share"));
    assert_eq!(evaluated["mistakes"].as_array().expect("a list").len() as f64, wrong.round());
    let said = text(&gpunn(at, &eval).stdout);
    assert!(said.contains("mAP ") && said.contains("micro F1") && said.contains("  square       AP"), "{said}");
    let together = json(&gpunn(at, &[&eval[..], &["--json", "--ensemble", "run"]].concat()));
    let close =
        |name: &str| (together[name].as_f64().expect("a figure") - evaluated[name].as_f64().expect("a figure")).abs();
    assert!(close("loss") < 1e-4 && together["tags"]["exact_match"] == tags["exact_match"], "{together}");
    let other = ["--dataset", "photos", "--labels", "tags.csv", "--json"];
    assert_eq!(json(&gpunn(at, &[&["eval", "run", "--device", "cpu"][..], &other].concat()))["images"], 120);

    predicts(at);
    let report = std::fs::read_to_string(at.join("run/report.html")).expect("written");
    for part in ["Measures of each label", "average precision", "Worst answers", "validation mAP", "labels from"] {
        assert!(report.contains(part), "{part:?} is not in the report");
    }
    assert!(!report.contains("Confusion matrix"), "there is none");

    // A sweep compares by the mean average precision, and knows its runs again.
    let sweep = [
        "sweep",
        "--recipe",
        "tags.toml",
        "--lr",
        "0.001,0.01",
        "--seed",
        "1,2",
        "--out",
        "swept",
        "--device",
        "cpu",
        "--json",
    ];
    let swept = json(&gpunn(at, &sweep));
    assert!(swept["measure"] == "val_map" && swept["runs"][0]["val_map"].is_number(), "{swept}");
    assert_eq!(json(&gpunn(at, &sweep))["runs"], swept["runs"]);

    // A resumed run is as one without a stop.
    let resumed =
        gpunn(at, &["train", "--resume", "run", "--epochs", "31", "--device", "cpu", "--json", "--no-report"]);
    assert_eq!(json(&resumed)["epochs"], 31);
    let refused = gpunn(at, &["data", "check", "--run", "run", "--device", "cpu"]);
    assert!(text(&refused.stderr).contains("any number of labels"), "{}", text(&refused.stderr));
}

/// What `predict` and `explain` say of images of the run.
fn predicts(at: &Path) {
    let of = |words: &[&str]| gpunn(at, &[&["predict", "run", "--device", "cpu", "--quiet"][..], words].concat());
    let all = json(&of(&["photos", "--json"]));
    let labels = |answer: &serde_json::Value| {
        answer["labels"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|label| label["class"].as_str().expect("a name").to_owned())
            .collect::<Vec<_>>()
    };
    let mut right = 0;
    for answer in all["predictions"].as_array().expect("a list") {
        let name = answer["image"].as_str().expect("a path");
        let number: u32 = Path::new(name).file_stem().expect("a name").to_string_lossy().parse().expect("a number");
        let mut found = labels(answer);
        found.sort();
        let wanted = [("line", has(number)[1]), ("square", has(number)[0])];
        right += u32::from(
            wanted.iter().filter(|(_, has)| *has).map(|(name, _)| *name).eq(found.iter().map(String::as_str)),
        );
    }
    assert!(right > 100, "{right} of 121");
    let none = json(&of(&["photos/some/0.png", "--threshold", "1", "--json"]));
    assert!(labels(&none["predictions"][0]).is_empty(), "{none}");
    assert_eq!(labels(&json(&of(&["photos/some/0.png", "--top", "2", "--json"]))["predictions"][0]).len(), 2);
    assert!(text(&of(&["photos/some/0.png", "--threshold", "1"]).stdout).contains("0.png: no label"));
    of(&["photos", "--csv", "answers.csv", "--threshold", "0"]);
    let csv = std::fs::read_to_string(at.join("answers.csv")).expect("written");
    let row = csv.lines().nth(1).expect("a row");
    assert!(csv.starts_with("image,labels,confidences") && row.matches(';').count() == 2, "{row}");
    for (words, part) in [
        (["--min-confidence", "0.5"], "--threshold says"),
        (["--sort-into", "sorted"], "--csv lists them"),
        (["--threshold", "1.5"], "has to be from 0 to 1"),
    ] {
        let output = of(&[&["photos/some/0.png"][..], &words].concat());
        assert!(!output.status.success() && text(&output.stderr).contains(part), "{}", text(&output.stderr));
    }
    let explain = ["explain", "run", "photos/some/0.png", "--class", "square", "--out", "heat.png", "--device", "cpu"];
    assert!(gpunn(at, &explain).status.success() && at.join("heat.png").exists());
    let export = ["export", "run", "--format", "onnx", "--softmax", "--out", "network.onnx"];
    assert!(gpunn(at, &export).status.success());
    let bytes = std::fs::read(at.join("network.onnx")).expect("written");
    let has = |word: &[u8]| bytes.windows(word.len()).any(|bytes| bytes == word);
    assert!(has(b"Sigmoid") && !has(b"Softmax"));
    // The file says that its labels do not exclude each other.
    let words = ["predict", "--model", "network.onnx", "photos/some/6.png", "--device", "cpu", "--json"];
    let (from_file, own) = (json(&gpunn(at, &words)), json(&of(&["photos/some/6.png", "--json"])));
    assert_eq!(labels(&from_file["predictions"][0]), labels(&own["predictions"][0]));
}

#[test]
fn one_label_an_image_needs_no_class_folders() {
    let root = photos(80);
    let at = root.path();
    let output = train(at, &["--labels", "labels.csv", "--epochs", "2", "--out", "run", "--json", "--no-report"]);
    let (summary, said) = (json(&output), text(&output.stderr));
    assert!(said.contains("40 training images of 2 classes, 20 of each"), "{said}");
    assert!(summary["test_accuracy"].is_number() && summary["val_accuracy"].is_number(), "{summary}");
    let recipe = std::fs::read_to_string(at.join("run/recipe.toml")).expect("there");
    assert!(recipe.contains("labels.csv") && recipe.contains("multi_label = false"), "{recipe}");
    let evaluated = json(&gpunn(at, &["eval", "run", "--last", "--device", "cpu", "--json"]));
    assert_eq!(evaluated["accuracy"], summary["test_accuracy"]);

    // The labels are a part of what is cached: changed ones are read.
    let changed = std::fs::read_to_string(at.join("labels.csv"))
        .expect("there")
        .replace("none,some/1.png,train", "square,some/1.png,train");
    std::fs::write(at.join("labels.csv"), changed).expect("written");
    let before = json(&gpunn(at, &["eval", "run", "--split", "train", "--device", "cpu", "--json"]));
    let images = |class: usize| {
        before["confusion"][class].as_array().expect("a row").iter().filter_map(serde_json::Value::as_u64).sum::<u64>()
    };
    assert_eq!([images(0), images(1)], [19, 21]);

    // A moved file is found beside the images.
    std::fs::create_dir(at.join("elsewhere")).expect("made");
    std::fs::rename(at.join("photos"), at.join("elsewhere/photos")).expect("moved");
    std::fs::rename(at.join("labels.csv"), at.join("elsewhere/labels.csv")).expect("moved");
    let moved = gpunn(at, &["eval", "run", "--device", "cpu", "--data-dir", "elsewhere", "--json"]);
    assert_eq!(json(&moved)["images"], 20);
}

#[test]
fn data_check_and_preview_read_the_labels() {
    let root = photos(24);
    let at = root.path();
    std::fs::copy(at.join("photos/some/0.png"), at.join("photos/some/1.png")).expect("copied");
    let output = gpunn(at, &["data", "check", "photos", "--labels", "tags.csv", "--device", "cpu"]);
    let said = text(&output.stdout);
    for part in [
        "train  20 labels, 8 of line to 12 of square",
        "the same image with different labels: 1",
        "an image that the file of labels does not name",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert_eq!(output.status.code(), Some(1));
    let output = gpunn(at, &["data", "check", "photos", "--labels", "tags.csv", "--json"]);
    let checked: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&checked["classes"][1], &checked["splits"]["train"][1]), (&"square".into(), &12.into()), "{checked}");
    let preview = ["data", "preview", "photos", "--labels", "tags.csv", "--out", "sheet.png"];
    assert!(text(&gpunn(at, &preview).stdout).contains("sheet.png"));
}

#[test]
fn settings_for_one_label_are_refused_for_several() {
    let root = photos(24);
    let at = root.path();
    let tags = ["--labels", "tags.csv", "--epochs", "1", "--no-report"];
    for (words, part) in [
        (&["--focal", "2", "--label-smoothing", "0"][..], "Focal loss (focal) and the balanced sampler"),
        (&["--sampler", "balanced"], "Focal loss (focal) and the balanced sampler"),
        (&["--multi-label=false"], "has no label"),
        (&["--model", "autoencoder"], "An autoencoder does not look at labels"),
        (&["--class-weights", "weights.csv"], "class_weights"),
    ] {
        std::fs::write(at.join("weights.csv"), "circle,2\n").expect("written");
        let output = train(at, &[&tags[..], words].concat());
        assert!(!output.status.success() && text(&output.stderr).contains(part), "{words:?}: {}", text(&output.stderr));
    }
    let says = |words: &[&str]| text(&gpunn(at, words).stderr);
    assert!(says(&["train", "--multi-label", "photos"]).contains("name the file with --labels"));
    assert!(says(&["train", "glyphs", "--labels", "tags.csv"]).contains("is for folders of images"));
    assert!(says(&["train", "photos", "--labels", "none.csv"]).contains("There is no file of labels none.csv"));
    let options = ["--label-smoothing", "0.1", "--class-weights", "balanced", "--mixup=0.4", "--limit-train", "15"];
    let output = train(at, &[&tags[..], &options, &["--json", "--out", "run"]].concat());
    let said = text(&output.stderr);
    assert!(
        json(&output)["train_loss"].is_number() && said.contains("23 training images of 2 labels, 8 (line) to 12"),
        "{said}"
    );
    let other = gpunn(at, &["eval", "run", "--dataset", "photos", "--labels", "labels.csv", "--device", "cpu"]);
    assert!(text(&other.stderr).contains("has classes that the run does not have: none"), "{}", text(&other.stderr));
}

/// Images of 8 x 8 in memory: bright on the left side, on the top, on both or on none. 20 % are for validation.
fn tagged() -> Dataset {
    let side = |number: u32, x: u32, y: u32| {
        let [left, top] = has(number);
        let noise = ((number * 31 + x * 17 + y * 7) % 23) as u8;
        noise + if left && x < 4 { 110 } else { 0 } + if top && y < 4 { 110 } else { 0 }
    };
    let pixels = (0..150).flat_map(|i| (0..64).map(move |at| side(i, at % 8, at / 8))).collect::<Vec<u8>>();
    let labels =
        (0..150).map(|i| (0..).zip(has(i)).filter(|(_, has)| *has).map(|(class, _)| class).collect()).collect();
    let dataset = Dataset::from_tagged_images(pixels, [1, 8, 8], labels, ["left", "top"]).expect("a dataset");
    dataset.hold_out(SplitName::Val, 0.2, 1).expect("held out").named("sides")
}

/// Trains four epochs on an engine. Returns the figures of each epoch and the trainer.
fn trained(engine: Engine, dataset: &Dataset, change: impl Fn(&mut Recipe)) -> (Vec<[f64; 4]>, Trainer) {
    let model = ModelConfig {
        channels: Some(vec![4, 8]),
        padding: Some(1),
        hidden: Some(vec![16]),
        ..ModelConfig::named("cnn")
    };
    let mut recipe = Recipe::new(model).epochs(4).batch_size(16).learning_rate(0.01);
    change(&mut recipe);
    let mut trainer = Trainer::new(engine, recipe, dataset, TrainerOptions::default()).expect("a trainer");
    let lines = trainer.fit_blocking(|_| ()).expect("trained");
    let figures = |line: &gpunn::train::EpochLine| {
        assert_eq!((line.train_accuracy, line.val_accuracy, line.val_psnr), (None, None, None));
        let all = [Some(line.train_loss), line.val_loss, line.val_map, line.val_exact_match];
        all.map(|figure| figure.expect("a figure"))
    };
    (lines.iter().map(figures).collect(), trainer)
}

#[test]
fn streamed_resident_and_cached_images_give_the_same_figures() {
    let dataset = tagged();
    let (resident, mut trainer) = trained(Engine::cpu(), &dataset, |_| ());
    assert!(resident[3][2] > 0.95 && resident[3][1] < resident[0][1], "{resident:?}");
    assert_eq!(trained(Engine::cpu(), &dataset, |recipe| recipe.data.stream = true).0, resident);
    let frozen = |cached: bool| {
        trained(Engine::cpu(), &dataset, |recipe| {
            recipe.model.unfreeze = Some(Unfreeze::Classifier);
            recipe.training.cache_features = Some(cached);
        })
        .0
    };
    for (cached, whole) in frozen(true).iter().flatten().zip(frozen(false).iter().flatten()) {
        assert!((cached - whole).abs() < 1e-5, "{cached} {whole}");
    }
    // What training said of the validation split is what evaluation says.
    let checkpoint = gpunn::blocking::block_on(trainer.checkpoint()).expect("a checkpoint");
    let mut engine = Engine::cpu();
    let evaluated = evaluate(&mut engine, &checkpoint, &dataset, SplitName::Val);
    let evaluated = gpunn::blocking::block_on(evaluated).expect("evaluated");
    let tags = evaluated.tags.expect("measures");
    assert!((evaluated.loss - resident[3][1]).abs() < 1e-6, "{}", evaluated.loss);
    assert_eq!((tags.mean_average_precision, tags.exact_match), (Some(resident[3][2]), resident[3][3]));
    assert_eq!(checkpoint.recipe.data.multi_label, Some(true));
    let best = trainer.counters().best_figure.expect("the highest");
    assert_eq!(best, resident.iter().map(|figures| figures[2]).fold(0.0, f64::max));
}

/// With label smoothing, mixed images, weights and averages, on a GPU as on the CPU.
#[test]
fn a_gpu_trains_on_several_labels_as_the_cpu_does() {
    let Some(gpu) = Engine::first_gpu_blocking(DeviceOptions::default()).expect("an adapter opens") else {
        return crate::common::skip::skipped("there is no adapter");
    };
    let dataset = tagged();
    let change = |recipe: &mut Recipe| {
        recipe.training.label_smoothing = 0.1;
        recipe.training.class_weights = Some(ClassWeights::BALANCED);
        recipe.training.ema = Some(0.9);
        recipe.augment = Some(Augment { mixup: 0.4, ..Augment::default() });
    };
    let (cpu, gpu) = (trained(Engine::cpu(), &dataset, change).0, trained(gpu, &dataset, change).0);
    for (cpu, gpu) in cpu[..2].iter().zip(&gpu[..2]) {
        assert!((0..2).all(|figure| (cpu[figure] - gpu[figure]).abs() < 1e-3 * cpu[figure]), "{cpu:?} {gpu:?}");
    }
}

#[test]
fn a_recipe_for_one_label_refuses_images_with_several() {
    let of = |dataset: &Dataset, multi_label: bool| {
        let mut recipe = Recipe::new("mlp");
        recipe.data.multi_label = Some(multi_label);
        Trainer::new(Engine::cpu(), recipe, dataset, TrainerOptions::default()).expect_err("refused").to_string()
    };
    assert!(
        of(&tagged(), false).contains("an image has one label (multi_label), but the images of sides have any number")
    );
    let single = Dataset::from_images(vec![0_u8; 4], [1, 1, 2], vec![0, 1], ["a", "b"]).expect("a dataset");
    assert!(of(&single, true).contains("any number of labels (multi_label), but the images of images have one each"));
    let (_, mut trainer) = trained(Engine::cpu(), &tagged(), |_| ());
    let checkpoint = gpunn::blocking::block_on(trainer.checkpoint()).expect("a checkpoint");
    let sentence = checkpoint.check_data(&Dataset { sets: None, ..tagged() }).expect_err("refused").to_string();
    assert!(
        sentence.contains("trained on images with any number of labels, but those of sides have one label"),
        "{sentence}"
    );
    // Labels are matched by name.
    let mut other = tagged();
    other.classes.swap(0, 1);
    other.sets = other.sets.map(|sets| sets.renumbered(&[1, 0]));
    assert_eq!(checkpoint.align(other).expect("aligned").training_images_of_each(), tagged().training_images_of_each());
}
