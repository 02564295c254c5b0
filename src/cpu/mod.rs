//! Runs plans on the CPU: in f32, threaded, as an executor; in f64, node by node, as the oracle of every test.

mod executor;
mod oracle;

pub use executor::Executor;
pub use oracle::{Oracle, Value, evaluate};

pub(crate) fn unknown_buffer(name: &str) -> crate::Error {
    crate::Error::Usage(format!("there is no buffer '{name}'; a plan that has one must be loaded first"))
}

pub(crate) fn too_short(name: &str, len: usize, end: usize) -> crate::Error {
    crate::Error::Shape(format!("the buffer '{name}' has {len} bytes, but up to {end} were asked for"))
}
