//! Work that fits the device: submissions of bounded time, buffers of bounded size, folded grids, slow devices.

use std::time::{Duration, Instant};

use gpunn::blocking::block_on;
use gpunn::check::Inputs;
use gpunn::gpu::DeviceOptions;
use gpunn::graph::kernel::{Capabilities, DeviceClass};
use gpunn::graph::{BufferKind, Graph, Passes, Plan, PlanOptions, Target, TensorType, optimize};
use gpunn::ops::Step;
use gpunn::ops::conv2d::Geometry;
use gpunn::ops::table::{TABLE, force};
use gpunn::{Engine, Program};
use kernels_tests::mlp::Mlp;
use kernels_tests::random_graph::random_graph;
use kernels_tests::{results, rules, unsupported};

/// `factors` products of a square matrix, one after another.
fn products(side: usize, factors: usize) -> Graph {
    let mut graph = Graph::new();
    let x = graph.leaf("x", 0, TensorType::f32([side, side])).expect("it fits");
    let product = (0..factors).fold(x, |product, _| graph.matmul(product, x).expect("it fits"));
    graph.output("y", product);
    graph
}

fn load(engine: &mut Engine, graph: Graph, steps: usize) -> Program {
    let plan = Plan::new(graph, &engine.target(), PlanOptions::default()).expect("it fits");
    let program = engine.load(plan).expect("it loads");
    engine.schedule(program, &vec![Step::new(0, 1, 1); steps]).expect("it fits");
    program
}

fn submits(engine: &Engine) -> u64 {
    match engine {
        Engine::Gpu(executor) => executor.device().counts().submits,
        Engine::Cpu(_) => 0,
    }
}

/// Work that is expected to take longer than a tenth of a second is several submissions, with the same bits.
#[test]
fn long_work_is_several_submissions() {
    let Some(mut engine) = kernels_tests::gpu(DeviceOptions::default()) else { return };
    let mlp = Mlp::default();
    let graph = optimize(&mlp.training().expect("it builds"), Passes::default()).expect("it builds");
    let mut run = |group: Option<usize>| {
        engine.forget();
        let program = load(&mut engine, graph.clone(), 1);
        // Before the first run its speed is a guess, so these steps are expected to take a quarter of a second.
        let steps = 5 * engine.steps_at_once(program);
        mlp.fill(&mut engine, 0.3).expect("it fits");
        let step = |number: usize| Step::new(number as u32, 16, 5).with_rate(0.5, 0.0);
        engine.schedule(program, &(0..steps).map(step).collect::<Vec<_>>()).expect("it fits");
        let before = submits(&engine);
        let group = group.unwrap_or(steps);
        for first in (0..steps).step_by(group) {
            engine.run(program, first..(first + group).min(steps)).expect("it runs");
            block_on(engine.ready()).expect("it runs");
        }
        let used = submits(&engine) - before;
        (steps, used, mlp.parameters(&mut engine).expect("it reads"))
    };
    let (steps, used, whole) = run(None);
    assert!((4..=8).contains(&used), "{steps} steps were {used} submissions");
    assert!(whole == run(Some(7)).2, "the bits depend on the submissions");
}

/// After the first steps, a submission has as many steps as take about a twentieth of a second.
#[test]
fn submissions_are_as_long_as_they_should_be() {
    let Some(mut engine) = kernels_tests::gpu(DeviceOptions::default()) else { return };
    let program = load(&mut engine, products(64, 2), 4096);
    engine.write("x", 0, &vec![1e-3_f32; 64 * 64]).expect("it fits");
    let mut seconds = Vec::new();
    for _ in 0..12 {
        block_on(engine.wait()).expect("it runs");
        let steps = engine.steps_at_once(program);
        let start = Instant::now();
        engine.run(program, 0..steps).expect("it runs");
        block_on(engine.wait()).expect("it runs");
        seconds.push(start.elapsed().as_secs_f64());
        if steps == 4096 / 2 {
            return; // The device is so fast that the number of dispatches is the limit.
        }
    }
    // Other programs may use the machine, so only the best of the last ones is compared.
    let best = seconds[4..].iter().copied().map(|took| (took / 0.05).ln().abs()).fold(f64::INFINITY, f64::min);
    assert!(best < 3_f64.ln(), "the submissions took {seconds:?} s");
}

/// A device that completes its submissions one after another is not taken for hung, even if all of them take longer than the
/// timeout. A device that completes none is.
#[test]
fn a_slow_device_is_not_hung() {
    let with = |timeout| kernels_tests::gpu(DeviceOptions { timeout, ..DeviceOptions::default() });
    let start_on = |engine: &mut Engine| {
        let program = load(engine, products(1024, 1), 1);
        engine.write("x", 0, &vec![1e-3_f32; 1024 * 1024]).expect("it fits");
        engine.run(program, 0..1).expect("it runs");
        program
    };
    let Some(mut engine) = with(None) else { return };
    let program = start_on(&mut engine);
    block_on(engine.wait()).expect("it runs");
    let start = Instant::now();
    engine.run(program, 0..1).expect("it runs");
    block_on(engine.wait()).expect("it runs");
    let once = start.elapsed();

    let mut slow = with(Some(4 * once)).expect("the adapter is still there");
    let program = start_on(&mut slow);
    block_on(slow.wait()).expect("it runs");
    let start = Instant::now();
    (0..16).for_each(|_| slow.run(program, 0..1).expect("it runs"));
    block_on(slow.read_output(program, "y")).expect("a slow device is waited for");
    assert!(start.elapsed() > 5 * once, "the device was too fast for this test");

    let mut hung = with(Some(Duration::from_micros(1))).expect("the adapter is still there");
    let program = load(&mut hung, products(1024, 1), 1);
    hung.run(program, 0..1).expect("it is submitted");
    let sentence = block_on(hung.wait()).expect_err("it takes longer").to_string();
    assert!(sentence.contains("did not finish its work within 0.000001 s"), "{sentence}");
}

/// The plan of a graph with the smallest buffers that are possible: those of its largest tensor, leaf or pack.
fn in_small_buffers(graph: &Graph, target: &Target) -> (Plan, Plan) {
    let whole = Plan::new(graph.clone(), target, PlanOptions::default()).expect("it fits");
    let largest_tensor = graph.ids().map(|id| graph.ty(id).bytes()).max().unwrap_or(0);
    let scratch = whole.work.iter().flat_map(|work| &work.scratch).map(|place| place.bytes).max().unwrap_or(0);
    let fixed = |buffer: &&gpunn::graph::Buffer| buffer.kind != BufferKind::Pool;
    let largest_fixed = whole.buffers.iter().filter(fixed).map(|buffer| buffer.bytes).max().unwrap_or(0);
    let most = largest_tensor.max(scratch).next_multiple_of(target.alignment).max(largest_fixed);
    let small = Target { max_buffer: most, ..target.clone() };
    let plan = Plan::new(graph.clone(), &small, PlanOptions::default()).expect("it fits in small buffers");
    assert!(plan.buffers.iter().all(|buffer| buffer.bytes <= most));
    (whole, plan)
}

/// A device with small buffers gets more of them, with the same bits.
#[test]
fn pools_are_no_larger_than_the_devices_buffers() {
    let mut more = 0;
    for seed in 0..100 {
        let (graph, _) = random_graph(seed, 5 + (seed as usize * 7) % 36).expect("it builds");
        let graph = optimize(&graph, Passes::default()).expect("it builds");
        for target in [Target::cpu(), Target::portable()] {
            let (whole, small) = in_small_buffers(&graph, &target);
            rules::check(&small, &target).unwrap_or_else(|broken| panic!("graph {seed}: {broken}"));
            more += usize::from(small.buffers.len() > whole.buffers.len());
        }
    }
    assert!(more >= 20, "only {more} plans got more buffers");
    for mut engine in kernels_tests::engines() {
        for seed in [3, 17, 29] {
            let (graph, inputs) = random_graph(seed, 30).expect("it builds");
            let (whole, small) = in_small_buffers(&graph, &engine.target());
            let [whole, small] = [whole, small].map(|plan| results(&mut engine, plan, &inputs).expect("it runs"));
            assert!(whole == small, "{}: graph {seed} gives other bits", engine.device_name());
        }
    }
}

/// Sizes that do not fit 32 bits are refused by the plan, before an op computes with them.
#[test]
fn sizes_beyond_32_bits_are_refused_in_a_sentence() {
    let refused = |graph: Graph| Plan::new(graph, &Target::portable(), PlanOptions::default()).unwrap_err().to_string();
    let mut graph = Graph::new();
    let x = graph.leaf("x", 0, TensorType::f32([1 << 17, 8])).expect("it fits");
    let w = graph.leaf("w", 0, TensorType::f32([8, 1 << 17])).expect("it fits");
    let y = graph.matmul(x, w).expect("it fits");
    graph.output("y", y);
    let sentence = refused(graph);
    assert!(sentence.contains("takes 68719476736 bytes (131072x131072)"), "{sentence}");

    let mut graph = Graph::new();
    let x = graph.leaf("x", 0, TensorType::f32([1, 1, 4, 4])).expect("it fits");
    let w = graph.leaf("w", 0, TensorType::f32([1, 1, 1, 1])).expect("it fits");
    let geometry = Geometry { dilation: [1 << 33, 1], ..Geometry::default() };
    let sentence = graph.conv2d(x, w, geometry).expect_err("refused").to_string();
    assert!(sentence.contains("stride, dilation and padding can be at most 1048576"), "{sentence}");
}

/// Compares the bits of an op's small cases with those in a folded grid. Returns how many were folded, or nothing without an adapter.
fn folded(op: &str, options: DeviceOptions) -> Option<usize> {
    let entry = TABLE.iter().find(|entry| entry.name == op).expect("it is in the table");
    let mut engine = kernels_tests::gpu(options)?;
    let Target { device: Some(device), .. } = engine.target() else { unreachable!("a GPU's target") };
    let narrow = Target { device: Some(Capabilities { max_groups: 2, ..device.clone() }), ..engine.target() };
    let few = |case: &gpunn::ops::case::Case| case.inputs.iter().all(|input| input.ty.elements() <= 40_000);
    let mut folded = 0;
    for case in (entry.cases)().iter().filter(|case| few(case)).take(24) {
        let graph = optimize(&case.graph().expect("it builds").0, Passes::default()).expect("it builds");
        let plan = Plan::new(graph.clone(), &narrow, PlanOptions::default()).expect("it fits");
        let mut groups = plan.work.iter().flat_map(|work| &work.lowering.dispatches).map(|dispatch| dispatch.groups);
        if groups.any(|groups| groups[1] > 1) {
            folded += 1;
            let whole = Plan::new(graph, &engine.target(), PlanOptions::default()).expect("it fits");
            let inputs = Inputs::of(case);
            let [whole, plan] = [whole, plan].map(|plan| results(&mut engine, plan, &inputs).expect("it runs"));
            assert!(whole == plan, "{op} [{}] gives other bits when folded ({device:?})", case.label);
        }
    }
    Some(folded)
}

fn forcing(op: &str, variant: &str) -> DeviceOptions {
    DeviceOptions { forced: vec![force(op, variant).expect("a variant")], ..DeviceOptions::default() }
}

/// Every kernel of the matrix product gives the same bits in a folded grid.
#[test]
fn every_matrix_product_folds() {
    let entry = TABLE.iter().find(|entry| entry.name == "matmul").expect("it is in the table");
    let counts: Vec<_> =
        (entry.variants)().iter().filter_map(|variant| folded("matmul", forcing("matmul", variant))).collect();
    let count: usize = counts.iter().sum();
    assert!(counts.is_empty() || count >= 20, "only {count} products were folded");
}

/// So do the kernels with a workgroup for a row or for a pair of channels. A workgroup beyond the last one must meet their barriers
/// and store nothing.
#[test]
fn kernels_of_long_sums_fold() {
    let hardware = || DeviceOptions { class: Some(DeviceClass::Discrete), ..DeviceOptions::default() };
    for (op, options) in [
        ("softmax", hardware()),
        ("cross_entropy", hardware()),
        ("correct", hardware()),
        ("conv2d_backward_weight", forcing("conv2d_backward_weight", "depthwise")),
    ] {
        let Some(count) = folded(op, options) else { return };
        assert!(count >= 8, "{op}: only {count} cases were folded");
    }
}

#[test]
fn an_upload_in_pieces_arrives_whole() {
    // Three pieces; the last word is not full.
    let bytes: Vec<u8> = (0..(70 << 20) + 3_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut graph = Graph::new();
    let x = graph.leaf("x", 0, TensorType::u8([bytes.len()])).expect("it fits");
    let order = graph.leaf("order", 0, TensorType::u32([1])).expect("it fits");
    let y = graph.gather(x, order, 1).expect("it fits");
    graph.output("y", y);
    let Some(mut executor) = kernels_tests::executor(DeviceOptions::default()) else { return };
    let plan = Plan::new(graph, &executor.target(), PlanOptions::default()).expect("it fits");
    executor.load(plan).expect("it loads");
    executor.write("x", 0, &bytes).expect("it fits");
    let read = block_on(executor.read("x")).expect("it reads");
    assert!(read[..bytes.len()] == bytes, "the bytes changed on the way");
}

/// A step with more dispatches than a query set has queries is profiled in parts.
#[test]
fn a_long_step_is_profiled_in_parts() {
    const NODES: usize = 2100;
    let Some(mut executor) = kernels_tests::executor(DeviceOptions { profile: true, ..DeviceOptions::default() })
    else {
        return;
    };
    if !executor.device().has_timestamps() {
        return unsupported("the adapter has no timestamps");
    }
    let mut graph = Graph::new();
    let x = graph.leaf("x", 0, TensorType::f32([64])).expect("it fits");
    let y = (0..NODES).fold(x, |y, _| graph.scale(y, 0.5).expect("it fits"));
    graph.output("y", y);
    let plan = Plan::new(graph, &executor.target(), PlanOptions::default()).expect("it fits");
    let program = executor.load(plan).expect("it loads");
    executor.schedule(program, &[Step::new(0, 1, 1)]).expect("it fits");
    let timed = block_on(executor.profile(program, 0..1)).expect("it is profiled");
    assert_eq!(timed.len(), NODES);
    assert!(timed.windows(2).all(|pair| pair[0].start <= pair[1].start), "the nodes are not in their order");
}
