//! Augmentation for handwriting: thicker or thinner strokes, and noise.
//!
//! Each pixel moves by a fraction towards the maximum or the minimum of its 3x3 neighbourhood. The maximum thickens
//! light strokes, the minimum dark ones. The fraction is drawn once per image. Noise is nearly Gaussian. Its standard
//! deviation is drawn once per image. `shaders/roughen.wgsl` uses the same random words.

use crate::parallel::*;

use crate::Result;
use crate::graph::kernel::{Kernel, Lowering, Slot};
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::op::defined_by;
use crate::ops::{Call, Lower, Op, Real, Types, expect_inputs};
use crate::random::{CounterRng, Purpose, unit};

/// The block of an image's own draws. `draw.rs` and `resized/crop_box.rs` use smaller block numbers.
const DRAWN: u32 = 15;
/// The block of the image's first four pixels.
const FIRST_NOISE: u32 = 16;
/// Neighbouring pixels of a row that share a block.
const BLOCK: usize = 4;

/// The mean and standard deviation of the sum of four random bytes. The standard deviation is the root of 4 (256^2 -
/// 1) / 12.
const BYTES_MEAN: f64 = 510.0;
const BYTES_STD: f64 = 147.800_541_270_998_05;

/// Changes strokes of images `[batch, channels, height, width]` and adds noise. Masked rows are 0. The images are
/// normalised. `[channels, 4]` is the table of [`Augment`](super::Augment).
#[derive(Clone, Debug, PartialEq)]
pub struct Roughen {
    /// The largest fraction that a pixel moves, from 0 to 1.
    pub stroke: f64,
    /// The largest standard deviation of the noise. White is 1.
    pub noise: f64,
}

/// The sum of a word's four bytes, minus its mean.
fn bytes_of(word: u32) -> f64 {
    word.to_le_bytes().map(f64::from).iter().sum::<f64>() - BYTES_MEAN
}

impl Roughen {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let &[_, channels, height, width] = call.types.output.dims() else { panic!("images of another shape") };
        let (x, levels, step) = (call.real(0), call.real(1), call.step);
        let plane = height * width;
        call.out().par_chunks_mut(plane).zip(x.par_chunks(plane)).enumerate().for_each(|(number, (to, from))| {
            let (row, channel) = (number / channels, number % channels);
            if row >= step.valid as usize {
                return to.fill(T::zero());
            }
            let rng = CounterRng::new(step.seed(), Purpose::Augment, step.row(row), step.number);
            let [part, noise, ..] = rng.block(DRAWN).map(|word| T::of(unit(word).into()));
            let part = T::of(self.stroke) * (T::of(2.0) * part - T::one());
            let std = T::of(self.noise / BYTES_STD) * noise * levels[4 * channel + 1];
            to.copy_from_slice(from);
            if self.stroke > 0.0 {
                thicken(from, width, part, to);
            }
            if self.noise > 0.0 {
                let first = FIRST_NOISE as usize + channel * height * width.div_ceil(BLOCK);
                let blocks = to.chunks_mut(width).flat_map(|line| line.chunks_mut(BLOCK)).zip(first..);
                for (values, block) in blocks {
                    for (value, word) in values.iter_mut().zip(rng.block(block as u32)) {
                        *value += std * T::of(bytes_of(word));
                    }
                }
            }
        });
    }
}

/// Moves each value of a plane by `part` towards the maximum of its 3x3 neighbourhood, or towards the minimum if
/// `part` is negative.
fn thicken<T: Real>(from: &[T], width: usize, part: T, to: &mut [T]) {
    let further = |a: T, b: T| if part > T::zero() { a.max(b) } else { a.min(b) };
    let height = from.len() / width;
    let line = |y: usize| &from[y * width..][..width];
    let mut columns = vec![T::zero(); width];
    for (y, to) in to.chunks_mut(width).enumerate() {
        let (above, here, under) = (line(y.saturating_sub(1)), line(y), line((y + 1).min(height - 1)));
        for (x, most) in columns.iter_mut().enumerate() {
            *most = further(further(above[x], here[x]), under[x]);
        }
        for (x, value) in to.iter_mut().enumerate() {
            let beside = further(columns[x.saturating_sub(1)], columns[(x + 1).min(width - 1)]);
            *value += part.abs() * (further(columns[x], beside) - *value);
        }
    }
}

impl Op for Roughen {
    fn name(&self) -> &'static str {
        "roughen"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 2)?;
        let [_, channels, ..] = super::images_of_floats(&inputs[0])?;
        if inputs[1] != TensorType::f32([channels, 4]) {
            return Err("the table must have four floats per channel".into());
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
        let count = dims[..3].iter().product::<usize>() * dims[3].div_ceil(BLOCK);
        let kernel = Kernel::built_in(
            "roughen",
            include_str!("../../../shaders/roughen.wgsl"),
            &[at.edges(count), ("STROKE", (self.stroke > 0.0).into()), ("NOISE", (self.noise > 0.0).into())],
        );
        let floats = [self.stroke, self.noise / BYTES_STD].map(|value| (value as f32).to_bits() as usize);
        let dims: Vec<usize> = [count].into_iter().chain(dims[1..].iter().copied()).chain(floats).collect();
        at.linear(self, kernel, &[Slot::Input(0), Slot::Input(1), Slot::Output], &dims, count).into()
    }
    fn flops(&self, types: &Types) -> u64 {
        let each = 9 * u64::from(self.stroke > 0.0) + 2 * u64::from(self.noise > 0.0);
        each * types.output.elements() as u64
    }
}

/// Strokes and noise, alone and together. The cases cover widths that are and are not multiples of four, and a
/// partial batch.
pub fn cases() -> Vec<Case> {
    let of = |dims: [usize; 4], stroke: f64, noise: f64, label: &str| {
        let levels: Vec<f32> = (0..dims[1]).flat_map(|channel| [0.5, 4.0 - channel as f32, 0.5, -2.0]).collect();
        let build = move |graph: &mut Graph, x: &[NodeId]| {
            let levels = graph.constant(TensorType::f32([dims[1], 4]), levels.clone());
            graph.apply(Roughen { stroke, noise }, &[x[0], levels])
        };
        Case::new(vec![Sample::between(&dims, -2.0, 2.0)], build)
            .differentiable(&[])
            .valid(dims[0] as u32)
            .labelled(label)
    };
    vec![
        of([9, 1, 8, 8], 1.0, 0.0, "stroke"),
        of([6, 3, 7, 5], 0.5, 0.0, "stroke"),
        of([5, 2, 9, 13], 0.0, 0.1, "noise"),
        of([9, 3, 7, 10], 0.8, 0.2, "both"),
        of([4, 1, 1, 1], 1.0, 1.0, "a pixel"),
        of([7, 1, 6, 6], 0.6, 0.1, "both").valid(4),
        of([128, 1, 32, 32], 0.6, 0.1, "both").timed(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stroke_grows_towards_its_neighbours_or_shrinks() {
        let mut from = vec![0.0; 25];
        (from[12], from[13]) = (1.0, 0.6);
        let moved = |part: f64| {
            let mut to = from.clone();
            thicken(&from, 5, part, &mut to);
            to
        };
        #[rustfmt::skip]
        let thicker = [
            0.0, 0.0, 0.0, 0.0, 0.0,
            0.0, 0.5, 0.5, 0.5, 0.3,
            0.0, 0.5, 1.0, 0.8, 0.3,
            0.0, 0.5, 0.5, 0.5, 0.3,
            0.0, 0.0, 0.0, 0.0, 0.0,
        ];
        assert!(moved(0.5).iter().zip(&thicker).all(|(a, b)| (a - b).abs() < 1e-12), "{:?}", moved(0.5));
        let thinner = moved(-0.25);
        assert_eq!((thinner[12], thinner[13]), (0.75, 0.6 * 0.75));
        assert!((0..25).filter(|at| ![12, 13].contains(at)).all(|at| thinner[at] == 0.0));
        assert_eq!(moved(0.0), from);
    }

    /// Checks the first four moments. The fourth is 3 for a Gaussian and 2.7 for a sum of four uniform numbers.
    #[test]
    fn noise_is_nearly_gaussian() {
        let rng = CounterRng::new(3, Purpose::Augment, 0, 0);
        let numbers: Vec<f64> = (0..40_000).map(|at| bytes_of(rng.word(at)) / BYTES_STD).collect();
        let moment = |power: i32| numbers.iter().map(|x| x.powi(power)).sum::<f64>() / numbers.len() as f64;
        assert!(moment(1).abs() < 0.02 && (moment(2) - 1.0).abs() < 0.03, "{} {}", moment(1), moment(2));
        assert!(moment(3).abs() < 0.05 && (moment(4) - 2.7).abs() < 0.1, "{} {}", moment(3), moment(4));
    }
}
