//! The whitening layer in a run: its filters are computed from the images, do not change, and are saved with the other
//! weights.

use crate::common::numbers::assert_close;
use crate::common::training;
use gpunn::Engine;
use gpunn::data::{Dataset, SplitName};
use gpunn::nn::{Model, Weights};
use gpunn::train::{Recipe, Trainer, evaluate};

const RECIPE: &str = r#"
format = 1
name = "whitened"

[model]
name = "small"
init = "dirac"

[[model.layer]]
kind = "whitening"
kernel = 3
epsilon = 1e-3

[[model.layer]]
kind = "gelu"

[[model.layer]]
kind = "conv2d"
outputs = 24
kernel = 3
stride = 2
bias = false

[[model.layer]]
kind = "batch-norm"
learn_scale = false

[[model.layer]]
kind = "relu"

[[model.layer]]
kind = "global-max-pool"

[[model.layer]]
kind = "classes"

[data]
name = "glyphs"
limit_train = 700

[augment]
translate = 2
mean = [0.2]
std = [0.3]

[training]
epochs = 2
batch_size = 32
ema = 0.9

[optimizer]
name = "sgd"
learning_rate = 0.05
momentum = 0.9
shift_rate = 4.0
"#;

fn loaded(text: &str) -> (Recipe, Dataset) {
    let mut recipe = Recipe::parse(text, "the test").expect("a recipe");
    let dataset = recipe.load_data(None).expect("embedded");
    (recipe, dataset)
}

fn trainer(recipe: &Recipe, dataset: &Dataset) -> Trainer {
    training::trainer(Engine::cpu(), recipe, dataset)
}

fn weights(trainer: &mut Trainer) -> Weights {
    gpunn::blocking::block_on(trainer.weights()).expect("weights")
}

fn part<'a>(model: &Model, weights: &'a Weights, name: &str) -> &'a [f32] {
    &weights.learned[model.parameters().find(name).expect("a parameter").range()]
}

fn trained(trainer: &mut Trainer) -> f64 {
    training::epoch(trainer).train_loss
}

#[test]
fn a_whitening_stays_as_the_images_have_it_while_the_rest_learns() {
    let (recipe, dataset) = loaded(RECIPE);
    let mut trainer = trainer(&recipe, &dataset);
    let before = weights(&mut trainer);
    let drawn = trainer.model().parameters().initial_weights(recipe.seed);
    let losses = [trained(&mut trainer), trained(&mut trainer)];
    let after = weights(&mut trainer);
    let model = trainer.model();
    assert!(losses[1] < 0.8 * losses[0], "{losses:?}");
    for (name, stays) in [("white1.weight", true), ("white1.bias", false), ("bn1.weight", true), ("bn1.bias", false)] {
        let (before, after) = (part(model, &before, name), part(model, &after, name));
        assert_eq!(before == after, stays, "{name}");
    }
    // Only the whitening's initial weights differ from the random ones.
    for parameter in model.parameters().iter() {
        let same = before.learned[parameter.range()] == drawn.learned[parameter.range()];
        assert_eq!(same, parameter.name != "white1.weight", "{}", parameter.name);
    }
    // The images are normalized as for evaluation: twice the contrast gives half the weight, except for epsilon.
    let (other, _) = loaded(&RECIPE.replace("std = [0.3]", "std = [0.15]").replace("1e-3", "4e-3"));
    let other = weights(&mut self::trainer(&other, &dataset));
    let twice: Vec<f64> = part(model, &other, "white1.weight").iter().map(|&x| 2.0 * f64::from(x)).collect();
    assert_close(part(model, &before, "white1.weight"), &twice, 1e-3, 0.0);
}

#[test]
fn a_whitening_is_resumed_and_measured_from_its_checkpoint() {
    let (recipe, dataset) = loaded(RECIPE);
    let mut whole = trainer(&recipe, &dataset);
    trained(&mut whole);
    let checkpoint = gpunn::blocking::block_on(whole.checkpoint()).expect("a checkpoint");
    trained(&mut whole);
    let mut resumed = trainer(&recipe, &dataset);
    resumed.restore(&checkpoint).expect("restored");
    trained(&mut resumed);
    assert_eq!(weights(&mut whole), weights(&mut resumed));
    // A resumed run uses the filters of the checkpoint and does not compute them from the images.
    let mut other = checkpoint.clone();
    other.tensors.get_mut("white1.weight").expect("kept").1.fill(0.25);
    resumed.restore(&other).expect("restored");
    assert!(part(whole.model(), &weights(&mut resumed), "white1.weight").iter().all(|&value| value == 0.25));
    let own = gpunn::blocking::block_on(whole.evaluate(SplitName::Val)).expect("measured");
    let last = gpunn::blocking::block_on(whole.checkpoint()).expect("a checkpoint");
    let measured =
        gpunn::blocking::block_on(evaluate(&mut Engine::cpu(), &last, &dataset, SplitName::Val)).expect("measured");
    assert!((measured.loss - own.loss).abs() < 1e-6, "{} {}", measured.loss, own.loss);
}
