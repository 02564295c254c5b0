//! An op that the library does not have: the running sum along the last axis, with its definition, gradient and WGSL kernel.
//! It is checked on the CPU and, where there is an adapter, on the GPU; then it is a layer of a network.
//!
//!     cargo run --release --example own_op

use gpunn::check::check_op_blocking;
use gpunn::data::glyphs;
use gpunn::graph::kernel::{Kernel, Lowering, Slot};
use gpunn::graph::{Differentiate, Graph, NodeId, TensorType};
use gpunn::nn::{Build, Flatten, Layer, Linear, Model, Scheme, Sequence};
use gpunn::ops::case::{Case, Sample};
use gpunn::ops::tolerance::SUMMED;
use gpunn::ops::{Call, Lower, Op, Real, defined_by, expect_inputs};
use gpunn::train::Recipe;
use gpunn::{Engine, Result, gpu};

/// y[i] = x[0] + ... + x[i] in each row; backward, the sum of x[i] to the row's end.
#[derive(Debug, PartialEq)]
struct RunningSum {
    backward: bool,
}

/// One invocation for each row. The library file `each` has the entry point; it calls `each` for all rows.
const KERNEL: &str = "// needs: each
struct Dims { count: u32, columns: u32 }
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
const BACKWARD: bool = false;

fn each(row: u32) {
    var sum = 0.0;
    for (var i = 0u; i < dims.columns; i++) {
        let at = row * dims.columns + select(i, dims.columns - 1u - i, BACKWARD);
        sum += x[at];
        y[at] = sum;
    }
}
";

impl RunningSum {
    /// In f64 this is the reference of every check, in f32 it is what the CPU runs.
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let (_, columns) = call.types.output.shape.as_matrix();
        let x = call.real(0);
        for (x, y) in x.chunks(columns).zip(call.out().chunks_mut(columns)) {
            let mut sum = T::zero();
            for i in 0..columns {
                let at = if self.backward { columns - 1 - i } else { i };
                sum += x[at];
                y[at] = sum;
            }
        }
    }
}

impl Op for RunningSum {
    fn name(&self) -> &'static str {
        "running_sum"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 1)?;
        match inputs[0] == TensorType::f32(inputs[0].shape.clone()) && inputs[0].shape.rank() > 0 {
            true => Ok(inputs[0].clone()),
            false => Err("it takes floats with at least one axis".into()),
        }
    }
    /// x[i] is part of every later sum, so its gradient is the sum of those that arrive there.
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(graph.apply(Self { backward: !self.backward }, &[at.dy])?)])
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let (rows, columns) = at.types.output.shape.as_matrix();
        let kernel = Kernel::new("running_sum", KERNEL, &[("BACKWARD", self.backward.into())]);
        at.linear(self, kernel, &[Slot::Input(0), Slot::Output], &[rows, columns], rows).into()
    }
}

/// The op as a layer.
impl Layer for RunningSum {
    fn label(&self) -> String {
        "running sum".into()
    }
    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        Ok(shape.to_vec())
    }
    fn forward(&self, build: &mut Build, _: &str, x: NodeId) -> Result<NodeId> {
        build.apply(Self { backward: false }, &[x])
    }
}

/// Compares value, gradients and central differences of some shapes with the definition.
fn check(engine: &mut Engine) -> Result<()> {
    let shapes: [&[usize]; 5] = [&[1], &[7], &[3, 5], &[131, 10], &[2, 3, 64]];
    let case = |dims: &&[usize]| {
        Case::new(vec![Sample::floats(dims)], |graph, x| graph.apply(RunningSum { backward: false }, &[x[0]]))
    };
    let cases: Vec<Case> = shapes.iter().map(case).collect();
    let results = check_op_blocking(engine, "running_sum", SUMMED, &cases)?;
    if let Some(wrong) = results.iter().find(|result| !result.passed()) {
        return Err(gpunn::Error::Data(wrong.sentence()));
    }
    let worst = results.iter().map(|result| result.worst.excess).fold(0.0, f64::max);
    println!("{} checks passed, the worst error is {:.1} % of the allowed error", results.len(), 100.0 * worst);
    Ok(())
}

fn main() -> Result<()> {
    let dataset = glyphs::dataset();
    let mut engines = vec![Engine::cpu()];
    engines.extend(Engine::first_gpu_blocking(gpu::DeviceOptions::default())?);
    for mut engine in engines {
        println!("{}", engine.device_name());
        check(&mut engine)?;
        let layers = Sequence::new()
            .with("flatten", Flatten)
            .with("fc1", Linear::new(32, Scheme::Xavier))
            .with("sum", RunningSum { backward: false })
            .with("fc2", Linear::new(dataset.classes.len(), Scheme::Xavier));
        let model = Model::new("with-running-sum", &dataset.input, layers)?;
        let mut trainer = Recipe::new(&model).epochs(1).trainer_of(model, engine, &dataset)?;
        trainer.fit_blocking(|epoch| println!("{epoch}"))?;
    }
    Ok(())
}
