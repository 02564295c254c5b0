//! A run that is stopped and resumed ends with the same bits as a run that is not.

mod common;

use common::training::{self, epoch, hash, small, trainer};
use gpunn::Engine;
use gpunn::graph::PlanOptions;
use gpunn::ops::augment::{Augment, Flip};
use gpunn::optim::{Method, Optimiser};
use gpunn::train::{Recipe, Trainer, TrainerOptions, Tta};

fn stops_and_resumes(change: impl Fn(&mut Recipe)) {
    let (recipe, dataset) = small(1500, 3, change);
    let folder = tempfile::tempdir().expect("a folder");
    // The first stop is within an epoch; the others are wherever these numbers of submits end.
    training::stops_and_resumes((&recipe, &dataset), folder.path(), &[2, 3, 1, 4], &mut Engine::cpu);
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

#[test]
fn a_partial_batch_weighs_its_own_rows_alone() {
    // 90 images in batches of 64: the second has 26. A plan for batches of 26 must give the same result.
    let (recipe, dataset) = small(90, 3, |recipe| recipe.training.batch_size = 64);
    let mut trainer = trainer(Engine::cpu(), &recipe, &dataset);
    assert_eq!(trainer.steps(), 2);
    let line = epoch(&mut trainer);
    assert!(line.train_loss > 2.0 && line.train_loss < 5.0, "{}", line.train_loss);
    assert_eq!(trainer.counters().number, 2);
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
