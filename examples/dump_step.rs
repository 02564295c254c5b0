//! One training step of a built-in recipe's network as a safetensors file, for `scripts/compare_pytorch_step.py`: the batch
//! (of the embedded glyphs where they have the images' shape, else random), the weights before, the loss, every gradient
//! by its parameter's name, and the weights after. The graph is the one that `gpunn train` runs, without what is random in
//! it, dropout and augmentation; only its outputs are named in addition.
//!
//!     cargo run --release --example dump_step -- step.safetensors nist36-mlp cpu

use std::collections::HashMap;
use std::path::Path;

use gpunn::data::{self, Split, epoch_order, glyphs};
use gpunn::files;
use gpunn::gpu::{self, Device};
use gpunn::graph::{Graph, NodeId, Passes, Plan, PlanOptions, optimize};
use gpunn::nn::{PARAMS, Parameters};
use gpunn::ops::batch::BatchTotal;
use gpunn::ops::muon::MuonMomentum;
use gpunn::ops::pack::Pack;
use gpunn::ops::{Op, Step};
use gpunn::optim::{Schedule, TrainingProgress};
use gpunn::random::{CounterRng, Purpose};
use gpunn::train::Recipe;
use gpunn::train::graphs::{self, DeviceData};
use gpunn::{Engine, Error, Result};
use safetensors::tensor::{Dtype, TensorView};

const USAGE: &str = "usage: dump_step FILE [RECIPE] [cpu|gpu]";

/// Tensors by name: axis sizes and the values' bytes.
type Tensors = Vec<(String, Vec<usize>, Vec<u8>)>;

fn put(tensors: &mut Tensors, name: &str, shape: &[usize], values: &[f32]) {
    tensors.push((name.into(), shape.to_vec(), values.iter().flat_map(|value| value.to_le_bytes()).collect()));
}

/// Puts the flat buffer of all parameters under their names.
fn put_flat(tensors: &mut Tensors, prefix: &str, parameters: &Parameters, flat: &[f32]) {
    for parameter in parameters.iter() {
        put(tensors, &format!("{prefix}/{}", parameter.name), parameter.shape.dims(), &flat[parameter.range()]);
    }
}

/// Names the loss and what the updates take in: the gradients. A pack has those of SGD and Adam, each at its parameter's place;
/// Muon has one node for each gradient, named after the parameter.
fn name_outputs(graph: &mut Graph, parameters: &Parameters) {
    fn all<O: Op>(graph: &Graph) -> Vec<NodeId> {
        graph.ids().filter(|&id| graph.node(id).op_as::<O>().is_some()).collect()
    }
    if let Some(&loss) = all::<BatchTotal>(graph).first() {
        graph.output("loss", loss);
    }
    let mut named = Vec::new();
    for pack in all::<Pack>(graph) {
        let offsets = graph.node(pack).op_as::<Pack>().map(|pack| pack.offsets.clone()).unwrap_or_default();
        let inputs = graph.node(pack).inputs().iter().copied();
        named.extend(offsets.into_iter().zip(inputs).filter_map(|(offset, id)| {
            let parameter = parameters.iter().find(|parameter| parameter.offset == offset)?;
            Some((parameter.name.clone(), id))
        }));
    }
    for momentum in all::<MuonMomentum>(graph) {
        let node = graph.node(momentum);
        let parameter = parameters.iter().find(|parameter| node.name.contains(&format!("/{}/", parameter.name)));
        named.extend(parameter.map(|parameter| (parameter.name.clone(), node.inputs()[0])));
    }
    for (name, gradient) in named {
        graph.output(format!("gradient/{name}"), gradient);
    }
}

/// A batch for the recipe's network: its images, their shape and the number of classes.
fn batch_for(recipe: &Recipe) -> Result<(Split, [usize; 3], usize)> {
    let batch = recipe.training.batch_size;
    let outline = gpunn::datasets::outline(&recipe.data.name, None, &recipe.data.asked(), None)?;
    let glyphs = glyphs::dataset();
    if outline.input == glyphs.input {
        let order = epoch_order(glyphs.train.len(), recipe.seed, 0);
        return Ok((glyphs.train.select(&order[..batch]), glyphs.input, glyphs.classes.len()));
    }
    let random = CounterRng::new(recipe.seed, Purpose::Split, 0, 0);
    let values = (batch * outline.input.iter().product::<usize>()) as u32;
    let pixels = data::Pixels::U8((0..values).map(|i| random.word(i) as u8).collect());
    let labels = (values..values + batch as u32).map(|i| random.word(i) % outline.classes as u32).collect();
    Ok((Split::new(pixels, labels), outline.input, outline.classes))
}

async fn step(recipe: &Recipe, engine: &mut Engine) -> Result<Tensors> {
    let (split, input, classes) = batch_for(recipe)?;
    let batch = split.len();
    let model = recipe.model.build(input, classes)?;
    let parameters = model.parameters();

    let data = DeviceData::whole("train", batch, true, input);
    let mut graph = graphs::training(&model, recipe, data, batch)?;
    name_outputs(&mut graph, parameters);
    let plan = Plan::new(optimize(&graph, Passes::default())?, &engine.target(), PlanOptions::default())?;
    let program = engine.load(plan)?;

    let pixels: Vec<f32> = (0..batch).filter_map(|i| split.image(i)).flatten().collect();
    let before = parameters.initial(recipe.seed);
    if let gpunn::data::Pixels::U8(bytes) = &split.pixels {
        engine.write(&data.buffer("pixels"), 0, bytes)?;
    }
    engine.write(&data.buffer("labels"), 0, &split.labels)?;
    engine.write(&data.buffer("order"), 0, &(0..batch as u32).collect::<Vec<_>>())?;
    engine.write(PARAMS, 0, &before)?;
    for (buffer, table) in recipe.optimizer.tables(parameters) {
        engine.write(buffer, 0, &table)?;
    }
    let mut numbers = Step::new(0, batch as u32, recipe.seed);
    let at = TrainingProgress { epoch: 0, step: 0, steps: 1, epochs: 1.0 };
    recipe.optimizer.fill(&mut numbers, &Schedule::default(), at);
    engine.schedule(program, &[numbers])?;
    engine.run(program, 0..1)?;

    let mut tensors = Tensors::new();
    put(&mut tensors, "x", &[&[batch], &input[..]].concat(), &pixels);
    let labels: Vec<f32> = split.labels.iter().map(|&label| label as f32).collect();
    put(&mut tensors, "labels", &[batch], &labels);
    put_flat(&mut tensors, "before", parameters, &before);
    put(&mut tensors, "loss", &[1], &engine.read_output(program, "loss").await?);
    for parameter in parameters.iter() {
        let name = format!("gradient/{}", parameter.name);
        put(&mut tensors, &name, parameter.shape.dims(), &engine.read_output(program, &name).await?);
    }
    put_flat(&mut tensors, "after", parameters, &engine.read(PARAMS).await?);
    Ok(tensors)
}

fn write(path: &Path, recipe: &Recipe, device: String, tensors: &Tensors) -> Result<()> {
    let says = |error: &dyn std::fmt::Display| Error::Data(format!("{} cannot be written: {error}.", path.display()));
    let mut views = Vec::new();
    for (name, shape, bytes) in tensors {
        views.push((name, TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(|error| says(&error))?));
    }
    let json = |text: serde_json::Result<String>| text.map_err(|error| says(&error));
    let metadata = HashMap::from([
        ("recipe".into(), recipe.name.clone()),
        ("device".into(), device),
        ("model".into(), json(serde_json::to_string(&recipe.model))?),
        ("reduction".into(), json(serde_json::to_string(&recipe.training.reduction))?),
        ("optimizer".into(), json(serde_json::to_string(&recipe.optimizer))?),
    ]);
    files::write_atomic(path, &safetensors::serialize(views, Some(metadata)).map_err(|error| says(&error))?)
}

async fn dump() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (file, recipe, device) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [file] => (file, "nist36-mlp", "cpu"),
        [file, recipe] => (file, recipe, "cpu"),
        [file, recipe, device @ ("cpu" | "gpu")] => (file, recipe, device),
        _ => return Err(Error::Usage(USAGE.into())),
    };
    let mut recipe = Recipe::find(recipe)?;
    (recipe.model.dropout, recipe.augment) = (0.0, None);
    let mut engine = match (device, gpu::adapters().await.first()) {
        ("cpu", _) => Engine::cpu(),
        (_, Some(adapter)) => Engine::gpu(Device::open(adapter, gpu::DeviceOptions::default()).await?),
        (_, None) => return Err(Error::Device("There is no adapter here; ask for cpu.".into())),
    };
    let tensors = step(&recipe, &mut engine).await?;
    write(Path::new(file), &recipe, engine.device_name(), &tensors)
}

fn main() -> Result<()> {
    gpunn::blocking::block_on(dump())
}
