//! The kernels for hardware, each for a shape that training meets, to be judged by a GPU's compiler.

use std::collections::BTreeSet;

use gpunn::Result;
use gpunn::bench::BenchNetwork;
use gpunn::check::gradient_graph;
use gpunn::graph::kernel::{Capabilities, Dispatch, ForcedVariant, Kernel};
use gpunn::graph::{Graph, Passes, Plan, PlanOptions, Target, optimize};
use gpunn::ops::case::{Case, Sample};
use gpunn::ops::conv2d::Geometry;
use gpunn::ops::table::{TABLE, force};
use gpunn::train::graphs::{DeviceData, training};

/// A kernel with its name in tables.
#[derive(Debug)]
pub struct NamedKernel {
    /// Op, variant and shape, in words that a file name may have.
    pub name: String,
    /// The kernel of its first dispatch.
    pub kernel: Kernel,
}

/// What a GPU with these variants runs for a graph.
fn dispatches(graph: Graph, forced: Vec<ForcedVariant>) -> Result<Vec<Dispatch>> {
    let device = Some(Capabilities { forced, ..Capabilities::portable() });
    let plan = Plan::new(graph, &Target { device, ..Target::portable() }, PlanOptions::default())?;
    Ok(plan.work.into_iter().flat_map(|work| work.lowering.dispatches).collect())
}

/// What a GPU runs in a training step of the convolutional network of `gpunn bench train`, with some variants forced.
///
/// # Errors
/// When the step cannot be planned.
pub fn step(batch: usize, forced: Vec<ForcedVariant>) -> Result<Vec<Dispatch>> {
    let recipe = BenchNetwork::Cnn.recipe()?;
    let input = [3, 32, 32];
    let model = recipe.model.build(input, 10)?;
    let data = DeviceData::whole("train", batch, true, input);
    dispatches(optimize(&training(&model, &recipe, data, batch)?, Passes::default())?, forced)
}

fn first_kernel(op: &str, variant: &str, case: &Case) -> Kernel {
    let forced = vec![force(op, variant).expect("the op has this variant")];
    let graph: Graph = case.graph().expect("it builds").0;
    let dispatches = dispatches(graph, forced).expect("it plans");
    dispatches.into_iter().next().expect("it has a dispatch").kernel
}

/// The kernels of matrix products and convolutions: every rung of the ladders.
pub fn kernels() -> Vec<NamedKernel> {
    products().into_iter().chain(convolutions()).collect()
}

/// Every kernel that a GPU runs for the cases of the op table and their gradients, by its own choice and with each variant forced; each
/// once, and whether it is for GPUs: kernels of software rasterisers keep larger tiles than a GPU has registers. Kernels for subgroups
/// of another size than the GPU's and for matrix units are not among them: not every GPU has these.
pub fn every_variant() -> Vec<(NamedKernel, bool)> {
    let mut texts = BTreeSet::new();
    let mut kernels = Vec::new();
    for entry in TABLE {
        let variants = (entry.variants)().into_iter().filter(|variant| *variant != "half").map(Some);
        for variant in std::iter::once(None).chain(variants) {
            let forced = variant.map(|variant| force(entry.name, variant).expect("it has the variant"));
            let forced: Vec<ForcedVariant> = forced.into_iter().collect();
            let is_for_gpus = !variant.is_some_and(|variant| variant.starts_with("strip"));
            for case in (entry.cases)() {
                let mut graphs: Vec<Graph> = vec![case.graph().expect("it builds").0];
                if !case.differentiable.is_empty() {
                    graphs.push(gradient_graph(&case).expect("it builds").0);
                }
                for graph in graphs {
                    let graph = optimize(&graph, Passes::default()).expect("it builds");
                    for dispatch in dispatches(graph, forced.clone()).expect("it plans") {
                        let kernel = dispatch.kernel;
                        if texts.insert(kernel.wgsl.clone()) {
                            let word = kernel.label.split(' ').next().unwrap_or_default();
                            let name = format!("{:04}-{word}", texts.len());
                            kernels.push((NamedKernel { name, kernel }, is_for_gpus));
                        }
                    }
                }
            }
        }
    }
    kernels
}

fn products() -> Vec<NamedKernel> {
    let mut kernels = Vec::new();
    let mut add = |variant: &str, shape: &str, [m, n, k]: [usize; 3], ta: bool, tb: bool| {
        let (a, b) = (if ta { [k, m] } else { [m, k] }, if tb { [n, k] } else { [k, n] });
        let case = Case::new(vec![Sample::floats(&a), Sample::floats(&b)], move |graph, x| {
            graph.matmul_transposed(x[0], x[1], ta, tb)
        });
        let transposes = format!("{}{}", if ta { "t" } else { "n" }, if tb { "t" } else { "n" });
        let name = format!("matmul-{variant}-{shape}-{transposes}");
        kernels.push(NamedKernel { name, kernel: first_kernel("matmul", variant, &case) });
    };
    for variant in ["plain", "tiled", "registers", "prefetched_large"] {
        add(variant, "large", [2048, 2048, 2048], false, false);
    }
    for (ta, tb) in [(false, true), (true, false), (true, true)] {
        add("prefetched_large", "large", [2048, 2048, 2048], ta, tb);
    }
    add("prefetched_large", "odd", [2047, 2047, 2047], false, false);
    add("prefetched", "small", [256, 512, 512], false, true);
    add("split", "gradient", [512, 512, 4096], true, false);
    kernels
}

/// Layers of 32, 64 and 256 channels, a layer with stride 2, a first layer, and a depthwise one.
fn convolutions() -> Vec<NamedKernel> {
    let padded = Geometry::padded(1);
    let halving = Geometry { stride: [2, 2], ..padded };
    let shapes = [
        ("256-256", [256, 256, 8, 8], [256, 3, 3], padded),
        ("64-64", [256, 64, 16, 16], [64, 3, 3], padded),
        ("32-32", [256, 32, 32, 32], [32, 3, 3], padded),
        ("64-128-stride2", [256, 64, 16, 16], [128, 3, 3], halving),
        ("3-64", [256, 3, 32, 32], [64, 3, 3], padded),
        ("64", [256, 64, 16, 16], [64, 3, 3], Geometry { groups: 64, ..padded }),
    ];
    let mut kernels = Vec::new();
    for (label, x, [outputs, kh, kw], geometry) in shapes {
        let [batch, channels, height, width] = x;
        let size = |axis: usize| geometry.outputs(axis, x[2 + axis], [kh, kw][axis]).expect("the shapes fit");
        let dy = Sample::floats(&[batch, outputs, size(0), size(1)]);
        let weight = Sample::floats(&[outputs, channels / geometry.groups, kh, kw]);
        let image = Sample::floats(&x);
        let cases = [
            (
                "conv2d",
                "y",
                Case::new(vec![image.clone(), weight.clone()], move |graph, x| graph.conv2d(x[0], x[1], geometry)),
            ),
            (
                "conv2d_backward_input",
                "dx",
                Case::new(vec![dy.clone(), weight], move |graph, x| {
                    graph.conv2d_backward_input(x[0], x[1], [height, width], geometry)
                }),
            ),
            (
                "conv2d_backward_weight",
                "dw",
                Case::new(vec![image, dy], move |graph, x| {
                    graph.conv2d_backward_weight(x[0], x[1], [kh, kw], geometry)
                }),
            ),
        ];
        let rungs: &[&str] = match label {
            "256-256" => &["plain", "tiled", "prefetched_large"],
            "64-64" => &["prefetched", "prefetched_wide"],
            "32-32" => &["prefetched_tiny", "prefetched_narrow"],
            "64" => &["depthwise"],
            _ => &["prefetched"],
        };
        for variant in rungs {
            let having = |(op, ..): &&(&str, &str, Case)| force(op, variant).is_ok();
            for (op, result, case) in cases.iter().filter(having) {
                let name = format!("conv2d-{variant}-{label}-{result}");
                kernels.push(NamedKernel { name, kernel: first_kernel(op, variant, case) });
            }
        }
    }
    kernels
}
