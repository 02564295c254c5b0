//! Weights, checkpoints, recipes and networks. What can be built is planned, for the CPU and for a GPU.

use gpunn::Engine;
use gpunn::data::ImageOptions;
use gpunn::formats::tensors::{self, TensorFile, TensorValues};
use gpunn::graph::{Passes, Plan, PlanOptions, Target, optimize};
use gpunn::nn::models::ModelConfig;
use gpunn::runs::onnx::{self, OnnxFile, OnnxOptions};
use gpunn::train::graphs::{DeviceData, training};
use gpunn::train::{Checkpoint, Predictor, Recipe};

use super::{change, files};
use crate::common::fuzz::Fuzz;
use crate::common::training::{documented, small, trainer};

#[test]
fn weights() {
    let Some(fuzz) = Fuzz::alone("fuzz::models::weights") else { return };
    let file = tempfile::NamedTempFile::new().expect("a file");
    let mut seeds = files("tests/weights");
    let tensor = |values| (vec![2, 3], values);
    let values = (0..6).map(|value| value as f32).collect::<Vec<_>>();
    let tensors = [
        ("fc.weight".into(), tensor(TensorValues::F32(values.clone()))),
        ("fc.half".into(), tensor(TensorValues::F16(values))),
        ("bn.num_batches_tracked".into(), (vec![], TensorValues::I64(vec![7]))),
    ];
    let safetensors: Vec<u8> = tensors::bytes(&tensors.into(), Some(("note", "text".into()))).expect("bytes");
    seeds.push(safetensors.clone());
    fuzz.inputs(
        |dice| {
            if dice.once_in(6) {
                return change::header(&safetensors, dice);
            }
            let mut bytes = change::bytes(dice.one_of::<Vec<u8>>(&seeds), dice);
            if !dice.once_in(3) {
                change::no_zip_sums(&mut bytes);
            }
            bytes
        },
        |bytes| {
            std::fs::write(file.path(), bytes).expect("written");
            if let Ok(tensors) = TensorFile::open(file.path()) {
                for name in tensors.tensors().keys() {
                    let _ = tensors.values(name);
                }
                let _ = gpunn::runs::weights::import(&tensors, None);
            }
        },
    );
}

#[test]
fn checkpoints() {
    let Some(fuzz) = Fuzz::alone("fuzz::models::checkpoints") else { return };
    let (recipe, dataset) = small(40, 1, |_| {});
    let checkpoint = gpunn::blocking::block_on(trainer(gpunn::Engine::cpu(), &recipe, &dataset).checkpoint());
    let file = tempfile::NamedTempFile::new().expect("a file");
    checkpoint.expect("a checkpoint").write(file.path()).expect("written");
    let seed = std::fs::read(file.path()).expect("it reads");
    fuzz.inputs(
        |dice| if dice.once_in(2) { change::bytes(&seed, dice) } else { change::header(&seed, dice) },
        |bytes| {
            if let Ok(checkpoint) = Checkpoint::parse(&bytes, "it") {
                let _ = checkpoint.model();
                let _ = Predictor::new(Engine::cpu(), &checkpoint);
            }
        },
    );
}

/// A network that can be built is planned, for the CPU and for a GPU, or refused.
fn plans(recipe: &Recipe) {
    for (input, classes) in [([3, 32, 32], 10), ([1, 32, 32], 36)] {
        let Ok(model) = recipe.build_model(input, classes) else { continue };
        let _ = model.describe();
        let batch = recipe.training.batch_size.min(64);
        let data = DeviceData::whole("train", batch, true, input);
        let Ok(graph) = training(&model, recipe, data, batch) else { continue };
        let Ok(graph) = optimize(&graph, Passes::default()) else { continue };
        for target in [Target::cpu(), Target::portable()] {
            let _ = Plan::new(graph.clone(), &target, PlanOptions::default());
        }
    }
}

#[test]
fn recipes() {
    let Some(fuzz) = Fuzz::alone("fuzz::models::recipes") else { return };
    let seeds: Vec<String> =
        files("recipes").into_iter().map(|bytes| String::from_utf8(bytes).expect("text")).collect();
    fuzz.inputs(
        |dice| change::text(dice.one_of::<String>(&seeds), "= ", dice),
        |text| {
            if let Ok(recipe) = Recipe::parse(&text, "in it")
                && recipe.validate().is_ok()
            {
                plans(&recipe);
            }
        },
    );
}

#[test]
fn networks() {
    let Some(fuzz) = Fuzz::alone("fuzz::models::networks") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("net.toml");
    let seed = documented();
    fuzz.inputs(
        |dice| change::text(&seed, "= ", dice),
        |text| {
            std::fs::write(&path, text).expect("written");
            if let Ok(model) = gpunn::runs::model(&path.display().to_string())
                && let Ok(recipe) = gpunn::runs::choose(None, Some(model), None)
            {
                plans(&recipe);
            }
        },
    );
}

#[test]
fn onnx_files() {
    let Some(fuzz) = Fuzz::alone("fuzz::models::onnx_files") else { return };
    let seeds: Vec<Vec<u8>> = ["cnn", "resnet9", "mlp"]
        .into_iter()
        .map(|name| {
            let (mut recipe, dataset) = small(40, 1, |_| {});
            recipe.model = ModelConfig { channels: None, hidden: None, ..ModelConfig::named(name) };
            if name == "resnet9" {
                recipe.model.channels = Some(vec![4, 4, 4, 4]);
            }
            let checkpoint = gpunn::blocking::block_on(trainer(Engine::cpu(), &recipe, &dataset).checkpoint());
            onnx::export(&checkpoint.expect("a checkpoint"), OnnxOptions::default()).expect("a file").bytes
        })
        .collect();
    let file = tempfile::Builder::new().suffix(".onnx").tempfile().expect("a file");
    fuzz.inputs(
        |dice| change::bytes(dice.one_of::<Vec<u8>>(&seeds), dice),
        |bytes| {
            std::fs::write(file.path(), bytes).expect("written");
            if let Ok(file) = OnnxFile::open(file.path(), &ImageOptions::default())
                && let Ok(checkpoint) = file.checkpoint()
            {
                let _ = checkpoint.model();
                plans(&checkpoint.recipe);
            }
        },
    );
}
