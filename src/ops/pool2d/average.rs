//! The mean of each window, and its gradient. Both are linear, so each is the gradient of the other.

use super::{PoolShape, Window};
use crate::Result;
use crate::graph::kernel::{Dispatch, Kernel, Lowering, Slot, word};
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::elementwise::{Chunked, Program, epilogue};
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

    /// 1 / the number of pixels that count in a window's mean.
    fn share<T: Real>(&self, row: usize, column: usize, include_padding: bool) -> T {
        T::one() / T::count(self.count(0, row, include_padding) * self.count(1, column, include_padding))
    }
}

impl AveragePool2d {
    fn sizes(&self, types: &Types) -> PoolShape {
        PoolShape::of(&types.inputs[0], self.window).expect("checked when the node was built")
    }
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let (sizes, x) = (self.sizes(call.types), call.real(0));
        in_pieces(call.out(), sizes.output_plane(), |first, y| {
            for (x, y) in x[first * sizes.plane()..].chunks(sizes.plane()).zip(y.chunks_mut(sizes.output_plane())) {
                for (y, (row, column)) in y.iter_mut().zip(sizes.places()) {
                    let columns = sizes.span(1, column);
                    let rows = sizes.span(0, row).map(|iy| &x[iy * sizes.image[1]..][columns.clone()]);
                    let sum = rows.flatten().fold(T::zero(), |sum, &x| sum + x);
                    *y = sum * sizes.share(row, column, self.include_padding);
                }
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
            in_pieces(dx, sizes.plane(), |first, piece| {
                let planes = dy[first * sizes.output_plane()..].chunks(sizes.output_plane());
                for (dx, dy) in piece.chunks_mut(sizes.plane()).zip(planes) {
                    dx.fill(T::zero());
                    for (&dy, (row, column)) in dy.iter().zip(sizes.places()) {
                        let share = dy * sizes.share(row, column, self.include_padding);
                        for iy in sizes.span(0, row) {
                            let pixels = &mut dx[iy * sizes.image[1]..][sizes.span(1, column)];
                            pixels.iter_mut().for_each(|dx| *dx += share);
                        }
                    }
                }
                epilogue::run(&self.epilogue, call, 1, first * sizes.plane(), piece);
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
