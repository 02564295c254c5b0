//! The graphs of a run: a training step, a measuring step, and a pass over pictures from outside.

use crate::Result;
use crate::data::{Pixels, Split};
use crate::graph::{Graph, NodeId, TensorType};
use crate::nn::models::Task;
use crate::nn::{Build, Mode, Model};
use crate::ops::batch::{Accumulate, Reduction};
use crate::train::recipe::Recipe;

/// The output of measuring and using: logits, or the picture given back, `[batch, outputs]`.
pub const SCORES: &str = "scores";
/// The leaf that pictures from outside are written into, `[batch, features]`.
pub const INPUT: &str = "input";

/// What a graph must know of a split that lies on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resident {
    /// What its buffers are named after: `train`, `val` or `test`.
    pub name: &'static str,
    /// Pictures.
    pub rows: usize,
    /// Whether values are bytes; else floats.
    pub bytes: bool,
}

impl Resident {
    /// Of a split under a name.
    pub fn of(name: &'static str, split: &Split) -> Self {
        Self { name, rows: split.len(), bytes: matches!(split.pixels, Pixels::U8(_)) }
    }
    /// The name of one of its buffers: `pixels`, `labels`, `order` or `sums`.
    pub fn buffer(&self, what: &str) -> String {
        format!("{}.{what}", self.name)
    }
}

/// The nodes that both kinds of step share.
struct Head {
    scores: NodeId,
    losses: NodeId,
}

/// Gathers a batch, runs the model, and adds losses and scores to the split's sums.
fn head(build: &mut Build, model: &Model, task: Task, data: Resident, batch: usize, smoothing: f32) -> Result<Head> {
    let features: usize = model.input().iter().product();
    let shape = [data.rows, features];
    let ty = if data.bytes { TensorType::u8(shape) } else { TensorType::f32(shape) };
    build.enter("batch");
    let pixels = build.leaf(data.buffer("pixels"), 0, ty)?;
    let order = build.leaf(data.buffer("order"), 0, TensorType::u32([data.rows]))?;
    let x = build.gather(pixels, order, batch)?;
    build.leave();
    let picture: Vec<usize> = std::iter::once(batch).chain(model.input().iter().copied()).collect();
    let shaped = build.reshape(x, picture)?;
    let scores = model.forward(build, shaped)?;
    build.enter("loss");
    let sums = build.leaf(data.buffer("sums"), 0, TensorType::f32([3]))?;
    let losses = match task {
        Task::Classify => {
            let labels = build.leaf(data.buffer("labels"), 0, TensorType::u32([data.rows]))?;
            let labels = build.gather(labels, order, batch)?;
            let losses = build.cross_entropy(scores, labels, smoothing)?;
            let correct = build.correct(scores, labels)?;
            build.update(Accumulate, &[losses, correct], &[sums])?;
            losses
        }
        Task::Reconstruct => {
            let losses = build.squared_error(scores, x)?;
            // Rows that are not valid lose something too; the totals leave them out.
            let total = build.batch_total(losses, Reduction::Sum)?;
            let decibels = decibels(build, losses, features)?;
            let quality = build.batch_total(decibels, Reduction::Sum)?;
            build.update(Accumulate, &[total, quality], &[sums])?;
            losses
        }
    };
    build.leave();
    Ok(Head { scores, losses })
}

/// Peak signal-to-noise ratio of each row in dB from its summed squared error: -10 log10(error / features), for values
/// from 0 to 1.
fn decibels(build: &mut Build, errors: NodeId, features: usize) -> Result<NodeId> {
    let mean = build.scale(errors, 1.0 / features as f32)?;
    let logarithm = build.log(mean)?;
    build.scale(logarithm, (-10.0 / std::f64::consts::LN_10) as f32)
}

/// A training step: forward, backward and update.
///
/// # Errors
/// When the model's output does not fit the task.
pub fn training(model: &Model, recipe: &Recipe, data: Resident, batch: usize) -> Result<Graph> {
    let mut build = Build::new(model.parameters(), Mode::Training)?;
    let task = recipe.model.task()?;
    let head = head(&mut build, model, task, data, batch, recipe.training.label_smoothing)?;
    build.enter("loss");
    let loss = build.batch_total(head.losses, recipe.training.reduction)?;
    build.leave();
    recipe.optimizer.update(&mut build, loss)?;
    Ok(build.graph)
}

/// A measuring step: forward, losses and scores; the output [`SCORES`] can be read.
///
/// # Errors
/// When the model's output does not fit the task.
pub fn measuring(model: &Model, task: Task, data: Resident, batch: usize) -> Result<Graph> {
    let mut build = Build::new(model.parameters(), Mode::Evaluation)?;
    let head = head(&mut build, model, task, data, batch, 0.0)?;
    build.output(SCORES, head.scores);
    Ok(build.graph)
}

/// A pass over pictures that are written into [`INPUT`]: class probabilities, or the pictures given back, as [`SCORES`].
///
/// # Errors
/// When the model cannot be built for the batch.
pub fn using(model: &Model, task: Task, batch: usize) -> Result<Graph> {
    let mut build = Build::new(model.parameters(), Mode::Evaluation)?;
    let picture: Vec<usize> = std::iter::once(batch).chain(model.input().iter().copied()).collect();
    let x = build.leaf(INPUT, 0, TensorType::f32(picture))?;
    let mut scores = model.forward(&mut build, x)?;
    if task == Task::Classify {
        scores = build.softmax(scores)?;
    }
    build.output(SCORES, scores);
    Ok(build.graph)
}
