//! The graphs of a run: a training step, a measuring step, and a pass over images from outside.

use crate::Result;
use crate::graph::{Graph, NodeId, TensorType};
use crate::nn::models::Task;
use crate::nn::{Build, Mode, Model, PARAMS, STATISTICS};
use crate::ops::augment::{self, Augment, Augmented, View};
use crate::ops::average::Average;
use crate::ops::batch::{Accumulate, Reduction};
use crate::ops::gather::Gather;
use crate::train::metrics::PERFECT;
use crate::train::recipe::Recipe;

pub use super::device_data::DeviceData;

/// The output of measuring and using: logits, or the image given back, `[batch, outputs]`.
pub const SCORES: &str = "scores";
/// What layers that stay as they are make of a batch, `[batch, ...]`: the output of [`features`].
pub const FEATURES: &str = "features";
/// The leaf that images from outside are written into, `[batch, channels, height, width]`.
pub const INPUT: &str = "input";
/// The numbers in an autoencoder's middle, `[batch, width]`: the output of encoding, and the leaf that decoding reads.
pub const CODES: &str = "codes";
/// The leaf that says in which order they are taken, `[batch]`, where the recipe changes images or averages over views; the 0
/// that it begins with serves a batch of one.
pub const INPUT_ORDER: &str = "input.order";
/// The buffers that hold the weights, and those of their moving averages.
pub const AVERAGES: [(&str, &str); 2] = [(PARAMS, "ema"), (STATISTICS, "ema.statistics")];

/// The nodes that both kinds of step share.
struct Head {
    scores: NodeId,
    losses: NodeId,
}

/// Images to take batches from.
#[derive(Clone, Debug)]
struct Source {
    shards: Vec<NodeId>,
    order: NodeId,
    batch: usize,
    ring: bool,
}

impl Source {
    /// A split on the device.
    fn of(build: &mut Build, data: DeviceData, batch: usize) -> Result<Self> {
        let leaf = |(buffer, rows): (String, usize)| {
            let shape: Vec<usize> = std::iter::once(rows).chain(data.input).collect();
            let ty = if data.bytes { TensorType::u8(shape) } else { TensorType::f32(shape) };
            build.leaf(buffer, 0, ty)
        };
        let shards = data.shards(batch).into_iter().map(leaf).collect::<Result<_>>()?;
        let order = build.leaf(data.buffer("order"), 0, TensorType::u32([data.rows]))?;
        Ok(Self { shards, order, batch, ring: data.slots.is_some() })
    }

    /// The step's batch, as the network takes it: `[batch, channels, height, width]`.
    fn batch(&self, build: &mut Build, augment: Option<&Augment>, mode: augment::AugmentMode) -> Result<NodeId> {
        let (batch, ring) = (self.batch, self.ring);
        build.enter("batch");
        let gathered = match augment {
            None if mode == augment::AugmentMode::Random || mode == augment::AugmentMode::MIDDLE => {
                build.gather_from(&self.shards, self.order, Gather { batch, ring })
            }
            _ => {
                let augment = augment.cloned().unwrap_or_default();
                build.gather_augmented(&self.shards, self.order, Augmented { batch, augment, mode, ring })
            }
        };
        build.leave();
        gathered
    }

    /// What the network makes of the images as they are measured, and the images; averaged over the views that the recipe
    /// says.
    fn measured(&self, build: &mut Build, model: &Model, recipe: &Recipe) -> Result<(NodeId, NodeId)> {
        let augment = recipe.augment.as_ref();
        let x = self.batch(build, augment, augment::AugmentMode::MIDDLE)?;
        let plain = model.forward(build, x)?;
        let Some(tta) = recipe.training.tta else { return Ok((plain, x)) };
        let mut mean = build.scale(plain, tta.weight(View::default()))?;
        for (name, view) in tta.others() {
            build.enter(name);
            let seen = self.batch(build, augment, augment::AugmentMode::Still(view))?;
            let scores = model.forward(build, seen)?;
            let share = build.scale(scores, tta.weight(view))?;
            build.leave();
            mean = build.add(mean, share)?;
        }
        Ok((mean, x))
    }
}

/// Adds a batch's losses and scores to the split's sums, from what the network made of its images x.
fn head(
    build: &mut Build,
    task: Task,
    data: DeviceData,
    source: &Source,
    (scores, x): (NodeId, NodeId),
    smoothing: f32,
) -> Result<Head> {
    let (order, batch) = (source.order, source.batch);
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
            let features = build.ty(x).elements() / batch;
            let images = build.reshape(x, [batch, features])?;
            let losses = build.squared_error(scores, images)?;
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
    // No error at all counts as PERFECT dB; no other error is so small that this shows.
    let least = build.constant(TensorType::f32([1]), [10.0_f32.powf(-0.1 * PERFECT as f32)]);
    let mean = build.add(mean, least)?;
    let logarithm = build.log(mean)?;
    build.scale(logarithm, (-10.0 / std::f64::consts::LN_10) as f32)
}

/// A training step: forward, backward and update.
///
/// # Errors
/// When the model's output does not fit the task.
pub fn training(model: &Model, recipe: &Recipe, data: DeviceData, batch: usize) -> Result<Graph> {
    let mut build = Build::new(model.parameters(), Mode::Training)?;
    let source = Source::of(&mut build, data, batch)?;
    let x = source.batch(&mut build, recipe.augment.as_ref(), augment::AugmentMode::Random)?;
    let scores = model.forward(&mut build, x)?;
    let head = head(&mut build, model.task(), data, &source, (scores, x), recipe.training.label_smoothing)?;
    build.enter("loss");
    let loss = build.batch_total(head.losses, recipe.training.reduction)?;
    build.leave();
    recipe.optimizer.update(&mut build, loss)?;
    if let Some(decay) = recipe.training.ema {
        average(&mut build, decay as f32)?;
    }
    Ok(build.graph)
}

/// Moves the averages to the weights, after all that changes them.
fn average(build: &mut Build, decay: f32) -> Result<()> {
    build.enter("ema");
    for (from, to) in AVERAGES {
        let Some(len) = build.buffers().get(from).map(|buffer| buffer.len) else { continue };
        let weights = build.leaf(from, 0, TensorType::f32([len]))?;
        let averages = build.leaf(to, 0, TensorType::f32([len]))?;
        build.update(Average { decay }, &[], &[weights, averages])?;
    }
    build.leave();
    Ok(())
}

/// A measuring step: forward, losses and scores; the output [`SCORES`] can be read.
///
/// # Errors
/// When the model's output does not fit the task.
pub fn evaluation(model: &Model, recipe: &Recipe, data: DeviceData, batch: usize) -> Result<Graph> {
    let mut build = Build::new(model.parameters(), Mode::Evaluation)?;
    let source = Source::of(&mut build, data, batch)?;
    let measured = source.measured(&mut build, model, recipe)?;
    let head = head(&mut build, model.task(), data, &source, measured, 0.0)?;
    build.output(SCORES, head.scores);
    Ok(build.graph)
}

/// What a network's first `layers` layers make of images as they are measured, as the output [`FEATURES`].
///
/// # Errors
/// When the images do not fit the model.
pub fn features(model: &Model, recipe: &Recipe, data: DeviceData, batch: usize, layers: usize) -> Result<Graph> {
    let mut build = Build::new(model.parameters(), Mode::Evaluation)?;
    let source = Source::of(&mut build, data, batch)?;
    let x = source.batch(&mut build, recipe.augment.as_ref(), augment::AugmentMode::MIDDLE)?;
    let features = model.forward_first(layers, &mut build, x)?;
    build.output(FEATURES, features);
    Ok(build.graph)
}

/// Images from outside, in the order of [`INPUT_ORDER`] where it is used.
fn outside(build: &mut Build, input: [usize; 3], batch: usize, ordered: bool) -> Result<(NodeId, Option<Source>)> {
    let image: Vec<usize> = std::iter::once(batch).chain(input).collect();
    let images = build.leaf(INPUT, 0, TensorType::f32(image))?;
    let source = match ordered {
        true => {
            let order = build.leaf(INPUT_ORDER, 0, TensorType::u32([batch]))?;
            Some(Source { shards: vec![images], order, batch, ring: false })
        }
        false => None,
    };
    Ok((images, source))
}

/// A pass over images `[channels, height, width]` that are written into [`INPUT`]: class probabilities, or the images
/// given back, as [`SCORES`].
///
/// # Errors
/// When the model cannot be built for the batch.
pub fn using(model: &Model, recipe: &Recipe, input: [usize; 3], batch: usize) -> Result<Graph> {
    let mut build = Build::new(model.parameters(), Mode::Evaluation)?;
    let ordered = recipe.augment.is_some() || recipe.training.tta.is_some();
    let mut scores = match outside(&mut build, input, batch, ordered)? {
        (_, Some(source)) => source.measured(&mut build, model, recipe)?.0,
        (images, None) => model.forward(&mut build, images)?,
    };
    if model.task() == Task::Classify {
        scores = build.softmax(scores)?;
    }
    build.output(SCORES, scores);
    Ok(build.graph)
}

/// The first half of an autoencoder: [`CODES`] of images `[channels, height, width]` that are written into [`INPUT`].
///
/// # Errors
/// When the model is no autoencoder.
pub fn encoding(model: &Model, recipe: &Recipe, input: [usize; 3], batch: usize) -> Result<Graph> {
    let mut build = Build::new(model.parameters(), Mode::Evaluation)?;
    let (mut images, source) = outside(&mut build, input, batch, recipe.augment.is_some())?;
    if let Some(source) = source {
        images = source.batch(&mut build, recipe.augment.as_ref(), augment::AugmentMode::MIDDLE)?;
    }
    let codes = model.encode(&mut build, images)?;
    build.output(CODES, codes);
    Ok(build.graph)
}

/// The second half of an autoencoder: the images of codes that are written into [`CODES`], as [`SCORES`].
///
/// # Errors
/// When the model is no autoencoder.
pub fn decoding(model: &Model, batch: usize) -> Result<Graph> {
    let mut build = Build::new(model.parameters(), Mode::Evaluation)?;
    let width = model.bottleneck().map_or(0, |bottleneck| bottleneck.width);
    let codes = build.leaf(CODES, 0, TensorType::f32([batch, width]))?;
    let images = model.decode(&mut build, codes)?;
    build.output(SCORES, images);
    Ok(build.graph)
}
