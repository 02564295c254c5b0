//! The network as data: shapes, nodes, the builder, gradient, rewriting passes and the plan.
//!
//! Nothing here touches files, threads, clocks, devices or the terminal.

pub mod kernel;
mod network;
mod op;
mod order;
mod passes;
mod placement;
mod plan;
mod program;
mod shape;

pub use network::{BufferType, Graph, Node, NodeId, Source};
pub use op::{Call, Data, Differentiate, Lower, Op, Out, Same, Step, Types};
pub use passes::{Neighbours, Passes, Replacement, optimise};
pub use plan::{Buffer, BufferKind, Place, Plan, PlanOptions, Target, Work};
pub use program::{Argument, Function, FunctionCall, Program};
pub use shape::{DType, Shape, TensorType};
