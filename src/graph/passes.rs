//! Passes over a whole graph: dead nodes and repeated subexpressions go; neighbours that one op computes become that op; element-wise neighbours
//! join the product or convolution before them or one another. Each can be switched off, and none changes a result beyond rounding.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use super::network::{Graph, Node, NodeId, Source};
use super::op::Op;
use super::program::{Program, inline};
use super::shape::TensorType;
use crate::Result;

/// Which passes run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passes {
    /// Nodes with the same op and inputs become one.
    pub common_subexpressions: bool,
    /// Neighbours that one op computes together become that op: log-softmax and cross-entropy, and their gradients.
    pub merge: bool,
    /// Bias, activation and the like move into the kernel of the product or convolution before them.
    pub epilogues: bool,
    /// Element-wise neighbours become one kernel.
    pub chains: bool,
}

impl Default for Passes {
    fn default() -> Self {
        Self { common_subexpressions: true, merge: true, epilogues: true, chains: true }
    }
}

impl Passes {
    /// Only dead nodes are removed.
    pub const NONE: Self = Self { common_subexpressions: false, merge: false, epilogues: false, chains: false };
}

/// Most operands of a fused kernel, the value that an epilogue is applied to among them: with the output and a product's or a
/// convolution's two inputs, WebGPU's 8 storage buffers. A bias, a batch norm's three and a residual are just that many.
const MOST_OPERANDS: usize = 6;

/// Most words that a fused program may add to a kernel's `Dims`, of which a dispatch has 64.
const MOST_WORDS: usize = 40;

/// Whether a program with these operands fits into one kernel: three words at most say how an operand is broadcast.
fn fits(program: &Program, operands: usize) -> bool {
    let parameters: usize = program.calls.iter().map(|call| call.function.parameters().len()).sum();
    operands <= MOST_OPERANDS && parameters + 3 * operands <= MOST_WORDS
}

/// The graph after the passes that are switched on. Nodes get new ids; outputs keep their names.
///
/// # Errors
/// When a pass builds a node whose shapes do not fit, which would be a mistake in the pass.
pub fn optimise(graph: &Graph, passes: Passes) -> Result<Graph> {
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

/// A node that stands in for another.
#[derive(Clone, Debug)]
pub struct Replacement {
    /// The op.
    pub op: Arc<dyn Op>,
    /// What it reads.
    pub inputs: Vec<NodeId>,
}

/// A node with the nodes before it, for [`Op::merge`].
#[derive(Debug)]
pub struct Neighbours<'a> {
    /// The graph as far as it is built.
    pub graph: &'a Graph,
    /// The node.
    pub node: &'a Node,
    /// What it reads, in that graph.
    pub inputs: &'a [NodeId],
}

/// What a pass sees of the graph before it: how often each node was read, by new id.
struct Before<'a> {
    uses: &'a [usize],
    old_of_new: &'a [NodeId],
}

impl Before<'_> {
    fn read_once(&self, new: NodeId) -> bool {
        self.uses[self.old_of_new[new.index()].index()] == 1
    }
}

/// Copies the live nodes in order, each as it is or as `replace` says. `replace` sees the graph built so far, the node
/// and its inputs there.
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
            Source::Op { op, inputs, states } => {
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

/// Which nodes an output or an update depends on.
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

/// What two nodes that are one have in common; nodes computed by ops are compared by [`Same`] beside it.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Leaf(String, usize, TensorType),
    Constant(Vec<u32>, TensorType),
    Computed(TypeId, Vec<NodeId>),
}

/// Common-subexpression removal: nodes with equal ops that read the same nodes are one.
fn merge_equal(graph: &Graph) -> Result<Graph> {
    let mut built = graph.emptied();
    let mut new_of_old: Vec<NodeId> = Vec::new();
    let mut known: HashMap<Key, Vec<NodeId>> = HashMap::new();
    for node in graph.nodes() {
        let of = |ids: &[NodeId]| ids.iter().map(|id| new_of_old[id.index()]).collect::<Vec<_>>();
        let (inputs, states) = (of(node.inputs()), of(node.states()));
        let key = match &node.source {
            Source::Leaf { buffer, offset } => Key::Leaf(buffer.clone(), *offset, node.ty.clone()),
            Source::Constant(values) => {
                Key::Constant(values.iter().map(|value| value.to_bits()).collect(), node.ty.clone())
            }
            Source::Op { op, .. } => Key::Computed((op.as_ref() as &dyn Any).type_id(), inputs.clone()),
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
                    Source::Op { op, .. } => built.insert_named(op.clone(), &inputs, &states, node.name.clone())?,
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

/// Two ops become one, where the second or one that it reads knows an op that computes both.
fn merge_neighbours(graph: &Graph, _: &Before, (node, inputs): (&Node, &[NodeId])) -> Result<Option<Replacement>> {
    let at = Neighbours { graph, node, inputs };
    let producers = inputs.iter().filter_map(|&input| graph.node(input).op());
    Ok(node.op().into_iter().chain(producers).find_map(|op| op.merge(&at)))
}

/// An element-wise op on a value that nothing else reads joins the epilogue of the op that computes it.
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

/// Element-wise ops that feed only this one join it.
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
