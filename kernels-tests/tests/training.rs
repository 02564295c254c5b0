//! Whole runs on a GPU: stopped and resumed, streamed, with averages of weights and over views, and profiled.

use gpunn::Engine;
use gpunn::data::{Dataset, Split, SplitName, limit};
use gpunn::gpu::DeviceOptions;
use gpunn::graph::Plan;
use gpunn::graph::kernel::DeviceClass;
use gpunn::nn::PARAMS;
use gpunn::ops::augment::{Augment, Flip, Padding};
use gpunn::profile::{Timed, by_kernel};
use gpunn::train::{Checkpoint, Recipe, Trainer, Tta, evaluate};
use kernels_tests::gpu;
use kernels_tests::numbers::assert_close;
use kernels_tests::training::{
    epoch, epochs, gives_up_long_steps, hash, small, stops_and_resumes, trainer, with_a_schedule,
    with_adamw_and_dropout, with_muon_and_lookahead,
};
use kernels_tests::unsupported;

fn moving() -> Augment {
    Augment { flip: Flip::Alternate, translate: 2, padding: Padding::Reflect, rotate: 10.0, ..Augment::default() }
}

/// 400 images are 25 steps. A submit has at most as many steps as the ring buffer has slots.
fn stops_and_resumes_on_a_gpu(change: impl Fn(&mut Recipe)) {
    if gpu(DeviceOptions::default()).is_none() {
        return;
    }
    let (recipe, dataset) = small(400, 2, |recipe| {
        recipe.data.stream = true;
        change(recipe);
    });
    let folder = tempfile::tempdir().expect("a folder");
    let mut engine = || gpu(DeviceOptions::default()).expect("as before");
    stops_and_resumes((&recipe, &dataset), folder.path(), &[2, 1, 4], &mut engine);
}

#[test]
fn a_run_with_momentum_and_a_schedule_resumes_bit_for_bit() {
    stops_and_resumes_on_a_gpu(with_a_schedule);
}

#[test]
fn a_run_with_adamw_and_dropout_resumes_bit_for_bit() {
    stops_and_resumes_on_a_gpu(with_adamw_and_dropout);
}

#[test]
fn a_run_with_muon_and_lookahead_resumes_bit_for_bit() {
    stops_and_resumes_on_a_gpu(with_muon_and_lookahead);
}

/// On hardware no step of the test takes a tenth of a second.
#[test]
fn a_step_that_takes_long_is_given_up_and_run_again() {
    let Some(engine) = gpu(DeviceOptions::default()) else { return };
    let class = engine.target().device.expect("a GPU").class;
    if class != DeviceClass::Software {
        return unsupported("only a software rasteriser takes a tenth of a second for this step");
    }
    gives_up_long_steps(&mut || gpu(DeviceOptions::default()).expect("as before"));
}

#[test]
fn a_run_with_averages_and_augmentation_resumes_bit_for_bit() {
    stops_and_resumes_on_a_gpu(|recipe| {
        recipe.augment = Some(moving());
        recipe.training.ema = Some(0.95);
        recipe.training.tta = Some(Tta::Flip);
    });
}

/// The results of `train` on the CPU and on the GPU. None without an adapter.
fn on_both<T>(recipe: &Recipe, dataset: &Dataset, mut train: impl FnMut(&mut Trainer) -> T) -> Option<[T; 2]> {
    let on_gpu = gpu(DeviceOptions::default())?;
    Some([Engine::cpu(), on_gpu].map(|engine| train(&mut trainer(engine, recipe, dataset))))
}

/// 700 images are 44 steps of an epoch, which use the slots of the ring buffer five and a half times.
#[test]
fn a_streamed_run_has_the_bits_of_a_resident_one_and_the_cpus_figures() {
    for augment in [None, Some(moving())] {
        let trained = [false, true].map(|stream| {
            let (recipe, dataset) = small(700, 2, |recipe| {
                recipe.augment.clone_from(&augment);
                recipe.data.stream = stream;
            });
            on_both(&recipe, &dataset, |trainer| {
                let lines = epochs(trainer, 2);
                assert!(lines.iter().all(|line| line.loader_wait.is_some() == stream));
                let figures: Vec<_> =
                    lines.iter().flat_map(|line| [line.train_loss, line.val_loss.expect("measured")]).collect();
                (figures, hash(trainer), trainer.planned_bytes())
            })
        });
        let [Some([_, resident]), Some([on_cpu, streamed])] = trained else { return };
        assert_eq!((&resident.0, &resident.1), (&streamed.0, &streamed.1));
        assert!(streamed.2 < resident.2, "{} and {}", streamed.2, resident.2);
        assert_close(&streamed.0, &on_cpu.0, 0.0, 1e-3);
    }
}

/// The moving average after each step equals its definition, computed from the weights of the steps.
#[test]
fn averaged_weights_are_what_the_steps_make_of_them() {
    const DECAY: f64 = 0.7;
    let (recipe, dataset) = small(320, 1, |recipe| recipe.training.ema = Some(0.7));
    let Some(engine) = gpu(DeviceOptions::default()) else { return };
    let mut trainer = trainer(engine, &recipe, &dataset);
    let learned = |trainer: &mut Trainer| gpunn::blocking::block_on(trainer.weights()).expect("weights").learned;
    let first = learned(&mut trainer);
    let mut wanted: Vec<f64> = first.iter().copied().map(f64::from).collect();
    gpunn::blocking::block_on(trainer.prepare_epoch()).expect("prepared");
    for step in 0..10 {
        let (engine, program) = trainer.engine_mut();
        engine.run(program, step..step + 1).expect("run");
        let decay = DECAY.min((1.0 + step as f64) / (10.0 + step as f64));
        for (average, weight) in wanted.iter_mut().zip(learned(&mut trainer)) {
            *average = decay * *average + (1.0 - decay) * f64::from(weight);
        }
    }
    let (engine, _) = trainer.engine_mut();
    let averages = gpunn::blocking::block_on(engine.read("ema")).expect("read");
    assert_close(&averages, &wanted, 1e-6, 0.0);
    assert!(averages != first && averages != learned(&mut trainer), "neither the first weights nor the last");
}

/// The validation figures of a run with averages and several views equal those of its checkpoint on both executors.
#[test]
fn averages_and_views_are_measured_as_on_the_cpu() {
    for tta in [Tta::Flip, Tta::Shift, Tta::ShiftOnly] {
        let (recipe, mut dataset) = small(320, 1, |recipe| {
            recipe.training.ema = Some(0.9);
            recipe.training.tta = Some(tta);
        });
        // One and a half batches.
        dataset.val = dataset.val.map(|val: Split| limit(val, 300, 1));
        let Some([cpu, on_gpu]) = on_both(&recipe, &dataset, |trainer| {
            let line = epoch(trainer);
            (line.val_loss.expect("measured"), gpunn::blocking::block_on(trainer.checkpoint()).expect("a checkpoint"))
        }) else {
            return;
        };
        assert_close(&[on_gpu.0], &[cpu.0], 0.0, 1e-3);
        let measure = |engine: Engine, change: &dyn Fn(&mut Recipe)| {
            let mut checkpoint: Checkpoint = on_gpu.1.clone();
            change(&mut checkpoint.recipe);
            let mut engine = engine;
            gpunn::blocking::block_on(evaluate(&mut engine, &checkpoint, &dataset, SplitName::Val))
                .expect("measured")
                .loss
        };
        let again = || gpu(DeviceOptions::default()).expect("as before");
        assert_eq!(measure(again(), &|_| {}), on_gpu.0, "{tta:?}");
        assert_close(&[measure(Engine::cpu(), &|_| {})], &[on_gpu.0], 0.0, 1e-5);
        // Without the views or without the averages the result differs.
        for change in
            [|recipe: &mut Recipe| recipe.training.tta = None, |recipe: &mut Recipe| recipe.training.ema = None]
        {
            let without = measure(again(), &change);
            assert!((without - on_gpu.0).abs() > 1e-4, "{tta:?}: {without} and {}", on_gpu.0);
        }
    }
}

/// The kernels of a plan's dispatches, in order.
fn kernels(plan: &Plan) -> Vec<String> {
    let dispatches = plan.work.iter().flat_map(|work| &work.lowering.dispatches);
    dispatches.map(|dispatch| dispatch.kernel.label.clone()).collect()
}

/// On a software adapter the dispatches follow each other without gaps. On hardware the gaps may be longer than the
/// dispatches.
#[test]
fn a_profile_names_and_times_every_dispatch_and_changes_no_bit() {
    let options = DeviceOptions { profile: true, ..DeviceOptions::default() };
    let (recipe, dataset) = small(320, 1, |recipe| {
        recipe.model.hidden = Some(vec![512, 512]);
        recipe.training.batch_size = 128;
    });
    let begun = || {
        let mut trainer = trainer(gpu(options.clone())?, &recipe, &dataset);
        gpunn::blocking::block_on(trainer.prepare_epoch()).expect("prepared");
        Some(trainer)
    };
    let Some(mut profiled) = begun() else { return };
    let (engine, program) = profiled.engine_mut();
    let labels = kernels(engine.plan(program));
    let Engine::Gpu(executor) = engine else { unreachable!("a GPU's engine") };
    if !executor.device().has_timestamps() {
        return unsupported("the adapter has no timestamps");
    }
    let class = executor.device().capabilities().class;
    let clock = std::time::Instant::now();
    let timed: Vec<Timed> = gpunn::blocking::block_on(executor.profile(program.index(), 0..2)).expect("timed");
    let elapsed = clock.elapsed().as_nanos() as f64;

    let names: Vec<&str> = timed.iter().map(|dispatch| dispatch.kernel.as_str()).collect();
    assert_eq!(names, [&labels[..], &labels[..]].concat());
    assert!(names.iter().any(|name| name.starts_with("matmul")), "{names:?}");
    assert_eq!(timed[0].start, 0.0);
    for dispatch in &timed {
        assert!(dispatch.duration > 0.0 && dispatch.duration < elapsed, "{dispatch:?}");
    }
    let end = |dispatch: &Timed| dispatch.start + dispatch.duration;
    for (step, of_step) in timed.chunks(labels.len()).enumerate() {
        assert!(of_step.iter().all(|dispatch| dispatch.step == step));
        let whole = end(&of_step[labels.len() - 1]) - of_step[0].start;
        let sum: f64 = of_step.iter().map(|dispatch| dispatch.duration).sum();
        let wanted = if class == DeviceClass::Software { 0.8..1.01 } else { 0.02..2.0 };
        assert!(wanted.contains(&(sum / whole)), "step {step}: {sum} of {whole} ns");
        assert!(whole <= elapsed, "step {step}: {whole} of {elapsed} ns");
    }
    let table = by_kernel(&timed);
    assert_eq!(table.iter().map(|line| line.calls).sum::<usize>(), timed.len());
    assert!((table.iter().map(|line| line.share).sum::<f64>() - 1.0).abs() < 1e-9);

    let mut plain = begun().expect("as before");
    let (engine, program) = plain.engine_mut();
    let first = gpunn::blocking::block_on(engine.read(PARAMS)).expect("read");
    engine.run(program, 0..2).expect("run");
    assert_eq!(hash(&mut profiled), hash(&mut plain));
    assert!(
        first != gpunn::blocking::block_on(plain.weights()).expect("weights").learned,
        "two steps change the weights"
    );
}
