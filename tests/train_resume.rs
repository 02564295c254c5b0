//! A run that is stopped and resumed ends with the same bits as one that is not.

use std::path::Path;

use gpunn::Engine;
use gpunn::data::{Dataset, Pixels, Split, epoch_order};
use gpunn::graph::PlanOptions;
use gpunn::ops::augment::{Augment, Flip};
use gpunn::ops::batch::Reduction;
use gpunn::optim::{Method, Optimiser};
use gpunn::train::{EpochLine, Experiment, Observer, Recipe, RunDirectory, RunOutcome, Trainer, TrainerOptions, Tta};

/// Stops after so many submits, or never.
struct Until {
    left: u32,
}

impl Observer for Until {
    fn step(&mut self, _: u32, _: u32) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }
    fn epoch(&mut self, _: &EpochLine) -> bool {
        self.left > 0
    }
}

fn recipe(change: impl Fn(&mut Recipe)) -> (Recipe, Dataset) {
    let mut recipe = Recipe::find("glyphs-mlp").expect("built in");
    recipe.data.limit_train = Some(1500);
    recipe.training.epochs = 3;
    recipe.training.batch_size = 16;
    change(&mut recipe);
    let dataset = recipe.load_data(None).expect("embedded");
    (recipe, dataset)
}

fn trainer(recipe: &Recipe, dataset: &Dataset, plan: PlanOptions) -> Trainer {
    Trainer::new(Engine::cpu(), recipe.clone(), dataset, TrainerOptions { plan }).expect("a trainer")
}

fn begin(recipe: &Recipe, dataset: &Dataset, path: &Path) -> Experiment {
    let trainer = trainer(recipe, dataset, PlanOptions::default());
    Experiment { trainer, run: RunDirectory::create(path, recipe, false).expect("a directory"), events: None }
}

fn finish(experiment: &mut Experiment) -> String {
    match pollster::block_on(experiment.run(&mut Until { left: u32::MAX })).expect("trained") {
        RunOutcome::Finished(summary) => summary.weights_hash,
        RunOutcome::Interrupted { .. } => panic!("nothing interrupts it"),
    }
}

fn stops_and_resumes(change: impl Fn(&mut Recipe)) {
    let (recipe, dataset) = recipe(change);
    let folder = tempfile::tempdir().expect("a folder");
    let mut whole = begin(&recipe, &dataset, &folder.path().join("whole"));
    let wanted = finish(&mut whole);
    let path = folder.path().join("parts");
    let mut parts = begin(&recipe, &dataset, &path);
    let mut stops = Vec::new();
    // In the midst of an epoch, then at whatever comes.
    for left in [2, 3, 1, 4] {
        match pollster::block_on(parts.run(&mut Until { left })).expect("trained") {
            RunOutcome::Interrupted { epochs, steps } => stops.push((epochs, steps)),
            RunOutcome::Finished(_) => break,
        }
        let run = RunDirectory::open(&path).expect("a run");
        let checkpoint = run.last().expect("a checkpoint");
        parts = Experiment::resumed(trainer(&recipe, &dataset, PlanOptions::default()), run, &checkpoint).expect("on");
    }
    assert!(stops.iter().any(|&(_, steps)| steps > 0), "{stops:?}");
    assert_eq!(finish(&mut parts), wanted, "stopped at {stops:?}");
    let (whole, parts) = (whole.run.metrics().expect("lines"), parts.run.metrics().expect("lines"));
    let figures = |lines: &[EpochLine]| {
        lines.iter().map(|l| (l.epoch, l.train_loss, l.train_accuracy, l.val_loss, l.val_accuracy)).collect::<Vec<_>>()
    };
    assert_eq!(figures(&whole), figures(&parts));
}

#[test]
fn with_momentum_and_a_schedule() {
    stops_and_resumes(|recipe| {
        recipe.optimizer.clip = Some(0.5);
        recipe.schedule = "cosine".parse().expect("a schedule");
    });
}

#[test]
fn with_adamw_and_dropout() {
    stops_and_resumes(|recipe| {
        recipe.model.dropout = 0.2;
        recipe.optimizer = Optimiser { name: Method::AdamW, weight_decay: 0.01, ..Optimiser::sgd(1e-3) };
    });
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
    let (recipe, dataset) = recipe(|recipe| recipe.training.epochs = 1);
    let hash = |plan: PlanOptions| {
        let mut trainer = trainer(&recipe, &dataset, plan);
        pollster::block_on(trainer.epoch(&mut |_| true)).expect("trained");
        let weights = pollster::block_on(trainer.weights()).expect("weights");
        (trainer.model().parameters().hash(&weights), trainer.planned_bytes())
    };
    let (with, without) = (hash(PlanOptions::default()), hash(PlanOptions { reuse: false, guard: 0 }));
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
    Dataset { train: Split { pixels: Pixels::U8(pixels), labels }, ..dataset.without_images(dataset.input) }
}

/// 90 images in batches of 64: the second has 26, and 38 rows that are void. The update by it must be that of a batch of 26
/// with the same images, from the same weights and momentum.
#[test]
fn a_partial_batch_weighs_its_own_rows_alone() {
    for reduction in [Reduction::Mean, Reduction::Sum] {
        let (recipe, dataset) = recipe(|recipe| {
            recipe.data.limit_train = Some(90);
            recipe.training.reduction = reduction;
            // The mean of a batch's losses is smaller than their sum.
            recipe.optimizer.learning_rate = if reduction == Reduction::Mean { 0.5 } else { 0.01 };
            recipe.optimizer.weight_decay = 0.01;
        });
        let of_batch = |batch: usize, dataset: &Dataset| {
            let mut recipe = recipe.clone();
            recipe.training.batch_size = batch;
            trainer(&recipe, dataset, PlanOptions::default())
        };
        let epoch = |trainer: &mut Trainer| {
            let line = pollster::block_on(trainer.epoch(&mut |_| true)).expect("trained").expect("whole");
            (line.train_loss, pollster::block_on(trainer.weights()).expect("weights").learned)
        };
        let order = epoch_order(90, recipe.seed, 0);
        let mut both = of_batch(64, &dataset);
        assert_eq!(both.steps(), 2);
        let (loss, found) = epoch(&mut both);

        let mut full = of_batch(64, &in_order(&dataset, &order[..64], recipe.seed, 0));
        let (full_loss, before) = epoch(&mut full);
        let mut rest = of_batch(26, &in_order(&dataset, &order[64..], recipe.seed, 1));
        rest.restore(&pollster::block_on(full.checkpoint()).expect("a checkpoint")).expect("the same model");
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
    let (recipe, dataset) = recipe(|_| {});
    let mut small = trainer(&recipe, &dataset, PlanOptions::default());
    let checkpoint = pollster::block_on(small.checkpoint()).expect("a checkpoint");
    let mut other = recipe.clone();
    other.model.hidden = Some(vec![32]);
    let mut other = trainer(&other, &dataset, PlanOptions::default());
    let sentence = other.restore(&checkpoint).expect_err("refused").to_string();
    assert!(sentence.contains("another model") && sentence.contains("fc1.weight"), "{sentence}");
}
