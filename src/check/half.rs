//! Checks matrix units before they are used. They are an experimental feature of wgpu, with a known fault on some devices
//! (issue 8805): wrong results at random places.

use super::parity::Inputs;
use crate::cpu::Value;
use crate::graph::{DType, Graph, NodeId, Passes, Plan, PlanOptions, TensorType, optimize};
use crate::ops::Step;
use crate::ops::conv2d::Geometry;
use crate::ops::half::is_by_matrix_units;
use crate::{Engine, Error, Result};

/// How often each product is computed: the fault does not show each time.
const REPEATS: usize = 8;

/// Whole numbers from -8 to 8, without a pattern that repeats along an axis. Their products and sums are exact, in half precision
/// with sums in single precision.
fn whole_numbers(elements: usize, seed: u32) -> Vec<f64> {
    let number = |i: u32| (i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 15) % 17;
    (0..elements as u32).map(|i| f64::from(number(i)) - 8.0).collect()
}

/// A matrix product, a convolution and its gradients, large enough for matrix units.
fn products() -> Result<(Graph, Vec<(String, Value)>)> {
    let mut graph = Graph::new();
    let mut buffers = Vec::new();
    let mut leaf = |graph: &mut Graph, name: &str, dims: Vec<usize>| -> Result<NodeId> {
        let values = whole_numbers(dims.iter().product(), buffers.len() as u32 * 7919);
        buffers.push((name.to_owned(), Value::from_f64(DType::F32, &values)));
        graph.leaf(name, 0, TensorType::f32(dims))
    };
    let a = leaf(&mut graph, "a", vec![517, 520])?;
    let b = leaf(&mut graph, "b", vec![520, 509])?;
    let x = leaf(&mut graph, "x", vec![33, 40, 15, 17])?;
    let w = leaf(&mut graph, "w", vec![70, 40, 3, 3])?;
    let dy = leaf(&mut graph, "dy", vec![33, 70, 15, 17])?;
    let padded = Geometry { padding: [1, 1], ..Geometry::default() };
    let outputs = [
        ("product", graph.matmul(a, b)?),
        ("convolution", graph.conv2d(x, w, padded)?),
        ("gradient of the image", graph.conv2d_backward_input(dy, w, [15, 17], padded)?),
        ("gradient of the weight", graph.conv2d_backward_weight(x, dy, [3, 3], padded)?),
    ];
    outputs.into_iter().for_each(|(name, id)| graph.output(name, id));
    Ok((graph, buffers))
}

/// Checks that the matrix units of an engine compute exactly what the CPU computes, several times. An engine that uses none passes.
///
/// # Errors
/// [`Error::Device`] when a result differs, or the device fails. Open the device without
/// [`DeviceOptions::half`](crate::gpu::DeviceOptions::half) then.
pub async fn half_precision(engine: &mut Engine) -> Result<()> {
    if engine.target().device.is_none_or(|device| device.matrix_units.is_none()) {
        return Ok(());
    }
    let (graph, buffers) = products()?;
    let inputs = Inputs { buffers, step: Step::new(0, 1, 1) };
    let expected = results(&mut Engine::cpu(), &graph, &inputs, 1).await?;
    let found = results(engine, &graph, &inputs, REPEATS).await;
    engine.forget();
    for repeat in found?.chunks(expected.len()) {
        for (found, (name, expected)) in repeat.iter().map(|(_, found)| found).zip(&expected) {
            if let Some(index) = found.iter().zip(expected).position(|(found, expected)| found != expected) {
                return Err(Error::Device(format!(
                    "the matrix units of {} compute a wrong {name}: element {index} is {}, expected {}",
                    engine.device_name(),
                    found[index],
                    expected[index]
                )));
            }
        }
    }
    Ok(())
}

/// The outputs of each repeat, with their names.
async fn results(
    engine: &mut Engine,
    graph: &Graph,
    inputs: &Inputs,
    repeats: usize,
) -> Result<Vec<(String, Vec<f32>)>> {
    let plan = Plan::new(optimize(graph, Passes::default())?, &engine.target(), PlanOptions::default())?;
    let by_units = plan.work.iter().filter(|work| is_by_matrix_units(&work.lowering)).count();
    if plan.graph.outputs().len() != by_units && engine.kind() == "gpu" {
        return Err(Error::Device("the products of the check are not computed by matrix units".into()));
    }
    engine.forget();
    let program = engine.load(plan)?;
    inputs.write(engine)?;
    engine.schedule(program, &[inputs.step])?;
    let mut all = Vec::new();
    for _ in 0..repeats {
        engine.run(program, 0..1)?;
        for (name, _) in graph.outputs() {
            all.push((name.clone(), engine.read_output(program, name).await?));
        }
    }
    Ok(all)
}
