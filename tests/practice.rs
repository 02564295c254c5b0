//! What people who train images expect: batches in parts, mixed images, classes of unequal size.

use crate::common::numbers::assert_close;
use crate::common::training::{self, small, with_a_schedule, with_adamw_and_dropout, with_muon_and_lookahead};
use crate::common::{gpunn_on_cpu, is_refusal, json, text};
use gpunn::Engine;
use gpunn::ops::augment::{Augment, Flip};
use gpunn::optim::Optimizer;
use gpunn::train::{ClassWeights, Recipe, Sampler};

/// The losses of two epochs, and the weights after them.
fn trained(batch: usize, parts: usize, change: impl Fn(&mut Recipe)) -> (Vec<f64>, Vec<f32>) {
    let (recipe, dataset) = small(600, 2, |recipe| {
        change(recipe);
        (recipe.training.batch_size, recipe.training.accumulate) = (batch, parts);
    });
    let mut trainer = training::trainer(Engine::cpu(), &recipe, &dataset);
    let losses = training::epochs(&mut trainer, 2).iter().map(|line| line.train_loss).collect();
    (losses, gpunn::blocking::block_on(trainer.weights()).expect("weights").learned)
}

/// 600 images are nine batches of 64 and one of 24, so the last update of an epoch has fewer parts.
#[test]
fn a_batch_in_parts_is_as_good_as_a_whole_one() {
    let changes: [fn(&mut Recipe); 6] = [
        |_| {},
        with_adamw_and_dropout,
        with_muon_and_lookahead,
        |recipe| {
            with_a_schedule(recipe);
            recipe.training.ema = Some(0.9);
        },
        |recipe| {
            recipe.optimizer = Optimizer::lamb(0.01);
            recipe.augment = Some(Augment { trivial_augment: true, ..Augment::default() });
        },
        |recipe| {
            recipe.augment =
                Some(Augment { flip: Flip::Random, rotate: 10.0, blur: 0.5, noise: 0.1, ..Augment::default() });
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let (whole, parts) = (trained(64, 1, change), trained(16, 4, change));
        let right: Vec<f64> = whole.1.iter().map(|&weight| weight.into()).collect();
        assert_close(&parts.0, &whole.0, 1e-5, 1e-5);
        assert_close(&parts.1, &right, 2e-5, 2e-4);
        let (once, twice) = (trained(16, 4, change), trained(16, 1, change));
        assert_eq!(once.1, parts.1, "{number}: the bits are the same each time");
        assert!(twice.1 != parts.1, "{number}: parts are not batches");
    }
}

#[test]
fn mixed_images_are_learned_with_both_labels() {
    let losses = |mixup: f64, cutmix: f64| {
        trained(50, 1, |recipe| recipe.augment = Some(Augment { mixup, cutmix, ..Augment::default() })).0
    };
    let plain = losses(0.0, 0.0);
    for mixed in [losses(1.0, 0.0), losses(0.0, 1.0), losses(1.0, 1.0)] {
        assert!(mixed[1] < mixed[0], "it learns: {mixed:?}");
        assert!(mixed[1] > plain[1], "two labels are harder than one: {mixed:?} {plain:?}");
    }
}

#[test]
fn weights_of_classes_and_a_balanced_sampler_change_what_is_learned() {
    let of = |weights: Option<ClassWeights>, sampler: Sampler| {
        trained(50, 1, |recipe| {
            (recipe.training.class_weights, recipe.training.sampler) = (weights.clone(), sampler);
        })
    };
    let plain = of(None, Sampler::Shuffled);
    let (named, balanced) =
        (of(Some(ClassWeights::Named([("A".into(), 0.0)].into())), Sampler::Shuffled), of(None, Sampler::Balanced));
    assert!(named.1 != plain.1 && balanced.1 != plain.1);
    // Classes that are not named have the weight 1.
    assert_eq!(of(Some(ClassWeights::Named([].into())), Sampler::Shuffled).1, plain.1);
    // 600 images of 36 classes: the weights are close to 1.
    let losses = of(Some(ClassWeights::BALANCED), Sampler::Shuffled).0;
    assert!(losses != plain.0);
    assert_close(&losses, &plain.0, 0.0, 0.02);
}

#[test]
fn the_program_takes_the_flags_and_refuses_what_does_not_go_together() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("weights.csv"), "class,weight\nA,2\nB,0.5\n").expect("written");
    std::fs::write(folder.path().join("wrong.csv"), "A,2\nAlpha,3\n").expect("written");
    let run = |more: &[&str]| {
        let start = ["train", "--epochs", "1", "--limit-train", "200", "--no-report", "--force", "--out", "run"];
        gpunn_on_cpu(folder.path(), &[&start, more].concat())
    };
    let output = run(&[
        "--class-weights",
        "weights.csv",
        "--sampler",
        "balanced",
        "--accumulate",
        "2",
        "--batch-size",
        "16",
        "--erase=0.5",
        "--blur",
        "0.5",
        "--vertical-flip",
        "--perspective",
        "0.2",
        "--cutmix",
        "--mixup",
        "--trivial-augment",
        "--optimizer",
        "lamb",
        "--lookahead",
        "--layer-decay",
        "0.75",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let recipe = std::fs::read_to_string(folder.path().join("run/recipe.toml")).expect("a recipe");
    for line in [
        "accumulate = 2",
        "sampler = \"balanced\"",
        "A = 2.0",
        "cutmix = 1.0",
        "vertical_flip = true",
        "trivial_augment = true",
        "name = \"lamb\"",
        "learning_rate = 0.005",
        "every = 5",
        "layer_decay = 0.75",
    ] {
        assert!(recipe.contains(line), "{line} is not in {recipe}");
    }
    is_refusal(&run(&["--class-weights", "wrong.csv"]), 2, &["Alpha", "class_weights"]);
    is_refusal(&run(&["--focal", "2", "--mixup"]), 2, &["focal", "mixup"]);
    is_refusal(&run(&["--hue", "0.1"]), 2, &["hue", "colour"]);
    is_refusal(&run(&["--muon"]), 2, &["filters", "mlp has no such parameters"]);
    is_refusal(&run(&["--optimizer", "lamb", "--momentum", "0.9"]), 2, &["lamb has no momentum"]);
    is_refusal(&run(&["--layer-decay", "1.5"]), 2, &["layer_decay", "1.5"]);
    is_refusal(&run(&["--multi-label"]), 2, &["--labels"]);
    let finds = ["lr-find", "--lr", "auto", "--limit-train", "200"];
    is_refusal(&gpunn_on_cpu(folder.path(), &finds), 2, &["lr-find", "--lr auto"]);
    is_refusal(&run(&["--batch-size", "auto", "--folds", "3"]), 2, &["--folds", "--batch-size"]);
    let whole = run(&["--batch-size", "auto"]);
    assert!(
        text(&whole.stderr).contains("--batch-size auto: a batch of 32 fits the device"),
        "{}",
        text(&whole.stderr)
    );
    is_refusal(&run(&["--accumulate", "2", "--batch-size", "10"]), 2, &["multiple of 4", "10"]);
}

#[test]
fn a_learning_rate_and_a_length_are_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |words: &[&str]| gpunn_on_cpu(folder.path(), words);
    let found = json(&run(&["lr-find", "--limit-train", "400", "--steps", "80", "--out", "lr.svg", "--json"]));
    let rate = found["learning_rate"].as_f64().expect("a number");
    assert!((1e-4..1.0).contains(&rate), "{rate}");
    assert!(std::fs::read_to_string(folder.path().join("lr.svg")).expect("a plot").contains("learning rate"));
    let train = ["train", "--limit-train", "400", "--no-report", "--json", "--out", "run"];
    let trained = json(&run(&[&train[..], &["--lr", "auto", "--time", "1s"]].concat()));
    assert!(trained["seconds"].as_f64().expect("a number") < 20.0, "{trained}");
    let recipe = std::fs::read_to_string(folder.path().join("run/recipe.toml")).expect("a recipe");
    assert!(recipe.contains("learning_rate = 0.") && !recipe.contains("auto"), "{recipe}");
    is_refusal(&run(&[&train[..], &["--force", "--time", "1s", "--epochs", "2"]].concat()), 2, &["--time", "--epochs"]);
    is_refusal(&run(&[&train[..], &["--force", "--lr", "much"]].concat()), 2, &["--lr", "much"]);
    is_refusal(&run(&["lr-find", "--low", "1", "--high", "0.1"]), 2, &["from 1 to 0.1"]);
}
