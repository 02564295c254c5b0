//! The mean of each window, and its gradient. Both are linear, so each is the gradient of the other.

use super::rows::{Across, pick, spread};
use super::{PoolShape, Window};
use crate::Result;
use crate::graph::kernel::{Dispatch, Kernel, Lowering, Slot, word};
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::elementwise::{Chunked, Program, epilogue};
use crate::ops::lanes::widest;
use crate::ops::op::{defined_by, in_pieces};
use crate::ops::{Call, Lower, Op, Real, Types, expect_inputs};

/// The mean of each window.
#[derive(Clone, Debug, PartialEq)]
pub struct AveragePool2d {
    /// The window, its stride and padding.
    pub window: Window,
    /// Whether padding counts in the mean.
    pub include_padding: bool,
}

/// The gradient with respect to the image: each window distributes its element of dy equally over its pixels. Then
/// the epilogue is applied.
#[derive(Clone, Debug, PartialEq)]
pub struct AveragePool2dBackward {
    /// As in the forward op.
    pub window: Window,
    /// As in the forward op.
    pub include_padding: bool,
    /// Height and width of dx in pixels. The shape of dy does not determine them.
    pub image: [usize; 2],
    /// The epilogue, in the same kernel.
    pub epilogue: Program,
}

impl PoolShape {
    /// The number of pixels of a window along an axis that count in the mean, with or without padding.
    fn count(&self, axis: usize, output: usize, include_padding: bool) -> usize {
        if !include_padding {
            return self.span(axis, output).len();
        }
        let start = output * self.window.stride[axis];
        self.window.kernel[axis].min(self.image[axis] + 2 * self.window.padding[axis] - start)
    }

    /// The sum of each column of pixels under a row of windows.
    #[inline(always)]
    fn sum_down<T: Real>(&self, x: &[T], row: usize, down: &mut [T]) {
        down.fill(T::zero());
        for iy in self.span(0, row) {
            down.iter_mut().zip(&x[iy * self.image[1]..]).for_each(|(sum, &x)| *sum += x);
        }
    }

    /// The sum of each window of a row, from the sums of the columns. `picked` is memory for a row of windows.
    #[inline(always)]
    fn sum_across<T: Real>(across: &Across, down: &[T], picked: &mut [T], y: &mut [T]) {
        y.fill(T::zero());
        for (windows, column) in &across.taps {
            let picked = &mut picked[..windows.len()];
            pick(&down[*column..], across.stride, picked);
            y[windows.clone()].iter_mut().zip(picked).for_each(|(sum, part)| *sum += *part);
        }
    }

    /// The sum that each column of pixels gets from a row of windows.
    #[inline(always)]
    fn spread_across<T: Real>(across: &Across, shared: &[T], spread_out: &mut [T]) {
        spread_out.fill(T::zero());
        for (windows, column) in &across.taps {
            spread(&shared[windows.clone()], across.stride, &mut spread_out[*column..]);
        }
    }

    /// Adds the sums of the columns to each row of pixels under a row of windows.
    #[inline(always)]
    fn spread_down<T: Real>(&self, spread_out: &[T], row: usize, dx: &mut [T]) {
        for iy in self.span(0, row) {
            dx[iy * self.image[1]..].iter_mut().zip(spread_out).for_each(|(dx, &part)| *dx += part);
        }
    }
}

/// 1 / the number of pixels that count in each window's mean, for each row of windows.
struct Shares<T> {
    /// The shares of a row of windows, for each number of rows of pixels that windows have.
    rows: Vec<(usize, Vec<T>)>,
    /// The index in `rows` of each row of windows.
    of: Vec<usize>,
}

impl<T: Real> Shares<T> {
    fn new(sizes: &PoolShape, include_padding: bool) -> Self {
        let (mut rows, mut of) = (Vec::<(usize, Vec<T>)>::new(), Vec::new());
        for row in 0..sizes.outputs[0] {
            let high = sizes.count(0, row, include_padding);
            let known = rows.iter().position(|(known, _)| *known == high).unwrap_or_else(|| {
                let share = |column| T::one() / T::count(high * sizes.count(1, column, include_padding));
                rows.push((high, (0..sizes.outputs[1]).map(share).collect()));
                rows.len() - 1
            });
            of.push(known);
        }
        Self { rows, of }
    }

    #[inline(always)]
    fn of(&self, row: usize) -> &[T] {
        &self.rows[self.of[row]].1
    }
}

impl AveragePool2d {
    fn sizes(&self, types: &Types) -> PoolShape {
        PoolShape::of(&types.inputs[0], self.window).expect("checked when the node was built")
    }
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let (sizes, x) = (self.sizes(call.types), call.real(0));
        let (across, shares) = (Across::new(&sizes), Shares::new(&sizes, self.include_padding));
        in_pieces(call.out(), sizes.output_plane(), |first, y| {
            let (mut down, mut picked) = (vec![T::zero(); sizes.image[1]], vec![T::zero(); sizes.outputs[1]]);
            for (x, y) in sizes.planes(x, first, y) {
                widest(
                    #[inline(always)]
                    || {
                        for (row, y) in y.chunks_mut(sizes.outputs[1]).enumerate() {
                            sizes.sum_down(x, row, &mut down);
                            PoolShape::sum_across(&across, &down, &mut picked, y);
                            y.iter_mut().zip(shares.of(row)).for_each(|(y, &share)| *y *= share);
                        }
                    },
                );
            }
        });
    }
}

impl Op for AveragePool2d {
    fn name(&self) -> &'static str {
        "average_pool2d"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 1)?;
        Ok(PoolShape::of(&inputs[0], self.window)?.output(&inputs[0]))
    }
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let &[_, _, height, width] = graph.dims(at.inputs[0]) else { return Ok(vec![None]) };
        let backward = AveragePool2dBackward {
            window: self.window,
            include_padding: self.include_padding,
            image: [height, width],
            epilogue: Program::default(),
        };
        Ok(vec![Some(graph.apply(backward, &[at.dy])?)])
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let sizes = self.sizes(at.types);
        let source = include_str!("../../../shaders/average_pool2d.wgsl");
        let count = at.types.output.elements();
        let [height, width] = self.window.kernel.map(|size| word(size).into());
        let padding = ("INCLUDE_PADDING", self.include_padding.into());
        let constants = [("HEIGHT", height), ("WIDTH", width), padding, at.edges(count)];
        let kernel = Kernel::built_in("average_pool2d", source, &constants);
        let dims = std::iter::once(word(count)).chain(sizes.words()).collect();
        Dispatch { dims, ..at.linear(self, kernel, &[Slot::Input(0), Slot::Output], &[], count) }.into()
    }
    fn flops(&self, types: &Types) -> u64 {
        (types.output.elements() * self.window.kernel[0] * self.window.kernel[1]) as u64
    }
}

impl AveragePool2dBackward {
    fn sizes(&self, dy: &TensorType) -> Result<PoolShape, String> {
        let &[batch, channels, rows, columns] = dy.dims() else {
            return Err("the gradient must have four axes, batch x channels x height x width".into());
        };
        let sizes = PoolShape::new(batch * channels, self.image, self.window)?;
        if [rows, columns] != sizes.outputs || *dy != TensorType::f32(dy.shape.clone()) {
            let [rows, columns] = sizes.outputs;
            return Err(format!("the gradient must hold floats, {rows} high and {columns} wide"));
        }
        Ok(sizes)
    }

    fn define<T: Chunked>(&self, call: &mut Call<T>) {
        let sizes = self.sizes(&call.types.inputs[0]).expect("checked when the node was built");
        epilogue::with_output(call, |call, dx| {
            let dy = call.real(0);
            let (across, shares) = (Across::new(&sizes), Shares::new(&sizes, self.include_padding));
            let finish = epilogue::finisher(&self.epilogue, call, 1);
            in_pieces(dx, sizes.plane(), |first, piece| {
                let (mut spread_out, mut shared) = (vec![T::zero(); sizes.image[1]], vec![T::zero(); sizes.outputs[1]]);
                let planes = dy[first * sizes.output_plane()..].chunks(sizes.output_plane());
                for (dx, dy) in piece.chunks_mut(sizes.plane()).zip(planes) {
                    dx.fill(T::zero());
                    widest(
                        #[inline(always)]
                        || {
                            for (row, dy) in dy.chunks(sizes.outputs[1]).enumerate() {
                                let parts = dy.iter().zip(shares.of(row));
                                shared.iter_mut().zip(parts).for_each(|(shared, (&dy, &share))| *shared = dy * share);
                                PoolShape::spread_across(&across, &shared, &mut spread_out);
                                sizes.spread_down(&spread_out, row, dx);
                            }
                        },
                    );
                }
                finish(first * sizes.plane(), piece);
            });
        });
    }
}

impl Op for AveragePool2dBackward {
    fn name(&self) -> &'static str {
        "average_pool2d_backward"
    }

    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        let [dy, extras @ ..] = inputs else { return Err("it takes a gradient".into()) };
        self.sizes(dy)?;
        let output = TensorType::f32([dy.dims()[0], dy.dims()[1], self.image[0], self.image[1]]);
        epilogue::check(extras, &output)?;
        Ok(output)
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let forward = AveragePool2d { window: self.window, include_padding: self.include_padding };
        Ok(vec![Some(graph.apply(forward, &[at.dy])?)])
    }

    defined_by!(define);

    fn lower(&self, at: &Lower) -> Lowering {
        let sizes = self.sizes(&at.types.inputs[0]).expect("checked when the node was built");
        let source = include_str!("../../../shaders/average_pool2d_backward.wgsl");
        let count = at.types.output.elements();
        let padding = ("INCLUDE_PADDING", self.include_padding.into());
        let constants: Vec<_> = sizes.reach().into_iter().chain([padding, at.edges(count)]).collect();
        let kernel = Kernel::built_in("average_pool2d_backward", source, &constants);
        let (kernel, words) = epilogue::splice(&self.epilogue, kernel, at.types, 1);
        let dims = std::iter::once(word(count)).chain(sizes.words()).chain(words).collect();
        let slots: Vec<Slot> = (0..at.types.inputs.len()).map(Slot::Input).chain([Slot::Output]).collect();
        Dispatch { dims, ..at.linear(self, kernel, &slots, &[], count) }.into()
    }

    epilogue::joined!(1);

    fn flops(&self, types: &Types) -> u64 {
        let windows = types.inputs[0].elements() * self.window.kernel[0] * self.window.kernel[1];
        windows as u64 + types.output.elements() as u64 * self.epilogue.flops()
    }
}
