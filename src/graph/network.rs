//! The graph and its builder. Nodes are in topological order: each comes after its inputs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::op::{Op, Types};
use super::shape::{DType, TensorType};
use crate::{Error, Result};

/// A node of one [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) u32);

impl NodeId {
    /// Its index in [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a node's value comes from.
#[derive(Clone, Debug)]
pub enum NodeSource {
    /// Part of a persistent buffer: parameters, optimizer state, a dataset.
    Leaf {
        /// The buffer's name, a key of [`Graph::buffers`].
        buffer: String,
        /// The offset from the buffer's start, in elements.
        offset: usize,
    },
    /// Values known when the graph is built. They are uploaded once.
    Constant(Arc<[f32]>),
    /// Computed by an op.
    Op {
        /// The op.
        op: Arc<dyn Op>,
        /// The nodes that it reads.
        inputs: Vec<NodeId>,
        /// The leaves that it updates in place.
        states: Vec<NodeId>,
    },
}

/// One value of the network and the op that computes it.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where its value comes from.
    pub source: NodeSource,
    /// Shape and element type.
    pub ty: TensorType,
    /// A name for errors, profiles and summaries: the scope in which it was built and the op, such as `fc1/matmul`.
    pub name: String,
}

impl Node {
    /// The op, if the node is computed.
    pub fn op(&self) -> Option<&dyn Op> {
        match &self.source {
            NodeSource::Op { op, .. } => Some(op.as_ref()),
            _ => None,
        }
    }
    /// The nodes that it reads.
    pub fn inputs(&self) -> &[NodeId] {
        match &self.source {
            NodeSource::Op { inputs, .. } => inputs,
            _ => &[],
        }
    }
    /// The leaves that it updates in place.
    pub fn states(&self) -> &[NodeId] {
        match &self.source {
            NodeSource::Op { states, .. } => states,
            _ => &[],
        }
    }
    /// The op as a concrete type, for ops that match a pattern.
    pub fn op_as<O: Op>(&self) -> Option<&O> {
        self.op().and_then(|op| (op as &dyn std::any::Any).downcast_ref())
    }
}

/// The type of a buffer that outlives a step: its element type and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferType {
    /// Element type.
    pub dtype: DType,
    /// Length in elements.
    pub len: usize,
}

/// A static network: forward pass, backward pass and update as one list of nodes.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    buffers: BTreeMap<String, BufferType>,
    outputs: Vec<(String, NodeId)>,
    scope: Vec<String>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// All nodes. Each reads only nodes before it.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }
    /// One node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }
    /// A node's shape and element type.
    pub fn ty(&self, id: NodeId) -> &TensorType {
        &self.node(id).ty
    }
    /// A node's axis sizes.
    pub fn dims(&self, id: NodeId) -> &[usize] {
        self.ty(id).dims()
    }
    /// All ids, in order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + ExactSizeIterator + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }
    /// The persistent buffers by name.
    pub fn buffers(&self) -> &BTreeMap<String, BufferType> {
        &self.buffers
    }
    /// The named values that can be read after a step.
    pub fn outputs(&self) -> &[(String, NodeId)] {
        &self.outputs
    }

    /// Adds the name of a layer before the names of all nodes that `build` makes: `fc1/matmul`.
    pub fn scoped<R>(&mut self, name: impl Into<String>, build: impl FnOnce(&mut Self) -> R) -> R {
        self.scope.push(name.into());
        let result = build(self);
        self.scope.pop();
        result
    }

    /// Opens a scope, as [`Graph::scoped`] does. [`Graph::leave`] closes it.
    pub(crate) fn enter(&mut self, name: &str) {
        self.scope.push(name.into());
    }
    /// Closes the innermost scope.
    pub(crate) fn leave(&mut self) {
        self.scope.pop();
    }

    /// Floating-point operations of one evaluation of a node.
    pub fn flops_of(&self, id: NodeId) -> u64 {
        self.node(id).op().map_or(0, |op| op.flops(&self.types(id)))
    }

    /// The types of a node's inputs, states and output.
    pub fn types(&self, id: NodeId) -> Types {
        let node = self.node(id);
        let of = |ids: &[NodeId]| ids.iter().map(|&id| self.ty(id).clone()).collect();
        Types { inputs: of(node.inputs()), states: of(node.states()), output: node.ty.clone() }
    }

    /// The same graph with other persistent buffers. Each pair `(from, to)` replaces the buffer `from` with `to`.
    #[must_use]
    pub fn on_buffers(mut self, changes: &[(&str, &str)]) -> Self {
        let changed = |name: &str| changes.iter().find(|(from, _)| *from == name).map(|&(_, to)| to.to_owned());
        for node in &mut self.nodes {
            if let NodeSource::Leaf { buffer, .. } = &mut node.source
                && let Some(to) = changed(buffer)
            {
                *buffer = to;
            }
        }
        let buffers = std::mem::take(&mut self.buffers);
        self.buffers = buffers.into_iter().map(|(name, ty)| (changed(&name).unwrap_or(name), ty)).collect();
        self
    }

    /// Makes a value an output, which can be read after a step.
    pub fn output(&mut self, name: impl Into<String>, id: NodeId) {
        self.outputs.push((name.into(), id));
    }

    /// A leaf: part of a persistent buffer. The buffer is as long as its leaves need.
    ///
    /// # Errors
    /// When the buffer has another element type.
    pub fn leaf(&mut self, buffer: impl Into<String>, offset: usize, ty: TensorType) -> Result<NodeId> {
        let buffer = buffer.into();
        let end = offset + ty.elements();
        let known = self.buffers.entry(buffer.clone()).or_insert(BufferType { dtype: ty.dtype, len: end });
        if known.dtype != ty.dtype {
            return Err(Error::Shape(format!(
                "the buffer '{buffer}' holds {}, but a leaf asks for {}",
                known.dtype, ty.dtype
            )));
        }
        known.len = known.len.max(end);
        let name = buffer.clone();
        Ok(self.push(Node { source: NodeSource::Leaf { buffer, offset }, ty, name }))
    }

    /// A node with constant values.
    ///
    /// # Panics
    /// When the number of values is not the number of elements of the shape.
    pub fn constant(&mut self, ty: TensorType, values: impl Into<Arc<[f32]>>) -> NodeId {
        let values = values.into();
        assert_eq!(ty.elements(), values.len(), "a constant of {ty} needs as many values");
        self.push(Node { source: NodeSource::Constant(values), ty, name: "constant".into() })
    }

    /// Applies an op.
    ///
    /// # Errors
    /// When the shapes do not fit. The message names the node, the op and the shapes.
    pub fn apply(&mut self, op: impl Op, inputs: &[NodeId]) -> Result<NodeId> {
        self.insert(Arc::new(op), inputs, &[])
    }

    /// Applies an op that updates leaves in place. It runs after everything that reads them.
    ///
    /// # Errors
    /// As [`Graph::apply`], and when a state is not a leaf.
    pub fn update(&mut self, op: impl Op, inputs: &[NodeId], states: &[NodeId]) -> Result<NodeId> {
        self.insert(Arc::new(op), inputs, states)
    }

    pub(crate) fn insert(&mut self, op: Arc<dyn Op>, inputs: &[NodeId], states: &[NodeId]) -> Result<NodeId> {
        let mut name = self.scope.join("/");
        if !name.is_empty() {
            name.push('/');
        }
        name.push_str(op.name());
        self.insert_named(op, inputs, states, name)
    }

    pub(crate) fn insert_named(
        &mut self,
        op: Arc<dyn Op>,
        inputs: &[NodeId],
        states: &[NodeId],
        name: String,
    ) -> Result<NodeId> {
        let of = |ids: &[NodeId]| ids.iter().map(|&id| self.ty(id).clone()).collect::<Vec<_>>();
        let (input_types, state_types) = (of(inputs), of(states));
        let says = |reason: String| {
            let shapes: Vec<String> = input_types.iter().chain(&state_types).map(ToString::to_string).collect();
            Error::Shape(format!("node '{name}' ({} of {}): {reason}", op.name(), shapes.join(" and ")))
        };
        if let Some(state) = states.iter().find(|&&id| !matches!(self.node(id).source, NodeSource::Leaf { .. })) {
            return Err(says(format!("it updates '{}', which is not a leaf", self.node(*state).name)));
        }
        let ty = op.output(&input_types, &state_types).map_err(says)?;
        Ok(self.push(Node {
            source: NodeSource::Op { op, inputs: inputs.to_vec(), states: states.to_vec() },
            ty,
            name,
        }))
    }

    pub(crate) fn push(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId(self.nodes.len() as u32 - 1)
    }

    /// A graph with the same buffers but no nodes, for passes that rebuild the graph.
    pub(crate) fn emptied(&self) -> Self {
        Self { buffers: self.buffers.clone(), ..Self::default() }
    }

    /// How often each node is read. Each output counts as one read.
    pub fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.nodes.len()];
        for node in &self.nodes {
            for input in node.inputs() {
                uses[input.index()] += 1;
            }
        }
        for (_, id) in &self.outputs {
            uses[id.index()] += 1;
        }
        uses
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::batch::Accumulate;

    fn refusal<T>(result: Result<T>) -> String {
        result.err().map_or_else(|| "no error".into(), |error| error.to_string())
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused_by_node_op_and_shapes() -> Result<()> {
        let mut graph = Graph::new();
        let x = graph.leaf("x", 0, TensorType::f32([64, 1024]))?;
        let w = graph.leaf("w", 0, TensorType::f32([32, 10]))?;
        let labels = graph.leaf("labels", 0, TensorType::u32([64]))?;
        assert_eq!(
            refusal(graph.scoped("fc1", |graph| graph.matmul(x, w))),
            "node 'fc1/matmul' (matmul of 64x1024 and 32x10): the left operand has 1024 columns, the right 32 rows"
        );
        assert_eq!(
            refusal(graph.matmul_transposed(x, w, true, true)),
            "node 'matmul' (matmul of 64x1024 and 32x10): the left operand (transposed) has 64 columns, the right \
             (transposed) 10 rows"
        );
        assert_eq!(
            refusal(graph.scoped("a", |graph| graph.scoped("b", |graph| graph.add(x, w)))),
            "node 'a/b/add' (add of 64x1024 and 32x10): their shapes differ in an axis where neither is 1"
        );
        assert_eq!(
            refusal(graph.sigmoid(labels)),
            "node 'sigmoid' (sigmoid of 64 u32): element-wise functions take floats, but an input holds u32"
        );
        assert_eq!(
            refusal(graph.update(Accumulate, &[x, x], &[w])),
            "node 'accumulate' (accumulate of 64x1024 and 64x1024 and 32x10): it takes a list with one float per row"
        );
        Ok(())
    }

    #[test]
    fn only_leaves_are_updated_and_a_buffer_has_one_element_type() -> Result<()> {
        let mut graph = Graph::new();
        let rows = graph.leaf("rows", 0, TensorType::f32([3]))?;
        let y = graph.square(rows)?;
        assert_eq!(
            refusal(graph.update(Accumulate, &[rows, rows], &[y])),
            "node 'accumulate' (accumulate of 3 and 3 and 3): it updates 'square', which is not a leaf"
        );
        assert_eq!(
            refusal(graph.leaf("rows", 64, TensorType::u32([3]))),
            "the buffer 'rows' holds f32, but a leaf asks for u32"
        );
        graph.leaf("rows", 64, TensorType::f32([5]))?;
        assert_eq!(graph.buffers()["rows"].len, 69);
        Ok(())
    }

    #[test]
    fn gradients_that_do_not_exist_are_refused() -> Result<()> {
        let mut graph = Graph::new();
        let x = graph.leaf("x", 0, TensorType::f32([4]))?;
        let other = graph.leaf("other", 0, TensorType::f32([4]))?;
        let y = graph.scoped("layer", |graph| graph.square(x))?;
        assert_eq!(
            refusal(graph.gradient(y, &[x])),
            "'layer/square' has the shape 4, but without an incoming gradient only a scalar can be differentiated"
        );
        let sum = graph.sum(y, 0, 0)?;
        assert_eq!(
            refusal(graph.gradient(sum, &[x, other])),
            "'sum' has no gradient with respect to 'other', because it does not depend on it"
        );
        assert_eq!(
            refusal(graph.gradient_from(y, sum, &[x])),
            "the incoming gradient of 'layer/square' has the shape 1, but the value has the shape 4"
        );
        Ok(())
    }
}
