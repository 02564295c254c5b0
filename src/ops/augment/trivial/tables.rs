//! The changes of a value by itself: what each byte becomes.

use crate::Result;
use crate::graph::kernel::{Dispatch, Kernel, Lowering, Slot};
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::op::defined_by;
use crate::ops::{Call, Lower, Op, Real, Types, expect_inputs};
use crate::parallel::*;

use super::bytes::ToBytes;
use super::draw::Change;
use super::{VALUES, WHITE};
use crate::ops::augment::GREY;

/// For each image and channel, what the bytes 0 to 255 become, `[batch, channels, 256]`, from 0 to 255. Changes of other kinds leave
/// the bytes as they are. Masked rows do, too. The input is images as [`ToBytes`] makes them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tables;

impl Tables {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let &[_, channels, height, width] = call.types.inputs[0].dims() else { panic!("images of another shape") };
        let (x, step, plane) = (call.real(0), call.step, height * width);
        call.out().par_chunks_mut(channels * VALUES).zip(x.par_chunks(channels * plane)).enumerate().for_each(
            |(row, (to, image))| {
                let change = match row < step.valid as usize {
                    true => Change::drawn(step, row as u32),
                    false => Change::Identity,
                };
                let channels = to.chunks_mut(VALUES).zip(image.chunks(plane));
                channels.for_each(|(to, channel)| fill(to, change, channel, image));
            },
        );
    }
}

/// Fills the table of a channel.
fn fill<T: Real>(to: &mut [T], change: Change<T>, channel: &[T], image: &[T]) {
    let white = T::of(WHITE);
    let around = |centre: T, factor: T| move |byte: T| clamped(centre + factor * (byte - centre));
    let mut each = |of: &dyn Fn(T) -> T| to.iter_mut().enumerate().for_each(|(byte, to)| *to = of(T::count(byte)));
    match change {
        Change::Brightness(factor) => each(&around(T::zero(), factor)),
        Change::Contrast(factor) => each(&around(mean_grey(image, channel.len()), factor)),
        Change::Posterize(bits) => {
            let one = T::count(1 << bits);
            each(&|byte| (byte / one).floor() * one);
        }
        Change::Solarize(from) => each(&|byte| if byte >= from { white - byte } else { byte }),
        Change::AutoContrast => {
            let (least, most) = channel.iter().fold((white, T::zero()), |(a, b), &x| (a.min(x), b.max(x)));
            each(&|byte| if most > least { clamped((byte - least) * (white / (most - least))) } else { byte });
        }
        Change::Equalize => {
            let equal = equalized(&histogram(channel));
            to.iter_mut().zip(equal).for_each(|(to, byte)| *to = T::count(byte));
        }
        _ => each(&|byte| byte),
    }
}

/// Limits a value to those of a byte.
pub(super) fn clamped<T: Real>(value: T) -> T {
    value.max(T::zero()).min(T::of(WHITE))
}

/// How many pixels have each value.
fn histogram<T: Real>(channel: &[T]) -> [usize; VALUES] {
    let mut counts = [0; VALUES];
    channel.iter().for_each(|byte| counts[byte.to_usize().unwrap_or_default().min(VALUES - 1)] += 1);
    counts
}

/// The mean grey value of an image: of colours by ITU-R BT.601, else of all channels. Sums of bytes are exact.
fn mean_grey<T: Real>(image: &[T], plane: usize) -> T {
    let channels = image.len() / plane;
    let share = |channel: usize| if channels == 3 { GREY[channel] } else { 1.0 / channels as f64 };
    let mean = |pixels: &[T]| {
        let sum: u64 = pixels.iter().map(|byte| byte.to_u64().unwrap_or_default()).sum();
        T::of(sum as f64) / T::count(plane)
    };
    image.chunks(plane).enumerate().fold(T::zero(), |sum, (channel, pixels)| sum + T::of(share(channel)) * mean(pixels))
}

/// What each value becomes when the values are spread evenly: the pixels below it, in steps of 1/255 of those that are not of the
/// largest value. An image with too few pixels for a step stays.
fn equalized(counts: &[usize; VALUES]) -> [usize; VALUES] {
    let last = counts.iter().rposition(|&count| count > 0).unwrap_or_default();
    let step = counts[..last].iter().sum::<usize>() / (VALUES - 1);
    let mut below = 0;
    std::array::from_fn(|byte| {
        let equal = (below + step / 2).checked_div(step).map_or(byte, |equal| equal.min(VALUES - 1));
        below += counts[byte];
        equal
    })
}

impl Op for Tables {
    fn name(&self) -> &'static str {
        "trivial_tables"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 1)?;
        let [batch, channels, height, width] = super::super::images_of_floats(&inputs[0])?;
        // The sum of a channel's bytes is a 32-bit integer.
        if height * width > 1 << 24 {
            return Err(format!("images of {height}x{width} have more than 2^24 pixels"));
        }
        Ok(TensorType::f32([batch, channels, VALUES]))
    }
    /// Images have no gradient.
    fn gradient(&self, _: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None; at.inputs.len()])
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let dims = at.types.inputs[0].dims();
        let planes = dims[0] * dims[1];
        let source = include_str!("../../../../shaders/trivial_tables.wgsl");
        let kernel = Kernel::built_in("trivial_tables", source, &[]);
        let sizes = [planes, dims[1], dims[2] * dims[3]];
        let one = at.linear(self, kernel, &[Slot::Input(0), Slot::Output], &sizes, planes);
        Dispatch { groups: at.device.fold(planes), ..one }.into()
    }
    fn flops(&self, types: &Types) -> u64 {
        types.inputs[0].elements() as u64
    }
}

/// Few and many pixels, grey and colour, and a partial batch. Rows get different changes.
pub fn cases() -> Vec<Case> {
    let of = |dims: [usize; 4]| {
        let batch = dims[0];
        let build = move |graph: &mut Graph, x: &[NodeId]| {
            let images = graph.gather(x[0], x[1], batch)?;
            let bytes = graph.apply(ToBytes, &[images])?;
            graph.apply(Tables, &[bytes])
        };
        let inputs = vec![Sample::bytes(&dims), Sample::integers(&[batch], batch as u32)];
        Case::new(inputs, build).differentiable(&[]).valid(batch as u32)
    };
    vec![of([70, 1, 31, 33]), of([40, 3, 20, 20]), of([30, 2, 3, 5]).valid(20), of([64, 3, 32, 32]).timed()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PIL's `ImageOps.equalize` for an image of 510 pixels 7, 255 pixels 9 and 100 pixels 200: steps of 3 pixels.
    #[test]
    fn values_are_spread_evenly() {
        let mut counts = [0; VALUES];
        (counts[7], counts[9], counts[200]) = (510, 255, 100);
        let equal = equalized(&counts);
        assert_eq!((equal[7], equal[9], equal[200]), (0, 170, 255));
        let one = std::array::from_fn(|byte| usize::from(byte == 5) * 900);
        assert_eq!(equalized(&one), std::array::from_fn(|byte| byte), "an image of one value stays");
    }
}
