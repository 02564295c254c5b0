//! The debug mode. It runs a step node by node and compares each value with the oracle's value for the device's own
//! inputs. So an error is reported at the node that causes it.

use super::compare::{Worst, compare};
use super::node::NodeRun;
use crate::graph::NodeId;
use crate::ops::tolerance::{HALF, tolerance};
use crate::{Engine, Program, Result};

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
pub async fn verify(engine: &mut Engine, program: Program, step: usize) -> Result<Vec<NodeCheck>> {
    let mut checks = Vec::new();
    for number in 0..engine.plan(program).work.len() {
        let run = NodeRun::new(engine, program, number, step).await?;
        checks.push(compared(engine, program, &run));
    }
    Ok(checks)
}

fn compared(engine: &Engine, program: Program, run: &NodeRun) -> NodeCheck {
    let (reference, states) = run.reference(engine, program);
    let op = run.op(engine, program);
    let allowed = tolerance(op).on(&engine.target(), op, HALF);
    let mut worst = compare(&run.value.numbers(), &reference.numbers(), allowed);
    if run.has_gaps(engine, program) {
        // The inputs are compared at the nodes that compute them.
        worst = Worst { index: 0, value: 0.0, reference: 0.0, excess: 0.0 };
    }
    for (found, reference) in run.states.iter().zip(states) {
        let of_state = compare(&found.numbers(), &reference, allowed);
        if of_state.excess > worst.excess {
            worst = of_state;
        }
    }
    let name = engine.plan(program).graph.node(run.node).name.clone();
    NodeCheck { node: run.node, name, op, worst }
}
