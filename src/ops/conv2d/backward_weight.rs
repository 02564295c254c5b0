//! The gradient of a convolution with respect to its weight.

use super::{Conv2dShape, Geometry, cpu, variants};
use crate::Result;
use crate::graph::kernel::Lowering;
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::elementwise::Program;
use crate::ops::{Call, Lower, Op, Types, expect_inputs};

/// Computes dw from x `[batch, channels, height, width]` and dy `[batch, outputs, rows, columns]`, summed over the
/// batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2dBackwardWeight {
    /// Height and width of the kernel. Above stride 1, the shape of dy does not determine them.
    pub kernel: [usize; 2],
    /// Stride, padding, dilation and groups of the convolution.
    pub geometry: Geometry,
}

impl Conv2dBackwardWeight {
    fn sizes(&self, types: &Types) -> Conv2dShape {
        Conv2dShape::backward_weight(&types.inputs[0], &types.inputs[1], self.kernel, self.geometry)
            .expect("checked when the node was built")
    }
}

impl Op for Conv2dBackwardWeight {
    fn name(&self) -> &'static str {
        "conv2d_backward_weight"
    }

    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 2)?;
        Ok(TensorType::f32(
            Conv2dShape::backward_weight(&inputs[0], &inputs[1], self.kernel, self.geometry)?.weight_dims(),
        ))
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let (x, dy) = (at.inputs[0], at.inputs[1]);
        let image = [graph.dims(x)[2], graph.dims(x)[3]];
        let by_x = graph.conv2d_backward_input(dy, at.dy, image, self.geometry)?;
        let by_dy = graph.conv2d(x, at.dy, self.geometry)?;
        Ok(vec![Some(by_x), Some(by_dy)])
    }

    fn reference(&self, call: &mut Call<f64>) {
        let (x, dy, sizes) = (call.real(0), call.real(1), self.sizes(call.types));
        let dw = call.out();
        dw.fill(0.0);
        sizes.each_product(|ix, iw, iy| dw[iw] += x[ix] * dy[iy]);
    }

    fn run(&self, call: &mut Call<f32>) {
        let (x, dy, sizes) = (call.real(0), call.real(1), self.sizes(call.types));
        cpu::backward_weight(&sizes, x, dy, call.out());
    }

    fn lower(&self, at: &Lower) -> Lowering {
        variants::lower(variants::Direction::BackwardWeight, at, self.sizes(at.types), &Program::default())
    }

    fn flops(&self, types: &Types) -> u64 {
        self.sizes(types).flops()
    }
}
