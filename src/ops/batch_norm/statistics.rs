//! Sums of each channel over a batch's valid rows and all pixels: mean, variance, and the two sums that the gradient
//! of batch norm needs.

use crate::parallel::*;

use super::{Channels, share};
use crate::Result;
use crate::graph::TensorType;
use crate::graph::kernel::{Constant, DeviceClass, Dispatch, Kernel, Lowering, Slot};
use crate::ops::op::{PIECE, defined_by, total_of};
use crate::ops::splits::BUSY;
use crate::ops::{Call, Lower, Op, Real, Types, expect_inputs};

/// The quantity that is summed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// The mean: x / n. Input: x.
    Mean,
    /// The biased variance: (x - mean)^2 / n. Inputs: x and its mean.
    Variance,
    /// The gradient with respect to beta: dy. Input: dy.
    Sum,
    /// The gradient with respect to gamma: dy (x - mean) / sqrt(variance + epsilon). Inputs: dy, x, its mean and its
    /// variance.
    Product {
        /// Added to the variance.
        epsilon: f32,
    },
}

/// One number per channel, `[channels]`, summed over the valid rows.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelStatistic {
    /// The quantity that is summed.
    pub what: Statistic,
}

impl ChannelStatistic {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let layout = Channels::of(&call.types.inputs[0]).expect("checked when the node was built");
        let valid = layout.valid(call.step);
        let all = |term: &(dyn Fn(usize, usize) -> T + Sync), channel: usize| {
            (0..valid).fold(T::zero(), |sum, image| sum + term(image, channel))
        };
        let a = call.real(0);
        let plane = |image, channel| layout.plane(a, image, channel);
        let count = share::<T>(valid * layout.pixels);
        let others: Vec<&[T]> = (1..call.inputs.len()).map(|i| call.real(i)).collect();
        let channels = (PIECE / (layout.batch * layout.pixels).max(1)).max(1);
        call.out().par_iter_mut().with_min_len(channels).enumerate().for_each(|(channel, out)| {
            *out = match (self.what, others.as_slice()) {
                (Statistic::Variance, [mean]) => {
                    let term = |x: T, _: T| (x - mean[channel]) * (x - mean[channel]);
                    let squares = |n, c| total_of(plane(n, c), plane(n, c), term);
                    all(&squares, channel) * count
                }
                (Statistic::Product { epsilon }, [x, mean, variance]) => {
                    let term = |dy: T, x: T| dy * (x - mean[channel]);
                    let products = |n, c| total_of(plane(n, c), layout.plane(x, n, c), term);
                    all(&products, channel) / (variance[channel] + T::of(f64::from(epsilon))).sqrt()
                }
                (what, _) => {
                    let sum = all(&|n, c| total_of(plane(n, c), plane(n, c), |x, _| x), channel);
                    if what == Statistic::Mean { sum * count } else { sum }
                }
            };
        });
    }
}

impl Op for ChannelStatistic {
    fn name(&self) -> &'static str {
        match self.what {
            Statistic::Mean => "channel_mean",
            Statistic::Variance => "channel_variance",
            Statistic::Sum => "channel_sum",
            Statistic::Product { .. } => "channel_product",
        }
    }

    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        let (maps, count) = match self.what {
            Statistic::Mean | Statistic::Sum => (1, 1),
            Statistic::Variance => (1, 2),
            Statistic::Product { .. } => (2, 4),
        };
        expect_inputs(inputs, count)?;
        let layout = Channels::of(&inputs[0])?;
        if inputs[..maps].iter().any(|ty| *ty != inputs[0]) {
            return Err("the gradient must have the shape of x".into());
        }
        layout.check(&inputs[maps..])?;
        Ok(TensorType::f32([layout.channels]))
    }

    defined_by!(define);

    /// One workgroup per channel. If channels are few, several workgroups per channel; their sums are then added.
    fn lower(&self, at: &Lower) -> Lowering {
        let layout = Channels::of(&at.types.inputs[0]).expect("checked when the node was built");
        let Channels { batch, channels, pixels } = layout;
        let vector = pixels.is_multiple_of(4);
        let pixels_each = if vector { pixels / 4 } else { pixels };
        let elements = batch * pixels_each;
        let busy = if at.device.class == DeviceClass::Software { 256 } else { BUSY };
        let pieces = elements.div_ceil(1024).min(busy.div_ceil(channels)).max(1);
        let (what, slots, epsilon) = match self.what {
            Statistic::Mean | Statistic::Sum => (0_u32, [0, 0, 0, 0], 0.0),
            Statistic::Variance => (1, [0, 0, 1, 1], 0.0),
            Statistic::Product { epsilon } => (2, [0, 1, 2, 3], epsilon),
        };
        let mean: Constant = matches!(self.what, Statistic::Mean | Statistic::Variance).into();
        let constants = [("WHAT", what.into()), ("MEAN", mean), ("WHOLE", (pieces == 1).into())];
        let source = include_str!("../../../shaders/channel_statistic.wgsl");
        let mut kernel = Kernel::built_in("channel_statistic", source, &constants);
        if vector {
            kernel = kernel.splice("alias Value = f32;", "alias Value = vec4f;").splice(
                "fn added(value: Value) -> f32 { return value; }",
                "fn added(value: Value) -> f32 { return dot(value, vec4f(1.0)); }",
            );
            kernel.label.push_str(" x4");
        }
        let run = elements.div_ceil(pieces);
        let dims = [channels, pixels_each, batch, pieces, run, pixels, epsilon.to_bits() as usize];
        let first = if pieces == 1 { Slot::Output } else { Slot::Scratch(0) };
        let slots: Vec<Slot> = slots.into_iter().map(Slot::Input).chain([first]).collect();
        let terms = at.linear(self, kernel, &slots, &dims, 64 * channels * pieces);
        if pieces == 1 {
            return terms.into();
        }
        let source = include_str!("../../../shaders/channel_pieces.wgsl");
        let kernel = Kernel::built_in("channel_pieces", source, &[("MEAN", mean)]);
        let slots = [Slot::Scratch(0), Slot::Output];
        let added = at.linear(self, kernel, &slots, &[channels, pieces, batch, pixels], channels);
        let (flops, bytes) = ((channels * pieces) as u64, 4 * (channels * pieces) as u64);
        Lowering { dispatches: vec![terms, Dispatch { flops, bytes, ..added }], scratch: vec![channels * pieces] }
    }

    fn flops(&self, types: &Types) -> u64 {
        types.inputs[0].elements() as u64 * if matches!(self.what, Statistic::Mean | Statistic::Sum) { 1 } else { 3 }
    }
}
