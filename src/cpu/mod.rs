//! Runs plans on the CPU: in f32 on several threads as an executor, and in f64 node by node as the oracle of every
//! test.

mod executor;
mod oracle;

pub use executor::Executor;
pub use oracle::{Oracle, Value, evaluate};
