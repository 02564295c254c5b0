//! Convolutional networks learn on the CPU and on the GPU, and resume with their running statistics.

use gpunn::Engine;
use gpunn::data::{Dataset, Pixels, Split, SplitName};
use gpunn::graph::{Passes, Plan, PlanOptions, TensorType, optimize};
use gpunn::nn::{BatchNorm2d, Build, Mode, Model, PARAMS, ParameterKind, STATISTICS, Sequence};
use gpunn::ops::Step;
use gpunn::optim::{Optimizer, OptimizerGroup};
use gpunn::runs::{Experiment, RunDirectory, RunOutcome};
use gpunn::train::{Lookahead, Recipe, Trainer};
use kernels_tests::for_every_variant;
use kernels_tests::numbers::assert_close;
use kernels_tests::training::{self, Until, begin, documented, finish, trainer};

/// Images of 3x16x16 in two classes: bright at the top or at the bottom, with a pattern over them.
fn stripes(images: usize) -> Split {
    let pixel = |index: usize| {
        let (image, row) = (index / 768, index / 16 % 16);
        let noise = (index * 37 + image * 101) % 90;
        (if (row < 8) == (image % 2 == 0) { 140 } else { 30 }) + noise as u8
    };
    Split::new(
        Pixels::U8((0..images * 768).map(pixel).collect()),
        (0..images).map(|image| (image % 2) as u32).collect(),
    )
}

fn dataset(images: usize) -> Dataset {
    Dataset {
        name: "stripes".into(),
        input: [3, 16, 16],
        classes: vec!["above".into(), "below".into()],
        sets: None,
        train: stripes(images),
        val: Some(stripes(20)),
        test: None,
        folder: None,
        skipped: Vec::new(),
        absent: Vec::new(),
    }
}

fn recipe(change: impl Fn(&mut Recipe)) -> Recipe {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("net.toml");
    std::fs::write(&path, documented()).expect("written");
    let model = gpunn::runs::model(&path.display().to_string()).expect("a network");
    let mut recipe = gpunn::runs::choose(None, Some(model), None).expect("a recipe");
    recipe.data.name = "stripes".into();
    recipe.training.epochs = 3.0;
    recipe.training.batch_size = 8;
    recipe.optimizer = Optimizer { momentum: 0.9, weight_decay: 1e-3, ..Optimizer::sgd(0.02) };
    change(&mut recipe);
    recipe
}

/// The loss of each epoch.
fn losses(trainer: &mut Trainer) -> Vec<f64> {
    let epochs = trainer.recipe().training.begun_epochs();
    training::epochs(trainer, epochs).iter().map(|line| line.train_loss).collect()
}

/// The last batch of 44 images is half full.
#[test]
fn the_documented_network_learns_on_the_cpu_and_the_gpu_alike() {
    learns_on_both(&recipe(|_| {}));
}

/// Muon trains filters, which are wide and high matrices here, and Lookahead joins the running statistics too.
#[test]
fn the_documented_network_learns_by_muon_and_lookahead_on_both_alike() {
    learns_on_both(&recipe(|recipe| {
        recipe.optimizer.groups = vec![OptimizerGroup::muon(ParameterKind::Filters, 0.1, 0.6)];
        recipe.training.lookahead = Some(Lookahead { every: 5, decay: 0.9, ramp: 0.0 });
    }));
}

fn learns_on_both(recipe: &Recipe) {
    let dataset = dataset(44);
    let mut on_cpu = trainer(Engine::cpu(), recipe, &dataset);
    let cpu = losses(&mut on_cpu);
    assert!(cpu[2] < 0.6 * cpu[0] && cpu[2] < 0.4, "{cpu:?}");
    let val = gpunn::blocking::block_on(on_cpu.evaluate(SplitName::Val)).expect("measured");
    assert!(val.accuracy.expect("an accuracy") > 0.9, "{val:?}");
    for_every_variant(|choice, device| {
        let on_gpu = losses(&mut trainer(Engine::gpu(device), recipe, &dataset));
        let off = if choice.name == "half" { 0.03 } else { 1e-3 };
        for (cpu, on_gpu) in cpu.iter().zip(&on_gpu) {
            assert!((cpu - on_gpu).abs() < off * cpu.abs().max(0.1), "{}: {cpu} and {on_gpu}", choice.name);
        }
    });
}

#[test]
fn running_statistics_are_kept_and_resumed_bit_for_bit() {
    let (recipe, dataset) = (recipe(|_| {}), dataset(1200));
    let folder = tempfile::tempdir().expect("a folder");
    let run = |name: &str| begin(trainer(Engine::cpu(), &recipe, &dataset), &folder.path().join(name));
    let wanted = finish(&mut run("whole"));
    let outcome = gpunn::blocking::block_on(run("parts").run(&mut Until { left: 2 })).expect("trained");
    assert!(matches!(outcome, RunOutcome::Interrupted { steps, .. } if steps > 0), "{outcome:?}");
    let run = RunDirectory::open(&folder.path().join("parts")).expect("a run");
    let checkpoint = run.last().expect("a checkpoint");
    for name in ["bn1.running_mean", "block.bn2.running_var", "block.downsample.bn1.running_mean"] {
        let (_, values) = checkpoint.tensors.get(name).unwrap_or_else(|| panic!("no {name} in the checkpoint"));
        assert!(values.iter().any(|value| *value != 0.0 && *value != 1.0), "{name} did not move: {values:?}");
        let state = format!("optimizer.momentum/{name}");
        assert!(!checkpoint.tensors.contains_key(&state), "the optimizer has a state of {name}");
    }
    let mut parts =
        Experiment::resumed(trainer(Engine::cpu(), &recipe, &dataset), run, &dataset, &checkpoint).expect("on");
    assert_eq!(finish(&mut parts).weights_hash, wanted.weights_hash);
    // A checkpoint without running statistics is refused.
    let mut without = checkpoint;
    without.tensors.remove("bn1.running_var");
    let sentence = trainer(Engine::cpu(), &recipe, &dataset).restore(&without).expect_err("refused").to_string();
    assert!(sentence.contains("`bn1.running_var`"), "{sentence}");
}

/// Runs one batch norm over `[4, 2, 3, 3]` with these running statistics. Returns the output and the new statistics.
fn batch_norm(mode: Mode, momentum: f32, statistics: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let layer = BatchNorm2d { momentum, ..BatchNorm2d::default() };
    let model = Model::new("bn", &[2, 3, 3], Sequence::new().with("bn", layer)).expect("a model");
    let mut build = Build::new(model.parameters(), mode).expect("a build");
    let x = build.leaf("x", 0, TensorType::f32([4, 2, 3, 3])).expect("a leaf");
    let y = model.forward(&mut build, x).expect("built");
    build.output("y", y);
    let mut engine = Engine::cpu();
    let graph = optimize(&build.graph, Passes::default()).expect("optimized");
    let plan = Plan::new(graph, &engine.target(), PlanOptions::default()).expect("planned");
    let program = engine.load(plan).expect("loaded");
    let values: Vec<f32> = (0..72).map(|i| ((i * 29) % 23) as f32 / 7.0 - 1.0).collect();
    engine.write("x", 0, &values).expect("written");
    engine.write(PARAMS, 0, &model.parameters().initial(1)).expect("written");
    engine.write(STATISTICS, 0, statistics).expect("written");
    engine.schedule(program, &[Step::new(0, 4, 1)]).expect("scheduled");
    engine.run(program, 0..1).expect("run");
    let y = gpunn::blocking::block_on(engine.read_output(program, "y")).expect("read");
    (y, gpunn::blocking::block_on(engine.read(STATISTICS)).expect("read"))
}

#[test]
fn batch_norm_evaluates_with_what_training_measured() {
    let mut begin = vec![0.0; 128];
    begin[64..66].fill(1.0);
    // With a momentum of 1 the running statistics equal those of this batch.
    let (trained, mut statistics) = batch_norm(Mode::Training, 1.0, &begin);
    // Except that the running variance is unbiased: 36 values per channel.
    for variance in &mut statistics[64..66] {
        *variance *= 35.0 / 36.0;
    }
    let (evaluated, after) = batch_norm(Mode::Evaluation, 1.0, &statistics);
    assert_eq!(statistics, after, "evaluation changes nothing");
    assert_close(&evaluated, &trained.iter().copied().map(f64::from).collect::<Vec<_>>(), 1e-5, 0.0);
    let (_, slow) = batch_norm(Mode::Training, 0.1, &begin);
    assert!((slow[0] - 0.1 * statistics[0]).abs() < 1e-6, "{} and {}", slow[0], statistics[0]);
}
