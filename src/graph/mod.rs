//! The intermediate representation of a network: shapes, nodes, the graph builder, rewriting passes and the plan.
//!
//! This module uses no files, threads, clocks, devices or terminal.
//!
//! ```
//! use gpunn::graph::{Graph, TensorType};
//!
//! let mut graph = Graph::new();
//! let x = graph.leaf("x", 0, TensorType::f32([4, 3]))?;
//! let w = graph.leaf("w", 0, TensorType::f32([3, 2]))?;
//! let y = graph.matmul(x, w)?;
//! let y = graph.sigmoid(y)?;
//! let flat = graph.reshape(y, [8])?;
//! let loss = graph.sum(flat, 0, 0)?;
//! let dw = graph.gradient(loss, &[w])?[0];
//! assert_eq!(graph.dims(dw), [3, 2]);
//! # Ok::<(), gpunn::Error>(())
//! ```

pub mod kernel;
mod network;
mod op;
mod order;
mod passes;
mod placement;
mod plan;
mod program;
mod shape;
mod target;

pub use network::{BufferType, Graph, Node, NodeId, NodeSource};
pub use op::{Call, Differentiate, DynEq, Lower, Op, Step, StepGroup, TensorData, TensorOut, Types};
pub use passes::{Neighbours, Passes, Replacement, optimize};
pub use plan::{Buffer, BufferKind, Place, Plan, PlanOptions, PlannedNode};
pub use program::{Argument, Function, FunctionCall, Program};
pub use shape::{DType, Shape, TensorType};
pub use target::Target;
