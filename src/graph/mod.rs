//! The intermediate representation of a network: shapes, nodes, the graph builder, rewriting passes and the plan.
//!
//! This module uses no files, threads, clocks, devices or terminal.

pub mod kernel;
mod network;
mod op;
mod order;
mod passes;
mod placement;
mod plan;
mod program;
mod shape;

pub use network::{BufferType, Graph, Node, NodeId, NodeSource};
pub use op::{Call, Differentiate, DynEq, Lower, Op, Step, TensorData, TensorOut, Types};
pub use passes::{Neighbours, Passes, Replacement, optimise};
pub use plan::{Buffer, BufferKind, Place, Plan, PlanOptions, PlannedNode, Target};
pub use program::{Argument, Function, FunctionCall, Program};
pub use shape::{DType, Shape, TensorType};
