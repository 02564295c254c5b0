//! A run that is stopped and resumed ends with the same bits as one that is not.

use std::time::Duration;

use crate::common::training::{self, epoch, hash, small, trainer};
use gpunn::Engine;
use gpunn::data::{Dataset, Pixels, Split, epoch_order};
use gpunn::graph::PlanOptions;
use gpunn::ops::augment::{Augment, Flip};
use gpunn::ops::batch::Reduction;
use gpunn::runs::{Experiment, Observer, RunDirectory, RunOutcome};
use gpunn::train::{Checkpoint, EpochLine, EpochProgress, Recipe, Trainer, TrainerOptions, Tta};

fn stops_and_resumes(change: impl Fn(&mut Recipe)) {
    let (recipe, dataset) = small(1500, 3, change);
    let folder = tempfile::tempdir().expect("a folder");
    // In the midst of an epoch, then at whatever comes, also in a validation.
    training::stops_and_resumes((&recipe, &dataset), folder.path(), &[2, 3, 1, 4, 1, 1], &mut Engine::cpu);
}

#[test]
fn with_momentum_and_a_schedule() {
    stops_and_resumes(training::with_a_schedule);
}

#[test]
fn with_adamw_and_dropout() {
    stops_and_resumes(training::with_adamw_and_dropout);
}

#[test]
fn with_muon_and_lookahead() {
    stops_and_resumes(training::with_muon_and_lookahead);
}

#[test]
fn a_step_that_takes_long_is_given_up_and_run_again() {
    training::gives_up_long_steps(&mut Engine::cpu);
}

#[test]
fn a_checkpoint_that_is_due_gives_no_step_up() {
    let (recipe, dataset) = training::long_steps();
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let wanted = training::finish(&mut training::begin(trainer(Engine::cpu(), &recipe, &dataset), &path("whole")));
    let options = TrainerOptions { clock: Some(training::fast_clock), ..TrainerOptions::default() };
    let trainer = Trainer::new(Engine::cpu(), recipe, &dataset, options).expect("a trainer");
    let mut saving = training::begin(trainer, &path("saving"));
    saving.save_every = Duration::ZERO;
    assert_eq!(training::finish(&mut saving).weights_hash, wanted.weights_hash);
}

/// Sees the checkpoint that is on the disk whenever training goes on.
struct Watcher {
    run: RunDirectory,
    steps_saved: Vec<u32>,
    /// The first checkpoint within the latest epoch.
    within: Option<Checkpoint>,
}

impl Observer for Watcher {
    fn progress(&mut self, _: u32, _: EpochProgress) -> bool {
        if self.run.has_last() {
            let last = self.run.last().expect("whole");
            self.steps_saved.push(last.counters.step);
            if last.counters.step > 0
                && self.within.as_ref().is_none_or(|kept| kept.counters.epoch < last.counters.epoch)
            {
                self.within = Some(last);
            }
        }
        true
    }
    fn epoch(&mut self, _: &EpochLine) -> bool {
        true
    }
    fn not_written(&mut self, error: &gpunn::Error) {
        panic!("{error}");
    }
    fn not_finite(&mut self, what: &str) {
        panic!("{what}");
    }
    fn device_failed(&mut self, error: &gpunn::Error, _: &str) {
        panic!("{error}");
    }
}

#[test]
fn checkpoints_within_an_epoch_change_no_bit_and_are_resumed() {
    saves_within_epochs(training::with_a_schedule);
    saves_within_epochs(training::with_muon_and_lookahead);
    saves_within_epochs(|recipe| {
        (recipe.training.ema, recipe.data.stream) = (Some(0.95), true);
    });
}

fn saves_within_epochs(change: impl Fn(&mut Recipe)) {
    let (recipe, dataset) = small(1500, 3, change);
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let wanted = training::finish(&mut training::begin(trainer(Engine::cpu(), &recipe, &dataset), &path("whole")));

    let mut saving = training::begin(trainer(Engine::cpu(), &recipe, &dataset), &path("saving"));
    saving.save_every = Duration::ZERO;
    let run = RunDirectory::open(&path("saving")).expect("a run");
    let mut watcher = Watcher { run, steps_saved: Vec::new(), within: None };
    let outcome = gpunn::blocking::block_on(saving.run(&mut watcher)).expect("trained");
    let RunOutcome::Finished(summary) = outcome else { panic!("nothing interrupts it") };
    assert_eq!(summary.weights_hash, wanted.weights_hash);
    assert!(watcher.steps_saved.iter().any(|&steps| steps > 0), "{:?}", watcher.steps_saved);

    let within = watcher.within.expect("a checkpoint within an epoch");
    let run = RunDirectory::create(&path("resumed"), &recipe, false).expect("a run");
    let mut resumed =
        Experiment::resumed(trainer(Engine::cpu(), &recipe, &dataset), run, &dataset, &within).expect("resumed");
    assert_eq!(
        training::finish(&mut resumed).weights_hash,
        wanted.weights_hash,
        "from step {}",
        within.counters.number
    );
}

/// 1500 images are 93 steps of an epoch, and 2.5 epochs are 233 steps: 47 of the last epoch.
#[test]
fn within_a_last_epoch_that_ends_early() {
    let (recipe, dataset) = small(1500, 3, training::with_muon_and_lookahead);
    let mut whole = trainer(Engine::cpu(), &recipe, &dataset);
    training::epochs(&mut whole, 3);
    assert!(whole.is_over());
    assert_eq!((whole.steps(), whole.counters().number), (93, 233));

    let mut parts = trainer(Engine::cpu(), &recipe, &dataset);
    training::epochs(&mut parts, 2);
    let stopped = gpunn::blocking::block_on(parts.epoch(&mut |_| false)).expect("trained");
    assert!(stopped.is_none() && (1..47).contains(&parts.counters().step), "{:?}", parts.counters());
    let checkpoint = gpunn::blocking::block_on(parts.checkpoint()).expect("a checkpoint");
    let mut rest = trainer(Engine::cpu(), &recipe, &dataset);
    rest.restore(&checkpoint).expect("the same run");
    epoch(&mut rest);
    assert_eq!((rest.counters().number, hash(&mut rest)), (233, hash(&mut whole)));
}

#[test]
fn with_averages_augmentation_and_a_stream() {
    for stream in [false, true] {
        stops_and_resumes(|recipe| {
            recipe.augment = Some(Augment { flip: Flip::Alternate, translate: 2, cutout: 5, ..Augment::default() });
            recipe.training.ema = Some(0.95);
            recipe.training.tta = Some(Tta::Flip);
            recipe.data.stream = stream;
        });
    }
}

#[test]
fn reuse_of_memory_changes_no_bit() {
    let (recipe, dataset) = small(1500, 1, |_| {});
    let trained = |plan: PlanOptions| {
        let options = TrainerOptions { plan, ..TrainerOptions::default() };
        let mut trainer = Trainer::new(Engine::cpu(), recipe.clone(), &dataset, options).expect("a trainer");
        epoch(&mut trainer);
        (hash(&mut trainer), trainer.planned_bytes())
    };
    let (with, without) = (trained(PlanOptions::default()), trained(PlanOptions { reuse: false, guard: 0 }));
    assert_eq!(with.0, without.0);
    assert!(with.1 < without.1, "{} and {}", with.1, without.1);
}

/// A set of these images, arranged so that its epoch `epoch` takes them in this order.
fn in_order(dataset: &Dataset, rows: &[u32], seed: u64, epoch: u32) -> Dataset {
    let Pixels::U8(bytes) = &dataset.train.pixels else { panic!("the embedded images are bytes") };
    let image: usize = dataset.input.iter().product();
    let (mut pixels, mut labels) = (vec![0; rows.len() * image], vec![0; rows.len()]);
    for (&row, place) in rows.iter().zip(epoch_order(rows.len(), seed, epoch)) {
        let (from, to) = (row as usize * image, place as usize * image);
        pixels[to..to + image].copy_from_slice(&bytes[from..from + image]);
        labels[place as usize] = dataset.train.labels[row as usize];
    }
    Dataset { train: Split::new(Pixels::U8(pixels), labels), ..dataset.without_images(dataset.input) }
}

/// 90 images in batches of 64: the second has 26, and 38 masked rows. The update by it must be that of a batch of 26
/// with the same images, from the same weights and momentum.
#[test]
fn a_partial_batch_weighs_its_own_rows_alone() {
    for reduction in [Reduction::Mean, Reduction::Sum] {
        let (recipe, dataset) = small(90, 3, |recipe| {
            recipe.training.reduction = reduction;
            // The mean of a batch's losses is smaller than their sum.
            recipe.optimizer.learning_rate = if reduction == Reduction::Mean { 0.5 } else { 0.01 };
            recipe.optimizer.weight_decay = 0.01;
        });
        let of_batch = |batch: usize, dataset: &Dataset| {
            let mut recipe = recipe.clone();
            recipe.training.batch_size = batch;
            trainer(Engine::cpu(), &recipe, dataset)
        };
        let epoch = |trainer: &mut Trainer| {
            let line = gpunn::blocking::block_on(trainer.epoch(&mut |_| true)).expect("trained").expect("whole");
            (line.train_loss, gpunn::blocking::block_on(trainer.weights()).expect("weights").learned)
        };
        let order = epoch_order(90, recipe.seed, 0);
        let mut both = of_batch(64, &dataset);
        assert_eq!(both.steps(), 2);
        let (loss, found) = epoch(&mut both);

        let mut full = of_batch(64, &in_order(&dataset, &order[..64], recipe.seed, 0));
        let (full_loss, before) = epoch(&mut full);
        let mut rest = of_batch(26, &in_order(&dataset, &order[64..], recipe.seed, 1));
        rest.restore(&gpunn::blocking::block_on(full.checkpoint()).expect("a checkpoint")).expect("the same model");
        assert_eq!((full.steps(), rest.steps()), (1, 1));
        let (rest_loss, wanted) = epoch(&mut rest);

        let largest = |values: &mut dyn Iterator<Item = f32>| values.fold(0.0_f32, |most, value| most.max(value.abs()));
        let update = largest(&mut wanted.iter().zip(&before).map(|(after, before)| after - before));
        let error = largest(&mut wanted.iter().zip(&found).map(|(wanted, found)| wanted - found));
        assert!(update > 1e-3, "{reduction:?}: the largest update is {update}");
        // Both add up in single precision, over 64 rows of which 38 are 0, and over 26.
        assert!(error <= 1e-5 * update, "{reduction:?}: {error} in an update of {update}");
        let mean = (64.0 * full_loss + 26.0 * rest_loss) / 90.0;
        assert!((loss - mean).abs() < 1e-5 * mean, "{reduction:?}: {loss} and {mean}");
    }
}

#[test]
fn a_checkpoint_of_another_model_is_refused() {
    let (recipe, dataset) = small(1500, 3, |_| {});
    let mut first = trainer(Engine::cpu(), &recipe, &dataset);
    let checkpoint = gpunn::blocking::block_on(first.checkpoint()).expect("a checkpoint");
    let mut other = recipe.clone();
    other.model.hidden = Some(vec![32]);
    let mut other = trainer(Engine::cpu(), &other, &dataset);
    let sentence = other.restore(&checkpoint).expect_err("refused").to_string();
    assert!(sentence.contains("another model") && sentence.contains("fc1.weight"), "{sentence}");
}
