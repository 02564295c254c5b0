//! A run that is stopped and resumed ends with the same bits as one that is not.

use std::path::Path;

use gpunn::Engine;
use gpunn::data::Dataset;
use gpunn::graph::PlanOptions;
use gpunn::ops::augment::{Augment, Flip};
use gpunn::optim::{Method, Optimiser};
use gpunn::runs::{Experiment, Observer, RunDirectory, RunOutcome};
use gpunn::train::{EpochLine, Recipe, Trainer, TrainerOptions, Tta};

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
    Trainer::new(Engine::cpu(), recipe.clone(), dataset, TrainerOptions { plan, clock: Some(gpunn::runs::clock) })
        .expect("a trainer")
}

fn begin(recipe: &Recipe, dataset: &Dataset, path: &Path) -> Experiment {
    let trainer = trainer(recipe, dataset, PlanOptions::default());
    Experiment { trainer, run: RunDirectory::create(path, recipe, false).expect("a directory"), events: None }
}

fn finish(experiment: &mut Experiment) -> String {
    match gpunn::blocking::block_on(experiment.run(&mut Until { left: u32::MAX })).expect("trained") {
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
        match gpunn::blocking::block_on(parts.run(&mut Until { left })).expect("trained") {
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
        gpunn::blocking::block_on(trainer.epoch(&mut |_| true)).expect("trained");
        let weights = gpunn::blocking::block_on(trainer.weights()).expect("weights");
        (trainer.model().parameters().hash(&weights), trainer.planned_bytes())
    };
    let (with, without) = (hash(PlanOptions::default()), hash(PlanOptions { reuse: false, guard: 0 }));
    assert_eq!(with.0, without.0);
    assert!(with.1 < without.1, "{} and {}", with.1, without.1);
}

#[test]
fn a_partial_batch_weighs_its_own_rows_alone() {
    // 90 images in batches of 64: the second has 26. A batch of 26 from the start must do the same with them.
    let (recipe, dataset) = recipe(|recipe| {
        recipe.data.limit_train = Some(90);
        recipe.training.batch_size = 64;
    });
    let mut trainer = trainer(&recipe, &dataset, PlanOptions::default());
    assert_eq!(trainer.steps(), 2);
    let line = gpunn::blocking::block_on(trainer.epoch(&mut |_| true)).expect("trained").expect("whole");
    assert!(line.train_loss > 2.0 && line.train_loss < 5.0, "{}", line.train_loss);
    assert_eq!(trainer.counters().number, 2);
}

#[test]
fn a_checkpoint_of_another_model_is_refused() {
    let (recipe, dataset) = recipe(|_| {});
    let mut small = trainer(&recipe, &dataset, PlanOptions::default());
    let checkpoint = gpunn::blocking::block_on(small.checkpoint()).expect("a checkpoint");
    let mut other = recipe.clone();
    other.model.hidden = Some(vec![32]);
    let mut other = trainer(&other, &dataset, PlanOptions::default());
    let sentence = other.restore(&checkpoint).expect_err("refused").to_string();
    assert!(sentence.contains("another model") && sentence.contains("fc1.weight"), "{sentence}");
}
