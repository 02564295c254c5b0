//! Runs plans on the CPU: in f32 on several threads as an executor, and in f64 node by node as the oracle of every
//! test.
//!
//! ```
//! use gpunn::cpu::{Oracle, Value};
//! use gpunn::graph::{Graph, TensorType};
//! use gpunn::ops::Step;
//!
//! let mut graph = Graph::new();
//! let x = graph.leaf("x", 0, TensorType::f32([2]))?;
//! let y = graph.square(x)?;
//! let mut oracle = Oracle::default();
//! oracle.set("x", Value::Real(vec![3.0, -2.0]));
//! let values = oracle.run(&graph, graph.ids(), &Step::new(0, 2, 1));
//! assert_eq!(values[y.index()].as_ref().map(Value::numbers), Some(vec![9.0, 4.0]));
//! # Ok::<(), gpunn::Error>(())
//! ```

mod executor;
mod oracle;
mod single;

pub use executor::Executor;
pub use oracle::{Oracle, Value, evaluate};
pub use single::evaluate_in_single;
