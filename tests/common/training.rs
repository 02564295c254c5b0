//! Small runs on glyphs, for tests on either engine.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use gpunn::Engine;
use gpunn::data::Dataset;
use gpunn::nn::ParameterKind;
use gpunn::optim::{Method, Optimizer, OptimizerGroup};
use gpunn::runs::{Experiment, Observer, RunDirectory, RunOutcome};
use gpunn::train::{EpochLine, EpochProgress, Lookahead, Recipe, Summary, Trainer, TrainerOptions};

/// The network of the complete example in the documentation.
pub fn documented() -> String {
    let (_, after) = include_str!("../../docs/networks.md").split_once("```toml\n").expect("an example");
    after.split_once("```").expect("its end").0.to_owned()
}

/// The recipe `glyphs-mlp` with this number of images and epochs, in batches of 16, after a change; and its dataset.
pub fn small(images: usize, epochs: u32, change: impl Fn(&mut Recipe)) -> (Recipe, Dataset) {
    let mut recipe = Recipe::find("glyphs-mlp").expect("built in");
    recipe.data.limit_train = Some(images);
    recipe.training.epochs = epochs.into();
    recipe.training.batch_size = 16;
    change(&mut recipe);
    recipe.validate().expect("a recipe that can train");
    let dataset = recipe.load_data(None).expect("embedded");
    (recipe, dataset)
}

/// Adds clipping and a schedule to a recipe with momentum.
pub fn with_a_schedule(recipe: &mut Recipe) {
    recipe.optimizer.clip = Some(0.5);
    recipe.schedule = "cosine".parse().expect("a schedule");
}

/// Changes a recipe's optimizer to AdamW, and adds dropout.
pub fn with_adamw_and_dropout(recipe: &mut Recipe) {
    recipe.model.dropout = 0.2;
    recipe.optimizer = Optimizer { name: Method::AdamW, weight_decay: 0.01, ..Optimizer::sgd(1e-3) };
}

/// Trains with SGD and Muon, with groups, Lookahead and half an epoch less.
pub fn with_muon_and_lookahead(recipe: &mut Recipe) {
    let biases = OptimizerGroup {
        learning_rate: Some(0.05),
        weight_decay: Some(0.01),
        until: Some(1.5),
        schedule: Some("linear".parse().expect("a schedule")),
        ..OptimizerGroup::of(ParameterKind::Biases)
    };
    let groups = vec![OptimizerGroup::muon(ParameterKind::Weights, 0.05, 0.6), biases];
    recipe.optimizer = Optimizer { groups, nesterov: true, ..Optimizer::sgd_momentum(0.05, 0.85) };
    recipe.schedule = "triangular:0.2:0.3:0.1".parse().expect("a schedule");
    recipe.training.lookahead = Some(Lookahead { every: 4, decay: 0.9, ramp: 1.0 });
    recipe.training.drop_last = true;
    recipe.training.epochs -= 0.5;
}

/// A trainer with the usual options.
pub fn trainer(engine: Engine, recipe: &Recipe, dataset: &Dataset) -> Trainer {
    Trainer::new(engine, recipe.clone(), dataset, TrainerOptions::default()).expect("a trainer")
}

/// Trains the next epoch without interruption.
pub fn epoch(trainer: &mut Trainer) -> EpochLine {
    gpunn::blocking::block_on(trainer.epoch(&mut |_| true)).expect("trained").expect("whole")
}

/// Trains this many epochs and returns their lines.
pub fn epochs(trainer: &mut Trainer, count: u32) -> Vec<EpochLine> {
    (0..count).map(|_| epoch(trainer)).collect()
}

/// The hash of the current weights.
pub fn hash(trainer: &mut Trainer) -> String {
    let weights = gpunn::blocking::block_on(trainer.weights()).expect("weights");
    trainer.model().parameters().hash(&weights)
}

/// Stops a run after a number of submits, of training or of validation.
pub struct Until {
    /// The number of submits that are left.
    pub left: u32,
}

impl Until {
    /// Never stops the run.
    pub fn end() -> Self {
        Self { left: u32::MAX }
    }
}

impl Observer for Until {
    fn progress(&mut self, _: u32, _: EpochProgress) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }
    fn epoch(&mut self, _: &EpochLine) -> bool {
        self.left > 0
    }
    fn not_written(&mut self, error: &gpunn::Error) {
        panic!("{error}");
    }
    fn not_finite(&mut self, what: &str) {
        panic!("{what}");
    }
    fn device_failed(&mut self, error: &gpunn::Error, _: &str) {
        panic!("{error}");
    }
}

/// A run that has not begun, in a new folder.
pub fn begin(trainer: Trainer, path: &Path) -> Experiment {
    let run = RunDirectory::create(path, trainer.recipe(), false).expect("a directory");
    Experiment::without_images(trainer, run)
}

/// Trains a run to its end.
pub fn finish(experiment: &mut Experiment) -> Summary {
    match gpunn::blocking::block_on(experiment.run(&mut Until::end())).expect("trained") {
        RunOutcome::Finished(summary) => *summary,
        RunOutcome::Interrupted { .. } => panic!("nothing interrupts it"),
    }
}

/// Trains a run to its end. Trains the same run again with stops after these numbers of submits, and asserts that the
/// weights and the metrics have the same bits. `engine` makes the engine of each part of the run.
pub fn stops_and_resumes(
    (recipe, dataset): (&Recipe, &Dataset),
    folder: &Path,
    stops: &[u32],
    engine: &mut dyn FnMut() -> Engine,
) {
    let mut whole = begin(trainer(engine(), recipe, dataset), &folder.join("whole"));
    let wanted = finish(&mut whole).weights_hash;
    let path = folder.join("parts");
    let mut parts = begin(trainer(engine(), recipe, dataset), &path);
    let mut stopped = Vec::new();
    for &left in stops {
        match gpunn::blocking::block_on(parts.run(&mut Until { left })).expect("trained") {
            RunOutcome::Interrupted { epochs, steps } => stopped.push((epochs, steps)),
            RunOutcome::Finished(_) => break,
        }
        let run = RunDirectory::open(&path).expect("a run");
        let checkpoint = run.last().expect("a checkpoint");
        parts = Experiment::resumed(trainer(engine(), recipe, dataset), run, dataset, &checkpoint).expect("resumed");
    }
    assert!(stopped.iter().any(|&(_, steps)| steps > 0), "none within an epoch: {stopped:?}");
    assert_eq!(finish(&mut parts).weights_hash, wanted, "stopped at {stopped:?}");
    let figures = |experiment: &Experiment| {
        let lines = experiment.run.metrics().expect("lines");
        let of = |l: EpochLine| (l.epoch, l.train_loss, l.train_accuracy, l.val_loss, l.val_accuracy);
        lines.into_iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(figures(&whole), figures(&parts));
}

/// A clock that moves a second at each look.
pub fn fast_clock() -> f64 {
    static SECONDS: AtomicU32 = AtomicU32::new(0);
    f64::from(SECONDS.fetch_add(1, Ordering::Relaxed))
}

/// A run of two steps that are expected to take long.
pub fn long_steps() -> (Recipe, Dataset) {
    small(512, 1, |recipe| {
        recipe.model.hidden = Some(vec![3072]);
        recipe.training.batch_size = 256;
    })
}

/// Stops an epoch of two long steps within a step, and goes on. Asserts that the weights
/// at its end have the same bits as without a stop, and that a step was given up only where it would have taken too long: by a clock
/// that moves a second at each look, or by one that stands.
pub fn gives_up_long_steps(engine: &mut dyn FnMut() -> Engine) {
    let (recipe, dataset) = long_steps();
    for (clock, gives_up) in [(fast_clock as fn() -> f64, true), (|| 0.0, false)] {
        let mut begin = || {
            let options = TrainerOptions { clock: Some(clock), ..TrainerOptions::default() };
            Trainer::new(engine(), recipe.clone(), &dataset, options).expect("a trainer")
        };
        let mut whole = begin();
        epoch(&mut whole);
        let wanted = hash(&mut whole);
        for stop in 0..4 {
            let (mut parts, mut asked) = (begin(), 0);
            // It says so only once, at the next question within a step. On a GPU their number depends on its speed.
            let until = &mut |at: EpochProgress| {
                asked += u32::from(at == EpochProgress::Computing);
                at != EpochProgress::Computing || asked != stop + 1
            };
            let stopped = gpunn::blocking::block_on(parts.epoch(until)).expect("trained").is_none();
            if stop == 0 {
                assert!(stopped, "a step is not asked within");
                assert_eq!(parts.counters().step, u32::from(!gives_up));
            }
            if stopped {
                epoch(&mut parts);
            }
            assert_eq!(hash(&mut parts), wanted, "stopped at {stop}");
        }
    }
}
