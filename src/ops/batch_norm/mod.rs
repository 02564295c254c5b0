//! Batch normalisation (Ioffe and Szegedy 2015), as PyTorch's: each channel less its mean over its deviation, times gamma plus
//! beta. In training the statistics are the batch's, over its valid rows and all pixels, in two passes; in inference they
//! are running ones, and the whole is a factor and a shift for each channel, which joins the convolution before it.

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
use crate::ops::{Real, Step};
use crate::{Error, Result};

/// A normalised batch and what it was normalised by.
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

    /// Refuses what is not one float a channel.
    fn check(&self, others: &[TensorType]) -> Result<(), String> {
        match others.iter().find(|ty| **ty != TensorType::f32([self.channels])) {
            Some(other) => Err(format!("there are {} channels, but {other} was given for them", self.channels)),
            None => Ok(()),
        }
    }

    /// One channel of one picture.
    fn plane<'a, T>(&self, x: &'a [T], picture: usize, channel: usize) -> &'a [T] {
        &x[(picture * self.channels + channel) * self.pixels..][..self.pixels]
    }

    /// Rows that are valid.
    fn valid(&self, step: &Step) -> usize {
        self.batch.min(step.valid as usize)
    }
}

/// One over so many, or nothing of none.
fn share<T: Real>(count: usize) -> T {
    if count == 0 { T::zero() } else { T::one() / T::count(count) }
}

impl Graph {
    /// x normalised by the statistics of its valid rows, for training; gamma and beta are `[channels]`, and `epsilon` is added
    /// to the variance. Rows that are not valid take no part in the statistics.
    ///
    /// # Errors
    /// When x has neither two nor four axes, or gamma or beta are not one float a channel.
    pub fn batch_norm(&mut self, x: NodeId, gamma: NodeId, beta: NodeId, epsilon: f32) -> Result<BatchNormed> {
        let mean = self.apply(ChannelStatistic { what: Statistic::Mean }, &[x])?;
        let variance = self.apply(ChannelStatistic { what: Statistic::Variance }, &[x, mean])?;
        let y = self.apply(BatchNorm { epsilon, ..BatchNorm::default() }, &[x, mean, variance, gamma, beta])?;
        Ok(BatchNormed { y, mean, variance })
    }

    /// Moves running statistics, leaves of `[channels]`, towards a batch's, as [`Graph::batch_norm`] gives them: running =
    /// (1 - momentum) running + momentum batch, where the variance counts n / (n - 1) times (unbiased), as in PyTorch.
    ///
    /// # Errors
    /// When `variance` is not a batch's, or the running ones are not leaves of the same shape.
    pub fn update_running(
        &mut self,
        mean: NodeId,
        variance: NodeId,
        running_mean: NodeId,
        running_variance: NodeId,
        momentum: f32,
    ) -> Result<()> {
        let node = self.node(variance);
        let of_batch = node.op_as::<ChannelStatistic>().filter(|op| op.what == Statistic::Variance);
        let (Some(_), &[x, _]) = (of_batch, node.inputs()) else {
            return Err(Error::Shape(format!(
                "running statistics are moved towards those of a batch, but '{}' is not a batch's variance",
                node.name
            )));
        };
        let Channels { pixels, .. } = Channels::of(self.ty(x)).map_err(Error::Shape)?;
        for (value, running, unbias) in [(mean, running_mean, false), (variance, running_variance, true)] {
            self.update(UpdateRunning { momentum, unbias, pixels }, &[value], &[running])?;
        }
        Ok(())
    }

    /// x normalised by given statistics, for inference: (x - mean) factor + beta, where the factor, gamma over the deviation,
    /// is computed once for each channel, so that the rest joins the convolution before it. All but x are `[channels]`.
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
