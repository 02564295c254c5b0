//! Reads ONNX files. A file is read in two steps: its operators, with the values that it holds ([`Program`]); and layers of these
//! operators, whose weights can be trained ([`layered`]).

mod attributes;
mod classes;
mod divide;
mod layers;
mod names;
mod program;
mod roles;
mod simplify;
mod tensors;
mod trial;

pub use layers::{Layered, layered};
pub use program::{Input, Program};
pub use tensors::read as tensor;
