//! The network as data: shapes, nodes, the builder, gradient, rewriting passes and the plan.
//!
//! Nothing here touches files, threads, clocks, devices or the terminal.

mod gradient;
mod network;
mod order;
mod placement;
mod plan;
mod rewrite;
mod shape;

pub use gradient::Differentiate;
pub use network::{BufferType, Graph, Node, NodeId, Source};
pub use plan::{Buffer, BufferKind, Place, Plan, PlanOptions, Target, Work};
pub use rewrite::{Passes, optimise};
pub use shape::{DType, Shape, TensorType};
