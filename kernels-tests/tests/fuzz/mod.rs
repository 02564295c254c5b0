//! Random graphs and random networks: what passes shape inference is planned, keeps the rules of plans, and gives the same on the CPU,
//! on a GPU and by the oracle, values and gradients. `tests/common/fuzz.rs` says how long and in how much memory.

mod network;

use std::collections::BTreeSet;
use std::time::Duration;

use gpunn::Engine;
use gpunn::check::{Inputs, compare, verify};
use gpunn::data::{Dataset, Pixels, Split};
use gpunn::gpu::DeviceOptions;
use gpunn::graph::{Graph, NodeId, Passes, Plan, PlanOptions, optimize};
use gpunn::ops::tolerance::Tolerance;
use gpunn::optim::Optimizer;
use gpunn::train::{Recipe, Trainer, TrainerOptions};
use kernels_tests::random_graph::random_graph;
use kernels_tests::{results, rules};

use crate::fuzzing::Fuzz;
use network::Network;

/// Allowance for rounding through the nodes of a random graph and of its gradients, whose values are near 1.
const ROUNDING: Tolerance = Tolerance { absolute: 1e-4, relative: 1e-4, reason: "forty nodes one after another" };
/// The tolerances of ops are for numbers near 1. In a random network partial sums of numbers of one sign are larger, and cancel later. A
/// wrong kernel is off by thousands of tolerances.
const LARGER: f64 = 16.0;
/// How far the updates of the CPU and of a GPU may be apart, of their length.
const APART: f64 = 1e-3;
/// How far they may be apart, of what rounding the first weights changes. Every op of a step rounds, too.
const NUDGED: f64 = 16.0;

/// The leaves that a node depends on.
fn leaves_below(graph: &Graph, node: NodeId) -> Vec<NodeId> {
    let (mut found, mut open) = (BTreeSet::new(), vec![node]);
    while let Some(id) = open.pop() {
        if found.insert(id.index()) {
            open.extend(graph.node(id).inputs());
        }
    }
    let is_leaf = |id: &NodeId| graph.node(*id).op().is_none() && graph.node(*id).name.starts_with("leaf");
    graph.ids().filter(|id| found.contains(&id.index())).filter(is_leaf).collect()
}

/// Adds the gradients of the mean of the last value by all leaves, if its ops have gradients.
fn with_gradients(graph: &Graph) -> Option<Graph> {
    let mut graph = graph.clone();
    let (_, last) = *graph.outputs().iter().find(|(name, _)| name == "last")?;
    let count = graph.ty(last).elements();
    let flat = graph.reshape(last, [count]).ok()?;
    let loss = graph.mean(flat, 0, 0).ok()?;
    let by = leaves_below(&graph, last);
    let gradients = graph.gradient(loss, &by).ok()?;
    for (number, gradient) in gradients.into_iter().enumerate() {
        graph.output(format!("gradient{number}"), gradient);
    }
    Some(graph)
}

fn engines_agree(engines: &mut [Engine], graph: &Graph, inputs: &Inputs) {
    let values = inputs.oracle().run(graph, graph.ids(), &inputs.step);
    let optimized = optimize(graph, Passes::default()).expect("it builds");
    for engine in engines {
        let plan = Plan::new(optimized.clone(), &engine.target(), PlanOptions::default()).expect("it fits");
        rules::check(&plan, &engine.target()).expect("it keeps the rules");
        let found = results(engine, plan, inputs).expect("it runs");
        for (name, id) in graph.outputs() {
            let wanted = values[id.index()].as_ref().expect("it was computed").numbers();
            let found: Vec<f64> = found[name].iter().map(|&bits| f64::from(f32::from_bits(bits))).collect();
            let worst = compare(&found, &wanted, ROUNDING);
            assert!(worst.excess <= 1.0, "{}, '{name}': {worst:?}", engine.device_name());
        }
    }
}

#[test]
fn graphs() {
    let Some(fuzz) = Fuzz::alone("fuzz::graphs") else { return };
    let mut engines = kernels_tests::engines();
    fuzz.inputs(
        |dice| {
            let nodes = 3 + dice.below(50);
            random_graph(dice.below(1 << 31) as u64, nodes).expect("it builds")
        },
        |(graph, inputs)| {
            let graph = with_gradients(&graph).unwrap_or(graph);
            engines_agree(&mut engines, &graph, &inputs);
        },
    );
}

/// A recipe that trains a network, and images for it.
fn training_of(network: &Network) -> Option<(Recipe, Dataset)> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("net.toml");
    std::fs::write(&path, &network.toml).expect("written");
    let model = gpunn::runs::model(&path.display().to_string()).expect("the text is a list of layers");
    let mut recipe = gpunn::runs::choose(None, Some(model), None).expect("a recipe");
    recipe.data.name = "noise".into();
    recipe.training.epochs = 1.0;
    recipe.training.batch_size = 4;
    recipe.seed = network.seed;
    recipe.optimizer = Optimizer { momentum: 0.9, weight_decay: 1e-2, ..Optimizer::sgd(0.01) };
    // What does not fit together is refused, which other tests see.
    recipe.build_model(network.input, network.classes).ok()?;
    // The second batch of seven images is not full.
    let values = network.input.iter().product::<usize>() * 7;
    let pixel = |at: usize| (at as u64).wrapping_mul(0x9e37_79b9).wrapping_add(network.seed * 77) as u32;
    let pixels = (0..values).map(|at| (pixel(at) ^ (pixel(at) >> 13)) as u8).collect();
    let labels = (0..7).map(|image| image % network.classes as u32).collect();
    let dataset = Dataset {
        name: "noise".into(),
        input: network.input,
        classes: (0..network.classes).map(|class| class.to_string()).collect(),
        sets: None,
        train: Split::new(Pixels::U8(pixels), labels),
        val: None,
        test: None,
        folder: None,
        skipped: Vec::new(),
        absent: Vec::new(),
    };
    Some((recipe, dataset))
}

/// The weights and the running statistics after an epoch, and how much they changed. All weights are changed by this share of them before.
fn trained(engine: Engine, recipe: &Recipe, dataset: &Dataset, nudge: f32) -> [Vec<f32>; 2] {
    let mut trainer = Trainer::new(engine, recipe.clone(), dataset, TrainerOptions::default()).expect("a trainer");
    if nudge > 0.0 {
        let mut weights = gpunn::blocking::block_on(trainer.weights()).expect("weights");
        for (number, weight) in weights.learned.iter_mut().enumerate() {
            *weight *= 1.0 + if number % 3 == 0 { nudge } else { -nudge };
        }
        trainer.set_weights(&weights).expect("the same number of them");
    }
    let mut weights = || {
        let weights = gpunn::blocking::block_on(trainer.weights()).expect("weights");
        [weights.learned, weights.statistics].concat()
    };
    let before = weights();
    gpunn::blocking::block_on(trainer.epoch(&mut |_| true)).expect("trained");
    let after = gpunn::blocking::block_on(trainer.weights()).expect("weights");
    let after = [after.learned, after.statistics].concat();
    [after.clone(), after.iter().zip(before).map(|(after, before)| after - before).collect()]
}

fn length(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

/// Every node of a step against the oracle, and the weights after an epoch of two steps against those of the CPU.
fn trains_alike(recipe: &Recipe, dataset: &Dataset) {
    let [on_cpu, changed] = trained(Engine::cpu(), recipe, dataset, 0.0);
    assert!(on_cpu.iter().all(|weight| weight.is_finite()), "the CPU has weights that are not finite");
    let Some(engine) = kernels_tests::gpu(DeviceOptions::default()) else { return };
    let mut trainer = Trainer::new(engine, recipe.clone(), dataset, TrainerOptions::default()).expect("a trainer");
    gpunn::blocking::block_on(trainer.prepare_epoch()).expect("prepared");
    let (engine, program) = trainer.engine_mut();
    for check in gpunn::blocking::block_on(verify(engine, program, 0)).expect("it runs") {
        assert!(check.worst.excess <= LARGER, "{check:?}");
    }
    let mut engine = trainer.into_engine();
    engine.forget();
    let [on_gpu, _] = trained(engine, recipe, dataset, 0.0);
    let apart = length(on_cpu.iter().zip(&on_gpu).map(|(a, b)| a - b));
    let (whole, update) = (length(on_cpu.iter().copied()), length(changed.into_iter()));
    if apart <= APART * update + 1e-6 * whole {
        return;
    }
    // A network may make much of little, for instance a batch norm of numbers that are nearly equal. No device can be nearer than what
    // rounding the first weights changes on the CPU.
    let [nudged, _] = trained(Engine::cpu(), recipe, dataset, f32::EPSILON);
    let least = length(on_cpu.iter().zip(&nudged).map(|(a, b)| a - b));
    assert!(
        apart <= NUDGED * least,
        "the weights are {apart:e} apart after an update of {update:e}; rounding moves them by {least:e}"
    );
}

#[test]
fn networks() {
    let Some(mut fuzz) = Fuzz::alone("fuzz::networks") else { return };
    // A software adapter compiles some hundred kernels for a large network.
    fuzz.longest = Duration::from_secs(300);
    fuzz.inputs(
        |dice| loop {
            let network = Network::of(dice);
            if let Some(training) = training_of(&network) {
                return (network, training);
            }
        },
        |(network, (recipe, dataset))| {
            let run = std::panic::AssertUnwindSafe(|| trains_alike(&recipe, &dataset));
            if let Err(panic) = std::panic::catch_unwind(run) {
                println!("{network:?}\n{}", network.toml);
                std::panic::resume_unwind(panic);
            }
        },
    );
}
