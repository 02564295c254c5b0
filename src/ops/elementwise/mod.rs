//! The shared parts of all element-wise ops: a function of numbers becomes an op, and a chain of functions becomes
//! one kernel.

pub(crate) mod epilogue;
mod function;
mod map;
mod program;
mod splice;
mod unary;

pub use crate::graph::{Argument, Function, FunctionCall, Program};
pub use function::Formula;
pub use map::Map;
pub(crate) use program::Chunked;
pub use program::Pattern;
pub use unary::{Derivative, Unary};
