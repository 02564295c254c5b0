//! Gaussian blur, with a standard deviation that is drawn for each image. It is separable: one op along the columns and one along the
//! rows.

use crate::parallel::*;

use crate::Result;
use crate::graph::kernel::{Kernel, Lowering, Slot};
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::op::defined_by;
use crate::ops::{Call, Lower, Op, Real, Step, Types, expect_inputs};
use crate::random::unit;

use super::draw::{COLOURS, more};

/// The smallest standard deviation in pixels. It leaves an image as it is: the weight of a neighbour is e^-50.
const LEAST: f64 = 0.1;

/// Blurs images `[batch, channels, height, width]` along one axis. Beyond the edge they are mirrored, with the outermost pixel as the
/// axis. Masked rows are 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Blur {
    /// The largest standard deviation in pixels.
    pub most: f64,
    /// The axis: 2 along columns, 3 along rows.
    pub axis: usize,
}

/// The number of pixels on each side that a blur with this standard deviation reaches.
pub(super) fn reach(most: f64) -> usize {
    (3.0 * most).ceil() as usize
}

impl Blur {
    /// The weights of an image from its pixel on, for the distances 0 to the reach.
    fn weights<T: Real>(&self, step: &Step, row: u32) -> Vec<T> {
        let drawn = T::of(unit(more(step, row).block(COLOURS)[3]).into());
        let deviation = T::of(LEAST) + T::of(self.most - LEAST) * drawn;
        let scale = T::of(-0.5) / (deviation * deviation);
        let weights: Vec<T> = (0..=reach(self.most)).map(|far| (scale * T::count(far * far)).exponential()).collect();
        let total = weights.iter().skip(1).fold(weights[0], |sum, &weight| sum + weight + weight);
        weights.into_iter().map(|weight| weight / total).collect()
    }

    fn define<T: Real>(&self, call: &mut Call<T>) {
        let &[_, channels, height, width] = call.types.output.dims() else { panic!("images of another shape") };
        let (x, step, plane) = (call.real(0), call.step, height * width);
        call.out().par_chunks_mut(plane).zip(x.par_chunks(plane)).enumerate().for_each(|(number, (to, from))| {
            let row = number / channels;
            if row >= step.valid as usize {
                return to.fill(T::zero());
            }
            let weights = self.weights::<T>(step, row as u32);
            match self.axis {
                2 => along_columns(from, width, &weights, to),
                _ => along_rows(from, width, &weights, to),
            }
        });
    }
}

fn along_columns<T: Real>(from: &[T], width: usize, weights: &[T], to: &mut [T]) {
    let height = from.len() / width;
    let line = |y: usize| &from[y * width..][..width];
    for (y, to) in to.chunks_mut(width).enumerate() {
        to.iter_mut().zip(line(y)).for_each(|(to, &x)| *to = weights[0] * x);
        for (far, &weight) in weights.iter().enumerate().skip(1) {
            let after = if y + far < height { y + far } else { 2 * (height - 1) - (y + far) };
            add(weight, line(y.abs_diff(far)), line(after), to);
        }
    }
}

fn along_rows<T: Real>(from: &[T], width: usize, weights: &[T], to: &mut [T]) {
    let reach = weights.len() - 1;
    // A line with its mirrored ends.
    let mut line = vec![T::zero(); width + 2 * reach];
    for (from, to) in from.chunks(width).zip(to.chunks_mut(width)) {
        line[reach..reach + width].copy_from_slice(from);
        for far in 1..=reach {
            (line[reach - far], line[reach + width - 1 + far]) = (from[far], from[width - 1 - far]);
        }
        to.iter_mut().zip(from).for_each(|(to, &x)| *to = weights[0] * x);
        for (far, &weight) in weights.iter().enumerate().skip(1) {
            add(weight, &line[reach - far..], &line[reach + far..], to);
        }
    }
}

/// Adds two neighbours at the same distance.
fn add<T: Real>(weight: T, before: &[T], after: &[T], to: &mut [T]) {
    for ((to, &before), &after) in to.iter_mut().zip(before).zip(after) {
        *to += weight * (before + after);
    }
}

impl Op for Blur {
    fn name(&self) -> &'static str {
        "blur"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 1)?;
        let dims = super::images_of_floats(&inputs[0])?;
        if !(2..4).contains(&self.axis) || dims[self.axis] <= reach(self.most) {
            return Err(format!("a blur by {} pixels reaches across images {dims:?}", self.most));
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
        let count = at.types.output.elements();
        let source = include_str!("../../../shaders/blur.wgsl");
        let kernel = Kernel::built_in("blur", source, &[at.edges(count)]);
        let (len, stride) = if self.axis == 2 { (dims[2], dims[3]) } else { (dims[3], 1) };
        let floats = [LEAST, self.most - LEAST].map(|value| (value as f32).to_bits() as usize);
        let sizes = [count, dims[1..].iter().product(), len, stride, reach(self.most), floats[0], floats[1]];
        at.linear(self, kernel, &[Slot::Input(0), Slot::Output], &sizes, count).into()
    }
    fn flops(&self, types: &Types) -> u64 {
        3 * reach(self.most) as u64 * types.output.elements() as u64
    }
}

/// Both axes, a reach of all but the image, and a partial batch.
pub fn cases() -> Vec<Case> {
    let of = |dims: [usize; 4], most: f64, axis: usize| {
        let build = move |graph: &mut Graph, x: &[NodeId]| graph.apply(Blur { most, axis }, x);
        let case = Case::new(vec![Sample::floats(&dims)], build).differentiable(&[]).valid(dims[0] as u32);
        case.labelled(&format!("axis {axis}"))
    };
    vec![
        of([9, 1, 4, 5], 1.0, 2),
        of([9, 3, 5, 4], 1.0, 3),
        of([6, 2, 13, 9], 2.0, 2).valid(4),
        of([6, 2, 9, 13], 0.3, 3).valid(5),
        of([64, 3, 32, 32], 1.5, 3).timed(),
    ]
}
