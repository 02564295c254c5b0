//! Functions of one number, each with its derivative, and the methods of [`Graph`] that apply them.

use std::fmt::Debug;

use super::{Formula, Map};
use crate::Result;
use crate::graph::{Differentiate, Graph, NodeId};
use crate::ops::Real;
use crate::ops::{
    abs, ceil, cos, erf, exp, floor, gelu, gelu_erf, hard_swish, log, relu, round, sigmoid, sign, silu, sin, softplus,
    sqrt, square, tanh,
};

/// A function of one number, and its derivative. Both are written once in Rust for both precisions, and once in WGSL. Every
/// such function is a [`Formula`]. The [module](super) has a complete example.
pub trait Unary: Debug + Clone + PartialEq + Send + Sync + 'static {
    /// The names of the function and of its derivative, for tables, profiles and messages. They are also their names in WGSL.
    const NAMES: [&'static str; 2];
    /// The function's name in WGSL, if it differs: WGSL has a built-in `exp`, for example.
    const FUNCTION: &'static str = Self::NAMES[0];
    /// The WGSL text that defines both, as in [`Formula::WGSL`]. The derivative takes x or y, then dy, then the parameters. It
    /// becomes part of kernels that are compiled without bounds checks: an index into an array of its own must be in range.
    const WGSL: &'static str;
    /// Whether the derivative is computed from the result y. Otherwise it is computed from the argument x.
    const OF_RESULT: bool = false;
    /// Floating-point operations of the function and of its derivative. A transcendental function counts as one.
    const FLOPS: [u64; 2] = [1, 1];

    /// The definition of the function.
    fn value<T: Real>(&self, x: T) -> T;

    /// The definition of the derivative at x, or at y if [`Unary::OF_RESULT`] says so, times dy.
    fn derivative<T: Real>(&self, at: T, dy: T) -> T;

    /// As [`Formula::parameters`], for both functions.
    fn parameters(&self) -> Vec<f32> {
        Vec::new()
    }
}

impl<F: Unary> Formula for F {
    const NAME: &'static str = F::NAMES[0];
    const FUNCTION: &'static str = <F as Unary>::FUNCTION;
    const ARITY: usize = 1;
    const WGSL: &'static str = <F as Unary>::WGSL;
    const FLOPS: u64 = <F as Unary>::FLOPS[0];

    fn value<T: Real>(&self, [x, ..]: [T; 3]) -> T {
        Unary::value(self, x)
    }

    fn parameters(&self) -> Vec<f32> {
        Unary::parameters(self)
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let known = if F::OF_RESULT { at.y } else { at.inputs[0] };
        Ok(vec![Some(graph.apply(Map::of(Derivative(self.clone())), &[known, at.dy])?)])
    }
}

/// The derivative of a function, times dy.
#[derive(Clone, Debug, PartialEq)]
pub struct Derivative<F>(pub F);

impl<F: Unary> Formula for Derivative<F> {
    const NAME: &'static str = F::NAMES[1];
    const ARITY: usize = 2;
    const WGSL: &'static str = <F as Unary>::WGSL;
    const FLOPS: u64 = <F as Unary>::FLOPS[1];

    fn value<T: Real>(&self, [at, dy, _]: [T; 3]) -> T {
        self.0.derivative(at, dy)
    }

    fn parameters(&self) -> Vec<f32> {
        Unary::parameters(&self.0)
    }
}

/// Gives [`Graph`] a method for each of these functions.
macro_rules! methods {
    ($($(#[$summary:meta])+ $method:ident => $function:path;)+) => {
        impl Graph {
            $(
                $(#[$summary])+
                ///
                /// # Errors
                /// When `x` does not hold floats.
                pub fn $method(&mut self, x: NodeId) -> Result<NodeId> {
                    self.apply(Map::of($function), &[x])
                }
            )+
        }
    };
}

methods! {
    /// e to the power of each element.
    exp => exp::Exp;
    /// The natural logarithm of each element, which must be positive.
    log => log::Log;
    /// The square root of each element, which must be positive.
    sqrt => sqrt::Sqrt;
    /// The square of each element.
    square => square::Square;
    /// The logistic sigmoid of each element.
    sigmoid => sigmoid::Sigmoid;
    /// The hyperbolic tangent of each element.
    tanh => tanh::Tanh;
    /// max(x, 0) of each element.
    relu => relu::Relu;
    /// The sigmoid linear unit of each element.
    silu => silu::Silu;
    /// ln(1 + e^x) of each element.
    softplus => softplus::Softplus;
    /// The Gaussian error linear unit of each element, in its tanh form.
    gelu => gelu::Gelu;
    /// The Gaussian error linear unit of each element, in its exact form: x / 2 (1 + erf(x / sqrt 2)).
    gelu_erf => gelu_erf::GeluErf;
    /// x times its hard sigmoid, of each element: PyTorch's `hardswish`.
    hard_swish => hard_swish::HardSwish;
    /// The error function of each element.
    erf => erf::Erf;
    /// The sine of each element, in radians.
    sin => sin::Sin;
    /// The cosine of each element, in radians.
    cos => cos::Cos;
    /// The absolute value of each element.
    abs => abs::Abs;
    /// 1 for each positive element, -1 for each negative one, otherwise 0.
    sign => sign::Sign;
    /// Each element rounded down to a whole number.
    floor => floor::Floor;
    /// Each element rounded up to a whole number.
    ceil => ceil::Ceil;
    /// Each element rounded to the nearest whole number, in the middle between two to the even one.
    round => round::Round;
}
