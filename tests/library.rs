//! The library as a program uses it: a dataset from its own images, a recipe from the builder, `fit`, `evaluate`, `predict`,
//! `save` and `load`.

use gpunn::data::{Dataset, Pixels, SplitName, glyphs};
use gpunn::graph::NodeId;
use gpunn::nn::{
    Activation, Build, Flatten, GROUP_WEIGHTS, Initialiser, Layer, Linear, Model, Parameters, Scheme, Sequence,
};
use gpunn::nn::{Mode, Weights};
use gpunn::optim::Optimizer;
use gpunn::train::{Checkpoint, Flow, Predictor, Recipe, Trainer, TrainerOptions, evaluate};
use gpunn::{Engine, Result};

/// Bright left halves and bright right halves, with noise from a fixed formula.
fn halves() -> Dataset {
    let image = |number: usize| {
        let bright = number % 2;
        (0..16).map(move |at| ((at % 4) / 2 == bright) as u8 * 200 + ((number * 31 + at * 17) % 50) as u8)
    };
    let split = |from: usize, to: usize| {
        (
            (from..to).flat_map(image).collect::<Vec<u8>>(),
            (from..to).map(|number| (number % 2) as u32).collect::<Vec<u32>>(),
        )
    };
    let ((train, labels), (val, val_labels), (test, test_labels)) = (split(0, 200), split(200, 240), split(240, 300));
    Dataset::from_images(train, [1, 4, 4], labels, ["left", "right"])
        .and_then(|set| set.with_validation(val, val_labels))
        .and_then(|set| set.with_test(test, test_labels))
        .expect("a dataset")
}

fn recipe() -> Recipe {
    Recipe::new("mlp").epochs(4).batch_size(20).optimizer(Optimizer::adam(0.01))
}

fn weights(trainer: &mut Trainer) -> Weights {
    gpunn::blocking::block_on(trainer.weights()).expect("weights")
}

#[test]
fn a_network_learns_predicts_and_is_evaluated() {
    let dataset = halves();
    let mut trainer = recipe().trainer(&dataset).expect("a trainer");
    let lines = trainer.fit_blocking(|_| ()).expect("trained");
    assert_eq!(lines.iter().map(|line| line.epoch).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(lines[0].to_string().starts_with("epoch 1: loss "), "{}", lines[0]);
    let test = trainer.evaluate_blocking(SplitName::Test).expect("evaluated");
    assert_eq!((test.accuracy, test.images), (Some(1.0), 60));
    let split = dataset.split(SplitName::Test).expect("there");
    let images: Vec<Vec<f32>> = (0..split.len()).map(|number| split.image(number).expect("there")).collect();
    let all = trainer.predict_all_blocking(&images).expect("predicted");
    for ((image, label), prediction) in images.iter().zip(&split.labels).zip(&all) {
        assert_eq!(prediction.index, *label as usize);
        assert_eq!(prediction.class, ["left", "right"][prediction.index]);
        assert!((prediction.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        let one = trainer.predict_blocking(image).expect("predicted");
        assert_eq!(one.class, prediction.class);
        assert!((one.confidence - prediction.confidence).abs() < 1e-6);
    }
    // One image more or fewer values is a sentence, and so is a split that is not there.
    assert!(trainer.predict_blocking(&[0.0; 15]).expect_err("refused").to_string().contains("15 values"));
    assert!(trainer.evaluate_blocking(SplitName::Train).expect_err("refused").to_string().contains("no train split"));
    // The blocking forms give what the others give.
    let again = gpunn::blocking::block_on(trainer.evaluate(SplitName::Test)).expect("evaluated");
    assert_eq!(again, test);
}

#[test]
fn a_callback_stops_training_and_another_call_goes_on() {
    let dataset = halves();
    let mut whole = recipe().trainer(&dataset).expect("a trainer");
    whole.fit_blocking(|_| ()).expect("trained");
    let mut parts = recipe().trainer(&dataset).expect("a trainer");
    let stop_at =
        |last: u32| move |line: &gpunn::train::EpochLine| if line.epoch == last { Flow::Stop } else { Flow::Continue };
    assert_eq!(parts.fit_blocking(stop_at(2)).expect("trained").len(), 2);
    // Prediction between two epochs changes nothing.
    parts.predict_blocking(&[0.5; 16]).expect("predicted");
    assert_eq!(parts.fit_blocking(|_| std::ops::ControlFlow::<()>::Continue(())).expect("trained").len(), 2);
    assert!(parts.fit_blocking(|_| ()).expect("nothing to do").is_empty());
    assert_eq!(weights(&mut whole), weights(&mut parts));
}

#[test]
fn the_best_epoch_is_kept_where_there_is_a_validation_split() {
    let dataset = glyphs::dataset();
    let images = dataset.val.as_ref().expect("a validation split").len() as f64;
    // A rate so high that with some seed a later epoch is worse than an earlier one.
    let run = |seed: u64| {
        let recipe = Recipe::new("mlp").epochs(8).batch_size(200).optimizer(Optimizer::sgd_momentum(2.0, 0.9));
        let mut trainer = recipe.seed(seed).trainer(&dataset).expect("a trainer");
        let mut each = Vec::new();
        while let Some(line) = trainer.fit_blocking(|_| Flow::Stop).expect("trained").pop() {
            each.push((line.val_accuracy.expect("a validation split"), weights(&mut trainer)));
        }
        let highest = each.iter().map(|(accuracy, _)| *accuracy).fold(0.0, f64::max);
        let enough = highest - (highest * (1.0 - highest) / images).sqrt();
        let best = each.iter().rposition(|(accuracy, _)| *accuracy >= enough).expect("one");
        (best < 7).then_some((trainer, each, best))
    };
    let (mut trainer, each, best) = (0..20).find_map(run).expect("with no seed an earlier epoch is the best");
    assert_eq!(weights(&mut trainer), each[7].1);
    trainer.restore_best().expect("restored");
    assert_eq!(weights(&mut trainer), each[best].1);
    assert_eq!(trainer.counters().epoch as usize, best + 1);
    let val = trainer.evaluate_blocking(SplitName::Val).expect("evaluated");
    assert_eq!(val.accuracy, Some(each[best].0));

    let mut none = halves();
    none.val = None;
    let mut trainer = self::recipe().epochs(1).trainer(&none).expect("a trainer");
    trainer.fit_blocking(|_| ()).expect("trained");
    assert!(trainer.best().is_none());
    let before = weights(&mut trainer);
    trainer.restore_best().expect("nothing to do");
    assert_eq!(weights(&mut trainer), before);
}

#[test]
fn a_hand_made_dataset_with_a_wrong_label_or_length_is_refused() {
    let wrong = |change: &dyn Fn(&mut Dataset)| {
        let mut dataset = halves();
        change(&mut dataset);
        let sentence = recipe().trainer(&dataset).expect_err("refused").to_string();
        // What evaluates a checkpoint refuses it too.
        let mut trainer = recipe().trainer(&halves()).expect("a trainer");
        let checkpoint = gpunn::blocking::block_on(trainer.checkpoint()).expect("a checkpoint");
        let mut engine = Engine::cpu();
        let evaluated = evaluate(&mut engine, &checkpoint, &dataset, SplitName::Test);
        assert_eq!(gpunn::blocking::block_on(evaluated).expect_err("refused").to_string(), sentence);
        sentence
    };
    let sentence = wrong(&|set| set.train.labels[7] = 2);
    assert!(sentence.contains("training split") && sentence.contains("image 7 has the label 2"), "{sentence}");
    let sentence = wrong(&|set| set.test.as_mut().expect("there").labels[0] = 9);
    assert!(sentence.contains("test split"), "{sentence}");
    let sentence = wrong(&|set| set.val.as_mut().expect("there").labels.truncate(39));
    assert!(sentence.contains("validation split") && sentence.contains("640 values"), "{sentence}");
    let short = |set: &mut Dataset| {
        if let Pixels::U8(values) = &mut set.train.pixels {
            values.pop();
        }
    };
    assert!(wrong(&short).contains("3199 values"));
    let sentence = wrong(&|set| {
        let mut values = vec![0.5; 3200];
        values[33] = f32::NAN;
        set.train.pixels = Pixels::F32(values);
    });
    assert!(sentence.contains("image 2 holds the value NaN"), "{sentence}");
}

#[test]
fn floats_and_bytes_of_the_same_images_learn_alike() {
    let bytes = halves();
    let split = bytes.split(SplitName::Train).expect("there");
    let floats: Vec<f32> = (0..split.len()).flat_map(|number| split.image(number).expect("there")).collect();
    let floats = Dataset::from_images(floats, [1, 4, 4], split.labels.clone(), ["left", "right"]).expect("a dataset");
    let trained = |dataset: &Dataset| {
        let mut trainer = recipe().trainer(dataset).expect("a trainer");
        trainer.fit_blocking(|_| ()).expect("trained");
        weights(&mut trainer)
    };
    assert_eq!(trained(&bytes), trained(&floats));
}

#[test]
fn weights_go_out_and_in_as_bytes() {
    let dataset = halves();
    let mut trained = recipe().trainer(&dataset).expect("a trainer");
    trained.fit_blocking(|_| ()).expect("trained");
    let bytes = weights(&mut trained).to_bytes();
    let mut other = recipe().seed(2).trainer(&dataset).expect("a trainer");
    let back = Weights::from_bytes(&bytes, other.model().parameters()).expect("weights");
    other.set_weights(&back).expect("set");
    assert_eq!(weights(&mut other), weights(&mut trained));
    let image = [0.25; 16];
    assert_eq!(other.predict_blocking(&image).expect("one"), trained.predict_blocking(&image).expect("one"));
    let wrong = Weights::from_bytes(&bytes[4..], other.model().parameters()).expect_err("refused").to_string();
    assert!(wrong.contains("another model"), "{wrong}");
    let short = Weights { learned: vec![0.0; 3], statistics: Vec::new() };
    assert!(other.set_weights(&short).expect_err("refused").to_string().contains("3 learned numbers"));
}

#[test]
fn an_average_of_weights_is_what_predicts() {
    let dataset = halves();
    let mut trainer = recipe().epochs(1).ema(0.9).trainer(&dataset).expect("a trainer");
    trainer.fit_blocking(|_| ()).expect("trained");
    let image = dataset.train.image(0).expect("there");
    let prediction = trainer.predict_blocking(&image).expect("predicted");
    let checkpoint = gpunn::blocking::block_on(trainer.checkpoint()).expect("a checkpoint");
    let mut predictor = Predictor::new(Engine::cpu(), &checkpoint).expect("a predictor");
    assert_eq!(gpunn::blocking::block_on(predictor.predict(&image)).expect("predicted"), prediction);
    let mut plain = recipe().epochs(1).trainer(&dataset).expect("a trainer");
    plain.fit_blocking(|_| ()).expect("trained");
    assert_ne!(plain.predict_blocking(&image).expect("predicted").confidence, prediction.confidence);
}

/// A gain for each feature: a layer that the library does not have.
#[derive(Debug)]
struct Gain;

impl Layer for Gain {
    fn label(&self) -> String {
        "gain".into()
    }
    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        Ok(shape.to_vec())
    }
    fn declare(&self, name: &str, shape: &[usize], parameters: &mut Parameters) {
        parameters.add(format!("{name}.weight"), shape, Initialiser::Constant(1.0), GROUP_WEIGHTS);
    }
    fn forward(&self, build: &mut Build, name: &str, x: NodeId) -> Result<NodeId> {
        let gain = build.parameter(&format!("{name}.weight"))?;
        build.mul(x, gain)
    }
}

fn own(outputs: usize) -> Model {
    let layers = Sequence::new()
        .with("flatten", Flatten)
        .with("gain", Gain)
        .with("fc1", Linear::new(8, Scheme::Xavier))
        .with("act", Activation::Tanh)
        .with("fc2", Linear::new(outputs, Scheme::Xavier));
    Model::new("mine", &[1, 4, 4], layers).expect("a model")
}

#[test]
fn a_model_of_ones_own_trains_is_saved_and_is_used_again() {
    let dataset = halves();
    let recipe = || Recipe::new(&own(2)).epochs(4).batch_size(20).learning_rate(0.01);
    let mut trainer = recipe().trainer_of(own(2), Engine::cpu(), &dataset).expect("a trainer");
    trainer.fit_blocking(|_| ()).expect("trained");
    assert_eq!(trainer.evaluate_blocking(SplitName::Test).expect("evaluated").accuracy, Some(1.0));
    let gain = trainer.model().parameters().find("gain.weight").expect("declared").range();
    assert!(weights(&mut trainer).learned[gain].iter().any(|&gain| gain != 1.0), "the layer has learned nothing");

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mine.safetensors");
    trainer.save(&path).expect("saved");
    let checkpoint = Checkpoint::read(&path).expect("read");
    let image = dataset.train.image(1).expect("there");
    let prediction = trainer.predict_blocking(&image).expect("predicted");
    let mut predictor = Predictor::with_model(Engine::cpu(), &own(2), &checkpoint, 1).expect("a predictor");
    assert_eq!(gpunn::blocking::block_on(predictor.predict(&image)).expect("predicted"), prediction);
    let mut again = recipe().trainer_of(own(2), Engine::cpu(), &dataset).expect("a trainer");
    again.restore(&checkpoint).expect("restored");
    assert_eq!(weights(&mut again), weights(&mut trainer));
    // Without the model, nobody can build it: a sentence.
    let sentence = Predictor::load(Engine::cpu(), &path).expect_err("refused").to_string();
    assert!(sentence.contains("mine was built by a program of its own"), "{sentence}");
}

#[test]
fn a_model_of_ones_own_that_does_not_fit_is_refused() {
    let refused = |model: Model, dataset: &Dataset| {
        let recipe = Recipe::new(&model);
        recipe.trainer_of(model, Engine::cpu(), dataset).expect_err("refused").to_string()
    };
    assert!(refused(own(3), &halves()).contains("gives [3] numbers for an image, but 2 are needed"));
    assert!(refused(own(36), &glyphs::dataset()).contains("takes images [1, 4, 4]"));
}

#[test]
fn a_file_brings_a_trainer_back() {
    let dataset = halves();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("half.safetensors");
    let mut whole = recipe().trainer(&dataset).expect("a trainer");
    whole.fit_blocking(|line| if line.epoch == 2 { Flow::Stop } else { Flow::Continue }).expect("trained");
    whole.save(&path).expect("saved");
    whole.fit_blocking(|_| ()).expect("trained");
    let mut loaded = Trainer::load(Engine::cpu(), &path, &dataset).expect("loaded");
    assert_eq!(loaded.fit_blocking(|_| ()).expect("trained").len(), 2);
    assert_eq!(weights(&mut loaded), weights(&mut whole));
    let other = Dataset::from_images(vec![0_u8; 4], [1, 1, 2], vec![0, 1], ["a", "b"]).expect("a dataset");
    assert!(Trainer::load(Engine::cpu(), &path, &other).expect_err("refused").to_string().contains("[1, 1, 2]"));
}

#[test]
fn an_autoencoder_of_ones_own_gives_images_back() {
    let layers = Sequence::new()
        .with("flatten", Flatten)
        .with("code", Linear::new(3, Scheme::Xavier))
        .with("back", Linear::new(16, Scheme::Xavier))
        .with("act", Activation::Sigmoid);
    let model = Model::new("mine", &[1, 4, 4], layers).and_then(|model| model.with_bottleneck(2)).expect("a model");
    // The graph is built in both modes.
    assert!(Build::new(model.parameters(), Mode::Evaluation).is_ok());
    let recipe = Recipe::new(&model).epochs(20).learning_rate(0.01);
    let mut trainer =
        Trainer::with_model(Engine::cpu(), (recipe, model), &halves(), TrainerOptions::default()).expect("one");
    let lines = trainer.fit_blocking(|_| ()).expect("trained");
    let quality = |line: &gpunn::train::EpochLine| line.val_psnr.expect("an autoencoder's");
    assert!(quality(&lines[19]) > quality(&lines[0]) + 5.0, "{} and {}", quality(&lines[0]), quality(&lines[19]));
    assert!(trainer.predict_blocking(&[0.0; 16]).expect_err("refused").to_string().contains("not a classifier"));
}
