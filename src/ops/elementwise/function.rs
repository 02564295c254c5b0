//! Element-wise functions, independent of shapes.

use std::fmt::Debug;

use crate::Result;
use crate::graph::{Differentiate, Function, Graph, NodeId, TensorType};
use crate::ops::Real;
use crate::ops::lanes::widest;

/// A function of up to three numbers. It is written once in Rust for both precisions, and once in WGSL.
pub trait Formula: Debug + Clone + PartialEq + Send + Sync + 'static {
    /// Its name, for tables, profiles and messages.
    const NAME: &'static str;
    /// Its name as a WGSL function, if that differs: WGSL has a built-in `exp`, for example.
    const FUNCTION: &'static str = Self::NAME;
    /// The number of arguments.
    const ARITY: usize;
    /// The WGSL text that defines it, without an entry point. The WGSL function takes the arguments, then the parameters.
    ///
    /// Fused functions become one module, which contains each text once. So several functions may have the same text. Functions
    /// of different texts need different names, helper functions too.
    const WGSL: &'static str;
    /// Floating-point operations. A transcendental function counts as one.
    const FLOPS: u64 = 1;

    /// The definition. Arguments beyond the arity are zero.
    fn value<T: Real>(&self, arguments: [T; 3]) -> T;

    /// Parameters of this use of the function, such as a slope. The WGSL function takes them after its arguments.
    fn parameters(&self) -> Vec<f32> {
        Vec::new()
    }

    /// Builds the gradients with respect to each argument, each with the shape of the result. The caller sums over
    /// broadcast axes.
    ///
    /// # Errors
    /// When the function has no gradient.
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Err(crate::Error::Shape(format!("{} has no gradient (at node '{}')", Self::NAME, graph.node(at.y).name)))
    }
}

/// The gradient of a function of one number that is constant but for its steps: zeros. With no gradient at all, nothing could be
/// differentiated with respect to what only such a function reads.
pub(crate) fn zeros(graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
    let zero = graph.constant(TensorType::f32([1]), vec![0.0]);
    let shape = graph.ty(at.y).shape.clone();
    Ok(vec![Some(graph.broadcast_to(zero, shape)?)])
}

impl<F: Formula> Function for F {
    fn name(&self) -> &'static str {
        F::NAME
    }
    fn function(&self) -> &'static str {
        F::FUNCTION
    }
    fn arity(&self) -> usize {
        F::ARITY
    }
    fn wgsl(&self) -> &'static str {
        F::WGSL
    }
    fn flops(&self) -> u64 {
        F::FLOPS
    }
    fn parameters(&self) -> Vec<f32> {
        Formula::parameters(self)
    }
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Formula::gradient(self, graph, at)
    }
    fn map_f64(&self, arguments: &[&[f64]], out: &mut [f64]) {
        map(self, arguments, out);
    }
    fn map_f32(&self, arguments: &[&[f32]], out: &mut [f32]) {
        widest(
            #[inline(always)]
            || map(self, arguments, out),
        );
    }
}

/// One loop for each arity, so that the compiler can vectorise it.
#[inline(always)]
fn map<T: Real, F: Formula>(formula: &F, arguments: &[&[T]], out: &mut [T]) {
    let zero = T::zero();
    let length = out.len();
    match *arguments {
        [a] => {
            for (y, &a) in out.iter_mut().zip(&a[..length]) {
                *y = formula.value([a, zero, zero]);
            }
        }
        [a, &[b]] if length > 1 => {
            for (y, &a) in out.iter_mut().zip(&a[..length]) {
                *y = formula.value([a, b, zero]);
            }
        }
        [a, b] => {
            for ((y, &a), &b) in out.iter_mut().zip(&a[..length]).zip(&b[..length]) {
                *y = formula.value([a, b, zero]);
            }
        }
        [a, b, c] => {
            for (((y, &a), &b), &c) in out.iter_mut().zip(&a[..length]).zip(&b[..length]).zip(&c[..length]) {
                *y = formula.value([a, b, c]);
            }
        }
        _ => panic!("{} has {} arguments", F::NAME, arguments.len()),
    }
}
