//! Convolution of images, as PyTorch's `conv2d` (mathematically a cross-correlation): any kernel size, stride,
//! padding, dilation and groups, with an element-wise epilogue. Its two gradients are ops too. Each of the three is
//! linear in two operands, so the gradient of each consists of the other two.

mod backward_input;
mod backward_weight;
pub mod cases;
mod cpu;
mod depthwise;
mod prefetched;
mod sizes;
mod tiled;
pub(crate) mod variants;

pub use backward_input::Conv2dBackwardInput;
pub use backward_weight::Conv2dBackwardWeight;
pub use sizes::{Conv2dShape, Geometry};

use crate::Result;
use crate::graph::kernel::Lowering;
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::elementwise::{Program, epilogue};
use crate::ops::{Call, Lower, Op, Types};

/// Computes y from x `[batch, channels, height, width]` and w `[outputs, channels / groups, kernel height, kernel
/// width]`, then applies the epilogue to each element. Operand 0 of the epilogue is the convolution's result. Its
/// other operands are the inputs from the third on.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Conv2d {
    /// Stride, padding, dilation and groups.
    pub geometry: Geometry,
    /// The epilogue, in the same kernel: bias, activation, residual.
    pub epilogue: Program,
}

impl Conv2d {
    fn sizes(&self, types: &Types) -> Conv2dShape {
        Conv2dShape::forward(&types.inputs[0], &types.inputs[1], self.geometry)
            .expect("checked when the node was built")
    }
}

impl Op for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        let [x, w, extras @ ..] = inputs else { return Err("it takes an image and a weight".into()) };
        let output = TensorType::f32(Conv2dShape::forward(x, w, self.geometry)?.output_dims());
        epilogue::check(extras, &output)?;
        Ok(output)
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let (x, w) = (at.inputs[0], at.inputs[1]);
        let size = |dims: &[usize]| [dims[2], dims[3]];
        let (image, kernel) = (size(graph.dims(x)), size(graph.dims(w)));
        let dx = graph.conv2d_backward_input(at.dy, w, image, self.geometry)?;
        let dw = graph.conv2d_backward_weight(x, at.dy, kernel, self.geometry)?;
        Ok(vec![Some(dx), Some(dw)])
    }

    fn reference(&self, call: &mut Call<f64>) {
        let sizes = self.sizes(call.types);
        epilogue::on_whole(&self.epilogue, call, 2, |call, y| {
            let (x, w) = (call.real(0), call.real(1));
            y.fill(0.0);
            sizes.each_product(|ix, iw, iy| y[iy] += x[ix] * w[iw]);
        });
    }

    fn run(&self, call: &mut Call<f32>) {
        let sizes = self.sizes(call.types);
        epilogue::with_output(call, |call, y| {
            let finish = epilogue::finisher(&self.epilogue, call, 2);
            cpu::forward(&sizes, call.real(0), call.real(1), y, finish);
        });
    }

    fn lower(&self, at: &Lower) -> Lowering {
        variants::lower(variants::Direction::Forward, at, self.sizes(at.types), &self.epilogue)
    }

    epilogue::joined!(2);

    fn flops(&self, types: &Types) -> u64 {
        self.sizes(types).flops() + types.output.elements() as u64 * self.epilogue.flops()
    }
}

impl Graph {
    /// The convolution of x `[batch, channels, height, width]` with w `[outputs, channels / groups, kernel height,
    /// kernel width]`. The result is `[batch, outputs, rows, columns]`.
    ///
    /// # Errors
    /// When the shapes do not fit, the groups do not divide the channels, or the kernel is larger than the image.
    pub fn conv2d(&mut self, x: NodeId, w: NodeId, geometry: Geometry) -> Result<NodeId> {
        self.apply(Conv2d { geometry, ..Conv2d::default() }, &[x, w])
    }

    /// The gradient of a convolution with respect to its image. `image` is the image's height and width in pixels.
    /// Applied to dy, it is also PyTorch's `conv_transpose2d`.
    ///
    /// # Errors
    /// When dy does not have the shape of the convolution's result for such an image.
    pub fn conv2d_backward_input(
        &mut self,
        dy: NodeId,
        w: NodeId,
        image: [usize; 2],
        geometry: Geometry,
    ) -> Result<NodeId> {
        self.apply(Conv2dBackwardInput { image, geometry, epilogue: Program::default() }, &[dy, w])
    }

    /// The gradient of a convolution with respect to its weight. `kernel` is the kernel's height and width.
    ///
    /// # Errors
    /// When dy does not have the shape of the convolution's result for such a kernel.
    pub fn conv2d_backward_weight(
        &mut self,
        x: NodeId,
        dy: NodeId,
        kernel: [usize; 2],
        geometry: Geometry,
    ) -> Result<NodeId> {
        self.apply(Conv2dBackwardWeight { kernel, geometry }, &[x, dy])
    }
}
