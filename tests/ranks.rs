//! Several devices that train one network together: the same bits as one device with as many parts of a batch.

use crate::common::numbers::assert_close;
use crate::common::training::{self, small, with_a_schedule, with_adamw_and_dropout, with_muon_and_lookahead};
use crate::common::{gpunn, is_refusal, json, text};
use gpunn::collective::{Threads, threads};
use gpunn::data::{Dataset, LabelSets, Pixels, SplitName};
use gpunn::nn::Activation;
use gpunn::ops::augment::{Augment, Flip};
use gpunn::train::{Checkpoint, EpochLine, Measured, OnNonFinite, Recipe, Trainer, TrainerOptions, divide_batch};
use gpunn::{Engine, Result};

/// A change of a recipe.
type Change = fn(&mut Recipe);

/// What a training leaves.
#[derive(Debug, PartialEq)]
struct Trained {
    lines: Vec<EpochLine>,
    test: Measured,
    state: Checkpoint,
    warnings: Vec<String>,
}

/// The rest of a training from a checkpoint on, or all of it.
fn train(trainer: &mut Trainer, from: Option<&Checkpoint>) -> Result<Trained> {
    if let Some(checkpoint) = from {
        trainer.restore(checkpoint)?;
    }
    let lines = trainer.fit_blocking(|_| ())?;
    let test = trainer.evaluate_blocking(SplitName::Test)?;
    let state = gpunn::blocking::block_on(trainer.checkpoint())?;
    Ok(Trained { lines, test, state, warnings: trainer.take_warnings() })
}

fn alone(recipe: &Recipe, dataset: &Dataset) -> Trained {
    train(&mut training::trainer(Engine::cpu(), recipe, dataset), None).expect("trained")
}

/// Trains with ranks that are threads; only rank 0 knows of the checkpoint. The others leave nothing.
fn every_rank(
    ranks: usize,
    recipe: &Recipe,
    dataset: &Dataset,
    from: Option<&Checkpoint>,
) -> Vec<Result<Option<Trained>>> {
    let rank = |collective: Threads, is_first: bool| {
        let (engine, options) = (Engine::cpu(), TrainerOptions::default());
        let mut trainer = Trainer::among(engine, recipe.clone(), dataset, options, Box::new(collective))?;
        match is_first {
            true => train(&mut trainer, from).map(Some),
            false => gpunn::blocking::block_on(trainer.follow(&mut || true)).map(|()| None),
        }
    };
    std::thread::scope(|scope| {
        let of = |(number, collective)| scope.spawn(move || rank(collective, number == 0));
        let all: Vec<_> = threads(ranks).into_iter().enumerate().map(of).collect();
        all.into_iter().map(|rank| rank.join().expect("no panic")).collect()
    })
}

/// What rank 0 leaves, where all is well.
fn together(ranks: usize, recipe: &Recipe, dataset: &Dataset, from: Option<&Checkpoint>) -> Trained {
    let all = every_rank(ranks, recipe, dataset, from);
    let mut all: Vec<Trained> = all.into_iter().filter_map(|rank| rank.expect("trained")).collect();
    let first = all.remove(0);
    assert_eq!(first.warnings, [""; 0], "all ranks have the same weights");
    first
}

/// Asserts that ranks leave what one device leaves: losses, accuracies, weights, optimizer state.
fn are_equal(ranks: &[usize], what: &str, (recipe, dataset): (Recipe, Dataset)) {
    let right = alone(&recipe, &dataset);
    for &ranks in ranks {
        let found = together(ranks, &recipe, &dataset, None);
        assert_eq!(found.lines, right.lines, "{what}, {ranks} ranks");
        assert_eq!(found.test, right.test, "{what}, {ranks} ranks");
        for (name, tensor) in &right.state.tensors {
            assert!(found.state.tensors[name] == *tensor, "{what}, {ranks} ranks: {name}");
        }
        assert_eq!(found.state.counters, right.state.counters, "{what}, {ranks} ranks");
    }
}

/// 600 images are nine batches of 64 and one of 24, so the last update of an epoch has fewer parts. Three ranks have unequal numbers of
/// the four parts.
#[test]
fn ranks_train_as_one_device_with_parts() {
    let changes: [(&str, Change); 5] = [
        ("plain", |_| {}),
        ("AdamW and dropout", with_adamw_and_dropout),
        ("Muon and Lookahead", with_muon_and_lookahead),
        ("a schedule, averaged weights, clipping", |recipe| {
            with_a_schedule(recipe);
            recipe.training.ema = Some(0.9);
        }),
        ("augmentation, streamed", |recipe| {
            recipe.data.stream = true;
            recipe.augment =
                Some(Augment { flip: Flip::Random, rotate: 10.0, mixup: 0.5, noise: 0.1, ..Augment::default() });
        }),
    ];
    for (what, change) in changes {
        let small = small(600, 2, |recipe| {
            change(recipe);
            recipe.training.accumulate = 4;
        });
        are_equal(&[2, 3, 4], what, small);
    }
}

/// With several labels an image, the average precision needs the logits of all images.
#[test]
fn images_with_several_labels_are_evaluated_together() {
    let (recipe, mut dataset) = small(300, 1, |recipe| recipe.training.accumulate = 4);
    dataset.sets = Some(LabelSets::singles(dataset.classes.len()));
    let right = alone(&recipe, &dataset);
    assert!(right.lines[0].val_map.is_some() && right.test.mean_average_precision.is_some());
    are_equal(&[2, 3], "several labels", (recipe, dataset));
}

/// A small network with six batch norms.
fn with_batch_norm(recipe: &mut Recipe) {
    recipe.model = Recipe::find("cifar10-fast").expect("built in").model;
    recipe.model.channels = Some(vec![8, 16, 16]);
    recipe.optimizer.learning_rate = 0.01;
}

/// The statistics of batch norm are those of a part, and the running ones move in the order of parts.
#[test]
fn batch_norm_is_the_same_for_any_number_of_ranks() {
    let small = small(200, 1, |recipe| {
        with_batch_norm(recipe);
        recipe.training.accumulate = 4;
    });
    are_equal(&[2, 3], "batch norm", small);
}

/// A learning rate that is too large is found by all ranks. They stop, or halve it until numbers are finite, as one device does.
#[test]
fn numbers_that_are_not_finite_are_met_together() {
    let of = |reaction: OnNonFinite| {
        let (mut recipe, dataset) = small(300, 1, |_| {});
        (recipe.training.accumulate, recipe.training.on_nonfinite) = (4, reaction);
        recipe.optimizer.learning_rate = 1e37;
        (recipe, dataset)
    };
    let (recipe, dataset) = of(OnNonFinite::Stop);
    for rank in every_rank(2, &recipe, &dataset, None) {
        let Err(error) = rank else { panic!("the rate is too large") };
        assert!(error.to_string().contains("The run has diverged"), "{error}");
    }
    let (recipe, dataset) = of(OnNonFinite::HalveLr);
    let right = alone(&recipe, &dataset);
    assert!(right.state.counters.halved > 0, "the rate is too large at first");
    for rank in every_rank(3, &recipe, &dataset, None) {
        let Some(found) = rank.expect("trained") else { continue };
        assert!(found.warnings[0].contains("half the learning rate"), "{:?}", found.warnings);
        assert!(found.lines == right.lines && found.state == right.state);
    }
}

/// With the statistics of all parts, ranks learn what one device learns from whole batches, up to the rounding of sums.
#[test]
fn synchronised_batch_norm_is_that_of_a_whole_batch() {
    let of = |parts: usize, sync: bool| {
        small(200, 1, |recipe| {
            with_batch_norm(recipe);
            (recipe.training.batch_size, recipe.training.accumulate) = (48 / parts, parts);
            recipe.training.sync_batch_norm = sync;
        })
    };
    let (recipe, dataset) = of(1, false);
    let whole = alone(&recipe, &dataset);
    for ranks in [2, 3, 4] {
        // The last batch has 8 images: one rank has none of them, or two.
        let found = |sync: bool| {
            let (recipe, dataset) = of(ranks, sync);
            together(ranks, &recipe, &dataset, None)
        };
        let (synchronised, of_parts) = (found(true), found(false));
        assert_close(&[synchronised.lines[0].train_loss], &[whole.lines[0].train_loss], 1e-5, 1e-5);
        let statistics = |trained: &Trained| -> Vec<f64> {
            let of_batch_norm = |(name, _): &(&String, &(Vec<usize>, Vec<f32>))| name.contains("running");
            let values = trained.state.tensors.iter().filter(of_batch_norm).flat_map(|(_, (_, values))| values);
            values.map(|&value| value.into()).collect()
        };
        assert!(!statistics(&whole).is_empty());
        assert_close(&statistics(&synchronised), &statistics(&whole), 1e-4, 1e-4);
        // Gradients of parts are no state of whole batches.
        let difference = |trained: &Trained| {
            let of = |(name, (_, right)): (&String, &(Vec<usize>, Vec<f32>))| {
                let found = &trained.state.tensors[name].1;
                found.iter().zip(right).map(|(found, right)| f64::from((found - right).abs())).fold(0.0, f64::max)
            };
            whole.state.tensors.iter().filter(|(name, _)| name.as_str() != "train.sums").map(of).fold(0.0, f64::max)
        };
        assert!(difference(&synchronised) < 1e-3, "{ranks} ranks: {}", difference(&synchronised));
        assert!(difference(&of_parts) > 10.0 * difference(&synchronised), "{ranks} ranks: statistics of parts differ");
    }
}

#[test]
fn a_run_goes_on_with_another_number_of_ranks() {
    let (recipe, dataset) = small(600, 2, |recipe| recipe.training.accumulate = 4);
    let right = alone(&recipe, &dataset);
    let mut trainer = training::trainer(Engine::cpu(), &recipe, &dataset);
    training::epoch(&mut trainer);
    // Stopped in the middle of a batch: after 6 of 38 parts.
    let stopped = gpunn::blocking::block_on(trainer.epoch(&mut |at| at != gpunn::train::EpochProgress::Trained(6)));
    assert!(stopped.expect("trained").is_none());
    let checkpoint = gpunn::blocking::block_on(trainer.checkpoint()).expect("a checkpoint");
    assert_eq!(checkpoint.counters.step, 6);
    for ranks in [2, 3, 4] {
        let found = together(ranks, &recipe, &dataset, Some(&checkpoint));
        assert!(found.state == right.state, "{ranks} ranks");
        assert_eq!(found.lines, right.lines[1..], "{ranks} ranks");
    }
}

#[test]
fn batches_are_divided_among_ranks() {
    let divided = |batch: usize, parts: usize, ranks: usize| {
        let (mut recipe, _) = small(100, 1, |_| {});
        (recipe.training.batch_size, recipe.training.accumulate) = (batch, parts);
        divide_batch(&mut recipe, ranks).map(|()| (recipe.training.batch_size, recipe.training.accumulate))
    };
    assert_eq!(divided(512, 1, 4).expect("divided"), (128, 4));
    assert_eq!(divided(64, 2, 4).expect("divided"), (32, 4));
    assert_eq!(divided(16, 6, 4).expect("enough parts"), (16, 6));
    let sentence = divided(50, 1, 4).expect_err("no equal parts").to_string();
    assert!(sentence.contains("A batch of 50 images") && sentence.contains("48 or 64"), "{sentence}");
    let (recipe, dataset) = small(100, 1, |recipe| recipe.training.accumulate = 2);
    let mut ranks = threads(3);
    let (engine, options) = (Engine::cpu(), TrainerOptions::default());
    let third = Box::new(ranks.pop().expect("three"));
    let sentence = Trainer::among(engine, recipe, &dataset, options, third).expect_err("refused").to_string();
    assert!(sentence.contains("2 parts") && sentence.contains("3 devices"), "{sentence}");
}

/// An image that is too large for the network, in the first part of an epoch's third batch: the batch is left out, on all ranks.
#[test]
fn a_wrong_batch_is_left_out_by_all() {
    let with_broken = |image: usize| {
        let (mut recipe, mut dataset) = small(300, 1, |_| {});
        (recipe.training.accumulate, recipe.training.on_nonfinite) = (4, OnNonFinite::Skip);
        recipe.model.activation = Some(Activation::Relu);
        let Pixels::U8(bytes) = &dataset.train.pixels else { panic!("glyphs are bytes") };
        let mut values: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        values[image * 1024..][..1024].fill(f32::MAX);
        dataset.train.pixels = Pixels::F32(values);
        (recipe, dataset)
    };
    // A batch has 4 steps of 16 images. One in 19 images is in step 9.
    let found = (0..300).find_map(|image| {
        let (recipe, dataset) = with_broken(image);
        let right = alone(&recipe, &dataset);
        right.warnings[0].contains("after step 9 of epoch 1").then_some((recipe, dataset, right))
    });
    let (recipe, dataset, right) = found.expect("an image of step 9");
    for ranks in [2, 4] {
        for rank in every_rank(ranks, &recipe, &dataset, None) {
            let Some(found) = rank.expect("trained") else { continue };
            assert!(found.warnings.len() == 1, "{:?}", found.warnings);
            assert!(found.warnings[0].contains("after step 9 of epoch 1"), "{:?}", found.warnings);
            assert!(found.lines == right.lines, "{ranks} ranks: {:?} {:?}", found.lines, right.lines);
            assert!(found.state == right.state, "{ranks} ranks");
        }
    }
}

#[test]
fn a_rank_that_stops_or_has_other_images_ends_all() {
    let (recipe, dataset) = small(600, 3, |recipe| recipe.training.accumulate = 2);
    let with = |other: &Dataset, stops_after: u32| {
        let mut ranks = threads(2).into_iter();
        let mut begin = |dataset: &Dataset| {
            let collective = Box::new(ranks.next().expect("two"));
            Trainer::among(Engine::cpu(), recipe.clone(), dataset, TrainerOptions::default(), collective)
                .expect("a trainer")
        };
        let (mut first, mut second) = (begin(&dataset), begin(other));
        std::thread::scope(|scope| {
            let mut left = stops_after;
            let follower = scope.spawn(move || {
                gpunn::blocking::block_on(second.follow(&mut || {
                    left = left.saturating_sub(1);
                    left > 0
                }))
            });
            let lines = first.fit_blocking(|_| ());
            (lines, follower.join().expect("no panic"))
        })
    };
    let (lines, followed) = with(&dataset, 30);
    assert_eq!((lines.expect("ended").len(), followed.is_ok()), (1, true), "19 updates an epoch");
    let mut other = dataset.clone();
    other.train.labels.swap(0, 200);
    for error in [with(&other, 30).0.map(|_| ()), with(&other, 30).1] {
        let sentence = error.expect_err("other labels").to_string();
        assert!(sentence.contains("Rank 1 has other images than rank 0"), "{sentence}");
    }
}

#[test]
fn the_program_trains_on_several_devices() {
    let folder = tempfile::tempdir().expect("a folder");
    let hash = |name: &str, words: &[&str]| {
        let out = folder.path().join(name);
        let common = ["train", "--epochs", "1", "--limit-train", "720", "--json", "--no-report", "--out"];
        let done = gpunn(folder.path(), &[&common[..], &[out.to_str().expect("text")], words].concat());
        assert!(done.status.success(), "{}", text(&done.stderr));
        (json(&done)["weights_hash"].as_str().expect("a hash").to_owned(), text(&done.stderr))
    };
    let (one, _) = hash("one", &["--device", "cpu", "--batch-size", "16", "--accumulate", "2"]);
    let (two, told) = hash("two", &["--devices", "cpu,cpu", "--batch-size", "32"]);
    assert_eq!(one, two);
    for part in ["a batch of 32 images is computed in 2 parts of 16", "2 ranks: rank 0 sent"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let refused = gpunn(folder.path(), &["train", "--devices", "cpu,cpu", "--batch-size", "10"]);
    is_refusal(&refused, 2, &["cannot be divided among 2 devices", "8 or 16"]);
}
