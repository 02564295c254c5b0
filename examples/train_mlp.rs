//! A network of one's own, trained on the data set inside the program: the model of layers, the graph of a step, the plan,
//! and the loop, with nothing of `gpunn::train`.
//!
//!     cargo run --release --example train_mlp

use gpunn::data::{Dataset, Pixels, Split, SplitName, epoch_order, glyphs};
use gpunn::gpu::{self, Device};
use gpunn::graph::kernel::DeviceClass;
use gpunn::graph::{Graph, NodeId, Passes, Plan, PlanOptions, TensorType, optimise};
use gpunn::nn::{Activation, Build, Dropout, Flatten, Linear, Mode, Model, PARAMS, Scheme, Sequence, Weights};
use gpunn::ops::Step;
use gpunn::ops::batch::{Accumulate, Reduction};
use gpunn::optim::Optimiser;
use gpunn::{Engine, Error, Program, Result};

const BATCH: usize = 50;
const EPOCHS: u32 = 5;
const SEED: u64 = 7;

fn model(dataset: &Dataset) -> Result<Model> {
    let layers = Sequence::new()
        .with("flatten", Flatten)
        .with("fc1", Linear::new(96, Scheme::Xavier))
        .with("act1", Activation::Gelu)
        .with("dropout", Dropout { rate: 0.1 })
        .with("fc2", Linear::new(dataset.classes.len(), Scheme::Xavier));
    Model::new("mine", &dataset.input, layers)
}

/// From a split that lies on the device to the losses of a batch's rows, which are added to `sums` with the rows that were
/// right: a gather by the order of the epoch, the model, and cross-entropy.
fn losses(build: &mut Build, model: &Model, name: &str, rows: usize) -> Result<NodeId> {
    let features: usize = model.input().iter().product();
    let pixels = build.leaf(format!("{name}.pixels"), 0, TensorType::u8([rows, features]))?;
    let labels = build.leaf(format!("{name}.labels"), 0, TensorType::u32([rows]))?;
    let order = build.leaf(format!("{name}.order"), 0, TensorType::u32([rows]))?;
    let sums = build.leaf(format!("{name}.sums"), 0, TensorType::f32([3]))?;
    let x = build.gather(pixels, order, BATCH)?;
    let labels = build.gather(labels, order, BATCH)?;
    let logits = model.forward(build, x)?;
    let losses = build.cross_entropy(logits, labels, 0.0)?;
    let correct = build.correct(logits, labels)?;
    build.update(Accumulate, &[losses, correct], &[sums])?;
    Ok(losses)
}

/// A training step: the losses, their mean, the gradient of that by every parameter, and the update.
fn training(model: &Model, optimiser: &Optimiser, rows: usize) -> Result<Graph> {
    let mut build = Build::new(model.parameters(), Mode::Training)?;
    let losses = losses(&mut build, model, "train", rows)?;
    let loss = build.batch_total(losses, Reduction::Mean)?;
    optimiser.update(&mut build, loss)?;
    Ok(build.graph)
}

/// A step that only measures, without dropout, over the same parameters.
fn measuring(model: &Model, rows: usize) -> Result<Graph> {
    let mut build = Build::new(model.parameters(), Mode::Evaluation)?;
    losses(&mut build, model, "val", rows)?;
    Ok(build.graph)
}

fn load(engine: &mut Engine, graph: &Graph) -> Result<Program> {
    let plan = Plan::new(optimise(graph, Passes::default())?, &engine.target(), PlanOptions::default())?;
    engine.load(plan)
}

/// Takes a split to the device, once.
fn upload(engine: &mut Engine, name: &str, split: &Split) -> Result<()> {
    match &split.pixels {
        Pixels::U8(values) => engine.write(&format!("{name}.pixels"), 0, values)?,
        Pixels::F32(_) | Pixels::Stored(_) => {
            return Err(Error::Usage("this example reads images of bytes, in memory".into()));
        }
    }
    engine.write(&format!("{name}.labels"), 0, &split.labels)
}

/// The numbers of the steps that go once through `rows` images; the last batch may be partly void.
fn steps(rows: usize, epoch: u32, optimiser: &Optimiser) -> Vec<Step> {
    let count = rows.div_ceil(BATCH) as u32;
    let step = |index: u32| {
        let first = index as usize * BATCH;
        let mut step = Step::new(epoch * count + index, BATCH.min(rows - first) as u32, SEED);
        (step.first, step.epoch) = (first as u32, epoch);
        optimiser.fill(&mut step, optimiser.learning_rate, optimiser.momentum());
        step
    };
    (0..count).map(step).collect()
}

/// Goes through a split in an order; the mean loss and the accuracy. Nothing is read back before the end.
async fn pass(engine: &mut Engine, program: Program, name: &str, order: &[u32], steps: &[Step]) -> Result<(f32, f32)> {
    let sums = format!("{name}.sums");
    engine.write(&sums, 0, &[0.0_f32; 3])?;
    engine.write(&format!("{name}.order"), 0, order)?;
    engine.schedule(program, steps)?;
    engine.run(program, 0..steps.len())?;
    let sums = engine.read(&sums).await?;
    Ok((sums[0] / sums[2], sums[1] / sums[2]))
}

async fn train() -> Result<()> {
    let dataset = glyphs::dataset();
    let (train, val) = (dataset.split(SplitName::Train)?, dataset.split(SplitName::Val)?);
    let model = model(&dataset)?;
    let optimiser = Optimiser { momentum: 0.9, ..Optimiser::sgd(0.05) };

    // A hardware GPU where there is one, else the CPU.
    let adapters = gpu::adapters().await;
    let mut engine = match adapters.iter().find(|adapter| adapter.class() != DeviceClass::Software) {
        Some(adapter) => Engine::gpu(Device::open(adapter, gpu::DeviceOptions::default()).await?),
        None => Engine::cpu(),
    };
    println!("{} parameters on {}", model.parameters().count(), engine.device_name());

    let training = load(&mut engine, &training(&model, &optimiser, train.len())?)?;
    let measuring = load(&mut engine, &measuring(&model, val.len())?)?;
    upload(&mut engine, "train", train)?;
    upload(&mut engine, "val", val)?;
    engine.write(PARAMS, 0, &model.parameters().initial(SEED))?;
    for (buffer, table) in optimiser.tables(model.parameters()) {
        engine.write(buffer, 0, &table)?;
    }

    let in_order: Vec<u32> = (0..val.len() as u32).collect();
    for epoch in 0..EPOCHS {
        let order = epoch_order(train.len(), SEED, epoch);
        let (loss, right) =
            pass(&mut engine, training, "train", &order, &steps(train.len(), epoch, &optimiser)).await?;
        let (val_loss, val_right) =
            pass(&mut engine, measuring, "val", &in_order, &steps(val.len(), 0, &optimiser)).await?;
        println!(
            "epoch {}  loss {loss:.4}  right {:.1} %  val loss {val_loss:.4}  val right {:.1} %",
            epoch + 1,
            100.0 * right,
            100.0 * val_right
        );
    }
    let weights = Weights { learned: engine.read(PARAMS).await?, statistics: Vec::new() };
    println!("weights {}", model.parameters().hash(&weights));
    Ok(())
}

fn main() -> Result<()> {
    gpunn::blocking::block_on(train())
}
