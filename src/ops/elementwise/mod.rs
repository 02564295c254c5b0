//! The shared parts of all element-wise ops: a function of numbers becomes an op, and a chain of functions becomes
//! one kernel.
//!
//! A function of one number is a [`Unary`], also in a program of your own. Here Mish, x tanh(ln(1 + e^x)) (D. Misra, 2019), is
//! defined, checked on the CPU, and used as a layer:
//!
//! ```
//! use gpunn::blocking::block_on;
//! use gpunn::graph::{Graph, NodeId};
//! use gpunn::nn::{Build, Flatten, Layer, Linear, Model, Scheme, Sequence};
//! use gpunn::ops::elementwise::{Map, Unary};
//! use gpunn::ops::{Real, case, tolerance};
//! use gpunn::{Engine, Result, check};
//!
//! #[derive(Clone, Debug, PartialEq)]
//! struct Mish;
//!
//! fn gate<T: Real>(x: T) -> T {
//!     (x.max(T::zero()) + (-x.abs()).exp().ln_1p()).tanh()
//! }
//!
//! impl Unary for Mish {
//!     const NAMES: [&'static str; 2] = ["mish", "mish_backward"];
//!     // tanh(ln(1 + e^x)) is a fraction of powers of n = e^-|x|, which cannot overflow.
//!     const WGSL: &'static str = "
//! fn mish_gate(x: f32) -> f32 {
//!     let n = exp(-abs(x));
//!     let top = select(n * (n + 2.0), 1.0 + 2.0 * n, x >= 0.0);
//!     return top / (top + select(2.0, 2.0 * n * n, x >= 0.0));
//! }
//! fn mish(x: f32) -> f32 {
//!     return x * mish_gate(x);
//! }
//! fn mish_backward(x: f32, d_y: f32) -> f32 {
//!     let n = exp(-abs(x));
//!     let gate = mish_gate(x);
//!     return d_y * (gate + x * (1.0 - gate * gate) * select(n, 1.0, x >= 0.0) / (1.0 + n));
//! }
//! ";
//!     fn value<T: Real>(&self, x: T) -> T {
//!         x * gate(x)
//!     }
//!     fn derivative<T: Real>(&self, x: T, dy: T) -> T {
//!         let gate = gate(x);
//!         dy * (gate + x * (T::one() - gate * gate) / (T::one() + (-x).exp()))
//!     }
//! }
//!
//! fn mish(graph: &mut Graph, x: NodeId) -> Result<NodeId> {
//!     graph.apply(Map::of(Mish), &[x])
//! }
//!
//! // On a GPU, the same check runs the WGSL functions.
//! let cases = case::unary(-6.0, 6.0, mish);
//! let checks = block_on(check::check_op(&mut Engine::cpu(), "mish", tolerance::TRANSCENDENTAL, &cases))?;
//! assert!(checks.iter().all(check::CheckResult::passed));
//!
//! impl Layer for Mish {
//!     fn label(&self) -> String {
//!         "mish".into()
//!     }
//!     fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
//!         Ok(shape.to_vec())
//!     }
//!     fn forward(&self, build: &mut Build, _: &str, x: NodeId) -> Result<NodeId> {
//!         mish(build, x) // a `Build` is a graph too
//!     }
//! }
//!
//! let linear = |outputs| Linear::new(outputs, Scheme::He);
//! let layers = Sequence::new().with("flatten", Flatten).with("fc1", linear(64)).with("mish", Mish).with("fc2", linear(36));
//! let model = Model::new("mine", &[1, 32, 32], layers)?;
//! # Ok::<(), gpunn::Error>(())
//! ```
//!
//! The functions are fused with their neighbours, also into matrix products and convolutions. A function of two or three
//! numbers is a [`Formula`], which builds its own gradient.

pub(crate) mod epilogue;
mod function;
mod map;
mod program;
mod splice;
mod unary;

pub use crate::graph::{Argument, Function, FunctionCall, Program};
pub use function::Formula;
pub(crate) use function::zeros;
pub use map::Map;
pub(crate) use program::Chunked;
pub use program::Pattern;
pub use unary::{Derivative, Unary};
