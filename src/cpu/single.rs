//! One node in single precision, from given inputs: what the CPU's executor computes for it.

use super::Value;
use crate::graph::{DType, Graph, NodeId};
use crate::ops::{Call, Step, TensorData, TensorOut};

/// As [`evaluate`](super::evaluate), in single precision. Returns the value and the states.
pub fn evaluate_in_single(
    graph: &Graph,
    id: NodeId,
    inputs: &[Value],
    states: &[Value],
    step: &Step,
) -> (Value, Vec<Value>) {
    let node = graph.node(id);
    let op = node.op().expect("only computed nodes are evaluated");
    let types = graph.types(id);
    let reals: Vec<Vec<f32>> = inputs.iter().map(floats).collect();
    let data: Vec<_> = inputs.iter().zip(&reals).map(|(input, reals)| data(input, reals)).collect();
    let mut states: Vec<Vec<f32>> = states.iter().map(floats).collect();
    let mut slices: Vec<&mut [f32]> = states.iter_mut().map(Vec::as_mut_slice).collect();
    let elements = node.ty.elements();
    let value = match node.ty.dtype {
        DType::U32 => {
            let mut whole = vec![0; elements];
            let output = TensorOut::U32(&mut whole);
            op.run(&mut Call { types: &types, inputs: &data, states: &mut slices, output, step });
            Value::U32(whole)
        }
        DType::F32 | DType::U8 => {
            let mut real = vec![0.0; elements];
            let output = TensorOut::Real(&mut real);
            op.run(&mut Call { types: &types, inputs: &data, states: &mut slices, output, step });
            doubled(&real)
        }
    };
    (value, states.iter().map(|state| doubled(state)).collect())
}

fn floats(value: &Value) -> Vec<f32> {
    match value {
        Value::Real(values) => values.iter().map(|&value| value as f32).collect(),
        Value::U32(_) | Value::U8(_) => Vec::new(),
    }
}

fn data<'a>(value: &'a Value, reals: &'a [f32]) -> TensorData<'a, f32> {
    match value {
        Value::Real(_) => TensorData::Real(reals),
        Value::U32(values) => TensorData::U32(values),
        Value::U8(values) => TensorData::U8(values),
    }
}

fn doubled(values: &[f32]) -> Value {
    Value::Real(values.iter().map(|&value| f64::from(value)).collect())
}
