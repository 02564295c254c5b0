//! Augmentation, moving averages of weights, averages over views, early stopping, shards and streaming, each compared with
//! an equal computation.

use crate::common::numbers::assert_close;
use crate::common::training::{self, begin, finish, small};
use gpunn::Engine;
use gpunn::data::{Dataset, Pixels, SplitName, epoch_order};
use gpunn::data::{ImageOptions, Size};
use gpunn::datasets::LoadOptions as Loading;
use gpunn::graph::{Passes, Plan, PlanOptions, optimize};
use gpunn::inference::Predictor;
use gpunn::nn::PARAMS;
use gpunn::ops::Step;
use gpunn::ops::augment::{Augment, Flip, Padding, ResizedCrop};
use gpunn::runs::Experiment;
use gpunn::train::graphs::{DeviceData, training};
use gpunn::train::{EpochLine, Recipe, Trainer, TrainerOptions, Tta, evaluate};

fn recipe(change: impl Fn(&mut Recipe)) -> (Recipe, Dataset) {
    small(700, 2, change)
}

fn moving() -> Augment {
    Augment {
        flip: Flip::Alternate,
        translate: 2,
        padding: Padding::Reflect,
        rotate: 10.0,
        mean: Some(vec![0.2]),
        std: Some(vec![0.3]),
        ..Augment::default()
    }
}

/// Resized crops with changed strokes and noise.
fn resized() -> Augment {
    let resized_crop = Some(ResizedCrop { scale: [0.5, 1.0], ..ResizedCrop::default() });
    Augment { resized_crop, brightness: 0.2, stroke: 0.5, noise: 0.1, ..Augment::default() }
}

fn trainer(recipe: &Recipe, dataset: &Dataset) -> Trainer {
    training::trainer(Engine::cpu(), recipe, dataset)
}

/// Trains this many epochs. Returns the figures of each epoch, the hash of the weights and the trainer.
fn trained(recipe: &Recipe, dataset: &Dataset, epochs: u32) -> (Vec<EpochLine>, String, Trainer) {
    let mut trainer = trainer(recipe, dataset);
    let lines = training::epochs(&mut trainer, epochs);
    let hash = training::hash(&mut trainer);
    (lines, hash, trainer)
}

#[test]
fn a_streamed_run_has_the_bits_of_a_resident_one() {
    for augment in [None, Some(moving()), Some(resized())] {
        let with = |stream: bool| {
            let (recipe, dataset) = recipe(|recipe| {
                recipe.augment.clone_from(&augment);
                recipe.data.stream = stream;
            });
            let (lines, hash, trainer) = trained(&recipe, &dataset, 2);
            let figures: Vec<_> =
                lines.iter().map(|line| (line.train_loss, line.val_loss, line.val_accuracy)).collect();
            (figures, hash, trainer.planned_bytes())
        };
        let (resident, streamed) = (with(false), with(true));
        assert_eq!((&resident.0, &resident.1), (&streamed.0, &streamed.1));
        assert!(streamed.2 < resident.2, "{} and {}", streamed.2, resident.2);
    }
}

/// A folder of small images with two classes and two splits, and options that load it with a cache beside it.
fn folder_of_images(memory_limit: usize) -> (tempfile::TempDir, Loading) {
    let root = tempfile::tempdir().expect("a folder");
    for (split, count) in [("train", 150), ("val", 30)] {
        for class in ["bright", "dark"] {
            let folder = root.path().join("set").join(split).join(class);
            std::fs::create_dir_all(&folder).expect("made");
            for number in 0..count {
                let level = |x: u32, y: u32| (7 * x + 3 * y + 11 * number + if class == "dark" { 0 } else { 90 }) as u8;
                let image = image::RgbImage::from_fn(11, 9, |x, y| image::Rgb([level(x, y), level(y, x), level(x, x)]));
                image.save(folder.join(format!("{number:03}.png"))).expect("saved");
            }
        }
    }
    let asked = ImageOptions { size: Some(Size::Sides([9, 11])), ..ImageOptions::default() };
    let cache = Some(root.path().join("cache"));
    (root, Loading { image_options: asked, cache, memory_limit, ..Loading::default() })
}

fn of_folder(root: &tempfile::TempDir, options: &Loading, stream: bool) -> (Recipe, Dataset) {
    let dataset = gpunn::datasets::load_with("set", Some(root.path()), options).expect("images");
    let (recipe, _) = recipe(|recipe| {
        recipe.data.stream = stream;
        recipe.augment = Some(Augment { mean: Some(vec![0.4; 3]), std: Some(vec![0.2; 3]), ..moving() });
    });
    (recipe, dataset)
}

/// The bits are the same from the disk through the loader's thread, from the disk to the device, and from memory.
#[test]
fn a_run_from_the_disk_has_the_bits_of_one_from_memory() {
    let (root, in_memory) = folder_of_images(usize::MAX);
    let on_disk = Loading { memory_limit: 0, ..in_memory.clone() };
    let with = |options: &Loading, stream: bool| {
        let (recipe, dataset) = of_folder(&root, options, stream);
        assert_eq!(matches!(dataset.train.pixels, Pixels::Stored(_)), options.memory_limit == 0);
        let (lines, hash, mut trainer) = trained(&recipe, &dataset, 2);
        assert!(lines.iter().all(|line| line.loader_wait.is_some() == stream));
        let checkpoint = gpunn::blocking::block_on(trainer.checkpoint()).expect("a checkpoint");
        let mut engine = Engine::cpu();
        let evaluation = gpunn::blocking::block_on(evaluate(&mut engine, &checkpoint, &dataset, SplitName::Train));
        let evaluation = evaluation.expect("measured");
        (lines.iter().map(|line| (line.train_loss, line.val_loss)).collect::<Vec<_>>(), hash, evaluation)
    };
    let plain = with(&in_memory, false);
    for (options, stream) in [(&in_memory, true), (&on_disk, false), (&on_disk, true)] {
        assert_eq!(with(options, stream), plain);
    }
    // `limit` and `split_off` choose the same images on the disk as in memory.
    let set = |options| gpunn::datasets::load_with("set", Some(root.path()), options).expect("images").train;
    let chosen =
        |options| gpunn::data::split_off(gpunn::data::limit(set(options), 90, 3), 0.2, 3).expect("in memory").1;
    assert_eq!(chosen(&on_disk).in_memory().expect("read"), chosen(&in_memory));
}

#[test]
fn a_disk_that_fails_while_images_are_loaded_ahead_is_a_sentence() {
    let (root, options) = folder_of_images(0);
    let (recipe, dataset) = of_folder(&root, &options, true);
    let mut trainer = trainer(&recipe, &dataset);
    let stores = root.path().join("cache/pictures");
    let store = std::fs::read_dir(stores).expect("listed").next().expect("one").expect("listed").path();
    std::fs::File::options().write(true).open(&store).expect("opened").set_len(20_000).expect("cut");
    let error = gpunn::blocking::block_on(trainer.epoch(&mut |_| true)).expect_err("it cannot be read");
    let sentence = error.to_string();
    assert!(sentence.contains("cannot read") && sentence.contains(&store.display().to_string()), "{sentence}");
}

/// Runs three steps of a recipe with the images in shards of `each`.
fn in_shards(recipe: &Recipe, dataset: &Dataset, each: usize) -> Vec<f32> {
    let batch = recipe.training.batch_size;
    let model = recipe.build_model(dataset.input, dataset.classes.len()).expect("a model");
    let data = DeviceData { each, ..DeviceData::whole("train", dataset.train.len(), true, dataset.input) };
    let graph = training(&model, recipe, data, batch).expect("it builds");
    let mut engine = Engine::cpu();
    let graph = optimize(&graph, Passes::default()).expect("it builds");
    let plan = Plan::new(graph, &engine.target(), PlanOptions::default()).expect("it plans");
    let program = engine.load(plan).expect("it loads");
    let task = (recipe.task().expect("a task"), dataset.classes.len());
    data.upload(&mut engine, task, &dataset.train, None).expect("uploaded");
    engine.write(&data.buffer("order"), 0, &epoch_order(data.rows, 5, 0)).expect("written");
    engine.write(PARAMS, 0, &model.parameters().initial_weights(1).learned).expect("written");
    for (name, table) in recipe.optimizer.tables(model.parameters()) {
        engine.write(name, 0, &table).expect("written");
    }
    let step = |number: u32| {
        let mut step = Step::new(number, batch as u32, 3);
        step.first = number * batch as u32;
        step.set_group(0, 0.1, 0.9);
        step
    };
    engine.schedule(program, &[step(0), step(1), step(2)]).expect("scheduled");
    engine.run(program, 0..3).expect("run");
    gpunn::blocking::block_on(engine.read(PARAMS)).expect("read")
}

#[test]
fn images_in_shards_train_alike() {
    for augment in [None, Some(moving())] {
        let (recipe, dataset) = recipe(|recipe| recipe.augment.clone_from(&augment));
        let whole = in_shards(&recipe, &dataset, 700);
        assert_eq!(whole, in_shards(&recipe, &dataset, 300));
        assert_eq!(whole, in_shards(&recipe, &dataset, 175));
        assert_ne!(
            whole,
            in_shards(
                &Recipe { augment: Some(Augment { translate: 1, ..Augment::default() }), ..recipe },
                &dataset,
                300
            )
        );
    }
}

#[test]
fn an_average_is_what_the_steps_weights_make_of_it() {
    let (recipe, dataset) = recipe(|recipe| recipe.training.ema = Some(0.7));
    let mut trainer = trainer(&recipe, &dataset);
    let flat = |trainer: &mut Trainer| gpunn::blocking::block_on(trainer.weights()).expect("weights").learned;
    let mut wanted: Vec<f64> = flat(&mut trainer).into_iter().map(f64::from).collect();
    gpunn::blocking::block_on(trainer.prepare_epoch()).expect("prepared");
    for step in 0..10 {
        let (engine, program) = trainer.engine_mut();
        engine.run(program, step..step + 1).expect("run");
        let decay = 0.7_f64.min((1.0 + step as f64) / (10.0 + step as f64));
        for (average, weight) in wanted.iter_mut().zip(flat(&mut trainer)) {
            *average = decay * *average + (1.0 - decay) * f64::from(weight);
        }
    }
    let (engine, _) = trainer.engine_mut();
    let averages = gpunn::blocking::block_on(engine.read("ema")).expect("read");
    assert_close(&averages, &wanted, 1e-6, 0.0);
}

/// The validation figures of an epoch equal those of `eval` on its checkpoint, with moving averages and averages over
/// views.
#[test]
fn a_checkpoint_measures_as_its_run_did() {
    for stream in [false, true] {
        let (recipe, dataset) = recipe(|recipe| {
            recipe.augment = Some(moving());
            recipe.training.ema = Some(0.99);
            recipe.training.tta = Some(Tta::Flip);
            recipe.data.stream = stream;
        });
        let (lines, _, mut trainer) = trained(&recipe, &dataset, 1);
        let checkpoint = gpunn::blocking::block_on(trainer.checkpoint()).expect("a checkpoint");
        let measure = |change: &dyn Fn(&mut Recipe)| {
            let mut checkpoint = checkpoint.clone();
            change(&mut checkpoint.recipe);
            gpunn::blocking::block_on(evaluate(&mut Engine::cpu(), &checkpoint, &dataset, SplitName::Val))
                .expect("measured")
                .loss
        };
        assert_eq!(Some(measure(&|_| {})), lines[0].val_loss);
        assert_ne!(measure(&|recipe| recipe.training.tta = None), measure(&|_| {}));
        assert_ne!(measure(&|recipe| recipe.training.ema = None), measure(&|_| {}));
    }
}

/// An image `[1, side, side]` translated by `shift` pixels up and to the left, with mirrored pixels beyond its edge. If
/// `mirrored`, it is then mirrored left to right.
fn seen_from(image: &[f32], side: usize, shift: i64, mirrored: bool) -> Vec<f32> {
    let last = side as i64 - 1;
    let within = |at: i64| (if at < 0 { -at } else { last - (at - last).abs() }) as usize;
    let pixel = |row: usize, column: usize| {
        let column = if mirrored { side - 1 - column } else { column };
        image[within(row as i64 + shift) * side + within(column as i64 + shift)]
    };
    (0..side)
        .flat_map(|row| (0..side).map(move |column| (row, column)))
        .map(|(row, column)| pixel(row, column))
        .collect()
}

/// Logits averaged over views equal the average of the logits of single views, with the weights of K. Jordan's airbench.
#[test]
fn shifts_averaged_are_what_the_views_make_of_it() {
    let (recipe, dataset) = recipe(|_| {});
    let (_, _, mut trainer) = trained(&recipe, &dataset, 1);
    let checkpoint = gpunn::blocking::block_on(trainer.checkpoint()).expect("a checkpoint");
    let predict = |tta: Option<Tta>, image: &[f32]| {
        let mut checkpoint = checkpoint.clone();
        checkpoint.recipe.training.tta = tta;
        let mut predictor = Predictor::new(Engine::cpu(), &checkpoint).expect("a classifier");
        gpunn::blocking::block_on(predictor.predict(image)).expect("predicted").probabilities
    };
    let image = dataset.train.image(5).expect("one");
    let both = [false, true];
    let flip: Vec<_> = both.map(|mirrored| (0, mirrored, 0.5)).to_vec();
    let pairs = [(0, 0.25), (-1, 0.125), (1, 0.125)];
    let shift = pairs.iter().flat_map(|&(shift, weight)| both.map(|mirrored| (shift, mirrored, weight))).collect();
    let only = vec![(0, false, 0.5), (-1, false, 0.25), (1, false, 0.25)];
    for (tta, views) in [(Tta::Flip, flip), (Tta::Shift, shift), (Tta::ShiftOnly, only)] {
        // Logarithms of probabilities equal logits except for a constant, which softmax removes.
        let mut logits = vec![0.0_f64; dataset.classes.len()];
        for &(shift, mirrored, weight) in &views {
            let probabilities = predict(None, &seen_from(&image, dataset.input[1], shift, mirrored));
            logits.iter_mut().zip(probabilities).for_each(|(sum, p)| *sum += weight * f64::from(p).ln());
        }
        let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
        let wanted: Vec<f64> = logits.iter().map(|logit| logit.exp() / total).collect();
        assert_close(&predict(Some(tta), &image), &wanted, 1e-5, 0.0);
    }
}

/// With averages over flips, an image and its mirror image have the same prediction.
#[test]
fn flips_averaged_do_not_see_which_way_a_image_looks() {
    let (recipe, mut dataset) = recipe(|recipe| recipe.training.tta = Some(Tta::Flip));
    let (_, _, mut trainer) = trained(&recipe, &dataset, 1);
    let checkpoint = gpunn::blocking::block_on(trainer.checkpoint()).expect("a checkpoint");
    let measure = |dataset: &Dataset, tta| {
        let mut checkpoint = checkpoint.clone();
        checkpoint.recipe.training.tta = tta;
        gpunn::blocking::block_on(evaluate(&mut Engine::cpu(), &checkpoint, dataset, SplitName::Val))
            .expect("measured")
            .loss
    };
    let (with, without) = (measure(&dataset, Some(Tta::Flip)), measure(&dataset, None));
    let val = dataset.val.as_mut().expect("a split");
    let width = dataset.input[2];
    match &mut val.pixels {
        gpunn::data::Pixels::U8(values) => values.chunks_mut(width).for_each(<[u8]>::reverse),
        gpunn::data::Pixels::F32(values) => values.chunks_mut(width).for_each(<[f32]>::reverse),
        gpunn::data::Pixels::Stored(_) => panic!("glyphs are in memory"),
    }
    let (mirrored_with, mirrored_without) = (measure(&dataset, Some(Tta::Flip)), measure(&dataset, None));
    assert!((with - mirrored_with).abs() < 1e-5, "{with} and {mirrored_with}");
    assert!((without - mirrored_without).abs() > 0.1, "{without} and {mirrored_without}");
}

#[test]
fn patience_ends_a_run_that_gets_no_better() {
    let (mut recipe, dataset) = recipe(|recipe| {
        recipe.training.epochs = 60.0;
        recipe.training.patience = Some(2);
        recipe.optimizer.learning_rate = 1.0;
    });
    recipe.schedule = "exponential:0.3".parse().expect("a schedule");
    let folder = tempfile::tempdir().expect("a folder");
    let mut experiment = begin(trainer(&recipe, &dataset), folder.path());
    let summary = finish(&mut experiment);
    assert!(summary.stopped_early && summary.epochs < 60, "{} epochs", summary.epochs);
    let lines = experiment.run.metrics().expect("lines");
    let accuracy = |epoch: u32| lines[epoch as usize - 1].val_accuracy.expect("a validation split");
    let highest = (1..=summary.epochs).rev().max_by(|&a, &b| accuracy(a).total_cmp(&accuracy(b)));
    assert_eq!(highest.map(|highest| highest + 2), Some(summary.epochs));
    // A run that stopped early does not continue when it is resumed.
    let (epochs, last) = (summary.epochs, experiment.run.last().expect("a checkpoint"));
    let mut again =
        Experiment::resumed(trainer(&recipe, &dataset), experiment.run.clone(), &dataset, &last).expect("on");
    let summary = finish(&mut again);
    assert_eq!((summary.epochs, summary.stopped_early), (epochs, true));
}

#[test]
fn what_cannot_be_is_refused() {
    let (good, dataset) = recipe(|_| {});
    let refused = |change: &dyn Fn(&mut Recipe)| {
        let mut recipe = good.clone();
        change(&mut recipe);
        Trainer::new(Engine::cpu(), recipe, &dataset, TrainerOptions::default())
            .map(|_| ())
            .expect_err("refused")
            .to_string()
    };
    assert!(refused(&|recipe| recipe.training.ema = Some(1.0)).contains("ema"));
    assert!(refused(&|recipe| recipe.training.patience = Some(0)).contains("patience"));
    assert!(
        refused(&|recipe| recipe.augment = Some(Augment { crop: Some([40, 8]), ..Augment::default() }))
            .contains("crop")
    );
    let mut without = dataset.clone();
    without.val = None;
    let mut patient = good.clone();
    patient.training.patience = Some(3);
    let refusal =
        Trainer::new(Engine::cpu(), patient, &without, TrainerOptions::default()).map(|_| ()).expect_err("refused");
    assert!(refusal.to_string().contains("--val-fraction"), "{refusal}");
    let mut autoencoder = Recipe::find("nist36-autoencoder").expect("built in");
    autoencoder.training.tta = Some(Tta::Flip);
    assert!(autoencoder.validate().expect_err("refused").to_string().contains("classifiers"));
}
