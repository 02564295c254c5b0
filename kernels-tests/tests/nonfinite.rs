//! The first number that is not finite, on a GPU: it is found, and a kernel that is at fault is told from numbers that are too large.

use gpunn::check::{NonFinite, first_nonfinite};
use gpunn::gpu::DeviceOptions;
use gpunn::graph::{Differentiate, Graph, NodeId, Passes, Plan, PlanOptions, TensorType, optimize};
use gpunn::nn::Activation;
use gpunn::ops::elementwise::{Formula, Map};
use gpunn::ops::{Real, Step};
use gpunn::train::OnNonFinite;
use gpunn::{Engine, Result};
use kernels_tests::training::{epoch, hash, small, trainer};

/// A logarithm that is infinite on a GPU, for every number.
#[derive(Clone, Debug, PartialEq)]
struct WrongKernel;

impl Formula for WrongKernel {
    const NAME: &'static str = "log";
    const FUNCTION: &'static str = "wrong_log";
    const ARITY: usize = 1;
    const WGSL: &'static str = "fn wrong_log(x: f32) -> f32 {\n    return x * 3.0e38 * 3.0e38;\n}\n";

    fn value<T: Real>(&self, [x, ..]: [T; 3]) -> T {
        x.ln()
    }
    fn gradient(&self, _: &mut Graph, _: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None])
    }
}

/// `log(x w)`, with this op for the logarithm.
fn first_of(engine: &mut Engine, by: &str, x: f32) -> Result<Option<NonFinite>> {
    let mut graph = Graph::new();
    let input = graph.leaf("x", 0, TensorType::f32([2, 3]))?;
    let weight = graph.leaf("w", 0, TensorType::f32([3, 2]))?;
    let product = graph.scoped("fc", |graph| graph.matmul(input, weight))?;
    let y = match by {
        "kernel" => graph.apply(Map::of(WrongKernel), &[product])?,
        _ => graph.log(product)?,
    };
    graph.output("y", y);
    engine.forget();
    let graph = optimize(&graph, Passes::NONE)?;
    let program = engine.load(Plan::new(graph, &engine.target(), PlanOptions::default())?)?;
    engine.write("x", 0, &[1.0, 2.0, 3.0, 1.0, x, 1.0])?;
    engine.write("w", 0, &[1.0_f32; 6])?;
    engine.schedule(program, &[Step::new(0, 2, 1)])?;
    gpunn::blocking::block_on(first_nonfinite(engine, program, 0, &mut || true))
}

#[test]
fn a_kernel_at_fault_is_told_from_numbers_that_are_too_large() -> Result<()> {
    for mut engine in kernels_tests::engines() {
        assert_eq!(first_of(&mut engine, "graph", 1.0)?, None);
        let found = first_of(&mut engine, "graph", -2.0)?.expect("log(0)");
        assert_eq!((found.op, found.index, found.value), (Some("log"), 2, f64::NEG_INFINITY));
        assert_eq!(found.on_cpu, Some((f32::NEG_INFINITY, f64::NEG_INFINITY)));
        assert!(found.cpu_agrees());
        let found = first_of(&mut engine, "graph", f32::MAX)?;
        assert_eq!(found, None, "the logarithm of the largest number is finite");
        let found = first_of(&mut engine, "graph", f32::INFINITY)?.expect("an input that is not finite");
        assert_eq!((found.tensor.as_str(), found.op, found.index), ("x", None, 4));
        assert!(found.sentence().contains("in an input: element 4 of 'x' (2x3) is inf"), "{}", found.sentence());
    }
    let Some(mut engine) = kernels_tests::gpu(DeviceOptions::default()) else { return Ok(()) };
    let found = first_of(&mut engine, "kernel", 1.0)?.expect("the kernel is wrong");
    assert_eq!((found.op, found.index), (Some("log"), 0));
    // ln 6.
    assert!(!found.cpu_agrees() && found.on_cpu.is_some_and(|(single, _)| (single - 1.791_759_5).abs() < 1e-6));
    assert!(found.sentence().contains("The CPU does not agree"), "{}", found.sentence());
    Ok(())
}

/// The first epoch diverges, so the run is one with the lower rate from its start.
#[test]
fn a_gpu_recovers_as_the_cpu_does() {
    let (recipe, dataset) = small(320, 1, |recipe| {
        recipe.model.activation = Some(Activation::Relu);
        recipe.optimizer.learning_rate = 1e9;
        recipe.training.on_nonfinite = OnNonFinite::HalveLr;
    });
    for engine in kernels_tests::engines() {
        let options = engine.kind();
        let mut halved = trainer(engine, &recipe, &dataset);
        epoch(&mut halved);
        let times = halved.counters().halved;
        assert!((1..=10).contains(&times), "{options}: {times}");
        let mut slow = recipe.clone();
        slow.optimizer.learning_rate /= 2.0_f64.powi(times as i32);
        slow.training.on_nonfinite = OnNonFinite::Stop;
        let expected = hash(&mut halved);
        let mut engine = halved.into_engine();
        engine.forget();
        let mut whole = trainer(engine, &slow, &dataset);
        epoch(&mut whole);
        assert_eq!(hash(&mut whole), expected, "{options}");
    }
}
