//! The change of each image, and its normalisation.

use crate::Result;
use crate::graph::kernel::{Kernel, Lowering, Slot};
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::op::defined_by;
use crate::ops::{Call, Lower, Op, Real, Types, expect_inputs};
use crate::parallel::*;

use super::draw::Change;
use super::tables::clamped;
use super::{VALUES, WHITE};
use crate::ops::augment::{Augment, AugmentMode, Augmented, GREY, cases as gathered};

/// Changes images `[batch, channels, height, width]` and normalises them. Inputs: the images as [`ToBytes`](super::bytes::ToBytes) makes
/// them, the tables of [`Tables`](super::tables::Tables), and the table of [`Augment`], `[channels, 4]`. Masked rows are 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trivial;

impl Trivial {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let &[_, channels, height, width] = call.types.output.dims() else { panic!("images of another shape") };
        let (x, tables, levels, step) = (call.real(0), call.real(1), call.real(2), call.step);
        let (size, plane) = ([height, width], height * width);
        let images = x.par_chunks(channels * plane).zip(tables.par_chunks(channels * VALUES)).enumerate();
        call.out().par_chunks_mut(channels * plane).zip(images).for_each(|(to, (row, (image, tables)))| {
            if row >= step.valid as usize {
                return to.fill(T::zero());
            }
            let change = Change::drawn(step, row as u32);
            for (channel, to) in to.chunks_mut(plane).enumerate() {
                let from = Channel { image, channel, size, table: &tables[channel * VALUES..][..VALUES] };
                let (mean, inverse) = (levels[4 * channel], levels[4 * channel + 1]);
                for (at, to) in to.iter_mut().enumerate() {
                    let value = from.changed(change, [at / width, at % width]);
                    *to = (value / T::of(WHITE) - mean) * inverse;
                }
            }
        });
    }
}

/// A channel of an image.
struct Channel<'a, T> {
    image: &'a [T],
    channel: usize,
    size: [usize; 2],
    table: &'a [T],
}

impl<T: Real> Channel<'_, T> {
    /// The value of a pixel after the change.
    fn changed(&self, change: Change<T>, [y, x]: [usize; 2]) -> T {
        if let Some(place) = change.place([y, x], self.size) {
            return self.between(place);
        }
        let own = self.byte([y as i64, x as i64]);
        match change {
            Change::Colour(factor) if self.image.len() == 3 * self.plane() => {
                let pixel = y * self.size[1] + x;
                let grey = (0..3).fold(T::zero(), |sum, c| sum + T::of(GREY[c]) * self.image[c * self.plane() + pixel]);
                clamped(grey + factor * (own - grey))
            }
            Change::Sharpness(factor) => {
                let [height, width] = self.size;
                if height.min(width) <= 2 || y == 0 || x == 0 || y == height - 1 || x == width - 1 {
                    return own;
                }
                let blurred = self.blurred([y as i64, x as i64]);
                clamped(blurred + factor * (own - blurred))
            }
            Change::Colour(_) => own,
            _ => self.table[own.to_usize().unwrap_or_default().min(VALUES - 1)],
        }
    }

    fn plane(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// The value of a pixel; 0 outside the image.
    fn byte(&self, [y, x]: [i64; 2]) -> T {
        let [height, width] = self.size;
        match (usize::try_from(y), usize::try_from(x)) {
            (Ok(y), Ok(x)) if y < height && x < width => self.image[self.channel * self.plane() + y * width + x],
            _ => T::zero(),
        }
    }

    /// The value at a place between pixels.
    fn between(&self, place: [T; 2]) -> T {
        let first = place.map(|at| at.floor());
        let [down, right] = [0, 1].map(|axis| place[axis] - first[axis]);
        let [y, x] = first.map(|at| at.to_i64().unwrap_or(i64::MIN / 2));
        let along = |y: i64| {
            let [left, other] = [self.byte([y, x]), self.byte([y, x + 1])];
            left + right * (other - left)
        };
        let [upper, lower] = [along(y), along(y + 1)];
        upper + down * (lower - upper)
    }

    /// The mean of a pixel and its eight neighbours; the pixel has the weight 5.
    fn blurred(&self, [y, x]: [i64; 2]) -> T {
        let around = (y - 1..=y + 1).flat_map(|y| (x - 1..=x + 1).map(move |x| [y, x]));
        let sum = around.fold(T::zero(), |sum, at| sum + self.byte(at));
        (sum + T::of(4.0) * self.byte([y, x])) / T::of(13.0)
    }
}

impl Op for Trivial {
    fn name(&self) -> &'static str {
        "trivial"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 3)?;
        let [batch, channels, ..] = super::super::images_of_floats(&inputs[0])?;
        let right = [TensorType::f32([batch, channels, VALUES]), TensorType::f32([channels, 4])];
        if inputs[1..] != right {
            return Err(format!("it takes {VALUES} floats for each image and channel, and four for each channel"));
        }
        Ok(inputs[0].clone())
    }
    /// Images have no gradient.
    fn gradient(&self, _: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None; at.inputs.len()])
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let dims = at.types.output.dims();
        let count = dims[0] * dims[2] * dims[3];
        let source = include_str!("../../../../shaders/trivial.wgsl");
        let kernel = Kernel::built_in("trivial", source, &[at.edges(count), ("CHANNELS", (dims[1] as u32).into())]);
        let slots = [Slot::Input(0), Slot::Input(1), Slot::Input(2), Slot::Output];
        at.linear(self, kernel, &slots, &[count, dims[2], dims[3]], count).into()
    }
    fn flops(&self, types: &Types) -> u64 {
        12 * types.output.elements() as u64
    }
}

/// Grey and colour, with and without a partial batch. Rows get different changes.
pub fn cases() -> Vec<Case> {
    let of = |dims: [usize; 4]| {
        let channels = dims[1];
        let augment = Augment {
            mean: Some(vec![0.4; channels]),
            std: Some((0..channels).map(|channel| 0.25 + 0.125 * channel as f64).collect()),
            trivial_augment: true,
            ..Augment::default()
        };
        let augmented = Augmented { batch: dims[0], augment, mode: AugmentMode::Random, ring: false };
        gathered::from(vec![Sample::bytes(&dims)], augmented, "")
    };
    vec![of([70, 1, 9, 11]), of([70, 3, 16, 13]), of([30, 2, 2, 5]).valid(20), of([64, 3, 32, 32]).timed()]
}
