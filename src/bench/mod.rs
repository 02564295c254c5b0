//! Times of kernels, matrix products, training steps and predictions on an engine, compared with the engine's measured peak.
//!
//! ```
//! use gpunn::{Engine, bench, ops};
//!
//! let effort = bench::Effort { seconds: 0.001, repeats: 1 };
//! let case = &ops::relu::cases()[0];
//! let figure = bench::time_case(&mut Engine::cpu(), "relu".into(), case, effort)?;
//! assert_eq!(figure.name, "relu");
//! # Ok::<(), gpunn::Error>(())
//! ```

mod exchange;
pub mod peak;

pub use exchange::{ExchangeTimes, time_exchange};

use std::time::Instant;

use crate::check::Inputs;
use crate::data::{Dataset, Pixels, Split};
use crate::graph::{Graph, Passes, Plan, PlanOptions, optimize};
use crate::nn::models::ModelConfig;
use crate::ops::Step;
use crate::ops::case::Case;
use crate::optim::Optimizer;
use crate::random::{CounterRng, Purpose};
use crate::train::{self, Checkpoint, Predictor, Recipe, Trainer};
use crate::{Engine, Program, Result};

/// How long one measurement takes, and how many are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// Seconds per measurement.
    pub seconds: f64,
    /// Number of measurements.
    pub repeats: usize,
}

impl Default for Effort {
    fn default() -> Self {
        Self { seconds: 0.2, repeats: 7 }
    }
}

/// Time of one run in microseconds; each measurement averages over many runs.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct TimeStats {
    /// Median of the measurements.
    pub median_us: f64,
    /// Fastest measurement.
    pub min_us: f64,
    /// Slowest measurement.
    pub max_us: f64,
}

/// The largest number of runs in one submit.
const MAX_RUNS_PER_SUBMIT: usize = 256;

impl TimeStats {
    /// Measures `run`, which executes the given number of runs and waits for them.
    ///
    /// # Errors
    /// When a run fails.
    pub fn measure(effort: Effort, mut run: impl FnMut(usize) -> Result<()>) -> Result<Self> {
        run(1)?; // compiles the kernels
        let mut runs = 1;
        let per_run = loop {
            let start = Instant::now();
            run(runs)?;
            let seconds = start.elapsed().as_secs_f64();
            if seconds > effort.seconds / 8.0 || runs > 1 << 20 {
                break seconds / runs as f64;
            }
            runs *= 4;
        };
        let runs = ((effort.seconds / per_run) as usize).max(1);
        let mut times = Vec::new();
        for _ in 0..effort.repeats.max(1) {
            let start = Instant::now();
            run(runs)?;
            times.push(1e6 * start.elapsed().as_secs_f64() / runs as f64);
        }
        Ok(Self::of(times))
    }

    /// Of these times, at least one.
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        Self { median_us: times[times.len() / 2], min_us: times[0], max_us: times[times.len() - 1] }
    }
}

/// The measured time of a case, and its rates.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct BenchResult {
    /// Name of the case.
    pub name: String,
    /// Time of one run.
    #[serde(flatten)]
    pub timing: TimeStats,
    /// GFLOP/s; none for ops without arithmetic.
    pub gflops: Option<f64>,
    /// GB/s, each operand counted once.
    pub gbytes: f64,
    /// Share of the device's measured peak, of arithmetic or memory, whichever share is larger.
    pub share: Option<f64>,
}

impl BenchResult {
    fn new(name: String, timing: TimeStats, flops: u64, bytes: u64) -> Self {
        let per = |count: u64| count as f64 / timing.median_us / 1e3;
        Self { name, timing, gflops: (flops > 0).then(|| per(flops)), gbytes: per(bytes), share: None }
    }

    /// Adds the share of the peak.
    #[must_use]
    pub fn of_peak(self, peak: peak::Peak) -> Self {
        let share = (self.gflops.unwrap_or(0.0) / peak.gflops).max(self.gbytes / peak.gbytes);
        Self { share: Some(share), ..self }
    }
}

/// Times one case of an op.
///
/// # Errors
/// When its graph cannot be planned or the device fails.
pub fn time_case(engine: &mut Engine, name: String, case: &Case, effort: Effort) -> Result<BenchResult> {
    let (graph, ..) = case.graph()?;
    time_graph(engine, name, &graph, &Inputs::of(case), effort)
}

/// Times a graph with these inputs.
fn time_graph(
    engine: &mut Engine,
    name: String,
    graph: &Graph,
    inputs: &Inputs,
    effort: Effort,
) -> Result<BenchResult> {
    let graph = optimize(graph, Passes::default())?;
    let plan = Plan::new(graph, &engine.target(), PlanOptions::default())?;
    let (flops, bytes) = (plan.flops(), plan.traffic());
    engine.forget();
    let program = engine.load(plan)?;
    inputs.write(engine)?;
    engine.schedule(program, &vec![inputs.step; MAX_RUNS_PER_SUBMIT])?;
    let timing = TimeStats::measure(effort, |runs| repeat(engine, program, runs))?;
    Ok(BenchResult::new(name, timing, flops, bytes))
}

/// Executes `runs` runs and waits for them.
fn repeat(engine: &mut Engine, program: Program, runs: usize) -> Result<()> {
    let mut left = runs;
    while left > 0 {
        crate::blocking::block_on(engine.ready())?;
        let now = left.min(engine.steps_at_once(program)).min(MAX_RUNS_PER_SUBMIT);
        engine.run(program, 0..now)?;
        left -= now;
    }
    crate::blocking::block_on(engine.wait())
}

/// Small networks whose training steps are timed: forward, backward and SGD, with the batch gathered from a dataset on the
/// device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BenchNetwork {
    /// MLP 1024-64-36 with sigmoid.
    Mlp,
    /// CNN on 3x32x32 images: two padded 3x3 convolutions (3-32-64), each with ReLU and 2x2 max-pooling, then linear
    /// layers 4096-128-10 with ReLU between.
    Cnn,
}

impl BenchNetwork {
    /// How it is trained.
    ///
    /// # Errors
    /// When a recipe of the library does not exist, which would be a bug.
    pub fn recipe(self) -> Result<Recipe> {
        let Self::Cnn = self else { return Recipe::find("nist36-mlp") };
        let mut recipe = Recipe::find("cifar10-cnn")?;
        recipe.model = ModelConfig {
            channels: Some(vec![32, 64]),
            kernel: Some(3),
            padding: Some(1),
            hidden: Some(vec![128]),
            ..ModelConfig::named("cnn")
        };
        recipe.optimizer = Optimizer::sgd(0.01);
        recipe.augment = None;
        Ok(recipe)
    }

    fn title(self) -> &'static str {
        match self {
            Self::Mlp => "MLP 1024-64-36",
            Self::Cnn => "CNN 3-32-64-128-10 on 32x32",
        }
    }

    /// A dataset of arbitrary pixel values.
    fn dataset(self, images: usize) -> Dataset {
        let (input, classes) = match self {
            Self::Mlp => ([1, 32, 32], 36),
            Self::Cnn => ([3, 32, 32], 10),
        };
        let values = images * input.iter().product::<usize>();
        let pixels = (0..values).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let labels = (0..images as u32).map(|i| i % classes).collect();
        Dataset {
            name: "bench".into(),
            input,
            classes: (0..classes).map(|class| class.to_string()).collect(),
            sets: None,
            train: Split::new(Pixels::U8(pixels), labels),
            val: None,
            test: None,
            folder: None,
            skipped: Vec::new(),
            absent: Vec::new(),
        }
    }
}

/// Times a training step of a network at a batch size.
///
/// # Errors
/// When the network cannot be planned or the device fails.
pub fn time_step(engine: Engine, network: BenchNetwork, batch: usize, effort: Effort) -> Result<(BenchResult, Engine)> {
    let dataset = network.dataset(64 * batch.max(16));
    let mut recipe = network.recipe()?;
    recipe.training.batch_size = batch;
    let mut trainer = Trainer::new(engine, recipe, &dataset, train::TrainerOptions::default())?;
    let (flops, bytes) = trainer.step_cost();
    let timing = TimeStats::measure(effort, |runs| crate::blocking::block_on(trainer.repeat_steps(runs)))?;
    let result = BenchResult::new(format!("{} step, batch {batch}", network.title()), timing, flops, bytes);
    Ok((result, trainer.into_engine()))
}

/// Times the classification of a batch of photos of 3 x 224 x 224 by a network with a thousand classes and random weights, without
/// reading files. The pixels are random, and stay in the device's memory.
///
/// # Errors
/// When there is no such network, it cannot be planned or the device fails.
pub fn time_prediction(
    mut engine: Engine,
    network: &str,
    batch: usize,
    effort: Effort,
) -> Result<(BenchResult, Engine)> {
    let mut recipe = Recipe::find("photos")?;
    recipe.model = ModelConfig::named(network);
    let (input, classes) = ([3, 224, 224], (0..1000).map(|class| class.to_string()).collect::<Vec<_>>());
    let model = recipe.model.build(input, classes.len())?;
    let parameters = model.parameters();
    let start = Checkpoint::at_start(recipe, (input, classes), parameters, &parameters.initial_weights(1));
    engine.forget();
    let mut predictor = Predictor::with_model(engine, &model, &start, batch)?;
    let random = CounterRng::new(1, Purpose::Shuffle, 0, 0);
    let photo: Vec<f32> = (0..input.iter().product::<usize>() as u32).map(|at| random.uniform(at)).collect();
    crate::blocking::block_on(predictor.probabilities(&vec![photo; batch]))?;
    let (engine, program) = predictor.parts();
    let (flops, bytes) = (engine.plan(program).flops(), engine.plan(program).traffic());
    engine.schedule(program, &[Step::new(0, batch as u32, 0); MAX_RUNS_PER_SUBMIT])?;
    let timing = TimeStats::measure(effort, |runs| repeat(engine, program, runs))?;
    let result = BenchResult::new(format!("{network} on 224x224 prediction, batch {batch}"), timing, flops, bytes);
    Ok((result, predictor.into_engine()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An untrained SqueezeNet 1.1 needs 0.35 thousand million multiplications and as many additions for a photo of 224 x 224
    /// (F. N. Iandola and others, 2016; torchvision's table of models).
    #[test]
    fn a_prediction_counts_the_arithmetic_of_a_batch() {
        let effort = Effort { seconds: 0.001, repeats: 1 };
        let (result, _) = time_prediction(Engine::cpu(), "squeezenet", 2, effort).expect("timed");
        let flops = result.gflops.expect("counted") * 1e3 * result.timing.median_us;
        assert!((1.35e9..1.55e9).contains(&flops), "{flops}");
        assert!(time_prediction(Engine::cpu(), "no-such-network", 1, effort).is_err());
    }
}
