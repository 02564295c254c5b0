//! The debug mode. It runs a step node by node and compares each value with the oracle's value for the device's own
//! inputs. So an error is reported at the node that causes it.

use super::compare::{Worst, compare};
use crate::Result;
use crate::cpu::{Value, evaluate};
use crate::gpu::Executor;
use crate::graph::NodeId;
use crate::ops::tolerance::{HALF, tolerance};

/// The result of the debug mode for one node.
#[derive(Clone, Debug)]
pub struct NodeCheck {
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Its op.
    pub op: &'static str,
    /// The element with the largest error, of its value or of a state.
    pub worst: Worst,
}

/// Runs one scheduled step node by node. It compares each value with the CPU in double precision.
///
/// # Errors
/// When the device is lost.
pub async fn verify(executor: &mut Executor, program: usize, step: usize) -> Result<Vec<NodeCheck>> {
    let mut checks = Vec::new();
    for number in 0..executor.plan(program).work.len() {
        checks.push(verify_node(executor, program, number, step).await?);
    }
    Ok(checks)
}

async fn verify_node(executor: &mut Executor, program: usize, number: usize, step: usize) -> Result<NodeCheck> {
    let graph = executor.plan(program).graph.clone();
    let id = executor.plan(program).work[number].node;
    let node = graph.node(id);
    let placed = executor.plan(program).work[number].placed.clone();
    let mut inputs = Vec::new();
    for &input in node.inputs() {
        inputs.push(value(executor, program, input).await?);
    }
    let mut states = Vec::new();
    for &state in node.states() {
        states.push(value(executor, program, state).await?.numbers());
    }
    executor.run_node(program, number, step)?;
    let reference = evaluate(&graph, id, &inputs, &mut states, &executor.steps(program)[step]);
    let op = node.op().map_or("", |op| op.name());
    let allowed = tolerance(op).on(&executor.target(), op, HALF);
    let found = value(executor, program, id).await?;
    let mut worst = compare(&found.numbers(), &reference.numbers(), allowed);
    if placed.iter().any(|&placed| placed) || op == "pack" {
        // The gaps between a pack's inputs are undefined. The inputs are compared at the nodes that compute them.
        worst = Worst { index: 0, value: 0.0, reference: 0.0, excess: 0.0 };
    }
    for (&state, reference) in node.states().iter().zip(states) {
        let of_state = compare(&value(executor, program, state).await?.numbers(), &reference, allowed);
        if of_state.excess > worst.excess {
            worst = of_state;
        }
    }
    Ok(NodeCheck { node: id, name: node.name.clone(), op, worst })
}

/// The current value of a node on the device.
async fn value(executor: &mut Executor, program: usize, id: NodeId) -> Result<Value> {
    let bytes = executor.read_node(program, id).await?;
    let ty = executor.plan(program).graph.ty(id);
    Ok(Value::from_bytes(ty.dtype, &bytes, ty.elements()))
}
