//! Resizes images, as PyTorch's `interpolate` with `align_corners=False` and without antialiasing: nearest neighbour
//! or bilinear. Both are linear, so each is the gradient of the other's gradient.

use std::ops::Range;

use crate::Result;
use crate::graph::kernel::{Kernel, Lowering, Slot};
use crate::graph::{DType, Differentiate, Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::lanes::widest;
use crate::ops::op::{defined_by, in_pieces};
use crate::ops::{Call, Lower, Op, Real, Types, expect_inputs};

/// The interpolation mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resize {
    /// Nearest neighbour: the pixel at or before the position.
    Nearest,
    /// Bilinear: the two nearest rows and columns, weighted by distance.
    Bilinear,
}

/// Computes y `[batch, channels, size]` from x `[batch, channels, height, width]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Resize2d {
    /// Height and width of y in pixels.
    pub size: [usize; 2],
    /// The interpolation mode.
    pub mode: Resize,
}

/// The gradient with respect to x. Height and width of x are `image`. Each pixel of dx sums over the pixels of dy to
/// which it contributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Resize2dBackward {
    /// Height and width of x in pixels.
    pub image: [usize; 2],
    /// As in the forward op.
    pub mode: Resize,
}

/// One axis: its number of pixels before and after.
#[derive(Clone, Copy, Debug)]
struct Axis {
    from: usize,
    to: usize,
    mode: Resize,
}

impl Axis {
    fn pair(from: [usize; 2], to: [usize; 2], mode: Resize) -> [Self; 2] {
        [0, 1].map(|axis| Self { from: from[axis], to: to[axis], mode })
    }

    /// For pixel `place` of the result: the source pixels before and after its position, and the weight of the
    /// second.
    fn sources<T: Real>(&self, place: usize) -> (usize, usize, T) {
        match self.mode {
            Resize::Nearest => {
                // Computed in single precision, as in PyTorch: at some sizes the rounding decides which pixel is
                // nearest.
                let scale = self.from as f32 / self.to as f32;
                let at = ((place as f32 * scale).floor() as usize).min(self.from - 1);
                (at, at, T::zero())
            }
            Resize::Bilinear => {
                // (place + 1/2) from / to - 1/2, at least 0, as a fraction with denominator 2 to.
                let at = ((2 * place + 1) * self.from).saturating_sub(self.to);
                let before = at / (2 * self.to);
                let rest = T::count(at % (2 * self.to)) / T::count(2 * self.to);
                (before, (before + 1).min(self.from - 1), rest)
            }
        }
    }

    /// For each source pixel, the pixels of the result to which it contributes, and its weight in each.
    fn weights<T: Real>(&self) -> Vec<Vec<(usize, T)>> {
        let of = |source| {
            let places = self.places(source).map(|place| (place, self.weight::<T>(place, source)));
            places.filter(|(_, weight)| *weight > T::zero()).collect()
        };
        (0..self.from).map(of).collect()
    }

    /// The weight of source pixel `source` in pixel `place` of the result.
    fn weight<T: Real>(&self, place: usize, source: usize) -> T {
        let (before, after, rest) = self.sources::<T>(place);
        let first = if before == source { T::one() - rest } else { T::zero() };
        first + if after == source { rest } else { T::zero() }
    }

    /// The pixels of the result to which source pixel `source` may contribute, and up to one more on each side.
    fn places(&self, source: usize) -> Range<usize> {
        let first = ((2 * source).saturating_sub(1) * self.to / (2 * self.from)).saturating_sub(1);
        first..((2 * source + 3) * self.to / (2 * self.from) + 2).min(self.to)
    }
}

fn planes(ty: &TensorType) -> Result<[usize; 4], String> {
    match *ty.dims() {
        [batch, channels, height, width] if ty.dtype == DType::F32 && height * width > 0 => {
            Ok([batch, channels, height, width])
        }
        _ => Err("it takes floats with four axes, batch x channels x height x width".into()),
    }
}

/// The type of images of this type after resizing.
fn resized(ty: &TensorType, [height, width]: [usize; 2]) -> Result<TensorType, String> {
    let [batch, channels, ..] = planes(ty)?;
    if height * width == 0 {
        return Err("an image must be at least one pixel high and wide".into());
    }
    Ok(TensorType::f32([batch, channels, height, width]))
}

/// The sizes before and after, which every resize kernel has at the start of its `Dims`, after the number of
/// invocations.
fn words([rows, columns]: [Axis; 2]) -> [usize; 4] {
    [rows.from, columns.from, rows.to, columns.to]
}

impl Resize2d {
    /// The rows and columns of an image of this size that nearest-neighbour resizing takes.
    #[cfg(feature = "formats")]
    pub(crate) fn sources(&self, image: [usize; 2]) -> [Vec<usize>; 2] {
        let of = |axis: Axis| (0..axis.to).map(|place| axis.sources::<f32>(place).0).collect();
        Axis::pair(image, self.size, Resize::Nearest).map(of)
    }

    fn axes(&self, types: &Types) -> [Axis; 2] {
        let dims = types.inputs[0].dims();
        Axis::pair([dims[2], dims[3]], self.size, self.mode)
    }

    fn define<T: Real>(&self, call: &mut Call<T>) {
        let [rows, columns] = self.axes(call.types);
        let x = call.real(0);
        let across: Vec<(usize, usize, T)> = (0..columns.to).map(|place| columns.sources(place)).collect();
        in_pieces(call.out(), columns.to, |first, piece| {
            let mut mixed = vec![T::zero(); columns.from];
            for (line, y) in (first..).zip(piece.chunks_mut(columns.to)) {
                let (above, under, down) = rows.sources::<T>(line % rows.to);
                let plane = line / rows.to * rows.from;
                let source = |row: usize| &x[(plane + row) * columns.from..][..columns.from];
                let both = source(above).iter().zip(source(under));
                widest(
                    #[inline(always)]
                    || {
                        let mix = |(mixed, (&above, &under)): (&mut T, (&T, &T))| {
                            *mixed = above * (T::one() - down) + under * down;
                        };
                        mixed.iter_mut().zip(both).for_each(mix);
                        for (y, &(left, right, part)) in y.iter_mut().zip(&across) {
                            *y = mixed[left] * (T::one() - part) + mixed[right] * part;
                        }
                    },
                );
            }
        });
    }
}

impl Op for Resize2d {
    fn name(&self) -> &'static str {
        "resize2d"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 1)?;
        resized(&inputs[0], self.size)
    }
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let dims = graph.dims(at.inputs[0]);
        let backward = Resize2dBackward { image: [dims[2], dims[3]], mode: self.mode };
        Ok(vec![Some(graph.apply(backward, &[at.dy])?)])
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let count = at.types.output.elements();
        let constants = [("BILINEAR", (self.mode == Resize::Bilinear).into()), at.edges(count)];
        let kernel = Kernel::built_in("resize2d", include_str!("../../shaders/resize2d.wgsl"), &constants);
        let dims = [&[count][..], &words(self.axes(at.types))].concat();
        at.linear(self, kernel, &[Slot::Input(0), Slot::Output], &dims, count).into()
    }
    fn flops(&self, types: &Types) -> u64 {
        types.output.elements() as u64 * if self.mode == Resize::Bilinear { 9 } else { 0 }
    }
}

impl Resize2dBackward {
    fn axes(&self, types: &Types) -> [Axis; 2] {
        let dims = types.inputs[0].dims();
        Axis::pair(self.image, [dims[2], dims[3]], self.mode)
    }

    fn define<T: Real>(&self, call: &mut Call<T>) {
        let [rows, columns] = self.axes(call.types);
        let dy = call.real(0);
        let (down, across) = (rows.weights::<T>(), columns.weights::<T>());
        in_pieces(call.out(), columns.from, |first, piece| {
            let mut summed = vec![T::zero(); columns.to];
            for (line, dx) in (first..).zip(piece.chunks_mut(columns.from)) {
                let plane = line / rows.from * rows.to;
                summed.fill(T::zero());
                widest(
                    #[inline(always)]
                    || {
                        for &(row, weight) in &down[line % rows.from] {
                            let dy = &dy[(plane + row) * columns.to..];
                            summed.iter_mut().zip(dy).for_each(|(sum, &dy)| *sum += weight * dy);
                        }
                        for (dx, weights) in dx.iter_mut().zip(&across) {
                            *dx =
                                weights.iter().fold(T::zero(), |sum, &(column, weight)| sum + weight * summed[column]);
                        }
                    },
                );
            }
        });
    }
}

impl Op for Resize2dBackward {
    fn name(&self) -> &'static str {
        "resize2d_backward"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 1)?;
        resized(&inputs[0], self.image)
    }
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let dims = graph.dims(at.inputs[0]);
        let size = [dims[2], dims[3]];
        Ok(vec![Some(graph.resize2d(at.dy, size, self.mode)?)])
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let count = at.types.output.elements();
        let constants = [("BILINEAR", (self.mode == Resize::Bilinear).into()), at.edges(count)];
        let source = include_str!("../../shaders/resize2d_backward.wgsl");
        let kernel = Kernel::built_in("resize2d_backward", source, &constants);
        let dims = [&[count][..], &words(self.axes(at.types))].concat();
        at.linear(self, kernel, &[Slot::Input(0), Slot::Output], &dims, count).into()
    }
    fn flops(&self, types: &Types) -> u64 {
        types.inputs[0].elements() as u64 * if self.mode == Resize::Bilinear { 9 } else { 1 }
    }
}

impl Graph {
    /// Resizes images x `[batch, channels, height, width]` to another height and width in pixels.
    ///
    /// # Errors
    /// When x is not a batch of images or the size is empty.
    pub fn resize2d(&mut self, x: NodeId, size: [usize; 2], mode: Resize) -> Result<NodeId> {
        self.apply(Resize2d { size, mode }, &[x])
    }
}

/// Shapes to test and to time: larger, smaller, non-integer factors, to and from one pixel.
pub fn cases() -> Vec<Case> {
    let of = |dims: &[usize], size: [usize; 2], mode| {
        Case::new(vec![Sample::floats(dims)], move |graph, x| graph.resize2d(x[0], size, mode))
            .labelled(&format!("to {}x{} {mode:?}", size[0], size[1]))
    };
    let mut cases = Vec::new();
    for mode in [Resize::Nearest, Resize::Bilinear] {
        cases.extend([
            of(&[1, 1, 1, 1], [1, 1], mode),
            of(&[2, 3, 4, 5], [8, 10], mode),
            of(&[1, 2, 7, 5], [4, 11], mode),
            of(&[2, 1, 9, 8], [3, 2], mode),
            of(&[1, 2, 3, 3], [1, 7], mode),
            of(&[1, 1, 1, 2], [6, 5], mode),
            of(&[2, 2, 6, 6], [6, 6], mode),
            of(&[64, 16, 16, 16], [32, 32], mode).differentiable(&[]).timed(),
        ]);
    }
    cases
}

/// Cases that time the gradient.
pub fn backward_cases() -> Vec<Case> {
    let of = |mode| {
        let inputs = vec![Sample::floats(&[64, 16, 32, 32])];
        let backward = Resize2dBackward { image: [16, 16], mode };
        let case = Case::new(inputs, move |graph, x| graph.apply(backward.clone(), &[x[0]]));
        case.differentiable(&[]).labelled(&format!("from 32x32 {mode:?}")).timed()
    };
    vec![of(Resize::Nearest), of(Resize::Bilinear)]
}
