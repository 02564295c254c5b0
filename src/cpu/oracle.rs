//! The oracle: runs any graph in double precision, node by node, by the definition of each op.

use std::collections::BTreeMap;

use crate::graph::{BufferType, DType, Graph, NodeId, NodeSource};
use crate::ops::{Call, Step, TensorData, TensorOut};
use crate::{Error, Result};

/// A tensor in the oracle.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Floats, in double precision.
    Real(Vec<f64>),
    /// Unsigned integers.
    U32(Vec<u32>),
    /// Bytes.
    U8(Vec<u8>),
}

impl Value {
    /// Zeros.
    pub fn zeros(dtype: DType, len: usize) -> Self {
        match dtype {
            DType::F32 => Self::Real(vec![0.0; len]),
            DType::U32 => Self::U32(vec![0; len]),
            DType::U8 => Self::U8(vec![0; len]),
        }
    }
    /// From numbers. Integers must be whole numbers.
    pub fn from_f64(dtype: DType, values: &[f64]) -> Self {
        match dtype {
            DType::F32 => Self::Real(values.to_vec()),
            DType::U32 => Self::U32(values.iter().map(|&value| value as u32).collect()),
            DType::U8 => Self::U8(values.iter().map(|&value| value as u8).collect()),
        }
    }
    /// From bytes in the memory layout of an executor.
    pub fn from_bytes(dtype: DType, bytes: &[u8], len: usize) -> Self {
        let words =
            || bytes.chunks_exact(4).take(len).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        match dtype {
            DType::F32 => Self::Real(words().map(|bits| f64::from(f32::from_bits(bits))).collect()),
            DType::U32 => Self::U32(words().collect()),
            DType::U8 => Self::U8(bytes[..len].to_vec()),
        }
    }
    /// To bytes in the memory layout of an executor: little-endian, padded with zeros to whole words.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Real(values) => values.iter().flat_map(|&value| (value as f32).to_le_bytes()).collect(),
            Self::U32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::U8(values) => {
                let mut bytes = values.clone();
                bytes.resize(bytes.len().next_multiple_of(4), 0);
                bytes
            }
        }
    }
    /// The values as `f64`.
    pub fn numbers(&self) -> Vec<f64> {
        match self {
            Self::Real(values) => values.clone(),
            Self::U32(values) => values.iter().map(|&value| f64::from(value)).collect(),
            Self::U8(values) => values.iter().map(|&value| f64::from(value)).collect(),
        }
    }
    fn data(&self, offset: usize, len: usize) -> TensorData<'_, f64> {
        match self {
            Self::Real(values) => TensorData::Real(&values[offset..offset + len]),
            Self::U32(values) => TensorData::U32(&values[offset..offset + len]),
            Self::U8(values) => TensorData::U8(&values[offset..offset + len]),
        }
    }
}

/// Evaluates one node from its inputs and updates its states.
pub fn evaluate(graph: &Graph, id: NodeId, inputs: &[Value], states: &mut [Vec<f64>], step: &Step) -> Value {
    let node = graph.node(id);
    let op = node.op().expect("only computed nodes are evaluated");
    let types = graph.types(id);
    let mut result = Value::zeros(node.ty.dtype, node.ty.elements());
    let data: Vec<_> = inputs.iter().zip(&types.inputs).map(|(value, ty)| value.data(0, ty.elements())).collect();
    let mut states: Vec<&mut [f64]> = states.iter_mut().map(Vec::as_mut_slice).collect();
    let output = match &mut result {
        Value::Real(values) => TensorOut::Real(values),
        Value::U32(values) => TensorOut::U32(values),
        Value::U8(_) => TensorOut::Real(&mut []),
    };
    op.reference(&mut Call { types: &types, inputs: &data, states: &mut states, output, step });
    result
}

/// Persistent buffers in double precision.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    buffers: BTreeMap<String, Value>,
}

impl Oracle {
    /// Sets a persistent buffer.
    pub fn set(&mut self, name: &str, value: Value) {
        self.buffers.insert(name.into(), value);
    }
    /// A persistent buffer.
    ///
    /// # Errors
    /// When there is no buffer with that name.
    pub fn get(&self, name: &str) -> Result<&Value> {
        self.buffers.get(name).ok_or_else(|| Error::Usage(format!("there is no buffer '{name}'")))
    }

    /// Runs the nodes in this order, which is a plan's or the graph's own. Returns each node's value.
    pub fn run(&mut self, graph: &Graph, order: impl IntoIterator<Item = NodeId>, step: &Step) -> Vec<Option<Value>> {
        for (name, &BufferType { dtype, len }) in graph.buffers() {
            self.buffers.entry(name.clone()).or_insert_with(|| Value::zeros(dtype, len));
        }
        let mut values: Vec<Option<Value>> = vec![None; graph.nodes().len()];
        for id in order {
            let node = graph.node(id);
            if !matches!(node.source, NodeSource::Op { .. }) {
                continue;
            }
            let inputs: Vec<Value> = node.inputs().iter().map(|&input| self.value(graph, &values, input)).collect();
            let mut states: Vec<Vec<f64>> =
                node.states().iter().map(|&state| self.value(graph, &values, state).numbers()).collect();
            values[id.index()] = Some(evaluate(graph, id, &inputs, &mut states, step));
            for (&state, new) in node.states().iter().zip(states) {
                self.store(graph, state, &new);
            }
        }
        for id in graph.ids() {
            if !matches!(graph.node(id).source, NodeSource::Op { .. }) {
                values[id.index()] = Some(self.value(graph, &values, id));
            }
        }
        values
    }

    fn value(&self, graph: &Graph, values: &[Option<Value>], id: NodeId) -> Value {
        let node = graph.node(id);
        match &node.source {
            NodeSource::Op { .. } => values[id.index()].clone().expect("inputs come before what reads them"),
            NodeSource::Constant(constants) => Value::Real(constants.iter().map(|&value| value.into()).collect()),
            NodeSource::Leaf { buffer, offset } => {
                let range = *offset..offset + node.ty.elements();
                match &self.buffers[buffer] {
                    Value::Real(all) => Value::Real(all[range].to_vec()),
                    Value::U32(all) => Value::U32(all[range].to_vec()),
                    Value::U8(all) => Value::U8(all[range].to_vec()),
                }
            }
        }
    }

    fn store(&mut self, graph: &Graph, id: NodeId, new: &[f64]) {
        if let NodeSource::Leaf { buffer, offset } = &graph.node(id).source
            && let Some(Value::Real(all)) = self.buffers.get_mut(buffer)
        {
            all[*offset..offset + new.len()].copy_from_slice(new);
        }
    }
}
