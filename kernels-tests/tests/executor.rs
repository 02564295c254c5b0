//! Properties of the executors: a step is one submit and nothing else; steps give the same bits, alone or several in one
//! submit; both executors learn equally; memory is as planned; mistakes give clear messages.

use gpunn::check::Inputs;
use gpunn::data::{Dataset, Pixels, Split, glyphs};
use gpunn::gpu::{Counts, DeviceOptions};
use gpunn::graph::kernel::Capabilities;
use gpunn::graph::{Graph, NodeId, Passes, Plan, PlanOptions, Target, TensorType, optimize};
use gpunn::ops::elementwise::{Map, Unary};
use gpunn::ops::table::TABLE;
use gpunn::ops::{Real, Step};
use gpunn::train::{self, Recipe, Trainer};
use gpunn::{Engine, Program};
use kernels_tests::mlp::Mlp;
use kernels_tests::{KernelChoice, results, unsupported};

fn plan(engine: &Engine, mlp: &Mlp) -> Plan {
    let graph = optimize(&mlp.training().expect("it builds"), Passes::default()).expect("it builds");
    Plan::new(graph, &engine.target(), PlanOptions::default()).expect("it fits")
}

/// Loads the training step with data and initial parameters.
fn start(engine: &mut Engine, mlp: &Mlp) -> Program {
    engine.forget();
    let plan = plan(engine, mlp);
    let program = engine.load(plan).expect("it loads");
    mlp.fill(engine, 0.3).expect("it fits");
    engine.schedule(program, &mlp.schedule(0.5)).expect("it fits");
    program
}

fn counts(engine: &Engine) -> Counts {
    match engine {
        Engine::Gpu(executor) => executor.device().counts(),
        Engine::Cpu(_) => Counts::default(),
    }
}

fn bits(engine: &mut Engine, mlp: &Mlp) -> Vec<u32> {
    let parameters = mlp.parameters(engine).expect("it reads");
    let totals = gpunn::blocking::block_on(engine.read("totals")).expect("it reads");
    parameters.concat().into_iter().chain(totals).map(f32::to_bits).collect()
}

#[test]
fn a_step_is_one_submit() {
    let Some(mut engine) = kernels_tests::gpu(DeviceOptions::default()) else { return };
    let mlp = Mlp::default();
    let program = start(&mut engine, &mlp);
    for step in 0..mlp.steps {
        let before = counts(&engine);
        engine.run(program, step..step + 1).expect("it runs");
        assert_eq!(counts(&engine), Counts { submits: before.submits + 1, ..before }, "step {step}");
    }
    let before = counts(&engine);
    engine.run(program, 0..20).expect("it runs");
    let after = counts(&engine);
    assert_eq!(after, Counts { submits: before.submits + 1, ..before }, "twenty steps");
    // The counters work: reading an output creates a buffer, submits a copy, maps and waits.
    gpunn::blocking::block_on(engine.read_output(program, "loss")).expect("it reads");
    let read = counts(&engine);
    let one_each = Counts {
        buffers: after.buffers + 1,
        submits: after.submits + 1,
        maps: after.maps + 1,
        waits: after.waits + 1,
        ..after
    };
    assert_eq!(read, one_each);
}

#[test]
fn bits_do_not_depend_on_how_steps_are_submitted() {
    let mlp = Mlp::default();
    for mut engine in kernels_tests::engines() {
        let mut found = Vec::new();
        for group in [1, 1, 7, mlp.steps] {
            let program = start(&mut engine, &mlp);
            for first in (0..mlp.steps).step_by(group) {
                engine.run(program, first..(first + group).min(mlp.steps)).expect("it runs");
            }
            found.push(bits(&mut engine, &mlp));
        }
        let (first, others) = found.split_first().expect("four runs");
        for (other, what) in others.iter().zip(["again", "seven steps a submit", "all steps in one submit"]) {
            assert!(first == other, "{}: {what}, other bits", engine.device_name());
        }
        // Other initial parameters give other bits, so the comparison can fail.
        let program = start(&mut engine, &mlp);
        mlp.fill(&mut engine, 0.31).expect("it fits");
        engine.run(program, 0..mlp.steps).expect("it runs");
        assert!(*first != bits(&mut engine, &mlp));
    }
}

/// The bits are the same for any number of threads.
#[test]
fn threads_do_not_change_the_cpus_bits() {
    let mlp = Mlp { batch: 64, inputs: 256, hidden: 300, rows: 300, steps: 10, ..Mlp::default() };
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| {
            let mut engine = Engine::cpu();
            let program = start(&mut engine, &mlp);
            engine.run(program, 0..mlp.steps).expect("it runs");
            bits(&mut engine, &mlp)
        })
    };
    let one = with(1);
    assert!([2, 3, 8].into_iter().all(|threads| with(threads) == one));
}

#[test]
fn both_executors_learn_alike() {
    let Some(mut gpu) = kernels_tests::gpu(DeviceOptions::default()) else { return };
    let mut cpu = Engine::cpu();
    let mlp = Mlp::default();
    let losses = |engine: &mut Engine| {
        let program = start(engine, &mlp);
        let losses = mlp.losses(engine, program, 0..100).expect("it runs");
        let totals = gpunn::blocking::block_on(engine.read("totals")).expect("it reads");
        (losses, totals)
    };
    let ((on_gpu, gpu_totals), (on_cpu, cpu_totals)) = (losses(&mut gpu), losses(&mut cpu));
    for (step, (gpu, cpu)) in on_gpu.iter().zip(&on_cpu).enumerate() {
        assert!((gpu - cpu).abs() <= 1e-3 * cpu.abs(), "step {step}: {gpu} on the GPU, {cpu} on the CPU");
    }
    // Both have learned, and the running sums equal the sums of the losses.
    let (end, chance) = (on_cpu[90..].iter().sum::<f32>() / 10.0, (mlp.classes as f32).ln());
    assert!(end < chance - 0.4, "the loss is {end} after 100 steps, {chance} by chance");
    for (losses, totals) in [(&on_gpu, &gpu_totals), (&on_cpu, &cpu_totals)] {
        let sum: f32 = losses.iter().map(|loss| loss * mlp.batch as f32).sum();
        assert!((totals[0] - sum).abs() <= 1e-3 * sum, "{} accumulated, {sum} read", totals[0]);
        assert_eq!(totals[2], 100.0 * mlp.batch as f32);
    }
    assert_eq!(gpu_totals[1], cpu_totals[1], "images classified rightly");
}

/// In a partial batch the masked rows change nothing, whatever their content.
#[test]
fn rows_that_are_not_valid_change_nothing() {
    let mlp = Mlp::default();
    for mut engine in kernels_tests::engines() {
        let mut run = |rest: u32| {
            let program = start(&mut engine, &mlp);
            engine.write("order", 11, &[rest; 5]).expect("it fits");
            let step = Step::new(0, 11, 5).with_rate(0.5, 0.0);
            engine.schedule(program, &[step]).expect("it fits");
            engine.run(program, 0..1).expect("it runs");
            bits(&mut engine, &mlp)
        };
        assert!(run(3) == run(77), "the padding rows were seen");
    }
}

/// The plan's peak equals the size of its buffers. On lavapipe, wgpu allocates the peak, the `Dims` of the dispatches and
/// less than one percent for rounding.
#[test]
fn memory_is_what_the_plan_says() {
    let Some(mut engine) = kernels_tests::gpu(DeviceOptions::default()) else { return };
    let mlp = Mlp { batch: 256, inputs: 1024, hidden: 256, rows: 4000, ..Mlp::default() };
    let plan = plan(&engine, &mlp);
    assert_eq!(plan.peak_bytes(), plan.buffers.iter().map(|buffer| buffer.bytes).sum::<usize>());
    let dispatches: usize = plan.work.iter().map(|work| work.lowering.dispatches.len()).sum();
    let (peak, dims) = (plan.peak_bytes() as f64, 256.0 * dispatches as f64);
    let allocated = |engine: &Engine| match engine {
        Engine::Gpu(executor) => executor.device().allocated_bytes(),
        Engine::Cpu(_) => None,
    };
    let Some(before) = allocated(&engine) else { return unsupported("the backend gives no allocator report") };
    engine.load(plan).expect("it loads");
    let grown = (allocated(&engine).expect("as before") - before) as f64;
    println!("planned {peak} bytes, wgpu's allocator grew by {grown}");
    assert!(grown >= peak, "{grown} bytes allocated for a peak of {peak}");
    assert!(grown <= 1.01 * peak + dims + 65_536.0, "{grown} bytes allocated for a peak of {peak}");
}

/// The memory that a run announces before it begins is within 2 percent of what wgpu allocates.
fn takes_the_memory_it_says(recipe: &str, dataset: &Dataset) {
    let Some(engine) = kernels_tests::gpu(DeviceOptions::default()) else { return };
    let Engine::Gpu(executor) = &engine else { return };
    let Some(before) = executor.device().allocated_bytes() else {
        return unsupported("the backend gives no allocator report");
    };
    let mut recipe = Recipe::find(recipe).expect("built in");
    recipe.training.batch_size = 128;
    recipe.training.ema = Some(0.99);
    let mut trainer = Trainer::new(engine, recipe, dataset, train::TrainerOptions::default()).expect("a trainer");
    // The staging buffers of the upload are freed after a later submit has finished.
    gpunn::blocking::block_on(trainer.repeat_steps(2)).expect("two steps");
    let Engine::Gpu(executor) = trainer.engine() else { return };
    let (planned, grown) =
        (trainer.planned_bytes() as f64, (executor.device().allocated_bytes().expect("as before") - before) as f64);
    println!("planned {planned} bytes, wgpu's allocator grew by {grown}");
    assert!((grown / planned - 1.0).abs() < 0.02, "{grown} bytes allocated, {planned} planned");
}

#[test]
fn an_mlp_takes_the_memory_it_says() {
    takes_the_memory_it_says("glyphs-mlp", &glyphs::dataset());
}

#[test]
fn a_cnn_takes_the_memory_it_says() {
    let images = |count: usize| {
        Split::new(
            Pixels::U8((0..count * 3072).map(|i| (i * 7 % 251) as u8).collect()),
            (0..count as u32).map(|i| i % 10).collect(),
        )
    };
    let dataset = Dataset {
        name: "cifar10".into(),
        input: [3, 32, 32],
        classes: (0..10).map(|class| class.to_string()).collect(),
        sets: None,
        train: images(512),
        val: None,
        test: Some(images(256)),
        folder: None,
        skipped: Vec::new(),
        absent: Vec::new(),
    };
    takes_the_memory_it_says("cifar10-cnn", &dataset);
}

#[test]
fn mistakes_are_answered_in_sentences() {
    for mut engine in kernels_tests::engines() {
        let mlp = Mlp::default();
        let program = start(&mut engine, &mlp);
        let unknown = "there is no buffer 'weights'; load a plan that uses it first";
        assert_eq!(gpunn::blocking::block_on(engine.read("weights")).unwrap_err().to_string(), unknown);
        assert_eq!(engine.write("weights", 0, &[1.0_f32]).unwrap_err().to_string(), unknown);
        assert_eq!(
            engine.write("totals", 2, &[1.0_f32; 2]).unwrap_err().to_string(),
            "the buffer 'totals' has 12 bytes, but the access ends at byte 16"
        );
        assert_eq!(
            gpunn::blocking::block_on(engine.read_output(program, "accuracy")).unwrap_err().to_string(),
            "the plan has no output 'accuracy'"
        );
        assert_eq!(
            engine.run(program, 118..121).unwrap_err().to_string(),
            "steps 118 to 121 were asked for, but 120 are scheduled; call schedule first"
        );
        let longer = plan(&engine, &Mlp { rows: 300, ..mlp });
        assert_eq!(
            engine.load(longer).unwrap_err().to_string(),
            "the buffer 'data' has 9800 bytes already, but the plan asks for 14700"
        );
        // The engine works after the mistake.
        engine.run(program, 0..1).expect("it runs");
        assert!(gpunn::blocking::block_on(engine.read_output(program, "loss")).expect("it reads")[0].is_finite());
    }
}

#[test]
fn a_plan_that_does_not_fit_says_so() {
    let graph = Mlp::default().training().expect("it builds");
    let small = Target { max_binding: 4096, ..Target::portable() };
    assert_eq!(
        Plan::new(graph.clone(), &small, PlanOptions::default()).map(|_| ()).unwrap_err().to_string(),
        "'data' takes 9800 bytes (200x49 u8), but the device allows at most 4096 bytes for a tensor"
    );
    let small = Target { max_buffer: 9000, ..Target::portable() };
    let refusal = Plan::new(graph, &small, PlanOptions::default()).map(|_| ()).unwrap_err().to_string();
    assert_eq!(refusal, "the buffer 'data' takes 9800 bytes, but the device allows at most 9000 bytes for a buffer");
}

/// A function whose WGSL names something that does not exist.
#[derive(Clone, Debug, PartialEq)]
struct Misspelt;

impl Unary for Misspelt {
    const NAMES: [&'static str; 2] = ["misspelt", "misspelt_backward"];
    const WGSL: &'static str = "fn misspelt(x: f32) -> f32 { return x * facter; }";

    fn value<T: Real>(&self, x: T) -> T {
        x
    }

    fn derivative<T: Real>(&self, _: T, dy: T) -> T {
        dy
    }
}

/// An author of an op corrects the WGSL and goes on: a refused kernel leaves the device usable.
#[test]
fn a_refused_kernel_is_named_and_other_plans_still_load() {
    let Some(mut engine) = kernels_tests::gpu(DeviceOptions::default()) else { return };
    let plan = |apply: &dyn Fn(&mut Graph, NodeId) -> gpunn::Result<NodeId>, engine: &Engine| {
        let mut graph = Graph::new();
        let x = graph.leaf("x", 0, TensorType::f32([3])).expect("it fits");
        let y = apply(&mut graph, x).expect("it builds");
        graph.output("y", y);
        Plan::new(graph, &engine.target(), PlanOptions::default()).expect("it fits")
    };
    for _ in 0..2 {
        let wrong = plan(&|graph, x| graph.apply(Map::of(Misspelt), &[x]), &engine);
        let sentence = engine.load(wrong).expect_err("it is refused").to_string();
        assert!(sentence.contains("facter"), "{sentence}");
        let right = plan(&Graph::relu, &engine);
        let program = engine.load(right).expect("it loads");
        engine.write("x", 0, &[-1.0_f32, 0.0, 2.0]).expect("it fits");
        engine.schedule(program, &[Step::new(0, 3, 0)]).expect("it fits");
        engine.run(program, 0..1).expect("it runs");
        let y = gpunn::blocking::block_on(engine.read_output(program, "y")).expect("it reads");
        assert_eq!(y, [0.0, 0.0, 2.0]);
    }
}

/// A grid with more workgroups than one axis allows is folded into two axes. The count is odd, so the last row of the fold
/// goes past the end.
#[test]
fn a_large_grid_is_folded() {
    const COUNT: usize = 4_194_341;
    let mut graph = Graph::new();
    let x = graph.leaf("x", 0, TensorType::f32([COUNT])).expect("it fits");
    let y = graph.scale(x, 3.0).expect("it fits");
    graph.output("y", y);
    let Some(mut engine) = kernels_tests::gpu(DeviceOptions::default()) else { return };
    let Target { device: Some(device), .. } = engine.target() else { unreachable!("a GPU's target") };
    let target = Target { device: Some(Capabilities { max_groups: 65_535, ..device }), ..engine.target() };
    let plan = Plan::new(graph, &target, PlanOptions::default()).expect("it fits");
    assert_eq!(plan.work[0].lowering.dispatches[0].groups, [32_769, 2, 1]);
    let program = engine.load(plan).expect("it loads");
    let values: Vec<f32> = (0..COUNT).map(|i| i as f32).collect();
    engine.write("x", 0, &values).expect("it fits");
    engine.schedule(program, &[Step::new(0, 1, 0)]).expect("it fits");
    engine.run(program, 0..1).expect("it runs");
    let y = gpunn::blocking::block_on(engine.read_output(program, "y")).expect("it reads");
    let wrong = values.iter().zip(&y).position(|(x, y)| 3.0 * x != *y);
    assert_eq!(wrong, None, "the first wrong element");
}

/// With at most two workgroups per row of the grid, every kernel gives the same bits as unfolded.
#[test]
fn every_kernel_folds() {
    kernels_tests::for_every_variant(|choice, device| {
        let folded = fold_cases(&mut Engine::gpu(device), choice);
        println!("{}: {folded} cases folded", choice.name);
        assert!(folded >= 40 || choice.ops.len() < TABLE.len(), "only {folded} cases were folded");
    });
}

fn fold_cases(engine: &mut Engine, choice: &KernelChoice) -> usize {
    let Target { device: Some(device), .. } = engine.target() else { unreachable!("a GPU's target") };
    let narrow = Target { device: Some(Capabilities { max_groups: 2, ..device }), ..engine.target() };
    let mut folded = 0;
    for entry in TABLE.iter().filter(|entry| choice.ops.contains(entry.name)) {
        for case in (entry.cases)() {
            let graph = optimize(&case.graph().expect("it builds").0, Passes::default()).expect("it builds");
            let plan = Plan::new(graph.clone(), &narrow, PlanOptions::default()).expect("it fits");
            let dispatches = || plan.work.iter().flat_map(|work| &work.lowering.dispatches);
            let rows = dispatches().map(|dispatch| dispatch.groups[1]).max().unwrap_or(1);
            if rows < 2 || case.inputs.iter().any(|input| input.ty.elements() > 300_000) {
                continue;
            }
            for dispatch in dispatches() {
                assert!(dispatch.groups[0] <= 2, "{} has {:?} groups", dispatch.kernel.label, dispatch.groups);
            }
            folded += 1;
            let whole = Plan::new(graph, &engine.target(), PlanOptions::default()).expect("it fits");
            let inputs = Inputs::of(&case);
            let expected = results(engine, whole, &inputs).expect("it runs");
            let found = results(engine, plan, &inputs).expect("it runs");
            let name = (&choice.name, entry.name, &case.label);
            assert!(found == expected, "{name:?} gives other bits when folded");
        }
    }
    folded
}

#[test]
fn the_fold_covers_every_group_once() {
    for most in [1, 2, 7, 65_535] {
        let device = Capabilities { max_groups: most, ..Capabilities::portable() };
        for groups in [0, 1, 2, 3, 6, 7, 8, 48, 49, 65_534, 65_535, 65_536, 65_537, 131_070, 131_071, 16_777_216] {
            let [x, y, z] = device.fold(groups);
            let (covered, wanted) = (u64::from(x) * u64::from(y), groups.max(1) as u64);
            assert!(x <= most && x >= 1 && z == 1, "{groups} over {most}: {x} {y} {z}");
            // The fold has less than one row more than needed.
            assert!(covered >= wanted && covered - wanted < u64::from(y), "{groups} over {most}: {x} {y}");
        }
    }
}
