//! Epilogues: element-wise programs that another op applies to each of its results before it stores them. This file
//! holds what a matrix product or a convolution needs for that. The inputs from number `own` on are the program's
//! further operands. Each is broadcast to the output.

use super::program::{Chunked, Pattern};
use super::splice::Splice;
use crate::graph::kernel::Kernel;
use crate::graph::{Program, TensorType};
use crate::ops::{Call, TensorOut, Types};

/// Checks that these operands can be broadcast to the output.
///
/// # Errors
/// The end of a sentence that names the operand which cannot.
pub(crate) fn check(extras: &[TensorType], output: &TensorType) -> Result<(), String> {
    extras.iter().try_for_each(|extra| Pattern::of(extra, output).map(|_| ()))
}

fn extras(types: &Types, own: usize) -> Vec<Pattern> {
    let of = |ty| Pattern::of(ty, &types.output).expect("checked when the node was built");
    types.inputs[own..].iter().map(of).collect()
}

/// A function that applies the program to a piece of the output. It gets the index of the piece's first element.
pub(crate) fn finisher<'a, T: Chunked>(
    program: &'a Program,
    call: &'a Call<T>,
    own: usize,
) -> impl Fn(usize, &mut [T]) + Sync + 'a {
    let others =
        extras(call.types, own).into_iter().enumerate().map(|(i, pattern)| Some((call.real(own + i), pattern)));
    let operands: Vec<_> = std::iter::once(None).chain(others).collect();
    move |start, piece| {
        if !program.calls.is_empty() {
            program.run(&operands, start, piece);
        }
    }
}

/// Takes the output out of the call, so that the op can read its inputs while it writes the output.
pub(crate) fn with_output<T>(call: &mut Call<T>, compute: impl FnOnce(&Call<T>, &mut [T])) {
    let mut output = std::mem::replace(&mut call.output, TensorOut::Real(&mut []));
    if let TensorOut::Real(values) = &mut output {
        compute(call, values);
    }
    call.output = output;
}

/// Computes the whole output of an op, then applies its epilogue.
pub(crate) fn on_whole<T: Chunked>(
    program: &Program,
    call: &mut Call<T>,
    own: usize,
    compute: impl FnOnce(&Call<T>, &mut [T]),
) {
    with_output(call, |call, values| {
        compute(call, values);
        finisher(program, call, own)(0, values);
    });
}

/// The kernel with the program spliced in, and the words that the program adds to the kernel's `Dims`.
pub(crate) fn splice(program: &Program, kernel: Kernel, types: &Types, own: usize) -> (Kernel, Vec<u32>) {
    let patterns = extras(types, own);
    Splice::new(program, patterns.len() + 1).into_epilogue(kernel, &patterns, types.output.elements(), channels(types))
}

/// The pattern of an operand with a number for each channel. The channels are axis 1 of images, and the last axis of a matrix.
fn channels(types: &Types) -> Pattern {
    match *types.output.dims() {
        [_, channels, height, width] => Pattern { inner: height * width, len: channels, row: 1 },
        ref dims => Pattern { inner: 1, len: dims.last().copied().unwrap_or(1), row: 1 },
    }
}

/// Implements [`Op::epilogue`](crate::ops::Op::epilogue) and [`Op::with_epilogue`](crate::ops::Op::with_epilogue) for
/// an op that stores its program in a field `epilogue`. The argument is the number of the op's own inputs.
macro_rules! joined {
    ($own:literal) => {
        fn epilogue(&self) -> Option<(&$crate::ops::elementwise::Program, usize)> {
            Some((&self.epilogue, $own))
        }
        fn with_epilogue(
            &self,
            epilogue: $crate::ops::elementwise::Program,
        ) -> Option<std::sync::Arc<dyn $crate::ops::Op>> {
            Some(std::sync::Arc::new(Self { epilogue, ..self.clone() }))
        }
    };
}
pub(crate) use joined;
