//! The maximum of each window, and its gradient. The gradient finds the maximum again, so its position is not stored.

use super::rows::{Across, pick};
use super::{MaxPool2dBackwardVariant, MaxPool2dVariant, PoolShape, Window};
use crate::Result;
use crate::graph::kernel::{Dispatch, Kernel, Lowering, Slot, word};
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::elementwise::{Chunked, Program, epilogue};
use crate::ops::lanes::widest;
use crate::ops::op::in_pieces;
use crate::ops::{Call, Lower, Op, Real, Types, expect_inputs};

/// The maximum of each window.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxPool2d {
    /// The window, its stride and padding.
    pub window: Window,
}

/// The gradient with respect to the image, from x and dy, then the epilogue on each element. Each window adds its
/// element of dy to its largest pixel. Of equal pixels, the first gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxPool2dBackward {
    /// As in the forward op.
    pub window: Window,
    /// The epilogue, in the same kernel.
    pub epilogue: Program,
}

impl PoolShape {
    /// The index in the plane of the largest pixel of a window. Of equal pixels, the first.
    fn winner<T: Real>(&self, x: &[T], row: usize, column: usize) -> usize {
        let (rows, columns) = (self.span(0, row), self.span(1, column));
        let mut best = rows.start * self.image[1] + columns.start;
        for iy in rows {
            for at in iy * self.image[1] + columns.start..iy * self.image[1] + columns.end {
                if x[at] > x[best] {
                    best = at;
                }
            }
        }
        best
    }

    /// The maximum of each column of pixels under a row of windows.
    #[inline(always)]
    fn tallest(&self, x: &[f32], row: usize, tallest: &mut [f32]) {
        let rows = self.span(0, row);
        let line = |iy: usize| &x[iy * self.image[1]..][..self.image[1]];
        tallest.copy_from_slice(line(rows.start));
        for iy in rows.skip(1) {
            tallest.iter_mut().zip(line(iy)).for_each(|(best, &pixel)| *best = larger(pixel, *best));
        }
    }

    /// The maximum of each window of a row, from the maxima of the columns. `picked` is memory for a row of windows.
    #[inline(always)]
    fn largest(across: &Across, tallest: &[f32], picked: &mut [f32], y: &mut [f32]) {
        y.iter_mut().zip(&across.first).for_each(|(y, &column)| *y = tallest[column]);
        for (windows, column) in &across.taps {
            let picked = &mut picked[..windows.len()];
            pick(&tallest[*column..], across.stride, picked);
            y[windows.clone()].iter_mut().zip(picked).for_each(|(best, pixel)| *best = larger(*pixel, *best));
        }
    }

    /// Whether the windows are 2 x 2, adjacent, and inside the image, as in most networks.
    fn halves(&self) -> bool {
        let Window { kernel, stride, .. } = self.window;
        kernel == [2, 2] && stride == [2, 2] && self.inside()
    }

    /// Whether windows do not overlap and the first starts at the image's edge.
    pub(super) fn apart(&self) -> bool {
        let Window { kernel, stride, padding, .. } = self.window;
        kernel[0] <= stride[0] && kernel[1] <= stride[1] && padding == [0, 0]
    }

    /// The kernel's size as constants, so that the lengths of its loops are known.
    fn kernel(&self, at: &Lower, name: &str, source: &str, count: usize) -> Kernel {
        let [height, width] = self.window.kernel.map(|size| word(size).into());
        let inside = ("INSIDE", self.inside().into());
        Kernel::built_in(name, source, &[("HEIGHT", height), ("WIDTH", width), inside, at.edges(count)])
    }

    /// Whether two adjacent windows can be read as vectors of four pixels: the image's width must be a multiple of
    /// four.
    pub(super) fn pairs(&self) -> bool {
        self.halves() && self.image[1].is_multiple_of(4)
    }
}

/// The positions of the largest pixels of a row of windows. The memory is reused for each row. A pixel and its position are one integer,
/// which is larger for a larger pixel, and of equal pixels for the first. So a maximum finds both, down each column first, then across.
struct Winners {
    across: Across,
    /// The maxima of the columns of pixels under the row of windows.
    tallest: Vec<i64>,
    /// The maxima of the windows.
    largest: Vec<i64>,
    /// The maxima of columns that windows have at one tap.
    picked: Vec<i64>,
}

impl Winners {
    fn new(sizes: &PoolShape) -> Self {
        let (columns, windows) = (vec![0; sizes.image[1]], vec![0; sizes.outputs[1]]);
        Self { across: Across::new(sizes), tallest: columns, largest: windows.clone(), picked: windows }
    }

    #[inline(always)]
    fn find(&mut self, sizes: &PoolShape, x: &[f32], row: usize) {
        let width = sizes.image[1];
        self.tallest.fill(i64::MIN);
        for iy in sizes.span(0, row) {
            let pixels = x[iy * width..].iter().zip((iy * width) as u32..);
            self.tallest.iter_mut().zip(pixels).for_each(|(best, (&x, at))| *best = (*best).max(with_place(x, at)));
        }
        self.largest.fill(i64::MIN);
        for (windows, column) in &self.across.taps {
            let picked = &mut self.picked[..windows.len()];
            pick(&self.tallest[*column..], self.across.stride, picked);
            self.largest[windows.clone()].iter_mut().zip(picked).for_each(|(best, other)| *best = (*best).max(*other));
        }
    }

    /// The position in the plane of the largest pixel of each window.
    fn places(&self) -> impl Iterator<Item = usize> {
        self.largest.iter().map(|&largest| !(largest as u32) as usize)
    }
}

/// A pixel and its position as one integer. NaN is above infinity if its sign is positive, else below all numbers.
#[inline(always)]
fn with_place(pixel: f32, at: u32) -> i64 {
    // Adding 0 turns -0 into 0, which is equal. The bits of negative numbers, other than the sign, are turned round, so that integers
    // are ordered as the numbers.
    let bits = (pixel + 0.0).to_bits().cast_signed();
    let ordered = bits ^ ((bits >> 31).cast_unsigned() >> 1).cast_signed();
    i64::from(ordered) << 32 | i64::from(!at)
}

/// The first value if it is larger, otherwise the second.
#[inline(always)]
fn larger(first: f32, second: f32) -> f32 {
    if first > second { first } else { second }
}

/// Two rows of a plane as windows of 2 x 2, each as its four pixels.
fn squares<'a>(x: &'a [f32], width: usize, row: usize) -> impl Iterator<Item = [f32; 4]> + 'a {
    let (top, bottom) = (&x[2 * row * width..][..width], &x[(2 * row + 1) * width..][..width]);
    top.chunks_exact(2).zip(bottom.chunks_exact(2)).map(|(top, bottom)| [top[0], top[1], bottom[0], bottom[1]])
}

/// A row of pixels in pairs, as bits.
fn pairs_of_bits(row: &mut [f32]) -> &mut [[u32; 2]] {
    bytemuck::cast_slice_mut::<f32, u32>(row).as_chunks_mut().0
}

/// Adds a row of dy to the largest pixels of windows of 2 x 2 in two rows of x. All values are handled as bits. For
/// floats, the compiler would generate branches that depend on the pixels, and half of them would be mispredicted.
/// For words it generates vector code.
fn hand_out(dy: &[u32], [top, bottom]: [&[[f32; 2]]; 2], dtop: &mut [[u32; 2]], dbottom: &mut [[u32; 2]]) {
    let count = dy.len();
    let (top, bottom) = (&top[..count], &bottom[..count]);
    let (dtop, dbottom) = (&mut dtop[..count], &mut dbottom[..count]);
    let mask = |won: bool| u32::from(won).wrapping_neg();
    for i in 0..count {
        let ([a, b], [c, d]) = (top[i], bottom[i]);
        let (right, right_below) = (mask(b > a), mask(d > c));
        let below = mask((if d > c { d } else { c }) > (if b > a { b } else { a }));
        let (above, under) = (dy[i] & !below, dy[i] & below);
        dtop[i] = [above & !right, above & right];
        dbottom[i] = [under & !right_below, under & right_below];
    }
}

impl MaxPool2d {
    fn sizes(&self, types: &Types) -> PoolShape {
        PoolShape::of(&types.inputs[0], self.window).expect("checked when the node was built")
    }
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let (sizes, x) = (self.sizes(call.types), call.real(0));
        in_pieces(call.out(), sizes.output_plane(), |first, y| {
            for (x, y) in sizes.planes(x, first, y) {
                y.iter_mut().zip(sizes.places()).for_each(|(y, (row, column))| *y = x[sizes.winner(x, row, column)]);
            }
        });
    }
    /// The same by rows of windows: down each column first, then across.
    fn by_rows(&self, sizes: PoolShape, call: &mut Call<f32>) {
        let (x, across) = (call.real(0), Across::new(&sizes));
        in_pieces(call.out(), sizes.output_plane(), |first, y| {
            let (mut tallest, mut picked) = (vec![0.0; sizes.image[1]], vec![0.0; sizes.outputs[1]]);
            for (x, y) in sizes.planes(x, first, y) {
                widest(
                    #[inline(always)]
                    || {
                        for (row, y) in y.chunks_mut(sizes.outputs[1]).enumerate() {
                            sizes.tallest(x, row, &mut tallest);
                            PoolShape::largest(&across, &tallest, &mut picked, y);
                        }
                    },
                );
            }
        });
    }
    /// The same for adjacent windows of 2 x 2, as vector code.
    fn halve(&self, sizes: PoolShape, call: &mut Call<f32>) {
        let x = call.real(0);
        in_pieces(call.out(), sizes.output_plane(), |first, y| {
            for (x, y) in sizes.planes(x, first, y) {
                for (row, y) in y.chunks_mut(sizes.outputs[1]).enumerate() {
                    for (y, [a, b, c, d]) in y.iter_mut().zip(squares(x, sizes.image[1], row)) {
                        let (top, bottom) = (if b > a { b } else { a }, if d > c { d } else { c });
                        *y = if bottom > top { bottom } else { top };
                    }
                }
            }
        });
    }
}

impl Op for MaxPool2d {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 1)?;
        Ok(PoolShape::of(&inputs[0], self.window)?.output(&inputs[0]))
    }
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let backward = MaxPool2dBackward { window: self.window, epilogue: Program::default() };
        Ok(vec![Some(graph.apply(backward, &[at.inputs[0], at.dy])?)])
    }
    fn reference(&self, call: &mut Call<f64>) {
        self.define(call);
    }
    fn run(&self, call: &mut Call<f32>) {
        let sizes = self.sizes(call.types);
        if sizes.halves() { self.halve(sizes, call) } else { self.by_rows(sizes, call) }
    }
    fn lower(&self, at: &Lower) -> Lowering {
        let sizes = self.sizes(at.types);
        let outputs = at.types.output.elements();
        let (kernel, count) = match MaxPool2dVariant::choose(at.device, &sizes) {
            MaxPool2dVariant::Pairs => {
                let source = include_str!("../../../shaders/max_pool2d_pairs.wgsl");
                (Kernel::built_in("max_pool2d_pairs", source, &[at.edges(outputs / 2)]), outputs / 2)
            }
            MaxPool2dVariant::Windows => {
                let source = include_str!("../../../shaders/max_pool2d.wgsl");
                (sizes.kernel(at, "max_pool2d", source, outputs), outputs)
            }
        };
        let dims: Vec<usize> = std::iter::once(count).chain(sizes.words().into_iter().map(|n| n as usize)).collect();
        at.linear(self, kernel, &[Slot::Input(0), Slot::Output], &dims, count).into()
    }
    fn flops(&self, types: &Types) -> u64 {
        (types.output.elements() * self.window.kernel[0] * self.window.kernel[1]) as u64
    }
}

impl MaxPool2dBackward {
    fn sizes(&self, types: &Types) -> PoolShape {
        PoolShape::of(&types.inputs[0], self.window).expect("checked when the node was built")
    }

    /// Calls `one` for each plane of x and dy, and then applies the epilogue.
    fn planes<T: Chunked>(&self, call: &mut Call<T>, one: impl Fn(PoolShape, &[T], &[T], &mut [T]) + Sync) {
        let sizes = self.sizes(call.types);
        epilogue::with_output(call, |call, dx| {
            let (x, dy) = (call.real(0), call.real(1));
            let finish = epilogue::finisher(&self.epilogue, call, 2);
            in_pieces(dx, sizes.plane(), |first, piece| {
                let planes = x[first * sizes.plane()..].chunks(sizes.plane());
                let planes = planes.zip(dy[first * sizes.output_plane()..].chunks(sizes.output_plane()));
                for (dx, (x, dy)) in piece.chunks_mut(sizes.plane()).zip(planes) {
                    one(sizes, x, dy, dx);
                }
                finish(first * sizes.plane(), piece);
            });
        });
    }

    fn define<T: Real>(sizes: PoolShape, x: &[T], dy: &[T], dx: &mut [T]) {
        dx.fill(T::zero());
        for (&dy, (row, column)) in dy.iter().zip(sizes.places()) {
            dx[sizes.winner(x, row, column)] += dy;
        }
    }

    /// The same by rows of windows.
    fn by_rows(sizes: PoolShape, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        let mut winners = Winners::new(&sizes);
        dx.fill(0.0);
        for (row, dy) in dy.chunks(sizes.outputs[1]).enumerate() {
            widest(
                #[inline(always)]
                || winners.find(&sizes, x, row),
            );
            dy.iter().zip(winners.places()).for_each(|(&dy, place)| dx[place] += dy);
        }
    }

    /// The same for adjacent windows of 2 x 2, as vector code.
    fn halve(sizes: PoolShape, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        let (width, [rows, columns]) = (sizes.image[1], sizes.outputs);
        for (row, dy) in dy.chunks(columns).enumerate() {
            let (first, pixels) = (2 * row * width, ..2 * columns);
            let (top, bottom) = dx[first..first + 2 * width].split_at_mut(width);
            top[2 * columns..].fill(0.0);
            bottom[2 * columns..].fill(0.0);
            let x = [&x[first..][pixels], &x[first + width..][pixels]].map(|row| row.as_chunks().0);
            hand_out(bytemuck::cast_slice(dy), x, pairs_of_bits(&mut top[pixels]), pairs_of_bits(&mut bottom[pixels]));
        }
        dx[2 * rows * width..].fill(0.0);
    }

    /// The dispatch of a kernel with the epilogue, with `count` invocations.
    fn dispatch(&self, at: &Lower, sizes: PoolShape, kernel: Kernel, own: [Slot; 2], count: usize) -> Dispatch {
        let (kernel, words) = epilogue::splice(&self.epilogue, kernel, at.types, 2);
        let extras = (2..at.types.inputs.len()).map(Slot::Input);
        let slots: Vec<Slot> = own.into_iter().chain(extras).chain([Slot::Output]).collect();
        let dims = std::iter::once(word(count)).chain(sizes.words()).chain(words).collect();
        Dispatch { dims, ..at.linear(self, kernel, &slots, &[], count) }
    }
}

impl Op for MaxPool2dBackward {
    fn name(&self) -> &'static str {
        "max_pool2d_backward"
    }

    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        let [x, dy, extras @ ..] = inputs else { return Err("it takes an image and a gradient".into()) };
        let y = PoolShape::of(x, self.window)?.output(x);
        if *dy != y {
            return Err(format!("the gradient must be {y}"));
        }
        epilogue::check(extras, x)?;
        Ok(x.clone())
    }

    fn reference(&self, call: &mut Call<f64>) {
        self.planes(call, Self::define);
    }

    fn run(&self, call: &mut Call<f32>) {
        let halves = self.sizes(call.types).halves();
        self.planes(call, if halves { Self::halve } else { Self::by_rows });
    }

    fn lower(&self, at: &Lower) -> Lowering {
        let sizes = self.sizes(at.types);
        let (pixels, windows) = (at.types.output.elements(), at.types.inputs[1].elements());
        let both = [Slot::Input(0), Slot::Input(1)];
        match MaxPool2dBackwardVariant::choose(at.device, &sizes) {
            MaxPool2dBackwardVariant::Pairs => {
                let source = include_str!("../../../shaders/max_pool2d_backward_pairs.wgsl");
                let kernel = Kernel::built_in("max_pool2d_backward_pairs", source, &[at.edges(windows / 2)]);
                return self.dispatch(at, sizes, kernel, both, windows / 2).into();
            }
            MaxPool2dBackwardVariant::Patches => {
                let source = include_str!("../../../shaders/max_pool2d_backward_patches.wgsl");
                let kernel = sizes.kernel(at, "max_pool2d_backward_patches", source, windows);
                return self.dispatch(at, sizes, kernel, both, windows).into();
            }
            MaxPool2dBackwardVariant::Gather => {}
        }
        let source = include_str!("../../../shaders/max_pool2d_places.wgsl");
        let places = sizes.kernel(at, "max_pool2d_places", source, windows);
        let dims: Vec<usize> = std::iter::once(windows).chain(sizes.words().into_iter().map(|n| n as usize)).collect();
        let places = at.linear(self, places, &[Slot::Input(0), Slot::Scratch(0)], &dims, windows);
        let constants: Vec<_> = sizes.reach().into_iter().chain([at.edges(pixels)]).collect();
        let source = include_str!("../../../shaders/max_pool2d_backward_gather.wgsl");
        let gather = Kernel::built_in("max_pool2d_backward_gather", source, &constants);
        let gather = self.dispatch(at, sizes, gather, [Slot::Input(1), Slot::Scratch(0)], pixels);
        Lowering { dispatches: vec![places, Dispatch { flops: pixels as u64, ..gather }], scratch: vec![windows] }
    }

    epilogue::joined!(2);

    fn flops(&self, types: &Types) -> u64 {
        let windows = types.inputs[1].elements() * self.window.kernel[0] * self.window.kernel[1];
        windows as u64 + types.output.elements() as u64 * self.epilogue.flops()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_with_places_are_ordered_as_pixels_and_equal_ones_by_their_places() {
        let rising = [f32::NEG_INFINITY, -2.0, -1.0, -f32::MIN_POSITIVE, 0.0, 1e-45, 1.0, 1.5, f32::MAX, f32::INFINITY];
        for (i, &a) in rising.iter().enumerate() {
            for (j, &b) in rising.iter().enumerate() {
                let expected = a.total_cmp(&b).then(j.cmp(&i));
                assert_eq!(with_place(a, i as u32).cmp(&with_place(b, j as u32)), expected, "{a} {b}");
            }
        }
        assert_eq!(with_place(-0.0, 3), with_place(0.0, 3));
        assert!(with_place(7.0, 3) > with_place(7.0, u32::MAX));
    }
}
