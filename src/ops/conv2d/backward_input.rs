//! The gradient of a convolution with respect to its image. As an op of its own, it is a transposed convolution.

use super::{Conv2dShape, Geometry, cpu, variants};
use crate::Result;
use crate::graph::kernel::Lowering;
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::elementwise::{Program, epilogue};
use crate::ops::{Call, Lower, Op, Types};

/// Computes dx from dy `[batch, outputs, rows, columns]` and w, then the epilogue on each element.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2dBackwardInput {
    /// Height and width of dx in pixels. Above stride 1, the shape of dy does not determine them.
    pub image: [usize; 2],
    /// Stride, padding, dilation and groups of the convolution.
    pub geometry: Geometry,
    /// The epilogue, in the same kernel.
    pub epilogue: Program,
}

impl Conv2dBackwardInput {
    fn sizes(&self, types: &Types) -> Conv2dShape {
        Conv2dShape::backward_input(&types.inputs[0], &types.inputs[1], self.image, self.geometry)
            .expect("checked when the node was built")
    }
}

impl Op for Conv2dBackwardInput {
    fn name(&self) -> &'static str {
        "conv2d_backward_input"
    }

    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        let [dy, w, extras @ ..] = inputs else { return Err("it takes a gradient and a weight".into()) };
        let output = TensorType::f32(Conv2dShape::backward_input(dy, w, self.image, self.geometry)?.input_dims());
        epilogue::check(extras, &output)?;
        Ok(output)
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let (dy, w) = (at.inputs[0], at.inputs[1]);
        let kernel = [graph.dims(w)[2], graph.dims(w)[3]];
        let by_dy = graph.conv2d(at.dy, w, self.geometry)?;
        let by_w = graph.conv2d_backward_weight(at.dy, dy, kernel, self.geometry)?;
        Ok(vec![Some(by_dy), Some(by_w)])
    }

    fn reference(&self, call: &mut Call<f64>) {
        let sizes = self.sizes(call.types);
        epilogue::on_whole(&self.epilogue, call, 2, |call, dx| {
            let (dy, w) = (call.real(0), call.real(1));
            dx.fill(0.0);
            sizes.each_product(|ix, iw, iy| dx[ix] += dy[iy] * w[iw]);
        });
    }

    fn run(&self, call: &mut Call<f32>) {
        let sizes = self.sizes(call.types);
        epilogue::with_output(call, |call, dx| {
            let finish = epilogue::finisher(&self.epilogue, call, 2);
            cpu::backward_input(&sizes, call.real(0), call.real(1), dx, finish);
        });
    }

    fn lower(&self, at: &Lower) -> Lowering {
        variants::lower(variants::Direction::BackwardInput, at, self.sizes(at.types), &self.epilogue)
    }

    epilogue::joined!(2);

    fn flops(&self, types: &Types) -> u64 {
        self.sizes(types).flops() + types.output.elements() as u64 * self.epilogue.flops()
    }
}
