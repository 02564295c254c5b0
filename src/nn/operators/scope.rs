//! The graph that operators are added to, and the values by name.

use std::collections::HashMap;

use super::call::Call;
use super::config::Operator;
use super::table;
use super::value::{Fault, Known, Numbers, Value};
use crate::graph::{NodeId, TensorType};
use crate::nn::Build;

/// The most elements of all values that are computed while a graph is built.
const MOST_COMPUTED: usize = 1 << 25;

/// Makes a value of a node: floats or integers.
pub(super) type Kind = fn(NodeId) -> Value;

/// Operators become nodes of a graph, one after another.
#[derive(Debug)]
pub struct Scope<'b, 'a> {
    pub(super) build: &'b mut Build<'a>,
    /// The version of ONNX's operators.
    opset: i64,
    values: HashMap<String, Value>,
    /// The number of elements of all values that were computed while the graph was built.
    computed: usize,
    /// The full names of the values that are parameters.
    pub(super) parameters: HashMap<NodeId, String>,
}

impl<'b, 'a> Scope<'b, 'a> {
    /// No values yet.
    pub fn new(build: &'b mut Build<'a>, opset: i64) -> Self {
        Self { build, opset, values: HashMap::new(), computed: 0, parameters: HashMap::new() }
    }

    /// Gives a value a name.
    pub fn set(&mut self, name: impl Into<String>, value: Value) {
        self.values.insert(name.into(), value);
    }

    /// The value with this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// The axis sizes of a value.
    pub fn dims(&self, value: &Value) -> Vec<usize> {
        match value {
            Value::Tensor(id) | Value::Integers(id) => self.build.dims(*id).to_vec(),
            Value::Known(known) => known.dims.clone(),
        }
    }

    /// Adds an operator, whose inputs have values.
    ///
    /// # Errors
    /// Why it cannot be added.
    pub fn add(&mut self, operator: &Operator) -> Result<(), Fault> {
        let inputs = operator.inputs.iter().map(|name| match (name.as_str(), self.values.get(name)) {
            ("", _) => Ok(None),
            (_, Some(value)) => Ok(Some(value.clone())),
            (_, None) => Fault::refuse(format!("its input `{name}` is not there")),
        });
        let call = Call::new(operator, inputs.collect::<Result<_, _>>()?, self.opset);
        let outputs = table::apply(self, &call)?;
        if let Some(name) = call.unknown_attributes().first() {
            let value = &operator.attributes[*name];
            return Fault::refuse(format!("its attribute {name} = {value:?} is not known"));
        }
        if outputs.len() < call.outputs() {
            return Fault::refuse(format!("it has {} outputs, but gives {}", call.outputs(), outputs.len()));
        }
        for (name, value) in operator.outputs.iter().zip(outputs) {
            if name.is_empty() {
                continue;
            }
            if self.dims(&value).contains(&0) && !matches!(value, Value::Known(_)) {
                return Fault::refuse("its output has no elements");
            }
            if let Value::Known(known) = &value {
                self.computed += known.elements();
                if self.computed > MOST_COMPUTED {
                    return Fault::refuse(format!("constants of more than {MOST_COMPUTED} elements are computed"));
                }
            }
            self.values.insert(name.clone(), value);
        }
        Ok(())
    }

    /// The node of a value that holds floats.
    pub(super) fn floats(&mut self, value: &Value) -> Result<NodeId, Fault> {
        match value {
            Value::Tensor(id) => Ok(*id),
            Value::Integers(_) => Fault::refuse("computing with integers is not supported"),
            Value::Known(Known { numbers: Numbers::Ints(_), .. }) => {
                Fault::refuse("computing with integers is not supported")
            }
            Value::Known(known) => self.constant(known),
        }
    }

    /// The node of an input that holds floats.
    pub(super) fn input(&mut self, call: &Call, index: usize) -> Result<NodeId, Fault> {
        self.floats(call.input(index)?)
    }

    /// The node of an optional input that holds floats.
    pub(super) fn optional(&mut self, call: &Call, index: usize) -> Result<Option<NodeId>, Fault> {
        call.optional(index).map(|value| self.floats(value)).transpose()
    }

    /// The node of a value that is only moved, and the kind of the result.
    pub(super) fn moved(&mut self, value: &Value) -> Result<(NodeId, Kind), Fault> {
        match value {
            Value::Tensor(id) => Ok((*id, Value::Tensor)),
            Value::Integers(id) => Ok((*id, Value::Integers)),
            Value::Known(known) => {
                let kind: Kind =
                    if matches!(known.numbers, Numbers::Ints(_)) { Value::Integers } else { Value::Tensor };
                Ok((self.constant(known)?, kind))
            }
        }
    }

    fn constant(&mut self, known: &Known) -> Result<NodeId, Fault> {
        if known.elements() == 0 {
            return Fault::refuse("tensors without elements are not supported");
        }
        Ok(self.build.constant(TensorType::f32(known.dims.clone()), known.to_floats()))
    }

    /// One number.
    pub(super) fn number(&mut self, value: f32) -> NodeId {
        self.build.constant(TensorType::f32([1]), vec![value])
    }

    /// x plus a number.
    pub(super) fn plus(&mut self, x: NodeId, value: f32) -> Result<NodeId, Fault> {
        let value = self.number(value);
        Ok(self.build.add(x, value)?)
    }

    /// The number of axes of a node.
    pub(super) fn rank(&self, x: NodeId) -> usize {
        self.build.dims(x).len()
    }

    /// The same values with this shape.
    pub(super) fn reshape(&mut self, x: NodeId, dims: &[usize]) -> Result<NodeId, Fault> {
        Ok(self.build.reshape(x, dims)?)
    }

    /// The axes in this order. Axes that stay neighbours are moved as one, because kernels know few axes.
    pub(super) fn transpose(&mut self, x: NodeId, order: &[usize]) -> Result<NodeId, Fault> {
        let own = self.build.dims(x).to_vec();
        let result: Vec<usize> = order.iter().map(|&axis| own[axis]).collect();
        // Runs of the order, each with its first axis and the number of its elements.
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for (place, &axis) in order.iter().enumerate() {
            match runs.last_mut() {
                Some((_, size)) if axis == order[place - 1] + 1 => *size *= own[axis],
                _ => runs.push((axis, own[axis])),
            }
        }
        let mut stored = runs.clone();
        stored.sort_unstable();
        let sizes: Vec<usize> = stored.iter().map(|&(_, size)| size).collect();
        let merged: Vec<usize> = runs.iter().map(|run| stored.partition_point(|other| other < run)).collect();
        let mut y = self.reshape(x, &sizes)?;
        if !merged.iter().copied().eq(0..merged.len()) {
            y = self.build.transpose(y, &merged)?;
        }
        self.reshape(y, &result)
    }

    /// Moves an axis to another place.
    pub(super) fn move_axis(&mut self, x: NodeId, from: usize, to: usize) -> Result<NodeId, Fault> {
        let mut order: Vec<usize> = (0..self.rank(x)).collect();
        let axis = order.remove(from);
        order.insert(to, axis);
        self.transpose(x, &order)
    }
}

/// A result that is floats.
pub(super) fn one(id: NodeId) -> Vec<Value> {
    vec![Value::Tensor(id)]
}
