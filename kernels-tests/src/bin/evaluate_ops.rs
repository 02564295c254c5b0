//! Evaluates ops that a file describes, with their gradients: our half of `scripts/compare_pytorch_ops.py`.
//!
//! Usage: `evaluate_ops IN.safetensors OUT.safetensors cpu|gpu`. The metadata entry `cases` of IN is a JSON list of ops with their
//! numbers; case i's tensors are named `i.x`, `i.w`, ... and the incoming gradient `i.dy`. OUT holds `i.y` and a
//! gradient `i.dx`, `i.dw`, ... by each input.

use std::collections::BTreeMap;
use std::error::Error;

use gpunn::Engine;
use gpunn::graph::{Graph, NodeId, Passes, Plan, PlanOptions, TensorType, optimise};
use gpunn::ops::Step;
use gpunn::ops::conv2d::Geometry;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// One op and its numbers, as the script writes them.
#[derive(Debug, serde::Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
enum Case {
    Conv2d { stride: [usize; 2], padding: [usize; 2], dilation: [usize; 2], groups: usize },
}

impl Case {
    /// The names of the inputs, in the op's order.
    fn inputs(&self) -> &'static [&'static str] {
        match self {
            Self::Conv2d { .. } => &["x", "w", "b"],
        }
    }

    fn build(&self, graph: &mut Graph, at: &[NodeId]) -> gpunn::Result<NodeId> {
        match *self {
            Self::Conv2d { stride, padding, dilation, groups } => {
                let y = graph.conv2d(at[0], at[1], Geometry { stride, padding, dilation, groups })?;
                graph.add(y, at[2])
            }
        }
    }
}

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn read(bytes: &[u8]) -> Result<(Vec<Case>, Tensors), Box<dyn Error>> {
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    let metadata = header.metadata().as_ref().ok_or("no metadata")?;
    let cases = serde_json::from_str(metadata.get("cases").ok_or("no cases")?)?;
    let mut tensors = Tensors::new();
    for (name, view) in SafeTensors::deserialize(bytes)?.tensors() {
        let floats = view.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        tensors.insert(name, (view.shape().to_vec(), floats));
    }
    Ok((cases, tensors))
}

/// Runs one case and adds its results under `number.`.
fn evaluate(
    engine: &mut Engine,
    number: usize,
    case: &Case,
    given: &Tensors,
    results: &mut Tensors,
) -> Result<(), Box<dyn Error>> {
    let find = |name: &str| given.get(&format!("{number}.{name}")).ok_or(format!("no tensor {number}.{name}"));
    let mut graph = Graph::new();
    let mut leaf = |name: &str| -> Result<NodeId, Box<dyn Error>> {
        Ok(graph.leaf(name, 0, TensorType::f32(find(name)?.0.clone()))?)
    };
    let inputs = case.inputs().iter().map(|name| leaf(name)).collect::<Result<Vec<_>, _>>()?;
    let dy = leaf("dy")?;
    let y = case.build(&mut graph, &inputs)?;
    let gradients = graph.gradient_from(y, dy, &inputs)?;
    graph.output("y", y);
    for (name, gradient) in case.inputs().iter().zip(gradients) {
        graph.output(format!("d{name}"), gradient);
    }
    let shapes: Vec<_> = graph.outputs().iter().map(|(name, id)| (name.clone(), graph.dims(*id).to_vec())).collect();
    let rows = find(case.inputs()[0])?.0[0] as u32;
    engine.forget();
    let plan = Plan::new(optimise(&graph, Passes::default())?, &engine.target(), PlanOptions::default())?;
    let program = engine.load(plan)?;
    for name in case.inputs().iter().chain(&["dy"]) {
        engine.write(name, 0, &find(name)?.1)?;
    }
    engine.schedule(program, &[Step::new(0, rows, 1)])?;
    engine.run(program, 0..1)?;
    for (name, shape) in shapes {
        let values = pollster::block_on(engine.read_output(program, &name))?;
        results.insert(format!("{number}.{name}"), (shape, values));
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to, device] = arguments.as_slice() else {
        return Err("usage: evaluate_ops IN.safetensors OUT.safetensors cpu|gpu".into());
    };
    let mut engine = match device.as_str() {
        "cpu" => Engine::cpu(),
        _ => kernels_tests::gpu(gpunn::gpu::Options::default()).ok_or("there is no adapter")?,
    };
    let (cases, given) = read(&std::fs::read(from)?)?;
    let mut results = Tensors::new();
    for (number, case) in cases.iter().enumerate() {
        evaluate(&mut engine, number, case, &given, &mut results).map_err(|error| format!("{case:?}: {error}"))?;
    }
    let bytes: Vec<_> = results
        .iter()
        .map(|(name, (shape, values))| {
            (name, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, (*shape).clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    std::fs::write(to, safetensors::serialize(views, None)?)?;
    println!("{} cases on {}", cases.len(), engine.device_name());
    Ok(())
}
