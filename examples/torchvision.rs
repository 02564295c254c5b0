//! Our half of `scripts/compare_torchvision.py`: the outputs of a network whose weights a safetensors file holds for given
//! images, and images as a network of ImageNet gets them.
//!
//!     cargo run --release --example torchvision -- logits WEIGHTS MODEL IMAGES OUT cpu     # IMAGES holds `x`, OUT `logits`
//!                                                         own                          # the model that the file names
//!     cargo run --release --example torchvision -- prepare OUT IMAGE...                    # bytes 0 to 255 by their paths

use std::collections::BTreeMap;
use std::path::Path;

use gpunn::data::Fit;
use gpunn::data::imagenet::SIDE;
use gpunn::files;
use gpunn::formats::tensors::{self, TensorFile, TensorValues};
use gpunn::gpu::{self, Device};
use gpunn::graph::{Passes, Plan, PlanOptions, TensorType, optimize};
use gpunn::images::{Preprocessing, open};
use gpunn::nn::{Build, Mode, PARAMS, STATISTICS};
use gpunn::ops::Step;
use gpunn::runs::weights;
use gpunn::train::Recipe;
use gpunn::{Engine, Error, Result};

const USAGE: &str = "usage: torchvision logits WEIGHTS MODEL IMAGES OUT cpu|gpu, or torchvision prepare OUT IMAGE...";

/// Images of a pass.
const AT_ONCE: usize = 8;

type Tensors = BTreeMap<String, (Vec<usize>, TensorValues)>;

fn write(path: &str, tensors: &Tensors) -> Result<()> {
    files::write_atomic(Path::new(path), &tensors::bytes(tensors, None)?)
}

/// Logits `[images, classes]` for `x` `[images, channels, height, width]`, a multiple of [`AT_ONCE`].
async fn logits(weights: &str, model: &str, images: &str, out: &str, device: &str) -> Result<()> {
    let named = if model == "own" { None } else { Some(gpunn::runs::model(model)?) };
    let file = TensorFile::open(Path::new(weights))?;
    let images = TensorFile::open(Path::new(images))?;
    let x = images.values("x")?;
    let shape = images.tensors()["x"].shape.clone();
    let &[count, channels, height, width] = &shape[..] else { return Err(Error::Usage(USAGE.into())) };
    // A network of this program's own says for which images it is; a torchvision model takes those of ImageNet.
    let checkpoint = weights::import(&file, named)?.checkpoint;
    let recipe = Recipe { augment: None, ..checkpoint.recipe.clone() };
    let model = recipe.build_model([channels, height, width], checkpoint.classes.len())?;
    let parameters = model.parameters();
    let kept = checkpoint.weights_in_use(parameters)?;

    let mut build = Build::new(parameters, Mode::Evaluation)?;
    let input = build.leaf("x", 0, TensorType::f32([AT_ONCE, channels, height, width]))?;
    let y = model.forward(&mut build, input)?;
    build.output("logits", y);
    let mut engine = match (device, gpu::adapters().await.first()) {
        ("cpu", _) => Engine::cpu(),
        (_, Some(adapter)) => Engine::gpu(Device::open(adapter, gpu::DeviceOptions::default()).await?),
        (_, None) => return Err(Error::Device("There is no adapter here; ask for cpu.".into())),
    };
    let graph = optimize(&build.graph, Passes::default())?;
    let program = engine.load(Plan::new(graph, &engine.target(), PlanOptions::default())?)?;
    engine.write(PARAMS, 0, &kept.learned)?;
    if !parameters.statistics().is_empty() {
        engine.write(STATISTICS, 0, &kept.statistics)?;
    }
    engine.schedule(program, &[Step::new(0, AT_ONCE as u32, 0)])?;
    let mut found = Vec::new();
    for batch in x.chunks(AT_ONCE * channels * height * width) {
        engine.write("x", 0, batch)?;
        engine.run(program, 0..1)?;
        found.extend(engine.read_output(program, "logits").await?);
    }
    let classes = found.len() / count;
    write(out, &BTreeMap::from([("logits".into(), (vec![count, classes], TensorValues::F32(found)))]))
}

/// Images by their paths `[3, 224, 224]`, by the rule of networks of ImageNet.
fn prepare(out: &str, paths: &[&str]) -> Result<()> {
    let preprocessing = Preprocessing { size: [SIDE; 2], fit: Fit::ResizeMiddle, channels: 3 };
    let mut tensors = Tensors::new();
    for &path in paths {
        let bytes = preprocessing.apply(&open(Path::new(path))?).into_iter().map(f32::from).collect();
        tensors.insert(path.into(), (vec![3, SIDE, SIDE], TensorValues::F32(bytes)));
    }
    write(out, &tensors)
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["logits", weights, model, images, out, device] => {
            gpunn::blocking::block_on(logits(weights, model, images, out, device))
        }
        ["prepare", out, ref images @ ..] => prepare(out, images),
        _ => Err(Error::Usage(USAGE.into())),
    }
}
