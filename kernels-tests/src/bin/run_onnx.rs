//! Runs ONNX files on given inputs: our half of `scripts/onnx_cases.py` and `scripts/compare_onnx_import.py`.
//!
//! Usage: `run_onnx cpu|gpu operators|layers < CASES`. `operators` runs a file's operators one after another; `layers` makes a network of
//! layers of them first, as the program does. Each line of CASES is a folder with `model.onnx` and `input_0.pb`, `input_1.pb`, ... Its outputs
//! are written there as `DEVICE_0.f32`, ... For each folder, a line of JSON says what happened.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;

use gpunn::blocking::block_on;
use gpunn::data::ImageOptions;
use gpunn::formats::onnx::{Message, Tensor, element};
use gpunn::graph::{Passes, Plan, PlanOptions, TensorType, optimize};
use gpunn::nn::operators::{Fault, Known, Scope, Value};
use gpunn::nn::{Build, Mode, PARAMS, Parameters, STATISTICS};
use gpunn::onnx::read::{Program, tensor};
use gpunn::ops::Step;
use gpunn::runs::onnx::OnnxFile;
use gpunn::{Engine, gpu};

/// What became of a case.
#[derive(serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    /// The shapes of its outputs.
    Ran(Vec<Vec<usize>>),
    /// What cannot be done.
    Unsupported(String),
    Failed(String),
}

#[derive(serde::Serialize)]
struct Line<'a> {
    case: &'a str,
    outcome: Outcome,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (device, by_layers) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [device, "operators"] => (device.to_owned(), false),
        [device, "layers"] => (device.to_owned(), true),
        _ => return Err("usage: run_onnx cpu|gpu operators|layers < CASES".into()),
    };
    let mut engine = match device.as_str() {
        "cpu" => Engine::cpu(),
        "gpu" => kernels_tests::gpu(gpu::DeviceOptions::default()).ok_or("there is no adapter")?,
        other => return Err(format!("the device is {other}, not cpu or gpu").into()),
    };
    eprintln!("{}", engine.device_name());
    for case in std::io::stdin().lines() {
        let case = case?;
        engine.forget();
        let done = if by_layers { layers(&mut engine, Path::new(&case)) } else { run(&mut engine, Path::new(&case)) };
        let outcome = match done {
            Ok(Ok(outputs)) => {
                for (number, (_, values)) in outputs.iter().enumerate() {
                    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                    std::fs::write(Path::new(&case).join(format!("{device}_{number}.f32")), bytes)?;
                }
                Outcome::Ran(outputs.into_iter().map(|(dims, _)| dims).collect())
            }
            Ok(Err(reason)) => Outcome::Unsupported(reason),
            Err(error) => Outcome::Failed(error.to_string()),
        };
        println!("{}", serde_json::to_string(&Line { case: &case, outcome })?);
    }
    Ok(())
}

/// The shapes and values of a case's outputs.
type Outputs = Vec<(Vec<usize>, Vec<f32>)>;

/// Runs one case. The inner result is what cannot be done.
fn run(engine: &mut Engine, case: &Path) -> Result<Result<Outputs, String>, Box<dyn Error>> {
    let program = match Program::open(&case.join("model.onnx")) {
        Ok(program) if program.problems.is_empty() => program,
        Ok(program) => return Ok(Err(program.problems.join("; "))),
        Err(error) => return Ok(Err(error.to_string())),
    };
    let mut inputs = Vec::new();
    // Integers and truth values are known when the graph is built. Of floats, those that an operator asks for.
    let mut known: BTreeSet<String> = BTreeSet::new();
    for (number, input) in program.inputs.iter().enumerate() {
        let bytes = std::fs::read(case.join(format!("input_{number}.pb")))?;
        let value = match tensor(&Tensor::decode(bytes.as_slice())?, None) {
            Ok(value) => value,
            Err(reason) => return Ok(Err(format!("its input `{}`: {reason}", input.name))),
        };
        if ![element::FLOAT, element::DOUBLE, element::FLOAT16, element::BFLOAT16].contains(&input.data_type) {
            known.insert(input.name.clone());
        }
        inputs.push((input.name.clone(), value));
    }
    loop {
        match with_known(engine, &program, &inputs, &known)? {
            Ok(outputs) => return Ok(Ok(outputs)),
            Err((_, Fault::MustBeKnown(name)))
                if inputs.iter().any(|(own, _)| *own == name) && known.insert(name.clone()) => {}
            Err((node, fault)) => return Ok(Err(format!("{node}: {fault}"))),
        }
    }
}

/// Runs a network of layers on one batch.
fn layers(engine: &mut Engine, case: &Path) -> Result<Result<Outputs, String>, Box<dyn Error>> {
    let file = match OnnxFile::open(&case.join("model.onnx"), &ImageOptions::default()) {
        Ok(file) => file,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let images = tensor(&Tensor::decode(std::fs::read(case.join("input_0.pb"))?.as_slice())?, None)?;
    let checkpoint = file.checkpoint()?;
    let model = checkpoint.model()?;
    let weights = checkpoint.weights_in_use(model.parameters())?;
    let mut build = Build::new(model.parameters(), Mode::Evaluation)?;
    let x = build.leaf("images", 0, TensorType::f32(images.dims.clone()))?;
    let y = model.forward(&mut build, x)?;
    let dims = build.dims(y).to_vec();
    build.output("logits", y);
    let plan = Plan::new(optimize(&build.graph, Passes::default())?, &engine.target(), PlanOptions::default())?;
    let loaded = engine.load(plan)?;
    engine.write(PARAMS, 0, &weights.learned)?;
    if !model.parameters().statistics().is_empty() {
        engine.write(STATISTICS, 0, &weights.statistics)?;
    }
    engine.write("images", 0, &images.to_floats())?;
    engine.schedule(loaded, &[Step::new(0, images.dims[0] as u32, 1)])?;
    engine.run(loaded, 0..1)?;
    Ok(Ok(vec![(dims, block_on(engine.read_output(loaded, "logits"))?)]))
}

/// Runs the program where these inputs are known when the graph is built.
fn with_known(
    engine: &mut Engine,
    program: &Program,
    inputs: &[(String, Known)],
    known: &BTreeSet<String>,
) -> Result<Result<Outputs, (String, Fault)>, Box<dyn Error>> {
    let parameters = Parameters::default();
    let mut build = Build::new(&parameters, Mode::Evaluation)?;
    let mut values = Vec::new();
    let mut leaves = Vec::new();
    for (name, value) in inputs {
        // Tensors without elements have no place on a device.
        if known.contains(name) || value.elements() == 0 {
            values.push((name, Value::Known(value.clone())));
            continue;
        }
        values.push((name, Value::Tensor(build.leaf(name, 0, TensorType::f32(value.dims.clone()))?)));
        leaves.push((name, value.to_floats()));
    }
    let mut scope = Scope::new(&mut build, program.opset);
    program.tensors.iter().for_each(|(name, value)| scope.set(name, Value::Known(value.clone())));
    values.into_iter().for_each(|(name, value)| scope.set(name, value));
    for node in &program.nodes {
        if let Err(fault) = scope.add(node) {
            return Ok(Err((node.to_string(), fault)));
        }
    }
    let results: Vec<Value> =
        program.outputs.iter().map(|name| scope.get(name).cloned().ok_or("no output")).collect::<Result<_, _>>()?;
    let mut graph = build.graph;
    for (number, result) in results.iter().enumerate() {
        if let Value::Tensor(id) | Value::Integers(id) = result {
            graph.output(number.to_string(), *id);
        }
    }
    let dims: Vec<Vec<usize>> = results
        .iter()
        .map(|result| match result {
            Value::Tensor(id) | Value::Integers(id) => graph.dims(*id).to_vec(),
            Value::Known(known) => known.dims.clone(),
        })
        .collect();
    let plan = Plan::new(optimize(&graph, Passes::default())?, &engine.target(), PlanOptions::default())?;
    let loaded = engine.load(plan)?;
    for (name, values) in leaves {
        engine.write(name, 0, &values)?;
    }
    engine.schedule(loaded, &[Step::new(0, 1, 1)])?;
    engine.run(loaded, 0..1)?;
    let mut outputs = Vec::new();
    for (number, (result, dims)) in results.iter().zip(dims).enumerate() {
        let values = match result {
            Value::Known(known) => known.to_floats(),
            _ => block_on(engine.read_output(loaded, &number.to_string()))?,
        };
        outputs.push((dims, values));
    }
    Ok(Ok(outputs))
}
