//! The graphs of a run: a training step, an evaluation step, and inference on images that do not belong to a dataset.

use crate::Result;
use crate::graph::{Graph, NodeId, TensorType};
use crate::nn::models::Task;
use crate::nn::{BATCH_STATISTICS, Build, Mode, Model, PARAMS, Running, RunningUpdate, STATISTICS};
use crate::ops::augment::{self, Augment, Augmented, View};
use crate::ops::average::Average;
use crate::ops::batch::{Accumulate, Reduction};
use crate::ops::binary_cross_entropy::{BinaryCrossEntropy, ExactMatch};
use crate::ops::conv2d::Conv2d;
use crate::ops::cross_entropy::{Correct, Objective};
use crate::ops::gather::Gather;
use crate::ops::lookahead::Lookahead;
use crate::train::checkpoint::{AVERAGED, SLOW};
use crate::train::metrics::PERFECT;
use crate::train::recipe::Recipe;

pub use super::device_data::DeviceData;

/// The output of a network, `[batch, outputs]`: logits in an evaluation step, class probabilities in inference, or for an
/// autoencoder the reconstructed images.
pub const SCORES: &str = "scores";
/// The output of [`features`], `[batch, ...]`: the output of the frozen layers at the network's start.
pub const FEATURES: &str = "features";
/// The input of inference, `[batch, channels, height, width]`.
pub const INPUT: &str = "input";
/// The codes of an autoencoder, `[batch, width]`: the output of [`encoding`] and the input of [`decoding`].
pub const CODES: &str = "codes";
/// The order in which inference reads the images of [`INPUT`], `[batch]`. Only graphs with augmentation or test-time
/// augmentation have it. Its initial value, 0, is right for a batch of one image.
pub const INPUT_ORDER: &str = "input.order";
/// The input of [`explaining`], `[1, classes]`: 1 at the class that is explained, else 0.
pub const CLASS_WEIGHTS: &str = "class.weights";
/// The output of [`explaining`], with the shape of [`FEATURES`]: the gradient of the class's logit with respect to them.
pub const GRADIENT: &str = "features.gradient";
/// The buffers of the weights, and the buffers of their moving averages.
pub const AVERAGES: [(&str, &str); 2] = [(PARAMS, "ema"), (STATISTICS, "ema.statistics")];

/// A second version of the weights that a training step keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightCopy {
    /// The prefix of its tensors' names in a checkpoint.
    pub prefix: &'static str,
    /// Its buffers: of the parameters and of the running statistics.
    pub buffers: [&'static str; 2],
}

/// The copies of the weights that a recipe's training step keeps: their moving average, or Lookahead's slow weights.
pub fn copies(recipe: &Recipe) -> Vec<WeightCopy> {
    let average = WeightCopy { prefix: AVERAGED, buffers: AVERAGES.map(|(_, to)| to) };
    let slow = WeightCopy { prefix: SLOW, buffers: ["lookahead", "lookahead.statistics"] };
    let training = &recipe.training;
    [training.ema.map(|_| average), training.lookahead.map(|_| slow)].into_iter().flatten().collect()
}

/// The nodes that training and evaluation steps share after the network.
struct Head {
    scores: NodeId,
    losses: NodeId,
}

/// The images from which batches are gathered.
#[derive(Clone, Debug)]
struct Source {
    shards: Vec<NodeId>,
    order: NodeId,
    batch: usize,
    ring: bool,
}

impl Source {
    /// The images of a split on the device.
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

    /// The step's batch of augmented and normalised images, `[batch, channels, height, width]`.
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

    /// The network's output for the images as in evaluation, averaged over the recipe's views, and the images.
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

/// The buffer of the weights of the classes in a training step, `[classes]`.
pub const WEIGHTS: &str = "train.weights";

/// Computes the losses and scores of a batch from the network's output, and adds them to the split's running sums. `x` is the
/// network's input.
fn head(
    build: &mut Build,
    task: Task,
    data: DeviceData,
    source: &Source,
    (scores, x): (NodeId, NodeId),
    (objective, weighted): (Objective, bool),
) -> Result<Head> {
    let (order, batch) = (source.order, source.batch);
    build.enter("loss");
    let sums = build.leaf(data.buffer("sums"), 0, TensorType::f32([3]))?;
    let losses = match task {
        Task::Classify => {
            let labels = build.leaf(data.buffer("labels"), 0, TensorType::u32([data.rows]))?;
            let labels = build.gather(labels, order, batch)?;
            let classes = build.dims(scores).last().copied().unwrap_or(0);
            let weights = weighted.then(|| build.leaf(WEIGHTS, 0, TensorType::f32([classes])));
            let losses = build.cross_entropy_of(scores, labels, objective, weights.transpose()?)?;
            let correct = build.apply(Correct { mixed: objective.mixed }, &[scores, labels])?;
            build.update(Accumulate, &[losses, correct], &[sums])?;
            losses
        }
        Task::Tag => {
            let classes = build.dims(scores).last().copied().unwrap_or(0);
            let targets = build.leaf(data.buffer("targets"), 0, TensorType::f32([data.rows, classes]))?;
            let targets = build.gather(targets, order, batch)?;
            let weights = weighted.then(|| build.leaf(WEIGHTS, 0, TensorType::f32([classes])));
            let Objective { smoothing, mixed, .. } = objective;
            let loss = BinaryCrossEntropy { smoothing, mixed };
            let losses = build.binary_cross_entropy(loss, scores, targets, weights.transpose()?)?;
            let exact = build.apply(ExactMatch { mixed }, &[scores, targets])?;
            build.update(Accumulate, &[losses, exact], &[sums])?;
            losses
        }
        Task::Reconstruct => {
            let features = build.ty(x).elements() / batch;
            let images = build.reshape(x, [batch, features])?;
            let losses = build.squared_error(scores, images)?;
            // Masked rows have losses too, but the totals leave them out.
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

/// The peak signal-to-noise ratio of each row in dB, from its sum of squared errors: -10 log10(error / features), for values
/// from 0 to 1.
fn decibels(build: &mut Build, errors: NodeId, features: usize) -> Result<NodeId> {
    let mean = build.scale(errors, 1.0 / features as f32)?;
    // An error of 0 becomes PERFECT dB. The constant is too small to change other errors.
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
    let loss = loss(&mut build, (model, recipe), data, batch)?;
    recipe.optimizer.update(&mut build, loss, recipe.training.accumulate > 1)?;
    update_copies(&mut build, recipe)?;
    Ok(build.graph)
}

/// The loss of a training step's batch.
fn loss(build: &mut Build, (model, recipe): (&Model, &Recipe), data: DeviceData, batch: usize) -> Result<NodeId> {
    let source = Source::of(build, data, batch)?;
    let x = source.batch(build, recipe.augment.as_ref(), augment::AugmentMode::Random)?;
    let scores = model.forward(build, x)?;
    let objective = recipe.training.objective(recipe.is_mixed());
    let weighted = recipe.training.class_weights.is_some();
    let head = head(build, recipe.task_of(model), data, &source, (scores, x), (objective, weighted))?;
    build.enter("loss");
    let loss = build.batch_total(head.losses, recipe.training.reduction)?;
    build.leave();
    Ok(loss)
}

/// The part of a training step that one of several devices computes: forward and backward of a part of the batch. Its gradients are in the
/// buffers [`Optimizer::sums`](crate::optim::Optimizer::sums), and its statistics of batch norm in [`BATCH_STATISTICS`]. Returns also the
/// updates of running statistics that are left to [`running`].
///
/// # Errors
/// As [`training`].
pub fn contribution(
    model: &Model,
    recipe: &Recipe,
    data: DeviceData,
    batch: usize,
) -> Result<(Graph, Vec<RunningUpdate>)> {
    let mut build = Build::new(model.parameters(), Mode::Training)?;
    (build.running, build.sync_batch_norm) = (Running::Later, recipe.training.sync_batch_norm);
    declare_batch_statistics(&mut build)?;
    let loss = loss(&mut build, (model, recipe), data, batch)?;
    recipe.optimizer.sum_gradients(&mut build, loss)?;
    Ok((build.graph, build.later))
}

/// Declares the whole buffer of a batch's statistics, so that every graph does with the same length.
fn declare_batch_statistics(build: &mut Build) -> Result<()> {
    match build.parameters().statistics().flat_len() {
        0 => Ok(()),
        len => build.leaf(BATCH_STATISTICS, 0, TensorType::f32([len])).map(|_| ()),
    }
}

/// The updates of the running statistics by the statistics of one part of a batch, from [`BATCH_STATISTICS`].
///
/// # Errors
/// When the updates do not fit the model.
pub fn running(model: &Model, updates: &[RunningUpdate]) -> Result<Graph> {
    let mut build = Build::new(model.parameters(), Mode::Training)?;
    declare_batch_statistics(&mut build)?;
    for RunningUpdate { offset, len, op } in updates {
        let [value, running] =
            [BATCH_STATISTICS, STATISTICS].map(|name| build.leaf(name, *offset, TensorType::f32([*len])));
        build.update(op.clone(), &[value?], &[running?])?;
    }
    Ok(build.graph)
}

/// The update of the weights and of their copies from the sums of the gradients of all parts of a batch.
///
/// # Errors
/// When no parameter is trained.
pub fn update(model: &Model, recipe: &Recipe) -> Result<Graph> {
    let mut build = Build::new(model.parameters(), Mode::Training)?;
    recipe.optimizer.update_from_sums(&mut build)?;
    update_copies(&mut build, recipe)?;
    Ok(build.graph)
}

/// Updates the copies of the weights that a recipe's training step keeps.
fn update_copies(build: &mut Build, recipe: &Recipe) -> Result<()> {
    for copy in copies(recipe) {
        build.enter(copy.buffers[0]);
        update_copy(build, recipe, copy)?;
        build.leave();
    }
    Ok(())
}

/// Updates a copy of the weights after the update of the weights, or both.
fn update_copy(build: &mut Build, recipe: &Recipe, copy: WeightCopy) -> Result<()> {
    for (from, to) in [PARAMS, STATISTICS].into_iter().zip(copy.buffers) {
        let Some(len) = build.buffers().get(from).map(|buffer| buffer.len) else { continue };
        let weights = build.leaf(from, 0, TensorType::f32([len]))?;
        let copied = build.leaf(to, 0, TensorType::f32([len]))?;
        match recipe.training.ema {
            Some(decay) => build.update(Average { decay: decay as f32 }, &[], &[weights, copied])?,
            None => build.update(Lookahead, &[], &[weights, copied])?,
        };
    }
    Ok(())
}

/// An evaluation step: forward, losses and scores, with the output [`SCORES`].
///
/// # Errors
/// When the model's output does not fit the task.
pub fn evaluation(model: &Model, recipe: &Recipe, data: DeviceData, batch: usize) -> Result<Graph> {
    let mut build = Build::new(model.parameters(), Mode::Evaluation)?;
    let source = Source::of(&mut build, data, batch)?;
    let measured = source.measured(&mut build, model, recipe)?;
    let head = head(&mut build, recipe.task_of(model), data, &source, measured, (Objective::default(), false))?;
    build.output(SCORES, head.scores);
    Ok(build.graph)
}

/// The first `layers` layers of a network on images as in evaluation, with the output [`FEATURES`].
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

/// The images of [`INPUT`]; also as a source in the order of [`INPUT_ORDER`] if `ordered` is true.
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

/// The answers of a network from its output: the probabilities of classes, which exclude each other or, with any number of labels, do not;
/// for an autoencoder the output itself.
pub(crate) fn answers(graph: &mut Graph, task: Task, scores: NodeId) -> Result<NodeId> {
    match task {
        Task::Classify => graph.softmax(scores),
        Task::Tag => graph.sigmoid(scores),
        Task::Reconstruct => Ok(scores),
    }
}

/// Inference on images `[channels, height, width]` from [`INPUT`]. The output [`SCORES`] is the class probabilities or the
/// reconstructed images.
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
    scores = answers(&mut build, recipe.task_of(model), scores)?;
    build.output(SCORES, scores);
    Ok(build.graph)
}

/// What [`explaining`] builds.
#[derive(Clone, Debug)]
pub struct Explaining {
    /// The graph.
    pub graph: Graph,
    /// The height and width of the middle of an image that the network sees.
    pub seen: [usize; 2],
    /// Channels, height and width of the feature map.
    pub grid: [usize; 3],
}

/// Inference on one image from [`INPUT`] with the gradient of one logit, for Grad-CAM. The outputs are the class probabilities,
/// [`SCORES`], the last convolution's feature map, [`FEATURES`], and its [`GRADIENT`]. `None` when the network has no convolution.
///
/// # Errors
/// When the shapes do not fit.
pub fn explaining(model: &Model, recipe: &Recipe, input: [usize; 3]) -> Result<Option<Explaining>> {
    let mut build = Build::new(model.parameters(), Mode::Evaluation)?;
    let x = still(&mut build, recipe, input, 1)?;
    let logits = model.forward(&mut build, x)?;
    let Some(features) = last_feature_map(&build) else { return Ok(None) };
    let shape = build.ty(logits).clone();
    let weights = build.leaf(CLASS_WEIGHTS, 0, shape)?;
    let chosen = build.mul(logits, weights)?;
    let chosen = build.sum(chosen, 0, 1)?;
    let gradient = build.gradient(chosen, &[features])?[0];
    let scores = answers(&mut build, recipe.task_of(model), logits)?;
    build.output(SCORES, scores);
    build.output(FEATURES, features);
    build.output(GRADIENT, gradient);
    let size = |dims: &[usize]| [dims[1], dims[2], dims[3]];
    let ([_, height, width], grid) = (size(build.dims(x)), size(build.dims(features)));
    Ok(Some(Explaining { graph: build.graph, seen: [height, width], grid }))
}

/// The feature map of the last convolution with more than one place, after its bias, batch norm, residual, activation and
/// concatenation with other branches: the last values of its height and width that are computed from it.
fn last_feature_map(graph: &Graph) -> Option<NodeId> {
    let has_places = |id: NodeId| graph.dims(id)[2..].iter().product::<usize>() > 1;
    let convolution = |&id: &NodeId| graph.node(id).op_as::<Conv2d>().is_some() && has_places(id);
    let found = graph.ids().rev().find(convolution)?;
    let mut map = found;
    for id in graph.ids().skip(found.index() + 1) {
        if graph.dims(id).get(2..) == Some(&graph.dims(found)[2..]) && graph.node(id).inputs().contains(&map) {
            map = id;
        }
    }
    Some(map)
}

/// What a network knows of images `[channels, height, width]` from [`INPUT`], as the output [`CODES`], `[batch, width]`: an
/// autoencoder's code, or what reaches the classifier, as the mean over the places of an image.
///
/// # Errors
/// When the model cannot be built for the batch.
pub fn embedding(model: &Model, recipe: &Recipe, input: [usize; 3], batch: usize) -> Result<Graph> {
    if model.task() == Task::Reconstruct {
        return encoding(model, recipe, input, batch);
    }
    let mut build = Build::new(model.parameters(), Mode::Evaluation)?;
    let images = still(&mut build, recipe, input, batch)?;
    let found = model.forward_first(model.layers_before_classifier(), &mut build, images)?;
    let codes = match build.dims(found).len() {
        4 => build.global_average_pool(found)?,
        _ => found,
    };
    build.output(CODES, codes);
    Ok(build.graph)
}

/// A network in training mode on images `[channels, height, width]` as in evaluation from [`INPUT`]. Each run replaces the running
/// statistics of batch norm by those of its batch. The output is [`SCORES`], the logits.
///
/// # Errors
/// When the model cannot be built for the batch.
pub fn measuring(model: &Model, recipe: &Recipe, input: [usize; 3], batch: usize) -> Result<Graph> {
    let mut build = Build::new(model.parameters(), Mode::Training)?;
    build.running = Running::Replace;
    let images = still(&mut build, recipe, input, batch)?;
    let scores = model.forward(&mut build, images)?;
    build.output(SCORES, scores);
    Ok(build.graph)
}

/// The images `[channels, height, width]` of [`INPUT`] as the network sees them, without test-time augmentation.
fn still(build: &mut Build, recipe: &Recipe, input: [usize; 3], batch: usize) -> Result<NodeId> {
    match outside(build, input, batch, recipe.augment.is_some())? {
        (_, Some(source)) => source.batch(build, recipe.augment.as_ref(), augment::AugmentMode::MIDDLE),
        (images, None) => Ok(images),
    }
}

/// The encoder of an autoencoder on images `[channels, height, width]` from [`INPUT`], with the output [`CODES`].
///
/// # Errors
/// When the model is no autoencoder.
pub fn encoding(model: &Model, recipe: &Recipe, input: [usize; 3], batch: usize) -> Result<Graph> {
    let mut build = Build::new(model.parameters(), Mode::Evaluation)?;
    let images = still(&mut build, recipe, input, batch)?;
    let codes = model.encode(&mut build, images)?;
    build.output(CODES, codes);
    Ok(build.graph)
}

/// The decoder of an autoencoder on the codes from [`CODES`]. The output [`SCORES`] is the reconstructed images.
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
