//! The debug mode: a step node by node, each compared with the oracle's value for the device's own inputs, so that an error
//! is found where it arises.

use super::executor::Executor;
use crate::Result;
use crate::cpu::{Value, evaluate};
use crate::graph::NodeId;
use crate::ops::tolerance::{Tolerance, tolerance};

/// The worst element of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Worst {
    /// Which element.
    pub index: usize,
    /// The device's value.
    pub value: f64,
    /// The oracle's.
    pub reference: f64,
    /// How many times the allowance; at most 1 passes.
    pub excess: f64,
}

/// Compares values with references, element by element.
pub fn compare(values: &[f64], references: &[f64], tolerance: Tolerance) -> Worst {
    let mut worst = Worst { index: 0, value: 0.0, reference: 0.0, excess: 0.0 };
    for (index, (&value, &reference)) in values.iter().zip(references).enumerate() {
        let excess = tolerance.excess(value, reference);
        if index == 0 || excess > worst.excess {
            worst = Worst { index, value, reference, excess };
        }
    }
    if values.len() != references.len() {
        worst.excess = f64::INFINITY;
    }
    worst
}

/// What the debug mode found at a node.
#[derive(Clone, Debug)]
pub struct NodeCheck {
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Its op.
    pub op: &'static str,
    /// Its worst element, of its value or of a state.
    pub worst: Worst,
}

impl Executor {
    /// Runs one scheduled step node by node and compares each with the CPU in double precision.
    ///
    /// # Errors
    /// When the device is lost.
    pub async fn verify(&mut self, program: usize, step: usize) -> Result<Vec<NodeCheck>> {
        let mut checks = Vec::new();
        for number in 0..self.loaded[program].plan.work.len() {
            checks.push(self.verify_node(program, number, step).await?);
        }
        Ok(checks)
    }

    async fn verify_node(&mut self, program: usize, number: usize, step: usize) -> Result<NodeCheck> {
        let graph = self.plan(program).graph.clone();
        let id = self.plan(program).work[number].node;
        let node = graph.node(id);
        let placed = self.plan(program).work[number].placed.clone();
        let mut inputs = Vec::new();
        for &input in node.inputs() {
            inputs.push(self.value(program, input).await?);
        }
        let mut states = Vec::new();
        for &state in node.states() {
            states.push(self.value(program, state).await?.numbers());
        }
        self.run_work(program, number, step)?;
        let reference = evaluate(&graph, id, &inputs, &mut states, &self.steps(program)[step]);
        let op = node.op().map_or("", |op| op.name());
        let value = self.value(program, id).await?;
        let mut worst = compare(&value.numbers(), &reference.numbers(), tolerance(op));
        if placed.iter().any(|&placed| placed) || op == "pack" {
            // What lies between a pack's inputs is undefined; the inputs are compared where they are computed.
            worst = Worst { index: 0, value: 0.0, reference: 0.0, excess: 0.0 };
        }
        for (&state, reference) in node.states().iter().zip(states) {
            let value = self.value(program, state).await?.numbers();
            let of_state = compare(&value, &reference, tolerance(op));
            if of_state.excess > worst.excess {
                worst = of_state;
            }
        }
        Ok(NodeCheck { node: id, name: node.name.clone(), op, worst })
    }

    /// A node's value as it stands on the device.
    pub async fn value(&mut self, program: usize, id: NodeId) -> Result<Value> {
        let plan = self.plan(program);
        let ty = plan.graph.ty(id).clone();
        let bytes = match plan.place(id) {
            Some(place) => self.read_place(program, place).await?,
            None => Vec::new(),
        };
        Ok(Value::from_bytes(ty.dtype, &bytes, ty.elements()))
    }

    fn run_work(&mut self, program: usize, number: usize, step: usize) -> Result<()> {
        let mut encoder = self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for ready in self.loaded[program].ready.iter().filter(|ready| ready.work == number) {
                self.encode(&mut pass, program, ready, step);
            }
        }
        self.device.submit(encoder);
        self.device.tidy()
    }
}
