//! Which convolution kernel for which device and shape.

use super::Sizes;
use crate::gpu::kernel::{Dispatch, Kernel, Lowering, Slot};
use crate::ops::Lower;
use crate::ops::elementwise::{Program, epilogue};

/// What is computed of which two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// y of x and w.
    Forward,
    /// dx of dy and w.
    BackwardInput,
    /// dw of x and dy.
    BackwardWeight,
}

/// The dispatches of one convolution with its epilogue.
pub(super) fn lower(direction: Direction, at: &Lower, sizes: Sizes, program: &Program) -> Lowering {
    plain(direction, at, sizes, program).into()
}

/// One invocation an output: the definition.
fn plain(direction: Direction, at: &Lower, sizes: Sizes, program: &Program) -> Dispatch {
    let (name, source) = match direction {
        Direction::Forward => ("conv2d_forward", include_str!("../../../shaders/conv2d_forward.wgsl")),
        Direction::BackwardInput => {
            ("conv2d_backward_input", include_str!("../../../shaders/conv2d_backward_input.wgsl"))
        }
        Direction::BackwardWeight => {
            ("conv2d_backward_weight", include_str!("../../../shaders/conv2d_backward_weight.wgsl"))
        }
    };
    let (kernel, words) = epilogue::splice(program, Kernel::new(name, source, &[]), at.types, 2);
    Dispatch {
        kernel,
        slots: (0..at.types.inputs.len()).map(Slot::Input).chain([Slot::Output]).collect(),
        dims: sizes.words().into_iter().chain(words).collect(),
        groups: at.device.fold(at.types.output.elements().div_ceil(64)),
        flops: sizes.flops() + at.types.output.elements() as u64 * program.flops(),
        bytes: at.types.bytes(),
    }
}
