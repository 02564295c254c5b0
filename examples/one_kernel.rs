//! One small graph on a GPU and on the CPU: y = sigmoid(x w + b), and the gradient of its sum by w. Both executors run a
//! plan of the same graph, and the values are compared with each other and with the definition in double precision.
//!
//!     cargo run --release --example one_kernel

use gpunn::cpu::{Oracle, Value};
use gpunn::gpu::{self, Device};
use gpunn::graph::{Graph, Passes, Plan, PlanOptions, TensorType, optimize};
use gpunn::ops::Step;
use gpunn::{Engine, Error, Result};

const ROWS: usize = 5;
const INPUTS: usize = 7;
const OUTPUTS: usize = 3;

/// The graph: three leaves, each part of a buffer that outlives a step, and two outputs that can be read after it.
fn graph() -> Result<Graph> {
    let mut graph = Graph::new();
    let x = graph.leaf("x", 0, TensorType::f32([ROWS, INPUTS]))?;
    let w = graph.leaf("w", 0, TensorType::f32([INPUTS, OUTPUTS]))?;
    let b = graph.leaf("b", 0, TensorType::f32([OUTPUTS]))?;
    // What is built in a scope is named after it.
    let y = graph.scoped("layer", |graph| {
        let product = graph.matmul(x, w)?;
        let sum = graph.add(product, b)?;
        graph.sigmoid(sum)
    })?;
    // The gradient of a number: each op adds the nodes of its own rule.
    let ones = graph.constant(TensorType::f32([ROWS, OUTPUTS]), vec![1.0; ROWS * OUTPUTS]);
    let dw = graph.gradient_from(y, ones, &[w])?[0];
    graph.output("y", y);
    graph.output("dw", dw);
    // Bias and sigmoid join the product's kernel.
    optimize(&graph, Passes::default())
}

/// Values for the leaves, by the names of their buffers.
fn values() -> [(&'static str, Vec<f32>); 3] {
    let wave = |count: usize, step: f32| (0..count).map(|i| (i as f32 * step).sin()).collect();
    [("x", wave(ROWS * INPUTS, 0.7)), ("w", wave(INPUTS * OUTPUTS, 1.1)), ("b", vec![0.5, -0.5, 0.0])]
}

/// Plans for the engine, loads, writes the leaves, runs one step, and reads both outputs.
async fn run(engine: &mut Engine) -> Result<[Vec<f32>; 2]> {
    let plan = Plan::new(graph()?, &engine.target(), PlanOptions::default())?;
    println!("{}", engine.device_name());
    for work in &plan.work {
        println!("    {}", plan.graph.node(work.node).name);
    }
    let program = engine.load(plan)?;
    for (buffer, values) in values() {
        engine.write(buffer, 0, &values)?;
    }
    engine.schedule(program, &[Step::new(0, ROWS as u32, 1)])?;
    engine.run(program, 0..1)?;
    Ok([engine.read_output(program, "y").await?, engine.read_output(program, "dw").await?])
}

/// Both outputs by the ops' definitions in double precision.
fn by_definition() -> Result<[Vec<f64>; 2]> {
    let graph = graph()?;
    let mut oracle = Oracle::default();
    for (buffer, values) in values() {
        oracle.set(buffer, Value::Real(values.into_iter().map(f64::from).collect()));
    }
    let all = oracle.run(&graph, graph.ids(), &Step::new(0, ROWS as u32, 1));
    let of = |name: &str| {
        let (_, id) = graph.outputs().iter().find(|(known, _)| known == name)?;
        all[id.index()].as_ref().map(Value::numbers)
    };
    let missing = || Error::Usage("the oracle left an output out".into());
    Ok([of("y").ok_or_else(missing)?, of("dw").ok_or_else(missing)?])
}

async fn compare() -> Result<()> {
    let truth = by_definition()?;
    let mut engines = vec![Engine::cpu()];
    match gpu::adapters().await.first() {
        Some(adapter) => engines.push(Engine::gpu(Device::open(adapter, gpu::DeviceOptions::default()).await?)),
        None => println!("There is no adapter here: the CPU alone."),
    }
    for mut engine in engines {
        let found = run(&mut engine).await?;
        for ((name, found), truth) in ["y", "dw"].into_iter().zip(&found).zip(&truth) {
            let errors = found.iter().zip(truth).map(|(&found, truth)| (f64::from(found) - truth).abs());
            let worst = errors.fold(0.0, f64::max);
            println!("    {name}: {} values, at most {worst:.1e} from the definition", found.len());
            if worst > 1e-5 {
                return Err(Error::Data(format!("'{name}' is wrong on {}", engine.device_name())));
            }
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    gpunn::blocking::block_on(compare())
}
