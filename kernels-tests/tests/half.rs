//! Products by matrix units, from operands in half precision. They run only on adapters that have such units: NVIDIA's, and lavapipe
//! of Mesa 26.

use std::collections::BTreeMap;

use gpunn::Engine;
use gpunn::blocking::block_on;
use gpunn::check::{Inputs, half_precision};
use gpunn::cpu::Value;
use gpunn::data::glyphs;
use gpunn::gpu::DeviceOptions;
use gpunn::graph::{DType, Graph, Passes, Plan, PlanOptions, TensorType, optimize};
use gpunn::ops::Step;
use gpunn::ops::table::{TABLE, force};
use gpunn::train::{Precision, Recipe, Trainer, TrainerOptions};
use kernels_tests::{results, skip};

const PRODUCTS: [&str; 4] = ["matmul", "conv2d", "conv2d_backward_input", "conv2d_backward_weight"];

/// An engine that takes matrix units wherever they can be used. Without such units the test is skipped.
fn with_units() -> Option<Engine> {
    let forced = PRODUCTS.map(|op| force(op, "half").expect("a variant")).to_vec();
    let engine = kernels_tests::gpu(DeviceOptions { forced, ..DeviceOptions::default() })?;
    if engine.target().device.is_some_and(|device| device.matrix_units.is_some()) {
        return Some(engine);
    }
    skip::note("the adapter has no matrix units");
    None
}

/// Whole numbers are exact in half precision, and their sums in single precision. So the results have no error at all.
#[test]
fn products_of_whole_numbers_are_exact() {
    let Some(mut engine) = with_units() else { return };
    let mut by_units = 0;
    for entry in TABLE.iter().filter(|entry| PRODUCTS.contains(&entry.name)) {
        for case in (entry.cases)().into_iter().filter(|case| !case.timed) {
            let (graph, ..) = case.graph().expect("it builds");
            let graph = optimize(&graph, Passes::default()).expect("it builds");
            let mut inputs = Inputs::of(&case);
            for (_, value) in &mut inputs.buffers {
                let whole: Vec<f64> = value.numbers().iter().map(|number| (8.0 * number).round()).collect();
                *value = Value::from_f64(DType::F32, &whole);
            }
            let plan = Plan::new(graph.clone(), &engine.target(), PlanOptions::default()).expect("it fits");
            let mut labels = plan.work.iter().flat_map(|work| &work.lowering.dispatches).map(|of| &of.kernel.label);
            let is_exact = !case.label.contains("sigmoid") && labels.any(|label| label.starts_with("half_product"));
            if is_exact {
                by_units += 1;
                let found = results(&mut engine, plan, &inputs).expect("it runs");
                let cpu = Plan::new(graph, &Engine::cpu().target(), PlanOptions::default()).expect("it fits");
                let expected = results(&mut Engine::cpu(), cpu, &inputs).expect("it runs");
                assert!(numbers(&found) == numbers(&expected), "{} [{}] is not exact", entry.name, case.label);
            }
        }
    }
    println!("{by_units} cases by matrix units");
    assert!(by_units >= 60, "only {by_units} cases were computed by matrix units");
}

/// The numbers of each result: 0 and -0 are equal.
fn numbers(results: &BTreeMap<String, Vec<u32>>) -> Vec<Vec<f32>> {
    results.values().map(|bits| bits.iter().map(|&bits| f32::from_bits(bits)).collect()).collect()
}

/// The product of a matrix of ones times `a` and one of ones times `b`.
fn product_of(engine: &mut Engine, a: f32, b: f32) -> Vec<f32> {
    const SIDE: usize = 40;
    let mut graph = Graph::new();
    let [x, y] = ["a", "b"].map(|name| graph.leaf(name, 0, TensorType::f32([SIDE, SIDE])).expect("it fits"));
    let product = graph.matmul(x, y).expect("it fits");
    graph.output("product", product);
    let plan = Plan::new(graph, &engine.target(), PlanOptions::default()).expect("it fits");
    engine.forget();
    let program = engine.load(plan).expect("it loads");
    engine.write("a", 0, &[a; SIDE * SIDE]).expect("it fits");
    engine.write("b", 0, &[b; SIDE * SIDE]).expect("it fits");
    engine.schedule(program, &[Step::new(0, 1, 1)]).expect("it fits");
    engine.run(program, 0..1).expect("it runs");
    block_on(engine.read_output(program, "product")).expect("it reads")
}

/// Numbers far below and above those of half precision are scaled, and what is not a number stays visible.
#[test]
fn numbers_of_any_size_are_multiplied() {
    let Some(mut engine) = with_units() else { return };
    for (a, b) in [(1e-9, 1.0), (3e-7, 5e-12), (1e12, 2e-6), (7e8, 7e8), (-1e-15, 1e15), (1e-30, 1e9)] {
        let expected = 40.0 * f64::from(a) * f64::from(b);
        for found in product_of(&mut engine, a, b) {
            let error = (f64::from(found) / expected - 1.0).abs();
            assert!(error < 1e-3, "{a:e} times {b:e} is {found:e}, expected {expected:e}");
        }
    }
    assert!(product_of(&mut engine, 0.0, 1.0).iter().all(|&found| found == 0.0));
    for (a, b) in [(f32::NAN, 1.0), (f32::INFINITY, 1.0), (1.0, f32::NAN)] {
        assert!(product_of(&mut engine, a, b).iter().all(|found| !found.is_finite()), "{a} times {b} looks finite");
    }
}

/// The check that runs before matrix units are used passes here, and passes engines without them.
#[test]
fn the_check_before_use_passes() {
    for mut engine in kernels_tests::engines() {
        block_on(half_precision(&mut engine)).expect("it uses no matrix units");
    }
    let Some(_) = with_units() else { return };
    let mut engine = kernels_tests::gpu(DeviceOptions { half: true, ..DeviceOptions::default() }).expect("as before");
    block_on(half_precision(&mut engine)).expect("the units are right");
}

/// A network learns as well as in single precision. Only the training steps use matrix units.
#[test]
fn a_network_learns_in_half_precision() {
    let Some(_) = with_units() else { return };
    let mut recipe = Recipe::built_in("glyphs-mlp").expect("a recipe");
    recipe.training.epochs = 2.0;
    let dataset = glyphs::dataset();
    let mut accuracy = |precision: Precision| {
        recipe.training.precision = precision;
        let engine = match precision {
            Precision::F16 => with_units().expect("as before"),
            Precision::F32 => Engine::cpu(),
        };
        let mut trainer = Trainer::new(engine, recipe.clone(), &dataset, TrainerOptions::default()).expect("a trainer");
        let half = trainer.half_products();
        let line = (0..2).map(|_| block_on(trainer.epoch(&mut |_| true)).expect("trained").expect("whole")).last();
        (half, line.and_then(|line| line.val_accuracy).expect("a classifier"))
    };
    let ([none, all], single) = accuracy(Precision::F32);
    let (half, in_half) = accuracy(Precision::F16);
    assert_eq!((none, half), (0, [all, all]));
    assert!(all >= 4 && (single - in_half).abs() < 0.03, "{single} in single precision, {in_half} in half");
}
