//! Numbers that are no longer finite: the sentinel finds the first one, and each reaction to it.

use std::path::PathBuf;

use crate::common::training::{Until, epoch, epochs, hash, small, trainer};
use gpunn::blocking::block_on;
use gpunn::data::{Dataset, Pixels};
use gpunn::nn::{Activation, PARAMS};
use gpunn::runs::{Experiment, Observer, RunDirectory, RunOutcome};
use gpunn::train::{EpochLine, EpochProgress, OnNonFinite, Recipe, Trainer};
use gpunn::{Engine, Error};

/// The number of an image whose pixels are finite, but too large for the network.
const DAMAGED: usize = 70;

/// 160 images, 10 batches an epoch, one of them with the damaged image.
fn damaged(reaction: OnNonFinite) -> (Recipe, Dataset) {
    let (recipe, mut dataset) = small(160, 2, |recipe| {
        recipe.model.activation = Some(Activation::Relu);
        recipe.training.on_nonfinite = reaction;
    });
    let values = dataset.input.iter().product::<usize>();
    let mut pixels: Vec<f32> = match &dataset.train.pixels {
        Pixels::U8(bytes) => bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect(),
        Pixels::F32(floats) => floats.clone(),
        Pixels::Stored(_) => panic!("the glyphs are in memory"),
    };
    pixels[DAMAGED * values..][..values].fill(f32::MAX);
    dataset.train.pixels = Pixels::F32(pixels);
    (recipe, dataset)
}

/// The recipe of a network that diverges with this learning rate.
fn too_fast(rate: f64, reaction: OnNonFinite) -> (Recipe, Dataset) {
    small(320, 3, |recipe| {
        recipe.model.activation = Some(Activation::Relu);
        recipe.optimizer.learning_rate = rate;
        recipe.training.on_nonfinite = reaction;
    })
}

fn weights(trainer: &mut Trainer) -> Vec<f32> {
    block_on(trainer.weights()).expect("weights").learned
}

/// Trains until an error ends it.
fn diverged(trainer: &mut Trainer) -> String {
    loop {
        match block_on(trainer.epoch(&mut |_| true)) {
            Ok(_) => assert!(!trainer.is_over(), "it does not diverge"),
            Err(Error::Diverged(sentence)) => return sentence,
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn the_first_number_is_named_and_the_state_before_it_stays() {
    let (recipe, dataset) = too_fast(1e18, OnNonFinite::Stop);
    let mut stopped = trainer(Engine::cpu(), &recipe, &dataset);
    let sentence = diverged(&mut stopped);
    for part in [
        "numbers are no longer finite after step ",
        " of epoch 1. The first one comes from the op ",
        "The CPU agrees: from the same numbers it is ",
        "Try a learning rate below 1e18, or clip the gradients; --on-nonfinite skip leaves",
    ] {
        assert!(sentence.contains(part), "{part}: {sentence}");
    }
    let steps = stopped.counters().step;
    assert!(weights(&mut stopped).iter().all(|weight| weight.is_finite()));
    // So many steps of the same run end in the same state, and the next one is the wrong one.
    let mut slow = trainer(Engine::cpu(), &recipe, &dataset);
    while slow.counters().step < steps {
        assert!(block_on(slow.epoch(&mut |_| false)).expect("finite").is_none());
    }
    assert_eq!(hash(&mut slow), hash(&mut stopped));
    assert!(sentence.contains(&format!("after step {} of epoch 1", steps + 1)), "{sentence}");
    assert_eq!(diverged(&mut slow), sentence);
}

#[test]
fn a_skipped_step_changes_nothing_but_counts() {
    let (recipe, dataset) = damaged(OnNonFinite::Skip);
    let mut stepwise = trainer(Engine::cpu(), &recipe, &dataset);
    let (mut unchanged, mut before) = (Vec::new(), weights(&mut stepwise));
    for _ in 0..10 {
        let number = stepwise.counters().number;
        let recovered = stepwise.counters().skipped;
        // A report of progress before which no step was run: the wrong step was left out.
        block_on(stepwise.epoch(&mut |at| !matches!(at, EpochProgress::Trained(_) | EpochProgress::Recovered)))
            .expect("trained");
        let after = weights(&mut stepwise);
        if after == before {
            unchanged.push(number);
            assert_eq!(stepwise.counters().skipped, recovered + 1);
        }
        assert_eq!(stepwise.counters().number, number + 1);
        assert!(after.iter().all(|weight| weight.is_finite()));
        before = after;
    }
    assert_eq!(unchanged.len(), 1, "one of the ten batches has the damaged image");
    let mut whole = trainer(Engine::cpu(), &recipe, &dataset);
    let lines = epochs(&mut whole, 2);
    assert_eq!((whole.counters().number, whole.counters().skipped), (20, 2));
    assert!(lines.iter().all(|line| line.train_loss.is_finite() && line.train_loss > 0.0), "{lines:?}");
    let warnings = whole.take_warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let first = format!("numbers are no longer finite after step {} of epoch 1. ", unchanged[0] + 1);
    assert!(warnings[0].starts_with(&first) && warnings[0].ends_with("This step is left out"), "{}", warnings[0]);
}

/// The images of the ring are sent again from the right place on.
#[test]
fn streamed_images_are_skipped_alike() {
    let of = |stream| {
        let (mut recipe, dataset) = damaged(OnNonFinite::Skip);
        recipe.data.stream = stream;
        let mut trainer = trainer(Engine::cpu(), &recipe, &dataset);
        epochs(&mut trainer, 2);
        assert_eq!(trainer.counters().skipped, 2);
        hash(&mut trainer)
    };
    assert_eq!(of(true), of(false));
}

/// The first epoch diverges, so the run is one with the lower rate from its start.
#[test]
fn half_the_learning_rate_is_that_of_a_recipe_with_half_of_it() {
    let (recipe, dataset) = too_fast(1e18, OnNonFinite::HalveLr);
    let mut halved = trainer(Engine::cpu(), &recipe, &dataset);
    let sentence = diverged(&mut halved);
    assert!(sentence.contains("The learning rate was halved 10 times already."), "{sentence}");
    assert_eq!(halved.counters().halved, 10);
    // 1e18 / 2^10 is still too much. For 1e9 some halvings are enough.
    let (recipe, _) = too_fast(1e9, OnNonFinite::HalveLr);
    let mut halved = trainer(Engine::cpu(), &recipe, &dataset);
    let line = epoch(&mut halved);
    let times = halved.counters().halved;
    assert!((1..=10).contains(&times), "{times}");
    let (slow, _) = too_fast(1e9 / 2.0_f64.powi(times as i32), OnNonFinite::Stop);
    let mut whole = trainer(Engine::cpu(), &slow, &dataset);
    let expected = epoch(&mut whole);
    assert_eq!(hash(&mut halved), hash(&mut whole));
    // Where the epoch was interrupted does not matter.
    let mut stepwise = trainer(Engine::cpu(), &recipe, &dataset);
    while stepwise.counters().epoch == 0 {
        let stop = |at| !matches!(at, EpochProgress::Trained(_) | EpochProgress::Recovered);
        block_on(stepwise.epoch(&mut { stop })).expect("trained");
    }
    assert_eq!((hash(&mut stepwise), stepwise.counters().halved), (hash(&mut whole), times));
    assert_eq!((line.train_loss, line.lr), (expected.train_loss, expected.lr));
}

#[test]
fn numbers_that_were_wrong_only_once_are_computed_again() {
    let (recipe, dataset) = small(320, 2, |_| {});
    let mut whole = trainer(Engine::cpu(), &recipe, &dataset);
    epochs(&mut whole, 2);
    let mut hit = trainer(Engine::cpu(), &recipe, &dataset);
    epoch(&mut hit);
    assert!(block_on(hit.epoch(&mut |_| false)).expect("trained").is_none());
    let (engine, _) = hit.engine_mut();
    engine.write(PARAMS, 7, &[f32::NAN]).expect("written");
    epoch(&mut hit);
    let warnings = hit.take_warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("computed wrongly once"), "{warnings:?}");
    assert_eq!(hash(&mut hit), hash(&mut whole));
}

#[test]
fn weights_that_are_not_finite_before_the_first_step_are_refused() {
    let (recipe, dataset) = small(160, 1, |_| {});
    let mut trainer = trainer(Engine::cpu(), &recipe, &dataset);
    let mut weights = block_on(trainer.weights()).expect("weights");
    weights.learned[3] = f32::INFINITY;
    trainer.set_weights(&weights).expect("they fit");
    let sentence = diverged(&mut trainer);
    assert!(sentence.contains("before step 1 of epoch 1"), "{sentence}");
}

/// Counts what a run says of numbers that are not finite.
struct Counting(Until, u32);

impl Observer for Counting {
    fn progress(&mut self, epoch: u32, at: EpochProgress) -> bool {
        self.0.progress(epoch, at)
    }
    fn epoch(&mut self, line: &EpochLine) -> bool {
        self.0.epoch(line)
    }
    fn not_written(&mut self, error: &Error) {
        self.0.not_written(error);
    }
    fn not_finite(&mut self, _: &str) {
        self.1 += 1;
    }
    fn device_failed(&mut self, error: &Error, at: &str) {
        self.0.device_failed(error, at);
    }
}

#[test]
fn a_run_that_skips_is_resumed_with_the_same_bits() {
    let (recipe, dataset) = damaged(OnNonFinite::Skip);
    let mut whole = trainer(Engine::cpu(), &recipe, &dataset);
    epochs(&mut whole, 2);
    let folder = tempfile::tempdir().expect("a folder");
    for stop_after in [1, 4, 8, 9, 12] {
        let path: PathBuf = folder.path().join(stop_after.to_string());
        let run = RunDirectory::create(&path, &recipe, false).expect("a run");
        let mut begun = Experiment::new(trainer(Engine::cpu(), &recipe, &dataset), run, &dataset).expect("begun");
        let mut first = Counting(Until { left: stop_after }, 0);
        let outcome = block_on(begun.run(&mut first)).expect("trained");
        assert!(matches!(outcome, RunOutcome::Interrupted { .. }), "{stop_after}: {outcome:?}");
        drop(begun);
        let run = RunDirectory::open_to_train(&path).expect("it is there");
        let checkpoint = run.resumable().expect("a checkpoint");
        let begun = trainer(Engine::cpu(), &recipe, &dataset);
        let mut resumed = Experiment::resumed(begun, run, &dataset, &checkpoint).expect("resumed");
        let mut second = Counting(Until::end(), 0);
        let outcome = block_on(resumed.run(&mut second)).expect("trained");
        assert!(matches!(outcome, RunOutcome::Finished(_)), "{outcome:?}");
        assert_eq!(hash(&mut resumed.trainer), hash(&mut whole), "stopped after {stop_after}");
        assert_eq!((first.1 + second.1, resumed.trainer.counters().skipped), (2, 2), "stopped after {stop_after}");
    }
}
