//! The normalisation and its gradient. Each may have an epilogue.

use std::sync::Arc;

use super::{ChannelStatistic, Channels, Statistic, own_statistic, share};
use crate::graph::kernel::{DeviceClass, Dispatch, Kernel, Lowering, Slot, word};
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::across_ranks::{Across, AcrossRanks};
use crate::ops::elementwise::{Chunked, Program, epilogue};
use crate::ops::op::{defined_by, in_pieces};
use crate::ops::{Call, Lower, Op, Real, Types, expect_inputs};
use crate::{Error, Result};

/// (x - mean) gamma / sqrt(variance + epsilon) + beta, then the epilogue on each element. Inputs: x; mean and
/// variance of its valid rows, gamma and beta, all `[channels]`.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct BatchNorm {
    /// Added to the variance.
    pub epsilon: f32,
    /// The epilogue, in the same kernel.
    pub epilogue: Program,
}

/// The coefficients of each channel for the gradient with respect to x, `[channels, 4]`: gamma / standard deviation,
/// the mean, the mean of dy, and the mean of dy x^ divided by the standard deviation. Here x^ is the normalised x.
/// Inputs: mean, variance, gamma, and the sums of dy and of dy x^.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormCoefficients {
    /// As in the forward op.
    pub epsilon: f32,
    /// The number of pixels of a channel.
    pub pixels: usize,
}

/// The gradient with respect to x, including the paths through mean and variance. Inputs: dy, x and the coefficients.
/// Then the epilogue is applied. Masked rows get 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct BatchNormBackward {
    /// The epilogue, in the same kernel.
    pub epilogue: Program,
}

fn layout(types: &Types) -> Channels {
    Channels::of(&types.inputs[0]).expect("checked when the node was built")
}

/// A kernel that treats the elements of a channel alike, with its epilogue. It uses vectors of four if the number of
/// pixels allows.
fn lower(at: &Lower, op: &dyn Op, kernel: (&str, &str), own: usize, epsilon: Option<f32>) -> Lowering {
    let Channels { channels, pixels, .. } = layout(at.types);
    let vector = pixels.is_multiple_of(4);
    let elements = at.types.output.elements();
    let (pixels, count) = if vector { (pixels / 4, elements / 4) } else { (pixels, elements) };
    // Loads are slow on a software rasteriser. There, one load of the channel's numbers serves several values.
    let run = if at.device.class == DeviceClass::Software && pixels.is_multiple_of(4) { 4 } else { 1 };
    let count = count / run;
    let constants = [("RUN", word(run).into()), at.edges(count)];
    let epsilon = epsilon.map(|epsilon| ("EPSILON", epsilon.into()));
    let constants: Vec<_> = constants.into_iter().chain(epsilon).collect();
    let mut kernel = Kernel::built_in(kernel.0, kernel.1, &constants);
    if vector {
        let each =
            ["x", "y", "z", "w"].iter().enumerate().map(|(i, c)| format!("epilogue(value.{c}, 4u * index + {i}u)"));
        let each = each.collect::<Vec<_>>().join(", ");
        kernel = kernel.splice("alias Value = f32;", "alias Value = vec4f;").splice(
            "fn finished(value: Value, index: u32) -> Value { return epilogue(value, index); } // spliced",
            &format!("fn finished(value: Value, index: u32) -> Value {{ return Value({each}); }}"),
        );
        kernel.label.push_str(" x4");
    }
    let (program, _) = op.epilogue().expect("both ops have one");
    let (kernel, more) = epilogue::splice(program, kernel, at.types, own);
    let slots: Vec<Slot> = (0..at.types.inputs.len()).map(Slot::Input).chain([Slot::Output]).collect();
    let dims = [word(count), word(pixels), word(channels)].into_iter().chain(more).collect();
    Dispatch { dims, ..at.linear(op, kernel, &slots, &[], count) }.into()
}

impl BatchNorm {
    fn define<T: Chunked>(&self, call: &mut Call<T>) {
        let Channels { channels, pixels, .. } = layout(call.types);
        epilogue::with_output(call, |call, y| {
            let [x, mean, variance, gamma, beta] = [0, 1, 2, 3, 4].map(|i| call.real(i));
            let epsilon = T::of(f64::from(self.epsilon));
            let factors: Vec<T> = gamma.iter().zip(variance).map(|(&g, &v)| g / (v + epsilon).sqrt()).collect();
            let finish = epilogue::finisher(&self.epilogue, call, 5);
            in_pieces(y, pixels, |first, piece| {
                for (plane, y) in (first..).zip(piece.chunks_mut(pixels)) {
                    let channel = plane % channels;
                    let (mean, factor, beta) = (mean[channel], factors[channel], beta[channel]);
                    let x = &x[plane * pixels..][..pixels];
                    y.iter_mut().zip(x).for_each(|(y, &x)| *y = (x - mean) * factor + beta);
                }
                finish(first * pixels, piece);
            });
        });
    }
}

impl Op for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        let [x, channels @ ..] = inputs else { return Err("it takes x and four tensors [channels]".into()) };
        let Some((channels, extras)) = channels.split_at_checked(4) else {
            return Err("it takes x, its mean and variance, gamma and beta".into());
        };
        Channels::of(x)?.check(channels)?;
        epilogue::check(extras, x)?;
        Ok(x.clone())
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let &[x, mean, variance, gamma, _] = at.inputs else { return Ok(Vec::new()) };
        let is = |id: NodeId, what| {
            let node = graph.node(own_statistic(graph, id));
            node.op_as::<ChannelStatistic>().is_some_and(|op| op.what == what) && node.inputs().first() == Some(&x)
        };
        if !(is(mean, Statistic::Mean) && is(variance, Statistic::Variance)) {
            let name = &graph.node(at.y).name;
            return Err(Error::Shape(format!(
                "'{name}' has a gradient only if mean and variance are those of its input"
            )));
        }
        let Channels { pixels, .. } = Channels::of(graph.ty(x)).map_err(Error::Shape)?;
        let epsilon = self.epsilon;
        let sum = graph.apply(ChannelStatistic { what: Statistic::Sum }, &[at.dy])?;
        let product = ChannelStatistic { what: Statistic::Product { epsilon } };
        let product = graph.apply(product, &[at.dy, x, mean, variance])?;
        // The gradients of gamma and beta are those of this rank's rows: a training adds them up with all others.
        let across = |graph: &mut Graph, sum| match own_statistic(graph, mean) == mean {
            true => Ok(sum),
            false => graph.apply(AcrossRanks { how: Across::ShareOfSum }, &[sum]),
        };
        let (all_sum, all_product) = (across(graph, sum)?, across(graph, product)?);
        let coefficients = BatchNormCoefficients { epsilon, pixels };
        let coefficients = graph.apply(coefficients, &[mean, variance, gamma, all_sum, all_product])?;
        let dx = graph.apply(BatchNormBackward::default(), &[at.dy, x, coefficients])?;
        Ok(vec![Some(dx), None, None, Some(product), Some(sum)])
    }

    defined_by!(define);

    fn lower(&self, at: &Lower) -> Lowering {
        let source = include_str!("../../../shaders/batch_norm.wgsl");
        lower(at, self, ("batch_norm", source), 5, Some(self.epsilon))
    }

    epilogue::joined!(5);

    fn flops(&self, types: &Types) -> u64 {
        types.output.elements() as u64 * (3 + self.epilogue.flops())
    }
}

impl BatchNormCoefficients {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let [mean, variance, gamma, sum, product] = [0, 1, 2, 3, 4].map(|i| call.real(i));
        let count = share::<T>(call.step.valid as usize * self.pixels);
        for (channel, out) in call.out().chunks_exact_mut(4).enumerate() {
            let inverse = T::one() / (variance[channel] + T::of(f64::from(self.epsilon))).sqrt();
            out.copy_from_slice(&[
                gamma[channel] * inverse,
                mean[channel],
                sum[channel] * count,
                product[channel] * count * inverse,
            ]);
        }
    }
}

impl Op for BatchNormCoefficients {
    fn name(&self) -> &'static str {
        "batch_norm_coefficients"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 5)?;
        let channels = inputs[0].elements();
        Channels { batch: 0, channels, pixels: 0 }.check(inputs)?;
        Ok(TensorType::f32([channels, 4]))
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let channels = at.types.inputs[0].elements();
        let source = include_str!("../../../shaders/batch_norm_coefficients.wgsl");
        let kernel = Kernel::built_in("batch_norm_coefficients", source, &[]);
        let slots: Vec<Slot> = (0..5).map(Slot::Input).chain([Slot::Output]).collect();
        let dims = [channels, self.pixels, self.epsilon.to_bits() as usize];
        at.linear(self, kernel, &slots, &dims, channels).into()
    }
    fn flops(&self, types: &Types) -> u64 {
        2 * types.output.elements() as u64
    }
}

impl BatchNormBackward {
    fn define<T: Chunked>(&self, call: &mut Call<T>) {
        let layout = layout(call.types);
        let Channels { channels, pixels, .. } = layout;
        let valid = layout.valid(call.step);
        epilogue::with_output(call, |call, dx| {
            let [dy, x, coefficients] = [0, 1, 2].map(|i| call.real(i));
            let finish = epilogue::finisher(&self.epilogue, call, 3);
            in_pieces(dx, pixels, |first, piece| {
                for (plane, dx) in (first..).zip(piece.chunks_mut(pixels)) {
                    if plane / channels >= valid {
                        dx.fill(T::zero());
                        continue;
                    }
                    let &[factor, mean, sum, product] = &coefficients[4 * (plane % channels)..][..4] else { continue };
                    let own = plane * pixels..(plane + 1) * pixels;
                    let both = dy[own.clone()].iter().zip(&x[own]);
                    dx.iter_mut()
                        .zip(both)
                        .for_each(|(dx, (&dy, &x))| *dx = factor * (dy - sum - (x - mean) * product));
                }
                finish(first * pixels, piece);
            });
        });
    }
}

impl Op for BatchNormBackward {
    fn name(&self) -> &'static str {
        "batch_norm_backward"
    }

    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        let [dy, x, coefficients, extras @ ..] = inputs else {
            return Err("it takes a gradient, x and coefficients".into());
        };
        let layout = Channels::of(x)?;
        if dy != x || *coefficients != TensorType::f32([layout.channels, 4]) {
            return Err(format!("the gradient must be {x} and there must be four floats per channel"));
        }
        epilogue::check(extras, x)?;
        Ok(x.clone())
    }

    defined_by!(define);

    fn lower(&self, at: &Lower) -> Lowering {
        let source = include_str!("../../../shaders/batch_norm_backward.wgsl");
        lower(at, self, ("batch_norm_backward", source), 3, None)
    }

    fn epilogue(&self) -> Option<(&Program, usize)> {
        Some((&self.epilogue, 3))
    }

    fn with_epilogue(&self, epilogue: Program) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { epilogue }))
    }

    fn flops(&self, types: &Types) -> u64 {
        types.output.elements() as u64 * (5 + self.epilogue.flops())
    }
}
