//! Weights files: export and import, each kind of bad file, and the memory that frozen layers save.

use std::collections::BTreeMap;
use std::path::Path;

use crate::common::files::weights_of;
use crate::common::{gpunn, is_refusal, text, training};
use gpunn::data::{Dataset, Pixels, Split, SplitName};
use gpunn::formats::tensors::{self, TensorEntry, TensorFile, TensorValues};
use gpunn::nn::Unfreeze;
use gpunn::nn::models::{self, ModelConfig};
use gpunn::runs::weights;
use gpunn::train::{Recipe, Trainer, TrainerOptions};
use gpunn::{Engine, Error};

#[track_caller]
fn refused(folder: &Path, args: &[&str], code: i32, parts: &[&str]) {
    is_refusal(&gpunn(folder, args), code, parts);
}

/// A file with this header and this number of bytes after it.
fn file(header: &str, bytes: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; bytes]].concat()
}

#[test]
fn files_that_are_no_weights_are_sentences_that_name_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let sound = weights_of("squeezenet", 10);
    let claims = |length: u64| [&length.to_le_bytes()[..], b"{}"].concat();
    let tensor = |name: &str, kind: &str, shape: &str, from: u64, to: u64| {
        format!("\"{name}\":{{\"dtype\":\"{kind}\",\"shape\":{shape},\"data_offsets\":[{from},{to}]}}")
    };
    let header = |tensors: &[String]| format!("{{{}}}", tensors.join(","));
    let cases: [(&str, Vec<u8>, &[&str]); 12] = [
        ("text", b"no weights at all".to_vec(), &["not a valid safetensors file"]),
        ("empty", Vec::new(), &["fewer than 8 bytes"]),
        ("short-header", sound[..2000].to_vec(), &["cut short"]),
        ("short-data", sound[..sound.len() - 8].to_vec(), &["do not end at the end of the file"]),
        ("huge-header", claims(1 << 60), &["limit of 100 MB"]),
        ("long-header", claims(1 << 20), &["longer than the file"]),
        ("no-json", file("{\"a\"", 0), &["cannot be parsed"]),
        (
            "overlap",
            file(&header(&[tensor("a", "F32", "[2]", 0, 8), tensor("b", "F32", "[2]", 4, 12)]), 12),
            &["`b`", "overlap"],
        ),
        ("outside", file(&header(&[tensor("a", "F32", "[2]", 0, 8)]), 4), &["do not end at the end of the file"]),
        ("type", file(&header(&[tensor("a", "F31", "[2]", 0, 8)]), 8), &["F31"]),
        (
            "shape",
            file(&header(&[tensor("a", "F32", "[4294967296,4294967296,2]", 0, 8)]), 8),
            &["larger than any file"],
        ),
        ("zip.pth", b"PK\x03\x04 and so on".to_vec(), &["not a valid PyTorch file", "cut short"]),
    ];
    for (name, bytes, parts) in &cases {
        std::fs::write(at.join(name), bytes).expect("written");
        let all: Vec<&str> = parts.iter().copied().chain([*name]).collect();
        refused(at, &["info", name], 1, &all);
        refused(at, &["import", name, "--model", "squeezenet"], 1, &all);
    }
    refused(at, &["info", "gone"], 1, &["gone"]);
    refused(at, &["info", "."], 2, &["is a folder"]);
}

/// The tensors of a file after `change` has changed the shapes and values of some.
fn changed(
    file: &TensorFile,
    change: impl Fn(&str, &mut Vec<usize>, &mut [f32]),
) -> BTreeMap<String, (Vec<usize>, TensorValues)> {
    let of = |(name, tensor): (&String, &TensorEntry)| {
        let (mut shape, mut values) = (tensor.shape.clone(), file.values(name).expect("values"));
        change(name, &mut shape, &mut values);
        (name.clone(), (shape, TensorValues::F32(values)))
    };
    file.tensors().iter().map(of).collect()
}

#[test]
fn files_of_other_weights_are_refused_with_their_tensors() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    std::fs::write(at.join("squeezenet"), weights_of("squeezenet", 10)).expect("written");
    let to_other = ["import", "squeezenet", "--model", "resnet18"];
    refused(at, &to_other, 1, &["does not match the model resnet18", "`fc.weight`", "of the model squeezenet"]);
    refused(at, &["import", "squeezenet", "--model", "squeezenett"], 2, &["did you mean `squeezenet`"]);
    refused(at, &["import", "squeezenet", "--model", "mlp"], 2, &["--dataset"]);
    let whole = TensorFile::open(&at.join("squeezenet")).expect("opened");
    // A valid file in which one tensor has another shape.
    let mut all = changed(&whole, |name, shape, _| {
        if name == "features.3.squeeze.weight" {
            shape.swap(0, 1);
        }
    });
    all.insert("features.13.weight".into(), (vec![1], TensorValues::F32(vec![0.0])));
    std::fs::write(at.join("other"), tensors::bytes(&all, None).expect("bytes")).expect("written");
    let parts =
        ["`features.3.squeeze.weight` is 64x16x1x1 instead of 16x64x1x1", "unexpected `features.13.weight` (1)"];
    refused(at, &["import", "other", "--model", "squeezenet"], 1, &parts);
    // NaN and infinity.
    let broken = changed(&whole, |name, _, values| match name {
        "features.0.weight" => values[5] = f32::NAN,
        "features.3.squeeze.bias" => values[0] = f32::NEG_INFINITY,
        _ => {}
    });
    std::fs::write(at.join("broken"), tensors::bytes(&broken, None).expect("bytes")).expect("written");
    let parts = ["broken holds NaN or infinity in", "`features.0.weight`, `features.3.squeeze.bias`:"];
    refused(at, &["import", "broken", "--model", "squeezenet"], 1, &parts);
    std::fs::write(at.join("nameless"), tensors::bytes(&BTreeMap::new(), None).expect("bytes")).expect("written");
    refused(at, &["import", "nameless"], 2, &["--model"]);
}

#[test]
fn weights_go_in_and_out_and_predict() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    std::fs::write(at.join("w"), weights_of("squeezenet", 1000)).expect("written");
    image::RgbImage::from_fn(60, 40, |x, y| image::Rgb([x as u8 * 4, y as u8 * 5, 90]))
        .save(at.join("p.png"))
        .expect("saved");
    let predicted = |args: &[&str]| -> serde_json::Value {
        let output = gpunn(at, &[&["predict", "--device", "cpu", "--json"], args].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    // The names of the tensors tell the model, and the classes are ImageNet's.
    let first = predicted(&["--pretrained", "w", "p.png"]);
    let likeliest = first["predictions"][0]["likeliest"].as_array().expect("five").clone();
    assert_eq!((likeliest.len(), &likeliest[0]["class"]), (5, &first["predictions"][0]["class"]));
    let index = likeliest[0]["index"].as_u64().expect("a number") as usize;
    assert_eq!(likeliest[0]["class"], gpunn::data::imagenet::classes()[index]);
    // The same through a run, through an export of it, and through an export of that export, which has the same bytes.
    assert!(gpunn(at, &["import", "w", "--out", "run"]).status.success());
    assert_eq!(predicted(&["run", "p.png", "--top", "5"]), first);
    assert!(gpunn(at, &["export", "run", "--out", "once"]).status.success());
    assert!(gpunn(at, &["import", "once", "--out", "again"]).status.success());
    assert!(gpunn(at, &["export", "again", "--format", "safetensors", "--out", "twice"]).status.success());
    assert_eq!(std::fs::read(at.join("once")).expect("bytes"), std::fs::read(at.join("twice")).expect("bytes"));
    assert_eq!(predicted(&["--pretrained", "twice", "p.png"]), first);
    let info: serde_json::Value = serde_json::from_slice(&gpunn(at, &["info", "w", "--json"]).stdout).expect("JSON");
    assert_eq!((&info["model"], &info["parameters"]), (&"squeezenet".into(), &1_235_496.into()));
    assert_eq!(info["tensors"]["classifier.1.bias"], serde_json::json!({"type": "F32", "shape": [1000]}));
    refused(at, &["predict", "--model", "squeezenet", "p.png"], 2, &["squeezenet1_1.safetensors", "gpunn weights get"]);
    refused(at, &["predict", "run"], 2, &["No images", "Add images"]);
}

/// Small images of two classes for a network that was made for ImageNet.
fn images(side: usize) -> Dataset {
    let split = |count: u32| {
        Split::new(
            Pixels::U8((0..count as usize * 3 * side * side).map(|i| (i * 37 % 251) as u8).collect()),
            (0..count).map(|i| i % 2).collect(),
        )
    };
    let classes = vec!["left".into(), "right".into()];
    let val = Some(split(2));
    Dataset {
        name: "mine".into(),
        input: [3, side, side],
        classes,
        sets: None,
        train: split(6),
        val,
        test: None,
        folder: None,
        skipped: Vec::new(),
        absent: Vec::new(),
    }
}

/// A recipe for [`images`] with this model and these layers to train.
fn recipe(model: &str, pretrained: Option<&str>, unfreeze: Option<Unfreeze>) -> Recipe {
    let mut recipe = Recipe::find("flowers17-squeezenet").expect("a recipe");
    recipe.augment = None;
    (recipe.training.batch_size, recipe.training.epochs) = (3, 2.0);
    recipe.model = ModelConfig { pretrained: pretrained.map(Into::into), unfreeze, ..ModelConfig::named(model) };
    recipe
}

fn trainer(recipe: &Recipe, dataset: &Dataset) -> Trainer {
    training::trainer(Engine::cpu(), recipe, dataset)
}

#[test]
fn frozen_layers_stay_as_the_file_has_them_and_cost_no_gradient_and_no_state() {
    let dataset = images(64);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), weights_of("resnet18", 1000)).expect("written");
    let file = TensorFile::open(file.path()).expect("opened");
    let frozen_recipe = recipe("resnet18", Some("the file"), None);
    let mut frozen = trainer(&frozen_recipe, &dataset);
    let whole = trainer(&recipe("resnet18", None, None), &dataset);
    // Frozen layers save the gradients and Adam's two moments of eleven million parameters, and all gradients of
    // activations except one.
    let count = whole.model().parameters().count();
    assert_eq!(frozen.model().parameters().updated_len(), 2 * 512 + 64);
    assert!(whole.planned_bytes() - frozen.planned_bytes() > 3 * 4 * count, "{}", frozen.planned_bytes());
    assert!(2 * frozen.step_cost().0 < whole.step_cost().0, "a third of the work is left");

    gpunn::blocking::block_on(frozen.load_pretrained(&file)).expect("it fits");
    let before = gpunn::blocking::block_on(frozen.weights()).expect("weights");
    for _ in 0..2 {
        gpunn::blocking::block_on(frozen.epoch(&mut |_| true)).expect("trained");
    }
    let checkpoint = gpunn::blocking::block_on(frozen.checkpoint()).expect("a checkpoint");
    for (name, tensor) in file.tensors().iter().filter(|(name, _)| !name.starts_with("fc.")) {
        let (shape, values) = &checkpoint.tensors[name];
        assert_eq!((shape, values), (&tensor.shape, &file.values(name).expect("values")), "{name}");
    }
    let after = gpunn::blocking::block_on(frozen.weights()).expect("weights");
    assert_ne!(before.learned, after.learned);
    assert_eq!(checkpoint.classes, ["left", "right"]);
    let states = checkpoint.tensors.keys().filter(|name| name.starts_with("optimizer.")).count();
    assert_eq!(states, 2 * 2);
    // The checkpoint resumes without the pretrained file, with the same bits.
    let mut again = trainer(&frozen_recipe, &dataset);
    again.restore(&checkpoint).expect("restored");
    assert_eq!(gpunn::blocking::block_on(again.weights()).expect("weights"), after);
}

#[test]
fn a_summary_says_what_freezing_saves() {
    let folder = tempfile::tempdir().expect("a folder");
    let summary = |more: &[&str]| -> serde_json::Value {
        let args = [
            "summary",
            "--model",
            "squeezenet",
            "--input",
            "3x64x64",
            "--classes",
            "17",
            "--batch-size",
            "2",
            "--json",
        ];
        let output = gpunn(folder.path(), &[&args, more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let (frozen, whole) = (summary(&["--freeze"]), summary(&["--unfreeze", "all"]));
    // The classifier's weights and biases, each rounded up to blocks of 64 floats. Adam keeps two values for each.
    let classifier = 4 * (17 * 512 + 64);
    assert_eq!((&frozen["gradient_bytes"], &frozen["state_bytes"]), (&classifier.into(), &(2 * classifier).into()));
    for what in ["gradient_bytes", "state_bytes", "planned_bytes"] {
        assert_eq!(frozen[format!("{what}_unfrozen")], whole[what], "{what}");
    }
    assert!(whole["gradient_bytes"].as_u64() > whole["parameters"].as_u64().map(|count| 4 * count));
}

/// Trains two epochs. Returns the shape of the kept features, if any, the losses and the weights.
fn trained(recipe: &Recipe, dataset: &Dataset, file: &TensorFile) -> (Option<[usize; 3]>, Vec<f64>, Vec<f32>) {
    let mut trainer = trainer(recipe, dataset);
    gpunn::blocking::block_on(trainer.load_pretrained(file)).expect("it fits");
    let mut losses = Vec::new();
    for _ in 0..2 {
        let line = gpunn::blocking::block_on(trainer.epoch(&mut |_| true)).expect("trained").expect("whole");
        losses.extend([line.train_loss, line.val_loss.expect("measured")]);
    }
    (trainer.features(), losses, gpunn::blocking::block_on(trainer.weights()).expect("weights").learned)
}

#[test]
fn features_that_are_kept_teach_what_images_would() {
    let dataset = images(64);
    for (model, shape) in [("squeezenet", [512, 3, 3]), ("resnet18", [512, 1, 1])] {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), weights_of(model, 1000)).expect("written");
        let file = TensorFile::open(file.path()).expect("opened");
        let mut recipe = recipe(model, Some("the file"), None);
        recipe.model.dropout = 0.3;
        let (kept, losses, weights) = trained(&recipe, &dataset, &file);
        assert_eq!(kept, Some(shape), "nothing is random, so that they are kept unasked");
        recipe.training.cache_features = Some(false);
        let (none, whole_losses, whole_weights) = trained(&recipe, &dataset, &file);
        assert_eq!(none, None);
        for (kept, whole) in losses.iter().zip(&whole_losses) {
            assert!((kept - whole).abs() < 1e-5 * whole.abs().max(1.0), "{model}: {losses:?} {whole_losses:?}");
        }
        // A step of Adam has about the size of the learning rate even for a tiny gradient, so rounding may change a few
        // weights.
        let apart = weights.iter().zip(&whole_weights).filter(|(a, b)| (**a - **b).abs() > 1e-4).count();
        assert!(apart * 1000 < weights.len(), "{model}: {apart} of {}", weights.len());
    }
}

#[test]
fn features_are_kept_where_that_loses_nothing_or_is_asked_for() {
    use gpunn::ops::augment::{Augment, Flip};
    let dataset = images(64);
    let mut recipe = recipe("squeezenet", Some("the file"), None);
    let kept = |recipe: &Recipe| trainer(recipe, &dataset).features().is_some();
    assert!(kept(&recipe));
    recipe.augment = Some(Augment { flip: Flip::Random, ..Augment::default() });
    assert!(!kept(&recipe), "mirror images would be lost");
    recipe.training.cache_features = Some(true);
    assert!(kept(&recipe));
    recipe.training.tta = Some(gpunn::train::Tta::Flip);
    let refused = |recipe: &Recipe| {
        let refused = Trainer::new(Engine::cpu(), recipe.clone(), &dataset, TrainerOptions::default());
        refused.expect_err("refused").to_string()
    };
    assert!(refused(&recipe).contains("views"));
    recipe.training.tta = None;
    recipe.model.unfreeze = Some(Unfreeze::All);
    assert!(refused(&recipe).contains("--unfreeze classifier"));
    recipe.training.cache_features = None;
    assert!(!kept(&recipe));
}

#[test]
fn what_comes_from_a_file_learns_at_its_own_rate() {
    let dataset = images(64);
    let moved = |rate: Option<f32>| {
        let mut recipe = recipe("squeezenet", Some("the file"), Some(Unfreeze::Last(3)));
        recipe.model.pretrained_rate = rate;
        // A step of Adam changes each weight by about the learning rate, whatever its gradient.
        recipe.training.batch_size = 6;
        let mut trainer = trainer(&recipe, &dataset);
        let before = gpunn::blocking::block_on(trainer.checkpoint()).expect("a checkpoint").tensors;
        gpunn::blocking::block_on(trainer.epoch(&mut |_| true)).expect("trained");
        let after = gpunn::blocking::block_on(trainer.checkpoint()).expect("a checkpoint").tensors;
        let largest = |name: &str| {
            let pairs = before[name].1.iter().zip(&after[name].1);
            pairs.map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max)
        };
        ["features.10.squeeze.bias", "features.11.squeeze.bias", "classifier.1.bias"].map(largest)
    };
    for (rate, wanted) in [(None, 1e-4), (Some(0.5), 5e-4)] {
        let [frozen, tuned, classifier] = moved(rate);
        assert_eq!(frozen, 0.0);
        assert!((tuned / wanted - 1.0).abs() < 0.1 && (classifier / 1e-3 - 1.0).abs() < 0.1, "{tuned} {classifier}");
    }
}

#[test]
fn folders_and_images_that_cannot_be_trained_on_are_sentences() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    for (class, shade) in [("one", 10), ("two", 200)] {
        std::fs::create_dir_all(at.join("both").join(class)).expect("made");
        let image = image::RgbImage::from_pixel(8, 8, image::Rgb([shade; 3]));
        image.save(at.join("both").join(class).join("1.png")).expect("saved");
    }
    std::fs::create_dir_all(at.join("single/one")).expect("made");
    std::fs::copy(at.join("both/one/1.png"), at.join("single/one/1.png")).expect("copied");
    let of = |dataset: &'static str, more: &[&'static str]| {
        [&["train", "--model", "squeezenet", "--device", "cpu", "--dataset", dataset], more].concat()
    };
    refused(
        at,
        &of("./both", &[]),
        2,
        &["squeezenet/squeezenet1_1-b8a52dc0.pth", "gpunn weights get squeezenet", "--scratch"],
    );
    refused(at, &of("./both", &["--pretrained", "gone"]), 1, &["gone"]);
    refused(at, &of("./single", &["--scratch"]), 1, &["single", "one class"]);
    let small = ["train", "--recipe", "small.toml", "--device", "cpu", "--scratch"];
    let mut recipe = recipe("squeezenet", None, None);
    recipe.data.name = "./both".into();
    recipe.data.size = Some(gpunn::data::Size::Square(16));
    std::fs::write(at.join("small.toml"), recipe.to_toml().expect("text")).expect("written");
    refused(at, &small, 1, &["squeezenet does not fit its input", "features"]);
    refused(at, &of("./both", &["--unfreeze", "head"]), 2, &["last:3"]);
}

#[test]
fn every_torchvision_model_says_where_its_weights_lie_and_is_known_by_them() {
    for name in models::torchvision_models() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), weights_of(name, 5)).expect("written");
        let file = TensorFile::open(file.path()).expect("opened");
        assert_eq!(weights::architecture_of(&file), Some(name));
        assert!(models::published(name).is_some_and(|path| path.ends_with(".safetensors")));
        let imported = weights::import(&file, None).expect("imported").checkpoint;
        assert_eq!((imported.input, imported.classes.len()), ([3, 224, 224], 5));
    }
    assert!(matches!(images(8).split(SplitName::Test), Err(Error::Usage(_))));
}

#[test]
fn weights_of_pytorch_under_a_prefix_are_found_by_the_makers_file_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let data = at.join("data");
    std::fs::create_dir_all(data.join("squeezenet")).expect("made");
    std::fs::write(data.join("squeezenet/squeezenet1_1-b8a52dc0.pth"), weights_of("squeezenet", 1000))
        .expect("written");
    let listed = gpunn(at, &["weights", "list", "--data-dir", "data"]);
    let lines: Vec<String> = text(&listed.stdout).lines().map(Into::into).collect();
    assert_eq!(lines.len(), models::torchvision_models().len());
    assert!(lines[0].starts_with("squeezenet ") && lines[0].contains("4.7 MiB  here: data"), "{}", lines[0]);
    assert!(lines[1].contains("`gpunn weights get squeezenet1_0` downloads it"), "{}", lines[1]);
    refused(at, &["weights", "get", "mlp"], 2, &["no network with published weights `mlp`", "resnet18"]);
    refused(at, &["data", "get", "squeezenet1_1"], 2, &["gpunn weights get squeezenet1_1"]);
    // The file is used without its name, and with a prefix.
    image::RgbImage::from_pixel(60, 40, image::Rgb([40, 90, 200])).save(at.join("p.png")).expect("saved");
    let predicted = |args: &[&str]| {
        let output = gpunn(at, &[&["predict", "--device", "cpu", "--json", "p.png"], args].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let first = predicted(&["--model", "squeezenet", "--data-dir", "data"]);
    let whole = TensorFile::open(&data.join("squeezenet/squeezenet1_1-b8a52dc0.pth")).expect("opened");
    let renamed = changed(&whole, |_, _, _| {}).into_iter().map(|(name, tensor)| (format!("module.{name}"), tensor));
    std::fs::write(at.join("prefixed"), tensors::bytes(&renamed.collect(), None).expect("bytes")).expect("written");
    assert_eq!(predicted(&["--pretrained", "prefixed"]), first);
    assert!(gpunn(at, &["import", "prefixed", "--out", "run"]).status.success());
    refused(at, &["import", "prefixed", "--model", "resnet18", "--out", "no"], 1, &["of the model squeezenet"]);
    let hostile = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/weights/hostile.pth");
    refused(at, &["import", hostile, "--model", "squeezenet"], 1, &["`posix.system`", "could run code"]);
}
