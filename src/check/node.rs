//! One node of a step, run alone: what the checks that go through a step node by node have in common.

use crate::cpu::{Value, evaluate, evaluate_in_single};
use crate::graph::{NodeId, TensorType};
use crate::{Engine, Program, Result};

/// A node of a scheduled step that was run alone.
pub(super) struct NodeRun {
    pub node: NodeId,
    /// Index into [`Plan::work`](crate::graph::Plan::work).
    number: usize,
    step: usize,
    /// Its inputs and its states before it ran: its value may take the memory of an input.
    pub inputs: Vec<Value>,
    before: Vec<Value>,
    /// What it computed.
    pub value: Value,
    /// Its states after it ran.
    pub states: Vec<Value>,
}

impl NodeRun {
    /// Runs a node of a step and reads what it wrote.
    pub async fn new(engine: &mut Engine, program: Program, number: usize, step: usize) -> Result<Self> {
        let node = engine.plan(program).work[number].node;
        let of_node = engine.plan(program).graph.node(node);
        let (inputs, states) = (of_node.inputs().to_vec(), of_node.states().to_vec());
        let inputs = values(engine, program, &inputs).await?;
        let before = values(engine, program, &states).await?;
        engine.run_node(program, number, step)?;
        let value = value(engine, program, node).await?;
        Ok(Self { node, number, step, inputs, before, value, states: values(engine, program, &states).await? })
    }

    /// What the CPU computes from the same inputs and states in double precision: the value and the states.
    pub fn reference(&self, engine: &Engine, program: Program) -> (Value, Vec<Vec<f64>>) {
        let mut states: Vec<_> = self.before.iter().map(Value::numbers).collect();
        let step = engine.steps(program)[self.step];
        let value = evaluate(&engine.plan(program).graph, self.node, &self.inputs, &mut states, &step);
        (value, states)
    }

    /// What the CPU computes from the same inputs and states in single precision.
    pub fn on_cpu(&self, engine: &Engine, program: Program) -> (Value, Vec<Value>) {
        let step = engine.steps(program)[self.step];
        evaluate_in_single(&engine.plan(program).graph, self.node, &self.inputs, &self.before, &step)
    }

    /// Whether its value has gaps that nothing writes, or was written by the nodes of its inputs.
    pub fn has_gaps(&self, engine: &Engine, program: Program) -> bool {
        let placed = engine.plan(program).work[self.number].placed.contains(&true);
        placed || self.op(engine, program) == "pack"
    }

    /// Its op.
    pub fn op(&self, engine: &Engine, program: Program) -> &'static str {
        engine.plan(program).graph.node(self.node).op().map_or("", |op| op.name())
    }
}

/// The name and type of a node.
pub(super) fn named(engine: &Engine, program: Program, id: NodeId) -> (String, TensorType) {
    let node = engine.plan(program).graph.node(id);
    (node.name.clone(), node.ty.clone())
}

async fn values(engine: &mut Engine, program: Program, ids: &[NodeId]) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for &id in ids {
        all.push(value(engine, program, id).await?);
    }
    Ok(all)
}

/// The current value of a node on the device.
async fn value(engine: &mut Engine, program: Program, id: NodeId) -> Result<Value> {
    let bytes = engine.read_node(program, id).await?;
    let ty = engine.plan(program).graph.ty(id);
    Ok(Value::from_bytes(ty.dtype, &bytes, ty.elements()))
}
