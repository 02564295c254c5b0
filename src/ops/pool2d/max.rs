//! The maximum of each window, and its gradient. The gradient finds the maximum again, so its position is not stored.

use std::ops::Range;

use super::{MaxPool2dBackwardVariant, MaxPool2dVariant, PoolShape, Window};
use crate::Result;
use crate::graph::kernel::{Dispatch, Kernel, Lowering, Slot, word};
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::elementwise::{Chunked, Program, epilogue};
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
    fn tallest(&self, x: &[f32], row: usize, tallest: &mut [f32]) {
        let rows = self.span(0, row);
        let line = |iy: usize| &x[iy * self.image[1]..][..self.image[1]];
        tallest.copy_from_slice(line(rows.start));
        for iy in rows.skip(1) {
            tallest.iter_mut().zip(line(iy)).for_each(|(best, &pixel)| *best = larger(pixel, *best));
        }
    }

    /// The maximum of each window of a row, from the maxima of the columns.
    fn largest(&self, tallest: &[f32], y: &mut [f32]) {
        let stride = self.window.stride[1];
        y.iter_mut().enumerate().for_each(|(column, y)| *y = tallest[self.span(1, column).start]);
        for tap in 0..self.window.kernel[1] {
            let (windows, column) = self.reached(tap);
            let pixels = tallest[column..].iter().step_by(stride);
            y[windows].iter_mut().zip(pixels).for_each(|(best, &pixel)| *best = larger(pixel, *best));
        }
    }

    /// The windows of a row whose column at this tap is inside the image, and the column of the first such window.
    fn reached(&self, tap: usize) -> (Range<usize>, usize) {
        let (stride, padding, width) = (self.window.stride[1], self.window.padding[1], self.image[1]);
        let from = padding.saturating_sub(tap).div_ceil(stride);
        let to = (width + padding).saturating_sub(tap).div_ceil(stride).min(self.outputs[1]).max(from);
        (from..to, (from * stride + tap).saturating_sub(padding).min(width))
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

/// The largest pixels of a row of windows and their positions in the plane. The memory is reused for each row. The
/// maximum is taken down each column first, then across. Pixels are handled as bits. For floats, the compiler would
/// generate branches that depend on the pixels, and half of them would be mispredicted.
struct Winners {
    /// The maxima of the columns of pixels under the row of windows.
    tallest: Vec<u32>,
    /// The positions of these maxima.
    places_down: Vec<u32>,
    /// The maxima of the windows.
    largest: Vec<u32>,
    /// The positions of these maxima.
    places: Vec<u32>,
}

impl Winners {
    fn new(sizes: &PoolShape) -> Self {
        let (columns, windows) = (vec![0; sizes.image[1]], vec![0; sizes.outputs[1]]);
        Self { tallest: columns.clone(), places_down: columns, largest: windows.clone(), places: windows }
    }

    fn find(&mut self, sizes: &PoolShape, x: &[f32], row: usize) {
        let (width, rows) = (sizes.image[1], sizes.span(0, row));
        let line = |iy: usize| bytemuck::cast_slice::<f32, u32>(&x[iy * width..][..width]);
        let first = rows.start * width;
        self.tallest.copy_from_slice(line(rows.start));
        self.places_down.iter_mut().zip(first as u32..).for_each(|(place, at)| *place = at);
        for iy in rows.skip(1) {
            take_larger(line(iy), (iy * width) as u32, &mut self.tallest, &mut self.places_down);
        }
        let stride = sizes.window.stride[1];
        for (column, (largest, place)) in self.largest.iter_mut().zip(&mut self.places).enumerate() {
            let first = sizes.span(1, column).start;
            (*largest, *place) = (self.tallest[first], self.places_down[first]);
        }
        for tap in 0..sizes.window.kernel[1] {
            let (reached, column) = sizes.reached(tap);
            let (tallest, places_down) = (&self.tallest[column..], &self.places_down[column..]);
            let windows = self.largest[reached.clone()].iter_mut().zip(&mut self.places[reached]);
            for (window, (largest, place)) in windows.enumerate() {
                let (pixel, at) = (tallest[window * stride], places_down[window * stride]);
                let (new, old) = (f32::from_bits(pixel), f32::from_bits(*largest));
                // Of equal pixels, the first in row-major order wins.
                let wins = (new > old) | ((new == old) & (at < *place));
                (*largest, *place) = (chosen(wins, pixel, *largest), chosen(wins, at, *place));
            }
        }
    }
}

/// The first value if it is larger, otherwise the second.
fn larger(first: f32, second: f32) -> f32 {
    if first > second { first } else { second }
}

/// Updates the maxima with a row of pixels. The first pixel has the position `first`.
fn take_larger(line: &[u32], first: u32, largest: &mut [u32], places: &mut [u32]) {
    for (((&pixel, at), largest), place) in line.iter().zip(first..).zip(largest).zip(places) {
        let wins = f32::from_bits(pixel) > f32::from_bits(*largest);
        (*largest, *place) = (chosen(wins, pixel, *largest), chosen(wins, at, *place));
    }
}

/// The first word if it won, otherwise the second, without a branch.
fn chosen(won: bool, first: u32, second: u32) -> u32 {
    second ^ ((first ^ second) & u32::from(won).wrapping_neg())
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
            for (x, y) in x[first * sizes.plane()..].chunks(sizes.plane()).zip(y.chunks_mut(sizes.output_plane())) {
                y.iter_mut().zip(sizes.places()).for_each(|(y, (row, column))| *y = x[sizes.winner(x, row, column)]);
            }
        });
    }
    /// The same by rows of windows: down each column first, then across.
    fn by_rows(&self, sizes: PoolShape, call: &mut Call<f32>) {
        let x = call.real(0);
        in_pieces(call.out(), sizes.output_plane(), |first, y| {
            let mut tallest = vec![0.0; sizes.image[1]];
            for (x, y) in x[first * sizes.plane()..].chunks(sizes.plane()).zip(y.chunks_mut(sizes.output_plane())) {
                for (row, y) in y.chunks_mut(sizes.outputs[1]).enumerate() {
                    sizes.tallest(x, row, &mut tallest);
                    sizes.largest(&tallest, y);
                }
            }
        });
    }
    /// The same for adjacent windows of 2 x 2, as vector code.
    fn halve(&self, sizes: PoolShape, call: &mut Call<f32>) {
        let x = call.real(0);
        in_pieces(call.out(), sizes.output_plane(), |first, y| {
            for (x, y) in x[first * sizes.plane()..].chunks(sizes.plane()).zip(y.chunks_mut(sizes.output_plane())) {
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
            in_pieces(dx, sizes.plane(), |first, piece| {
                let planes = x[first * sizes.plane()..].chunks(sizes.plane());
                let planes = planes.zip(dy[first * sizes.output_plane()..].chunks(sizes.output_plane()));
                for (dx, (x, dy)) in piece.chunks_mut(sizes.plane()).zip(planes) {
                    one(sizes, x, dy, dx);
                }
                epilogue::run(&self.epilogue, call, 2, first * sizes.plane(), piece);
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
            winners.find(&sizes, x, row);
            dy.iter().zip(&winners.places).for_each(|(&dy, &place)| dx[place as usize] += dy);
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
