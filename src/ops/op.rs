//! What the definitions of ops share: their floats, sums in a fixed order, and parallel pieces.

use std::fmt::Debug;

use crate::parallel::*;

use crate::graph::TensorType;
use crate::ops::single;

/// The floats a definition is written for: `f64` as the oracle, `f32` as an executor.
pub trait Real:
    num_traits::Float + num_traits::FromPrimitive + num_traits::NumAssign + Default + Debug + Send + Sync + 'static
{
    /// From a constant.
    fn of(value: f64) -> Self {
        Self::from_f64(value).unwrap_or_default()
    }
    /// A byte as a part of 255.
    fn of_byte(value: u8) -> Self;
    /// e^self; in single precision made of operations that the compiler makes vector code of.
    fn exponential(self) -> Self;
    /// The hyperbolic tangent, likewise.
    fn hyperbolic_tangent(self) -> Self;
    /// From a counter or a size.
    fn count(value: usize) -> Self {
        Self::from_usize(value).unwrap_or_default()
    }
}
impl Real for f32 {
    fn of_byte(value: u8) -> Self {
        Self::from(value) / 255.0
    }
    fn exponential(self) -> Self {
        single::exp(self)
    }
    fn hyperbolic_tangent(self) -> Self {
        single::tanh(self)
    }
}
impl Real for f64 {
    fn of_byte(value: u8) -> Self {
        Self::from(value) / 255.0
    }
    fn exponential(self) -> Self {
        self.exp()
    }
    fn hyperbolic_tangent(self) -> Self {
        self.tanh()
    }
}

/// Implements [`Op::reference`](crate::ops::Op::reference) and [`Op::run`](crate::ops::Op::run) by one method of the op, which is
/// generic over [`Real`](crate::ops::Real) and takes a [`Call`](crate::ops::Call). It stands inside `impl Op for ...`, as
/// `defined_by!(define);`.
#[macro_export]
macro_rules! defined_by {
    ($definition:ident) => {
        fn reference(&self, call: &mut $crate::ops::Call<f64>) {
            self.$definition(call);
        }
        fn run(&self, call: &mut $crate::ops::Call<f32>) {
            self.$definition(call);
        }
    };
}
pub use defined_by;

/// The sum of a list, in sixteen interleaved sums and then over those: vector code, and the same bits always.
pub fn total<T: Real>(values: &[T]) -> T {
    total_of(values, values, |value, _| value)
}

/// The sum of a function of two lists of one length, added up as [`total`] does.
pub(crate) fn total_of<T: Real>(a: &[T], b: &[T], term: impl Fn(T, T) -> T) -> T {
    let mut sums = [T::zero(); 16];
    let (whole_a, whole_b) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest = whole_a.remainder().iter().zip(whole_b.remainder());
    for (a, b) in whole_a.zip(whole_b) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (&a, &b))| *sum += term(a, b));
    }
    let sum = sums.iter().fold(T::zero(), |sum, &value| sum + value);
    rest.fold(sum, |sum, (&a, &b)| sum + term(a, b))
}

/// Elements that are worth a thread of their own.
pub(crate) const PIECE: usize = 16 * 1024;

/// Computes a result in parallel pieces, each of whole units of so many elements: `compute` gets the number of its first unit
/// and the piece. The sizes depend on the shapes alone, so that the bits do not depend on the number of threads.
pub fn in_pieces<T: Send>(out: &mut [T], unit: usize, compute: impl Fn(usize, &mut [T]) + Sync) {
    let units = (PIECE / unit.max(1)).max(1);
    let piece = units * unit.max(1);
    match out.len() {
        0 => {}
        len if len <= piece => compute(0, out),
        _ => out.par_chunks_mut(piece).enumerate().for_each(|(number, piece)| compute(number * units, piece)),
    }
}

/// Checks the number of inputs of a shape rule.
///
/// # Errors
/// The part of a sentence that says how many it takes and how many were given.
pub fn expect_inputs(inputs: &[TensorType], count: usize) -> Result<(), String> {
    if inputs.len() == count {
        return Ok(());
    }
    Err(format!("it takes {count} inputs, but {} were given", inputs.len()))
}
