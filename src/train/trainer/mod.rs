//! The training loop: an engine with the plans of a run, trained epoch by epoch.

mod epoch;
mod fit;
mod range_test;
mod ranks;
mod sentinel;
mod state;

pub use fit::Flow;
pub use ranks::Exchanged;

use std::collections::BTreeMap;
use std::sync::Arc;

use ranks::{RankPlans, Ranks};

use crate::collective::Collective;
use crate::data::{Dataset, LabelSets, Pixels, Split, SplitName};
use crate::graph::{Plan, PlanOptions, PlannedNode};
use crate::nn::Model;
use crate::nn::models::{ModelConfig, Task};
use crate::ops::half;
use crate::optim::TrainingProgress;
use crate::train::batch_fit::{StepKind, plan_step, resident};
use crate::train::buffers::{write_copy, write_weights};
use crate::train::checkpoint::Checkpoint;
use crate::train::checkpoint::Counters;
use crate::train::device_data::DeviceData;
use crate::train::features::{Cut, Features, Made};
use crate::train::graphs::{self, AVERAGES};
use crate::train::inputs;
use crate::train::loader::Loader;
use crate::train::memory;
use crate::train::predictor::Classifier;
use crate::train::progress::Watch;
use crate::train::recipe::Recipe;
use crate::{Engine, Error, Program, Result};

/// A trainer's planning options and clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct TrainerOptions {
    /// How tensors share memory.
    pub plan: PlanOptions,
    /// A clock: returns the seconds since any fixed time. The library has no clock of its own. Without one, all times and
    /// speeds in the metrics are 0.
    pub clock: Option<fn() -> f64>,
}

/// A split on the device, and the program that trains on it or evaluates it.
#[derive(Clone, Copy, Debug)]
struct Stage {
    program: Program,
    data: DeviceData,
    batch: usize,
}

/// Trains a model.
#[derive(Debug)]
pub struct Trainer {
    engine: Engine,
    recipe: Recipe,
    model: Model,
    task: Task,
    classes: Vec<String>,
    input: [usize; 3],
    /// The labels of the training images.
    labels: Vec<u32>,
    /// As [`Dataset::sets`].
    sets: Option<LabelSets>,
    /// With several labels an image: the labels of the splits that are evaluated, by the name of the split.
    held_labels: BTreeMap<&'static str, Vec<u32>>,
    train: Stage,
    val: Option<Stage>,
    test: Option<Stage>,
    counters: Counters,
    planned_bytes: usize,
    clock: fn() -> f64,
    /// The time in seconds that the steps of this epoch waited for streamed images.
    waited: f64,
    /// Computes the features of the frozen layers, if these are kept instead of the images.
    features: Option<Features>,
    /// The images of the streamed splits.
    streamed: BTreeMap<&'static str, Arc<Pixels>>,
    /// The loader of the current epoch, if images are streamed.
    loader: Option<Loader>,
    /// The number of the next epoch and its loader. The loader starts before the current epoch's evaluation.
    ahead: Option<(u32, Loader)>,
    /// See [`Trainer::best`].
    best: Option<Box<Checkpoint>>,
    sentinel: sentinel::Sentinel,
    /// The other devices that train with this one.
    ranks: Option<Box<Ranks>>,
    /// The loaded programs for prediction, by batch size.
    classifiers: BTreeMap<usize, Classifier>,
}

/// Checks that a recipe can train on a dataset.
fn check_trainable(recipe: &Recipe, task: Task, dataset: &Dataset) -> Result<()> {
    if task == Task::Classify && dataset.classes.len() < 2 {
        return Err(Error::data(format!(
            "{} has only one class, {}, but a classifier needs at least two. Give each class a folder of its own.",
            dataset.name,
            dataset.classes.first().map_or("none", String::as_str)
        )));
    }
    let (batch, train) = (recipe.training.batch_size.saturating_mul(recipe.training.accumulate), &dataset.train);
    if recipe.training.drop_last && batch > train.len() {
        return Err(Error::usage(format!(
            "A batch of {batch} is larger than the {} training images, and this recipe leaves out a last batch that is not \
             full: nothing would be trained. Use --batch-size {} or less.",
            train.len(),
            train.len()
        )));
    }
    if recipe.training.patience.is_some() && dataset.val.as_ref().is_none_or(Split::is_empty) {
        return Err(Error::usage(format!(
            "Early stopping (patience) needs a validation split, but {} has none; hold one out with --val-fraction.",
            dataset.name
        )));
    }
    Ok(())
}

/// The labels of the splits that are evaluated, by the name of the split, if an image has several.
fn held_labels(dataset: &Dataset) -> BTreeMap<&'static str, Vec<u32>> {
    let splits = [("val", dataset.val.as_ref()), ("test", dataset.test.as_ref())];
    let there = splits.into_iter().filter_map(|(name, split)| Some((name, split?.labels.clone())));
    if dataset.sets.is_some() { there.collect() } else { BTreeMap::new() }
}

/// A split on the device, if there is one, and its images.
type Staged<'a> = (Option<Stage>, Option<&'a Split>);

/// Uploads the images of splits. Returns the images of the splits that are streamed, by the name of the split.
fn upload(
    engine: &mut Engine,
    task: Task,
    dataset: &Dataset,
    stages: &[Staged],
) -> Result<BTreeMap<&'static str, Arc<Pixels>>> {
    let mut streamed = BTreeMap::new();
    for (stage, split) in stages {
        let (Some(stage), Some(split)) = (stage, split) else { continue };
        stage.data.upload(engine, (task, dataset.classes.len()), split, dataset.sets.as_ref())?;
        if stage.data.slots.is_some() {
            streamed.insert(stage.data.name, Arc::new(split.pixels.clone()));
        }
    }
    Ok(streamed)
}

/// Writes the initial weights, their averages or slow weights, the tables of the optimizer, and the weights of the classes.
fn write_initial_state(engine: &mut Engine, recipe: &Recipe, model: &Model, dataset: &Dataset) -> Result<()> {
    let weights = inputs::first_weights(model, recipe, Some(dataset))?;
    write_weights(engine, model.parameters(), &weights)?;
    for copy in graphs::copies(recipe) {
        write_copy(engine, copy.buffers, model.parameters(), &weights)?;
    }
    for (name, table) in recipe.optimizer.tables(model.parameters()) {
        engine.write(name, 0, &table)?;
    }
    if let Some(weights) = recipe.class_weights(dataset)? {
        engine.write(graphs::WEIGHTS, 0, &weights)?;
    }
    Ok(())
}

impl Trainer {
    /// Plans the run, uploads the dataset and initialises the parameters.
    ///
    /// # Errors
    /// When the recipe or the dataset cannot be used for training. [`Error::Memory`] when a step does not fit the device; the
    /// message names the largest batch that fits.
    pub fn new(engine: Engine, recipe: Recipe, dataset: &Dataset, options: TrainerOptions) -> Result<Self> {
        recipe.validate()?;
        Self::begin(engine, recipe, None, (dataset, options), None)
    }

    /// As [`Trainer::new`], as one of several ranks that train together. A batch needs as many parts
    /// ([`accumulate`](super::Training::accumulate)) as there are ranks, or more: [`divide_batch`](super::divide_batch) makes them.
    /// All ranks have the same recipe and dataset, and make the same calls of [`Trainer::fit`], [`Trainer::epoch`] and
    /// [`Trainer::evaluate`], which wait for each other. Ranks that leave nothing call [`Trainer::follow`] instead.
    ///
    /// # Errors
    /// As [`Trainer::new`], and when a batch has fewer parts than there are ranks.
    pub fn among(
        engine: Engine,
        recipe: Recipe,
        dataset: &Dataset,
        options: TrainerOptions,
        collective: Box<dyn Collective>,
    ) -> Result<Self> {
        recipe.validate()?;
        Self::begin(engine, recipe, None, (dataset, options), Some(collective))
    }

    /// As [`Trainer::new`], for a model that the program has built. It replaces the recipe's model. The model's input has the
    /// shape of the augmented images. A classifier has one output per class. A model with a
    /// [`Bottleneck`](crate::nn::Bottleneck) is an autoencoder, and its output has as many values as its input.
    ///
    /// # Errors
    /// As [`Trainer::new`], and when the model's input or output does not fit the dataset.
    pub fn with_model(
        engine: Engine,
        (mut recipe, model): (Recipe, Model),
        dataset: &Dataset,
        options: TrainerOptions,
    ) -> Result<Self> {
        recipe.model = ModelConfig::from(&model);
        recipe.validate()?;
        recipe.validate_task(model.task())?;
        let input = recipe.augment.as_ref().map_or(Ok(dataset.input), |augment| augment.output(dataset.input))?;
        let features = |shape: &[usize]| shape.iter().product::<usize>();
        if features(model.input()) != features(&input) {
            return Err(Error::Shape(format!(
                "The model {} takes images {:?}, but those of {} are {input:?}.",
                model.name(),
                model.input(),
                dataset.name
            )));
        }
        let (wanted, given) = match model.task() {
            Task::Classify | Task::Tag => (dataset.classes.len(), model.output()),
            Task::Reconstruct => (features(&input), &[features(model.output())][..]),
        };
        if given != [wanted] {
            return Err(Error::Shape(format!(
                "The model {} gives {given:?} numbers for an image, but {wanted} are needed for {}.",
                model.name(),
                dataset.name
            )));
        }
        Self::begin(engine, recipe, Some(model), (dataset, options), None)
    }

    /// Creates a trainer from a valid recipe. `model` replaces the recipe's model if it is given. With a `collective` it is one of several
    /// ranks.
    fn begin(
        mut engine: Engine,
        mut recipe: Recipe,
        model: Option<Model>,
        (dataset, options): (&Dataset, TrainerOptions),
        collective: Option<Box<dyn Collective>>,
    ) -> Result<Self> {
        if recipe.data.name.is_empty() {
            recipe.data.name.clone_from(&dataset.name);
        }
        let train = dataset.split(SplitName::Train)?;
        dataset.validate()?;
        recipe.take_labels(dataset)?;
        let task = model.as_ref().map_or_else(|| recipe.task(), |model| Ok(recipe.task_of(model)))?;
        recipe.validate_task(task)?;
        check_trainable(&recipe, task, dataset)?;
        let batch = recipe.training.batch_size;
        let model = match model {
            Some(model) => model,
            None => {
                // A given model may be the trained part of a network, which lacks what is frozen.
                let built = recipe.build_model(dataset.input, dataset.classes.len())?;
                recipe.optimizer.check_model(&built)?;
                built
            }
        };
        let target = engine.target().in_single_precision();
        let cut = Cut::of(&recipe, &model, dataset)?;
        let (learner, learned_by) = cut.as_ref().map_or((&model, &recipe), |cut| (&cut.rest, &cut.recipe));
        let kind = if collective.is_some() { StepKind::Contribution } else { StepKind::Whole };
        let (plan, data) =
            plan_step((&recipe, &model), cut.as_ref(), (dataset, kind), &engine, |batch, target, graph| {
                memory::plan_training(batch, target, options.plan, graph)
            })?;
        let together = collective.map(|collective| {
            let plans = RankPlans::of((learner, learned_by), data, (&target, options.plan))?;
            Ok::<_, Error>((plans, collective))
        });
        let together = together.transpose()?;
        let measured = |name: &'static str, split: Option<&Split>| {
            let Some(split) = split.filter(|split| !split.is_empty()) else { return Ok(None) };
            memory::plan_evaluation(split.len(), &target, options.plan, |batch| {
                let data = resident(cut.as_ref(), (name, split), (&recipe, dataset.input), &target, batch);
                let mut graph = graphs::evaluation(learner, learned_by, data, batch)?;
                if recipe.training.ema.is_some() {
                    graph = graph.on_buffers(&AVERAGES);
                }
                Ok((graph, data))
            })
            .map(Some)
        };
        let val = measured("val", dataset.val.as_ref())?;
        let test = measured("test", dataset.test.as_ref())?;
        let plans = [Some(&plan), val.as_ref().map(|(plan, ..)| plan), test.as_ref().map(|(plan, ..)| plan)];
        let features = cut.as_ref().map(|cut| cut.features((&recipe, &model), dataset, &target)).transpose()?;
        let (making, mut features) = features.unzip();
        let making = making.unwrap_or_default();
        let of_ranks = together.iter().flat_map(|(plans, _)| plans.iter());
        let planned_bytes = memory::planned_bytes(plans.into_iter().flatten().chain(&making).chain(of_ranks));
        if let Some(features) = &mut features {
            features.load(&mut engine, making)?;
        }
        let train_stage = Stage { program: engine.load(plan)?, data, batch: batch.min(train.len()) };
        let ranks = together.map(|(plans, collective)| {
            let of = (collective, dataset.hash_of_images());
            plans.load((&mut engine, train_stage.program), of, learned_by, learner.parameters()).map(Box::new)
        });
        let ranks = ranks.transpose()?;
        let mut stage = |planned: Option<(Plan, DeviceData, usize)>| {
            planned.map(|(plan, data, batch)| Ok(Stage { program: engine.load(plan)?, data, batch })).transpose()
        };
        let (val_stage, test_stage): (Option<Stage>, Result<Option<Stage>>) = (stage(val)?, stage(test));
        let test_stage = test_stage?;
        let stages =
            [(Some(train_stage), Some(train)), (val_stage, dataset.val.as_ref()), (test_stage, dataset.test.as_ref())];
        let streamed = match features {
            Some(_) => BTreeMap::new(),
            None => upload(&mut engine, task, dataset, &stages)?,
        };
        write_initial_state(&mut engine, &recipe, &model, dataset)?;
        Ok(Self {
            engine,
            recipe,
            model,
            task,
            classes: dataset.classes.clone(),
            input: dataset.input,
            labels: train.labels.clone(),
            sets: dataset.sets.clone(),
            held_labels: held_labels(dataset),
            train: train_stage,
            val: val_stage,
            test: test_stage,
            counters: Counters::default(),
            planned_bytes,
            clock: options.clock.unwrap_or(|| 0.0),
            waited: 0.0,
            features,
            streamed,
            loader: None,
            ahead: None,
            best: None,
            sentinel: sentinel::Sentinel::default(),
            ranks,
            classifiers: BTreeMap::new(),
        })
    }

    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }
    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }
    /// The model's task.
    pub fn task(&self) -> Task {
        self.task
    }
    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
    /// The engine and the program of the training step, for profiling and verification.
    pub fn engine_mut(&mut self) -> (&mut Engine, Program) {
        (&mut self.engine, self.train.program)
    }
    /// The progress of the run.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
    /// The class names in index order.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }
    /// Bytes of all buffers: parameters, optimizer state, data and tensors of a step.
    pub fn planned_bytes(&self) -> usize {
        self.planned_bytes
    }

    /// Whether the dataset has a split with images.
    pub fn has(&self, split: SplitName) -> bool {
        self.stage(split).is_some()
    }

    fn stage(&self, part: SplitName) -> Option<Stage> {
        match part {
            SplitName::Train => Some(self.train),
            SplitName::Val => self.val,
            SplitName::Test => self.test,
        }
    }

    /// The number of matrix products, convolutions and their gradients of a training step that matrix units compute in half
    /// precision, and of all of them.
    pub fn half_products(&self) -> [usize; 2] {
        let plan = self.engine.plan(self.train.program);
        let name = |work: &&PlannedNode| plan.graph.node(work.node).op().map_or("", |op| op.name());
        let products: Vec<_> = plan.work.iter().filter(|work| half::PRODUCTS.contains(&name(work))).collect();
        [products.iter().filter(|work| half::is_by_matrix_units(&work.lowering)).count(), products.len()]
    }

    /// The shape of the features of an image, if features are kept instead of the images.
    pub fn features(&self) -> Option<[usize; 3]> {
        self.features.as_ref().map(|features| features.input)
    }

    /// Computes and uploads the features of a split, if features are kept and not up to date. Returns whether they are up to date
    /// now: not if `progress` returned false before the end.
    async fn make_features(&mut self, part: SplitName, progress: &mut Watch<'_>) -> Result<bool> {
        let stage = self.stage(part);
        let (Some(features), Some(stage)) = (&mut self.features, stage) else { return Ok(true) };
        let split = match features.make(&mut self.engine, part, progress).await? {
            Made::Now(split) => split,
            Made::Before => return Ok(true),
            Made::Stopped => return Ok(false),
        };
        let as_what = (self.task, self.classes.len());
        stage.data.upload(&mut self.engine, as_what, &split, self.sets.as_ref())?;
        if stage.data.slots.is_some() {
            self.streamed.insert(stage.data.name, Arc::new(split.pixels));
        }
        Ok(true)
    }

    /// Computes the features of the training images, if features are kept: as a split with these features instead of images.
    /// `None` if `progress` returned false before the end.
    pub(super) async fn take_features(&mut self, progress: &mut Watch<'_>) -> Result<Option<Split>> {
        match &mut self.features {
            Some(features) => match features.make(&mut self.engine, SplitName::Train, progress).await? {
                Made::Now(split) => Ok(Some(split)),
                Made::Before => Ok(Some(Split::empty())),
                Made::Stopped => Ok(None),
            },
            None => Ok(Some(Split::empty())),
        }
    }

    /// The floating-point operations of a training step, and the bytes that its nodes read and write.
    pub fn step_cost(&self) -> (u64, u64) {
        let plan = self.engine.plan(self.train.program);
        (plan.flops(), plan.traffic())
    }

    /// Runs `count` training steps with the numbers of the next epoch's steps, repeated if necessary, and waits for them. For
    /// benchmarks.
    ///
    /// # Errors
    /// When the device is lost.
    pub async fn repeat_steps(&mut self, count: usize) -> Result<()> {
        let steps = self.epoch_steps();
        self.engine.schedule(self.train.program, &steps)?;
        let mut done = 0;
        while done < count {
            self.engine.ready().await?;
            let now = self.engine.steps_at_once(self.train.program).min(steps.len()).min(count - done);
            let first = done % (steps.len() - now + 1);
            self.engine.run(self.train.program, first..first + now)?;
            done += now;
        }
        self.engine.wait().await
    }

    /// Leaves an engine that failed, with its memory. The trainer is only good for its counters and its recipe then.
    #[cfg(feature = "files")]
    pub(crate) fn leave_engine(&mut self) {
        self.engine = Engine::cpu();
    }

    /// Returns the engine. It keeps the run's plans and buffers.
    pub fn into_engine(self) -> Engine {
        self.engine
    }

    /// The number of steps in a whole epoch.
    pub fn steps(&self) -> u32 {
        let (rows, batch, parts) = (self.train.data.rows, self.train.batch, self.recipe.training.accumulate);
        (if self.recipe.training.drop_last { rows / (parts * batch) * parts } else { rows.div_ceil(batch) }) as u32
    }

    /// The number of steps in the next epoch, which is the last one and ends early if the recipe's epochs have a fraction.
    pub(super) fn steps_now(&self) -> u32 {
        self.recipe.training.steps_of(self.counters.epoch, self.steps())
    }

    /// The progress of the run, in updates, before a step of the next epoch.
    fn progress(&self, step: u32) -> TrainingProgress {
        let training = &self.recipe.training;
        let (step, steps) = (step / training.accumulate as u32, training.updates(self.steps()));
        TrainingProgress { epoch: self.counters.epoch, step, steps, epochs: training.epochs }
    }
}
