//! Our half of `scripts/compare_torchvision.py`: the outputs of a network whose weights a safetensors file holds for given
//! images, and images as a network of ImageNet gets them.
//!
//!     cargo run --release --example torchvision -- logits WEIGHTS MODEL IMAGES OUT cpu     # IMAGES holds `x`, OUT `logits`
//!                                                         own                          # the model that the file names
//!     cargo run --release --example torchvision -- gradients WEIGHTS MODEL IMAGES OUT cpu  # IMAGES has `labels` too
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
use gpunn::nn::models::ModelConfig;
use gpunn::nn::{Build, Mode, Model, PARAMS, STATISTICS, Weights};
use gpunn::ops::Step;
use gpunn::ops::batch::Reduction;
use gpunn::runs::weights;
use gpunn::train::Recipe;
use gpunn::{Engine, Error, Program, Result};

const USAGE: &str = "usage: torchvision logits WEIGHTS MODEL IMAGES OUT cpu|gpu, torchvision gradients with the same, or torchvision prepare OUT IMAGE...";

/// Images of a pass.
const AT_ONCE: usize = 8;

type Tensors = BTreeMap<String, (Vec<usize>, TensorValues)>;

fn write(path: &str, tensors: &Tensors) -> Result<()> {
    files::write_atomic(Path::new(path), &tensors::bytes(tensors, None)?)
}

/// A network with its weights, and images `[images, channels, height, width]`.
struct Given {
    model: Model,
    kept: Weights,
    shape: [usize; 4],
    x: Vec<f32>,
    /// The class of each image, where the file has them.
    labels: Vec<u32>,
}

impl Given {
    fn read(weights: &str, model: &str, images: &str) -> Result<Self> {
        let named = if model == "own" { None } else { Some(gpunn::runs::model(model)?) };
        let file = TensorFile::open(Path::new(weights))?;
        let images = TensorFile::open(Path::new(images))?;
        let x = images.values("x")?;
        let shape = images.tensors()["x"].shape.clone();
        let shape: [usize; 4] = shape.try_into().map_err(|_| Error::Usage(USAGE.into()))?;
        let labels = images.values("labels").unwrap_or_default().into_iter().map(|label| label as u32).collect();
        // A network of this program's own says for which images it is; a torchvision model takes those of ImageNet.
        let checkpoint = weights::import(&file, named)?.checkpoint;
        let mut recipe = Recipe { augment: None, ..checkpoint.recipe.clone() };
        // Random numbers of training cannot be compared.
        let steady = ModelConfig { stochastic_depth: Some(0.0), ..recipe.model.clone() };
        if steady.validate().is_ok() {
            recipe.model = steady;
        }
        let model = recipe.build_model([shape[1], shape[2], shape[3]], checkpoint.classes.len())?;
        let kept = checkpoint.weights_in_use(model.parameters())?;
        Ok(Self { model, kept, shape, x, labels })
    }

    /// The graph on a device, with the weights.
    async fn load(&self, build: Build<'_>, rows: usize, device: &str) -> Result<(Engine, Program)> {
        let mut engine = match (device, gpu::adapters().await.first()) {
            ("cpu", _) => Engine::cpu(),
            (_, Some(adapter)) => Engine::gpu(Device::open(adapter, gpu::DeviceOptions::default()).await?),
            (_, None) => return Err(Error::Device("There is no adapter here; ask for cpu.".into())),
        };
        let graph = optimize(&build.graph, Passes::default())?;
        let program = engine.load(Plan::new(graph, &engine.target(), PlanOptions::default())?)?;
        engine.write(PARAMS, 0, &self.kept.learned)?;
        if !self.model.parameters().statistics().is_empty() {
            engine.write(STATISTICS, 0, &self.kept.statistics)?;
        }
        engine.schedule(program, &[Step::new(0, rows as u32, 0)])?;
        Ok((engine, program))
    }
}

/// Logits `[images, classes]` for `x` `[images, channels, height, width]`, a multiple of [`AT_ONCE`].
async fn logits(weights: &str, model: &str, images: &str, out: &str, device: &str) -> Result<()> {
    let given = Given::read(weights, model, images)?;
    let [count, channels, height, width] = given.shape;
    let mut build = Build::new(given.model.parameters(), Mode::Evaluation)?;
    let input = build.leaf("x", 0, TensorType::f32([AT_ONCE, channels, height, width]))?;
    let y = given.model.forward(&mut build, input)?;
    build.output("logits", y);
    let (mut engine, program) = given.load(build, AT_ONCE, device).await?;
    let mut found = Vec::new();
    for batch in given.x.chunks(AT_ONCE * channels * height * width) {
        engine.write("x", 0, batch)?;
        engine.run(program, 0..1)?;
        found.extend(engine.read_output(program, "logits").await?);
    }
    let classes = found.len() / count;
    write(out, &BTreeMap::from([("logits".into(), (vec![count, classes], TensorValues::F32(found)))]))
}

/// The gradients of all parameters by name, of the mean cross-entropy of `x` as one batch with the classes `labels`.
async fn gradients(weights: &str, model: &str, images: &str, out: &str, device: &str) -> Result<()> {
    let given = Given::read(weights, model, images)?;
    let mut build = Build::new(given.model.parameters(), Mode::Training)?;
    let input = build.leaf("x", 0, TensorType::f32(given.shape))?;
    let labels = build.leaf("labels", 0, TensorType::u32([given.shape[0]]))?;
    let y = given.model.forward(&mut build, input)?;
    let losses = build.cross_entropy(y, labels, 0.0)?;
    let loss = build.batch_total(losses, Reduction::Mean)?;
    let learned = build.learned()?;
    let leaves: Vec<_> = learned.iter().map(|&(_, leaf)| leaf).collect();
    for ((parameter, _), gradient) in learned.iter().zip(build.gradient(loss, &leaves)?) {
        build.output(&parameter.name, gradient);
    }
    let (mut engine, program) = given.load(build, given.shape[0], device).await?;
    engine.write("x", 0, &given.x)?;
    engine.write("labels", 0, &given.labels)?;
    engine.run(program, 0..1)?;
    let mut found = Tensors::new();
    for (parameter, _) in learned {
        let values = engine.read_output(program, &parameter.name).await?;
        found.insert(parameter.name.clone(), (parameter.shape.dims().to_vec(), TensorValues::F32(values)));
    }
    write(out, &found)
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
        ["gradients", weights, model, images, out, device] => {
            gpunn::blocking::block_on(gradients(weights, model, images, out, device))
        }
        ["prepare", out, ref images @ ..] => prepare(out, images),
        _ => Err(Error::Usage(USAGE.into())),
    }
}
