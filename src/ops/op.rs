//! Shared parts of the definitions of ops: float types, sums in a fixed order, and parallel pieces.

use std::fmt::Debug;

use crate::parallel::*;

use crate::graph::TensorType;
use crate::ops::single;

/// The largest stride, padding or dilation, and the largest window of a pooling. In kernels, sums of them must fit 32 bits.
pub(crate) const LARGEST: usize = 1 << 20;

/// The float type of a definition: `f64` for the oracle, `f32` for the CPU executor.
pub trait Real:
    num_traits::Float + num_traits::FromPrimitive + num_traits::NumAssign + Default + Debug + Send + Sync + 'static
{
    /// Converts a constant.
    fn of(value: f64) -> Self {
        Self::from_f64(value).unwrap_or_default()
    }
    /// A byte divided by 255.
    fn of_byte(value: u8) -> Self;
    /// e^self. In single precision it uses only operations that the compiler can vectorise.
    fn exponential(self) -> Self;
    /// The hyperbolic tangent. In single precision it uses only operations that the compiler can vectorise.
    fn hyperbolic_tangent(self) -> Self;
    /// e^self - 1, with all its digits near 0. In single precision it uses only operations that the compiler can vectorise.
    fn exponential_less_one(self) -> Self;
    /// The error function. In single precision it uses only operations that the compiler can vectorise.
    fn error_function(self) -> Self;
    /// The part of a standard normal distribution below self. In single precision it uses only operations that the compiler can
    /// vectorise.
    fn normal_part(self) -> Self;
    /// The nearest whole number, in the middle between two the even one.
    fn round_to_even(self) -> Self;
    /// 1 of a positive number, -1 of a negative one, otherwise 0.
    fn sign(self) -> Self {
        let negative = if self < Self::zero() { -Self::one() } else { Self::zero() };
        if self > Self::zero() { Self::one() } else { negative }
    }
    /// Converts a count or a size.
    fn count(value: usize) -> Self {
        Self::from_usize(value).unwrap_or_default()
    }
}
impl Real for f32 {
    fn of_byte(value: u8) -> Self {
        Self::from(value) / 255.0
    }
    #[inline(always)]
    fn exponential(self) -> Self {
        single::exp(self)
    }
    #[inline(always)]
    fn hyperbolic_tangent(self) -> Self {
        single::tanh(self)
    }
    #[inline(always)]
    fn exponential_less_one(self) -> Self {
        single::exp_less_one(self)
    }
    #[inline(always)]
    fn error_function(self) -> Self {
        single::erf(self)
    }
    #[inline(always)]
    fn normal_part(self) -> Self {
        single::normal_part(self)
    }
    #[inline(always)]
    fn round_to_even(self) -> Self {
        self.round_ties_even()
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
    fn exponential_less_one(self) -> Self {
        self.exp_m1()
    }
    fn error_function(self) -> Self {
        libm::erf(self)
    }
    fn normal_part(self) -> Self {
        0.5 * libm::erfc(-self * std::f64::consts::FRAC_1_SQRT_2)
    }
    fn round_to_even(self) -> Self {
        self.round_ties_even()
    }
}

/// Implements [`Op::reference`](crate::ops::Op::reference) and [`Op::run`](crate::ops::Op::run) by one method of the op, which is
/// generic over [`Real`](crate::ops::Real) and takes a [`Call`](crate::ops::Call). It stands inside `impl Op for ...`, as
/// `defined_by!(define);`: [`Op`](crate::ops::Op) has an example. `defined_by!(define, run_fast)` names another method for `run`,
/// with the same result.
#[macro_export]
macro_rules! defined_by {
    ($definition:ident) => {
        $crate::ops::defined_by!($definition, $definition);
    };
    ($definition:ident, $on_cpu:ident) => {
        fn reference(&self, call: &mut $crate::ops::Call<f64>) {
            self.$definition(call);
        }
        fn run(&self, call: &mut $crate::ops::Call<f32>) {
            self.$on_cpu(call);
        }
    };
}
pub use defined_by;

/// The sum of a list: sixteen interleaved sums, then their sum. The compiler can vectorise it, and the bits are
/// always the same.
#[inline(always)]
pub fn total<T: Real>(values: &[T]) -> T {
    total_of(values, values, |value, _| value)
}

/// The sum of a function of two lists of equal length, added as [`total`] does.
#[inline(always)]
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

/// The minimum number of elements per thread.
pub(crate) const PIECE: usize = 16 * 1024;

/// Computes a result in parallel pieces of whole units, where each unit has the same number of elements. `compute`
/// gets the index of the piece's first unit, and the piece. The sizes of pieces depend only on the shapes, so the
/// bits do not depend on the number of threads.
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
