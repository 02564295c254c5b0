//! Batch normalisation (Ioffe and Szegedy 2015), as in PyTorch. Each channel is (x - mean) / standard deviation,
//! times gamma, plus beta. In training, the statistics come from the batch's valid rows and all pixels, in two
//! passes. In inference, running statistics are used. Then the whole is one factor and one shift per channel, which
//! fuse into the convolution before it.

pub mod cases;
mod inference;
mod normalise;
mod running;
mod statistics;

pub use inference::NormFactor;
pub use normalise::{BatchNorm, BatchNormBackward, BatchNormCoefficients};
pub use running::UpdateRunning;
pub use statistics::{ChannelStatistic, Statistic};

use crate::graph::{DType, Graph, NodeId, TensorType};
use crate::ops::across_ranks::{Across, AcrossRanks};
use crate::ops::{Real, Step};
use crate::{Error, Result};

/// A normalised batch and its statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchNormed {
    /// The normalised x, of x's shape.
    pub y: NodeId,
    /// Each channel's mean over the valid rows, `[channels]`.
    pub mean: NodeId,
    /// Each channel's variance over the valid rows, divided by their number (biased), `[channels]`.
    pub variance: NodeId,
}

/// A tensor `[batch, channels]` or `[batch, channels, height, width]` as `[batch, channels, pixels]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Channels {
    batch: usize,
    channels: usize,
    pixels: usize,
}

impl Channels {
    fn of(x: &TensorType) -> Result<Self, String> {
        match *x.dims() {
            [batch, channels] if x.dtype == DType::F32 => Ok(Self { batch, channels, pixels: 1 }),
            [batch, channels, height, width] if x.dtype == DType::F32 => {
                Ok(Self { batch, channels, pixels: height * width })
            }
            _ => Err("it takes floats, batch x channels or batch x channels x height x width".into()),
        }
    }

    /// An error if one of the types is not one float per channel.
    fn check(&self, others: &[TensorType]) -> Result<(), String> {
        match others.iter().find(|ty| **ty != TensorType::f32([self.channels])) {
            Some(other) => Err(format!("there are {} channels, but {other} was given for them", self.channels)),
            None => Ok(()),
        }
    }

    /// The elements of one channel of one image.
    fn plane<'a, T>(&self, x: &'a [T], image: usize, channel: usize) -> &'a [T] {
        &x[(image * self.channels + channel) * self.pixels..][..self.pixels]
    }

    /// The number of valid rows.
    fn valid(&self, step: &Step) -> usize {
        self.batch.min(step.valid as usize)
    }
}

/// 1 / count, or 0 if the count is 0.
fn share<T: Real>(count: usize) -> T {
    if count == 0 { T::zero() } else { T::one() / T::count(count) }
}

/// The statistic of this rank's part of a batch from which that of all ranks is made; else the statistic itself.
fn own_statistic(graph: &Graph, statistic: NodeId) -> NodeId {
    match graph.node(statistic).op_as::<AcrossRanks>() {
        Some(_) => graph.node(statistic).inputs()[0],
        None => statistic,
    }
}

impl Graph {
    /// Normalises x by the statistics of its valid rows, for training. gamma and beta are `[channels]`. `epsilon` is
    /// added to the variance. Masked rows do not contribute to the statistics.
    ///
    /// # Errors
    /// When x has neither two nor four axes, or gamma or beta is not one float per channel.
    pub fn batch_norm(&mut self, x: NodeId, gamma: NodeId, beta: NodeId, epsilon: f32) -> Result<BatchNormed> {
        self.batch_norm_by(x, [gamma, beta], epsilon, |_, statistic| Ok(statistic))
    }

    /// As [`Graph::batch_norm`], by the statistics of all ranks of a training, of which each has a part of the batch.
    ///
    /// # Errors
    /// As [`Graph::batch_norm`].
    pub fn batch_norm_across_ranks(
        &mut self,
        x: NodeId,
        gamma: NodeId,
        beta: NodeId,
        epsilon: f32,
    ) -> Result<BatchNormed> {
        let across = |graph: &mut Self, statistic| graph.apply(AcrossRanks { how: Across::Mean }, &[statistic]);
        self.batch_norm_by(x, [gamma, beta], epsilon, across)
    }

    fn batch_norm_by(
        &mut self,
        x: NodeId,
        [gamma, beta]: [NodeId; 2],
        epsilon: f32,
        statistic: impl Fn(&mut Self, NodeId) -> Result<NodeId>,
    ) -> Result<BatchNormed> {
        let mean = self.apply(ChannelStatistic { what: Statistic::Mean }, &[x])?;
        let mean = statistic(self, mean)?;
        let variance = self.apply(ChannelStatistic { what: Statistic::Variance }, &[x, mean])?;
        let variance = statistic(self, variance)?;
        let y = self.apply(BatchNorm { epsilon, ..BatchNorm::default() }, &[x, mean, variance, gamma, beta])?;
        Ok(BatchNormed { y, mean, variance })
    }

    /// Moves running statistics towards those of a batch, which [`Graph::batch_norm`] returns: running = (1 -
    /// momentum) running + momentum batch. The running statistics are leaves `[channels]`. The variance is multiplied
    /// by n / (n - 1) first (unbiased), as in PyTorch.
    ///
    /// # Errors
    /// When `variance` is not the variance of a batch, or the running statistics are not leaves of the same shape.
    pub fn update_running(
        &mut self,
        mean: NodeId,
        variance: NodeId,
        running_mean: NodeId,
        running_variance: NodeId,
        momentum: f32,
    ) -> Result<()> {
        let updates = self.running_updates(variance, momentum)?;
        for ((value, running), op) in [(mean, running_mean), (variance, running_variance)].into_iter().zip(updates) {
            self.update(op, &[value], &[running])?;
        }
        Ok(())
    }

    /// The ops that move a running mean and a running variance towards those of a batch, which has this variance: see
    /// [`Graph::update_running`].
    ///
    /// # Errors
    /// When `variance` is not the variance of a batch.
    pub fn running_updates(&self, variance: NodeId, momentum: f32) -> Result<[UpdateRunning; 2]> {
        let node = self.node(own_statistic(self, variance));
        let of_batch = node.op_as::<ChannelStatistic>().filter(|op| op.what == Statistic::Variance);
        let (Some(_), &[x, _]) = (of_batch, node.inputs()) else {
            return Err(Error::Shape(format!(
                "running statistics are moved towards those of a batch, but '{}' is not a batch's variance",
                node.name
            )));
        };
        let Channels { pixels, .. } = Channels::of(self.ty(x)).map_err(Error::Shape)?;
        Ok([false, true].map(|unbias| UpdateRunning { momentum, unbias, pixels }))
    }

    /// Normalises x by given statistics, for inference: (x - mean) factor + beta. The factor, gamma / standard
    /// deviation, is computed once per channel. The rest fuses into the convolution before it. All inputs except x
    /// are `[channels]`.
    ///
    /// # Errors
    /// As [`Graph::batch_norm`].
    pub fn batch_norm_inference(
        &mut self,
        x: NodeId,
        mean: NodeId,
        variance: NodeId,
        gamma: NodeId,
        beta: NodeId,
        epsilon: f32,
    ) -> Result<NodeId> {
        let refuse = |graph: &Self, reason| Error::Shape(format!("batch norm of '{}': {reason}", graph.node(x).name));
        let layout = Channels::of(self.ty(x)).map_err(|reason| refuse(self, reason))?;
        let given = [mean, variance, gamma, beta].map(|id| self.ty(id).clone());
        layout.check(&given).map_err(|reason| refuse(self, reason))?;
        let factor = self.norm_factor(gamma, variance, epsilon)?;
        let shape = if self.dims(x).len() == 2 { vec![layout.channels] } else { vec![layout.channels, 1, 1] };
        let [mean, factor, beta] = [mean, factor, beta].map(|id| self.reshape(id, shape.clone()));
        let centred = self.sub(x, mean?)?;
        let scaled = self.mul(centred, factor?)?;
        self.add(scaled, beta?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Engine;
    use crate::graph::{Passes, Plan, PlanOptions, Target, optimize};
    use crate::ops::conv2d::Geometry;

    fn leaf(graph: &mut Graph, name: &str, dims: &[usize]) -> Result<NodeId> {
        graph.leaf(name, 0, TensorType::f32(dims))
    }

    /// A convolution with a bias, then batch norm with given statistics, a residual and an activation.
    fn block() -> Result<Graph> {
        let mut graph = Graph::new();
        let x = leaf(&mut graph, "x", &[2, 3, 6, 5])?;
        let w = leaf(&mut graph, "w", &[4, 3, 3, 3])?;
        let bias = leaf(&mut graph, "bias", &[4, 1, 1])?;
        let residual = leaf(&mut graph, "residual", &[2, 4, 6, 5])?;
        let mut channels = |name| leaf(&mut graph, name, &[4]);
        let [mean, variance] = [channels("mean")?, channels("variance")?];
        let [gamma, beta] = [channels("gamma")?, channels("beta")?];
        let y = graph.conv2d(x, w, Geometry::padded(1))?;
        let y = graph.add(y, bias)?;
        let y = graph.batch_norm_inference(y, mean, variance, gamma, beta, 1e-5)?;
        let y = graph.add(y, residual)?;
        let y = graph.relu(y)?;
        graph.output("y", y);
        Ok(graph)
    }

    fn value(graph: &Graph, passes: Passes) -> Result<Vec<f32>> {
        let plan = Plan::new(optimize(graph, passes)?, &Target::cpu(), PlanOptions::default())?;
        let mut engine = Engine::cpu();
        let program = engine.load(plan)?;
        for (number, (name, buffer)) in graph.buffers().iter().enumerate() {
            let of = |i: usize| 0.5 + ((i * 37 + 11 * number) % 19) as f32 / 19.0;
            engine.write(name, 0, &(0..buffer.len).map(of).collect::<Vec<f32>>())?;
        }
        engine.schedule(program, &[Step::new(0, 2, 1)])?;
        engine.run(program, 0..1)?;
        crate::blocking::block_on(engine.read_output(program, "y"))
    }

    #[test]
    fn given_statistics_join_the_convolution() -> Result<()> {
        let graph = block()?;
        let plan = Plan::new(optimize(&graph, Passes::default())?, &Target::portable(), PlanOptions::default())?;
        let ops: Vec<_> =
            plan.work.iter().filter_map(|work| plan.graph.node(work.node).op()).map(|op| op.name()).collect();
        assert_eq!(ops, ["norm_factor", "conv2d"]);
        let bindings = plan.work.iter().flat_map(|work| &work.lowering.dispatches).map(|dispatch| dispatch.slots.len());
        assert_eq!(bindings.max(), Some(8));
        let (fused, plain) = (value(&graph, Passes::default())?, value(&graph, Passes::NONE)?);
        assert!(plain.iter().any(|&y| y > 0.5));
        for (fused, plain) in fused.iter().zip(&plain) {
            assert!((fused - plain).abs() <= 1e-5 * (1.0 + plain.abs()), "{fused} is not {plain}");
        }
        Ok(())
    }

    #[test]
    fn a_residual_and_an_activation_join_the_normalisation() -> Result<()> {
        let mut graph = Graph::new();
        let x = leaf(&mut graph, "x", &[2, 3, 4, 4])?;
        let residual = leaf(&mut graph, "residual", &[2, 3, 4, 4])?;
        let (gamma, beta) = (leaf(&mut graph, "gamma", &[3])?, leaf(&mut graph, "beta", &[3])?);
        let y = graph.batch_norm(x, gamma, beta, 1e-5)?.y;
        let y = graph.add(y, residual)?;
        let y = graph.relu(y)?;
        graph.output("y", y);
        let graph = optimize(&graph, Passes::default())?;
        let ops: Vec<_> = graph.nodes().iter().filter_map(|node| node.op()).map(|op| op.name()).collect();
        assert_eq!(ops, ["channel_mean", "channel_variance", "batch_norm"]);
        Ok(())
    }

    #[test]
    fn what_is_no_statistic_of_a_batch_is_refused() -> Result<()> {
        let mut graph = Graph::new();
        let x = leaf(&mut graph, "x", &[4, 3])?;
        let mut channels = |name| leaf(&mut graph, name, &[3]);
        let [gamma, beta, running] = [channels("gamma")?, channels("beta")?, channels("running")?];
        let refusal = graph.update_running(gamma, beta, running, running, 0.1).unwrap_err().to_string();
        assert!(refusal.ends_with("'beta' is not a batch's variance"), "{refusal}");
        let y = graph.apply(BatchNorm::default(), &[x, running, running, gamma, beta])?;
        let refusal = graph.gradient_from(y, x, &[x]).unwrap_err().to_string();
        assert!(refusal.contains("only if mean and variance are those of its input"), "{refusal}");
        let short = leaf(&mut graph, "short", &[2])?;
        let refusal = graph.batch_norm(x, gamma, short, 1e-5).unwrap_err().to_string();
        assert!(refusal.ends_with("there are 3 channels, but 2 was given for them"), "{refusal}");
        Ok(())
    }
}
