//! Rewriting passes over a graph. They remove dead and repeated nodes, merge neighbours that one op can compute, and
//! fuse element-wise ops. An element-wise op joins the matrix product or convolution before it, or another
//! element-wise op. Each pass can be switched off. The passes change results only by rounding.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use super::network::{Graph, Node, NodeId, NodeSource};
use super::op::Op;
use super::program::{Program, inline};
use super::shape::TensorType;
use crate::Result;

/// The passes that run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passes {
    /// Nodes with equal ops and inputs become one.
    pub common_subexpressions: bool,
    /// Neighbouring nodes that one op can compute become that op: log-softmax and cross-entropy, and their gradients.
    pub merge: bool,
    /// Element-wise ops, such as bias and activation, move into the kernel of the matrix product or convolution
    /// before them.
    pub epilogues: bool,
    /// Neighbouring element-wise ops become one kernel.
    pub chains: bool,
}

impl Default for Passes {
    fn default() -> Self {
        Self { common_subexpressions: true, merge: true, epilogues: true, chains: true }
    }
}

impl Passes {
    /// Only removes dead nodes.
    pub const NONE: Self = Self { common_subexpressions: false, merge: false, epilogues: false, chains: false };
}

/// The largest number of operands of a fused program. It includes the value that an epilogue is applied to. With the
/// output and the two inputs of a product or convolution, a kernel stays within WebGPU's 8 storage buffers. A bias,
/// three tensors of a batch norm and a residual fit exactly.
const MAX_OPERANDS: usize = 6;

/// The largest number of words that a fused program may add to a kernel's `Dims`. A dispatch has 64 words.
const MAX_WORDS: usize = 40;

/// Whether a program with these operands fits into one kernel. An operand needs at most three words for its broadcast
/// pattern.
fn fits(program: &Program, operands: usize) -> bool {
    let parameters: usize = program.calls.iter().map(|call| call.function.parameters().len()).sum();
    operands <= MAX_OPERANDS && parameters + 3 * operands <= MAX_WORDS
}

/// The graph after the enabled passes. Nodes get new ids. Outputs keep their names.
///
/// # Errors
/// When a pass builds a node whose shapes do not fit: a bug in the pass.
pub fn optimize(graph: &Graph, passes: Passes) -> Result<Graph> {
    let mut graph = rebuild(graph, |_, _, _| Ok(None))?;
    if passes.common_subexpressions {
        graph = merge_equal(&graph)?;
    }
    if passes.merge {
        graph = rebuild(&graph, merge_neighbours)?;
        graph = rebuild(&graph, |_, _, _| Ok(None))?;
    }
    if passes.epilogues {
        graph = rebuild(&graph, fuse_epilogue)?;
        graph = rebuild(&graph, |_, _, _| Ok(None))?;
    }
    if passes.chains {
        graph = rebuild(&graph, fuse_chain)?;
        graph = rebuild(&graph, |_, _, _| Ok(None))?;
    }
    Ok(graph)
}

/// The op and inputs that replace a node.
#[derive(Clone, Debug)]
pub struct Replacement {
    /// The op.
    pub op: Arc<dyn Op>,
    /// The nodes that it reads.
    pub inputs: Vec<NodeId>,
}

/// A node and the nodes before it, for [`Op::merge`].
#[derive(Debug)]
pub struct Neighbours<'a> {
    /// The new graph, as far as it is built.
    pub graph: &'a Graph,
    /// The node.
    pub node: &'a Node,
    /// Its inputs, as ids of that graph.
    pub inputs: &'a [NodeId],
}

/// What a pass needs to know about the old graph: how often each node is read. Queries use new ids.
struct Before<'a> {
    uses: &'a [usize],
    old_of_new: &'a [NodeId],
}

impl Before<'_> {
    fn read_once(&self, new: NodeId) -> bool {
        self.uses[self.old_of_new[new.index()].index()] == 1
    }
}

/// Copies the live nodes in order. `replace` sees the new graph so far, the node and its inputs there, and may return
/// a replacement.
fn rebuild(
    graph: &Graph,
    replace: impl Fn(&Graph, &Before, (&Node, &[NodeId])) -> Result<Option<Replacement>>,
) -> Result<Graph> {
    let live = live(graph);
    let uses = graph.uses();
    let mut built = graph.emptied();
    let mut new_of_old: Vec<Option<NodeId>> = vec![None; graph.nodes().len()];
    let mut old_of_new = Vec::new();
    for id in graph.ids().filter(|id| live[id.index()]) {
        let node = graph.node(id);
        let new = match &node.source {
            NodeSource::Op { op, inputs, states } => {
                let of = |ids: &[NodeId]| ids.iter().filter_map(|id| new_of_old[id.index()]).collect::<Vec<_>>();
                let (inputs, states) = (of(inputs), of(states));
                let before = Before { uses: &uses, old_of_new: &old_of_new };
                let replacement = replace(&built, &before, (node, &inputs))?;
                let Replacement { op, inputs } = replacement.unwrap_or(Replacement { op: op.clone(), inputs });
                built.insert_named(op, &inputs, &states, node.name.clone())?
            }
            _ => built.push(node.clone()),
        };
        old_of_new.push(id);
        new_of_old[id.index()] = Some(new);
    }
    for (name, id) in graph.outputs() {
        if let Some(new) = new_of_old[id.index()] {
            built.output(name, new);
        }
    }
    Ok(built)
}

/// Whether each node contributes to an output or an update.
fn live(graph: &Graph) -> Vec<bool> {
    let mut live = vec![false; graph.nodes().len()];
    for (_, id) in graph.outputs() {
        live[id.index()] = true;
    }
    for id in graph.ids().rev() {
        let node = graph.node(id);
        if live[id.index()] || !node.states().is_empty() {
            live[id.index()] = true;
            node.inputs().iter().chain(node.states()).for_each(|input| live[input.index()] = true);
        }
    }
    live
}

/// A key that equal nodes share. For computed nodes, [`DynEq`] also compares the ops.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Leaf(String, usize, TensorType),
    Constant(Vec<u32>, TensorType),
    Computed(TypeId, Vec<NodeId>),
}

/// Common-subexpression elimination: nodes with equal ops and the same inputs become one.
fn merge_equal(graph: &Graph) -> Result<Graph> {
    let mut built = graph.emptied();
    let mut new_of_old: Vec<NodeId> = Vec::new();
    let mut known: HashMap<Key, Vec<NodeId>> = HashMap::new();
    for node in graph.nodes() {
        let of = |ids: &[NodeId]| ids.iter().map(|id| new_of_old[id.index()]).collect::<Vec<_>>();
        let (inputs, states) = (of(node.inputs()), of(node.states()));
        let key = match &node.source {
            NodeSource::Leaf { buffer, offset } => Key::Leaf(buffer.clone(), *offset, node.ty.clone()),
            NodeSource::Constant(values) => {
                Key::Constant(values.iter().map(|value| value.to_bits()).collect(), node.ty.clone())
            }
            NodeSource::Op { op, .. } => Key::Computed((op.as_ref() as &dyn Any).type_id(), inputs.clone()),
        };
        let alike = known.entry(key).or_default();
        let is_same = |other: &&NodeId| match (node.op(), built.node(**other).op()) {
            (Some(op), Some(other)) => op.same(other),
            _ => true,
        };
        let new = match alike.iter().find(is_same) {
            Some(&same) if states.is_empty() => same,
            _ => {
                let new = match &node.source {
                    NodeSource::Op { op, .. } => built.insert_named(op.clone(), &inputs, &states, node.name.clone())?,
                    _ => built.push(node.clone()),
                };
                alike.push(new);
                new
            }
        };
        new_of_old.push(new);
    }
    for (name, id) in graph.outputs() {
        built.output(name, new_of_old[id.index()]);
    }
    Ok(built)
}

/// Two ops become one if one of the two ops knows an op that computes both.
fn merge_neighbours(graph: &Graph, _: &Before, (node, inputs): (&Node, &[NodeId])) -> Result<Option<Replacement>> {
    let at = Neighbours { graph, node, inputs };
    let producers = inputs.iter().filter_map(|&input| graph.node(input).op());
    Ok(node.op().into_iter().chain(producers).find_map(|op| op.merge(&at)))
}

/// An element-wise op joins the epilogue of the op before it, if no other node reads that op's value.
fn fuse_epilogue(built: &Graph, before: &Before, (node, inputs): (&Node, &[NodeId])) -> Result<Option<Replacement>> {
    let Some(program) = node.op().and_then(Op::elementwise) else { return Ok(None) };
    for (at, &input) in inputs.iter().enumerate().rev() {
        let producer = built.node(input);
        let Some((op, (first, own))) = producer.op().and_then(|op| Some((op, op.epilogue()?))) else { continue };
        if producer.ty != node.ty || !before.read_once(input) {
            continue;
        }
        let (own, extras) = producer.inputs().split_at(own);
        let first_operands: Vec<_> = std::iter::once(None).chain(extras.iter().map(|&id| Some(id))).collect();
        let operands: Vec<_> = inputs.iter().map(|&id| Some(id)).collect();
        let (epilogue, operands) = inline(first, &first_operands, program, &operands, at);
        if !fits(&epilogue, operands.len() + own.len().saturating_sub(2)) {
            continue;
        }
        let inputs = own.iter().copied().chain(operands.into_iter().flatten()).collect();
        return Ok(op.with_epilogue(epilogue).map(|op| Replacement { op, inputs }));
    }
    Ok(None)
}

/// Element-wise ops that only this element-wise op reads join it.
fn fuse_chain(built: &Graph, before: &Before, (node, inputs): (&Node, &[NodeId])) -> Result<Option<Replacement>> {
    let Some((op, program)) = node.op().and_then(|op| Some((op, op.elementwise()?))) else { return Ok(None) };
    let mut program = program.clone();
    let mut operands: Vec<_> = inputs.iter().map(|&id| Some(id)).collect();
    let mut changed = false;
    for &input in inputs {
        let producer = built.node(input);
        let Some(first) = producer.op().and_then(Op::elementwise) else { continue };
        if producer.ty != node.ty || !before.read_once(input) {
            continue;
        }
        let Some(at) = operands.iter().position(|&operand| operand == Some(input)) else { continue };
        let own: Vec<_> = producer.inputs().iter().map(|&id| Some(id)).collect();
        let (joined, all) = inline(first, &own, &program, &operands, at);
        if fits(&joined, all.len()) {
            (program, operands, changed) = (joined, all, true);
        }
    }
    let inputs = operands.into_iter().flatten().collect();
    let joined = if changed { op.with_elementwise(program, &node.ty) } else { None };
    Ok(joined.map(|op| Replacement { op, inputs }))
}
