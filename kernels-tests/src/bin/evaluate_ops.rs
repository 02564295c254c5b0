//! Evaluates the ops that a file describes, and their gradients. Computes gpunn's results for
//! `scripts/compare_pytorch_ops.py`.
//!
//! Usage: `evaluate_ops IN.safetensors OUT.safetensors cpu|gpu`. The metadata entry `cases` of IN is a JSON list of ops
//! with their numbers; case i's tensors are named `i.x`, `i.w`, ... and the incoming gradient `i.dy`. OUT holds `i.y` and a
//! gradient `i.dx`, `i.dw`, ... by each input.

use std::collections::BTreeMap;
use std::error::Error;

use gpunn::Engine;
use gpunn::graph::{Graph, NodeId, Passes, Plan, PlanOptions, TensorType, optimise};
use gpunn::ops::Step;
use gpunn::ops::augment::{Augment, Augmented, Mode, ResizedCrop};
use gpunn::ops::conv2d::Geometry;
use gpunn::ops::pool2d::{AveragePool2d, Window};
use gpunn::ops::resize2d::Resize;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// One op and its numbers, as the script writes them.
#[derive(Debug, serde::Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
enum Case {
    Conv2d {
        stride: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
        groups: usize,
    },
    ConvTranspose2d {
        stride: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
        groups: usize,
        size: [usize; 2],
    },
    MaxPool2d {
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        ceil: bool,
    },
    AveragePool2d {
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        ceil: bool,
        include_padding: bool,
    },
    GlobalAveragePool {},
    BatchNorm {
        epsilon: f32,
    },
    BatchNormInference {
        epsilon: f32,
    },
    Resize2d {
        size: [usize; 2],
        bilinear: bool,
    },
    Concat {
        axis: usize,
    },
    /// The largest centre crop with this aspect ratio. No random crop fits, because the whole area is required.
    ResizedCrop {
        size: [usize; 2],
        ratio: f64,
    },
}

impl Case {
    /// The names of the inputs, in the op's order.
    fn inputs(&self) -> &'static [&'static str] {
        match self {
            Self::Conv2d { .. } => &["x", "w", "b"],
            Self::ConvTranspose2d { .. } => &["x", "w"],
            Self::BatchNorm { .. } => &["x", "gamma", "beta"],
            Self::BatchNormInference { .. } => &["x", "mean", "variance", "gamma", "beta"],
            Self::Concat { .. } => &["x", "other", "third"],
            _ => &["x"],
        }
    }

    /// The number of inputs, from the first, whose gradients are compared.
    fn differentiable(&self) -> usize {
        match self {
            // Statistics have no gradients.
            Self::BatchNormInference { .. } => 1,
            Self::ResizedCrop { .. } => 0,
            other => other.inputs().len(),
        }
    }

    fn build(&self, graph: &mut Graph, at: &[NodeId]) -> gpunn::Result<NodeId> {
        match *self {
            Self::Conv2d { stride, padding, dilation, groups } => {
                let y = graph.conv2d(at[0], at[1], Geometry { stride, padding, dilation, groups })?;
                graph.add(y, at[2])
            }
            Self::ConvTranspose2d { stride, padding, dilation, groups, size } => {
                let geometry = Geometry { stride, padding, dilation, groups };
                graph.conv2d_backward_input(at[0], at[1], size, geometry)
            }
            Self::MaxPool2d { kernel, stride, padding, ceil } => {
                graph.max_pool2d(at[0], Window { kernel, stride, padding, ceil })
            }
            Self::AveragePool2d { kernel, stride, padding, ceil, include_padding } => {
                let window = Window { kernel, stride, padding, ceil };
                graph.apply(AveragePool2d { window, include_padding }, &at[..1])
            }
            Self::GlobalAveragePool {} => graph.global_average_pool(at[0]),
            Self::BatchNorm { epsilon } => Ok(graph.batch_norm(at[0], at[1], at[2], epsilon)?.y),
            Self::BatchNormInference { epsilon } => {
                graph.batch_norm_inference(at[0], at[1], at[2], at[3], at[4], epsilon)
            }
            Self::Resize2d { size, bilinear } => {
                graph.resize2d(at[0], size, if bilinear { Resize::Bilinear } else { Resize::Nearest })
            }
            Self::Concat { axis } => graph.concat(at, axis),
            Self::ResizedCrop { size, ratio } => {
                let crop = ResizedCrop { scale: [1.0; 2], ratio: [ratio; 2] };
                let augment = Augment { crop: Some(size), resized_crop: Some(crop), ..Augment::default() };
                let batch = graph.dims(at[0])[0];
                let order = graph.leaf(ORDER, 0, TensorType::u32([batch]))?;
                graph.gather_augmented(at, order, Augmented { batch, augment, mode: Mode::Random, ring: false })
            }
        }
    }
}

/// The step of a batch, with the rows to gather.
const ORDER: &str = "order";

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
    let gradients = graph.gradient_from(y, dy, &inputs[..case.differentiable()])?;
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
    if matches!(case, Case::ResizedCrop { .. }) {
        engine.write(ORDER, 0, &(0..rows).collect::<Vec<u32>>())?;
    }
    engine.schedule(program, &[Step::new(0, rows, 1)])?;
    engine.run(program, 0..1)?;
    for (name, shape) in shapes {
        let values = gpunn::blocking::block_on(engine.read_output(program, &name))?;
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
        _ => kernels_tests::gpu(gpunn::gpu::DeviceOptions::default()).ok_or("there is no adapter")?,
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
