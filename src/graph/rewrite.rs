//! Passes over a whole graph: dead nodes and repeated subexpressions go; softmax joins cross-entropy; element-wise neighbours
//! join the product or convolution before them or one another. Each can be switched off, and none changes a result beyond rounding.

use std::collections::HashMap;
use std::sync::Arc;

use super::network::{Graph, Node, NodeId, Source};
use crate::Result;
use crate::ops::Op;
use crate::ops::cross_entropy::{CrossEntropy, CrossEntropyBackward, Input};
use crate::ops::elementwise::{Argument, FunctionCall, Map, Program};
use crate::ops::softmax::{Softmax, SoftmaxBackward};

/// Which passes run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passes {
    /// Nodes with the same op and inputs become one.
    pub common_subexpressions: bool,
    /// Log-softmax and cross-entropy become one op, and so do their gradients.
    pub loss: bool,
    /// Bias, activation and the like move into the kernel of the product or convolution before them.
    pub epilogues: bool,
    /// Element-wise neighbours become one kernel.
    pub chains: bool,
}

impl Default for Passes {
    fn default() -> Self {
        Self { common_subexpressions: true, loss: true, epilogues: true, chains: true }
    }
}

impl Passes {
    /// Only dead nodes are removed.
    pub const NONE: Self = Self { common_subexpressions: false, loss: false, epilogues: false, chains: false };
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
    if passes.loss {
        graph = rebuild(&graph, fuse_loss)?;
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
struct Replacement {
    op: Arc<dyn Op>,
    inputs: Vec<NodeId>,
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

/// Common-subexpression removal: nodes that print alike and read the same nodes are one.
fn merge_equal(graph: &Graph) -> Result<Graph> {
    let mut built = graph.emptied();
    let mut new_of_old: Vec<NodeId> = Vec::new();
    let mut known: HashMap<String, NodeId> = HashMap::new();
    for node in graph.nodes() {
        let of = |ids: &[NodeId]| ids.iter().map(|id| new_of_old[id.index()]).collect::<Vec<_>>();
        let (inputs, states) = (of(node.inputs()), of(node.states()));
        let key = match &node.source {
            Source::Leaf { buffer, offset } => format!("leaf {buffer} {offset} {:?}", node.ty),
            Source::Constant(values) => {
                let bits: Vec<u32> = values.iter().map(|value| value.to_bits()).collect();
                format!("constant {:?} {bits:?}", node.ty)
            }
            Source::Op { op, .. } => format!("{op:?} {inputs:?}"),
        };
        let new = match known.get(&key) {
            Some(&same) if states.is_empty() => same,
            _ => match &node.source {
                Source::Op { op, .. } => built.insert_named(op.clone(), &inputs, &states, node.name.clone())?,
                _ => built.push(node.clone()),
            },
        };
        known.entry(key).or_insert(new);
        new_of_old.push(new);
    }
    for (name, id) in graph.outputs() {
        built.output(name, new_of_old[id.index()]);
    }
    Ok(built)
}

/// Cross-entropy of a log-softmax, and log-softmax's gradient of cross-entropy's, become one op each.
fn fuse_loss(built: &Graph, _: &Before, (node, inputs): (&Node, &[NodeId])) -> Result<Option<Replacement>> {
    let log_softmax_of = |id: NodeId| {
        let node = built.node(id);
        node.op_as::<Softmax>().filter(|softmax| softmax.log).map(|_| node.inputs()[0])
    };
    if let Some(loss) = node.op_as::<CrossEntropy>().filter(|loss| loss.input == Input::LogProbabilities) {
        return Ok(log_softmax_of(inputs[0]).map(|logits| Replacement {
            op: Arc::new(CrossEntropy { input: Input::Logits, smoothing: loss.smoothing }),
            inputs: vec![logits, inputs[1]],
        }));
    }
    if node.op_as::<SoftmaxBackward>().is_none_or(|backward| !backward.log) {
        return Ok(None);
    }
    let incoming = built.node(inputs[1]);
    let Some(loss) = incoming.op_as::<CrossEntropyBackward>().filter(|_| incoming.inputs()[0] == inputs[0]) else {
        return Ok(None);
    };
    Ok(log_softmax_of(inputs[0]).map(|logits| Replacement {
        op: Arc::new(CrossEntropyBackward { input: Input::Logits, smoothing: loss.smoothing }),
        inputs: vec![logits, incoming.inputs()[1], incoming.inputs()[2]],
    }))
}

/// An element-wise op on a value that nothing else reads joins the epilogue of the op that computes it.
fn fuse_epilogue(built: &Graph, before: &Before, (node, inputs): (&Node, &[NodeId])) -> Result<Option<Replacement>> {
    let Some(map) = node.op_as::<Map>() else { return Ok(None) };
    for (at, &input) in inputs.iter().enumerate().rev() {
        let producer = built.node(input);
        let Some((op, (first, own))) = producer.op().and_then(|op| Some((op, op.epilogue()?))) else { continue };
        if producer.ty != node.ty || !before.read_once(input) {
            continue;
        }
        let (own, extras) = producer.inputs().split_at(own);
        let first_operands: Vec<_> = std::iter::once(None).chain(extras.iter().map(|&id| Some(id))).collect();
        let operands: Vec<_> = inputs.iter().map(|&id| Some(id)).collect();
        let (epilogue, operands) = inline(first, &first_operands, &map.program, &operands, at);
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
    let Some(map) = node.op_as::<Map>() else { return Ok(None) };
    let mut program = map.program.clone();
    let mut operands: Vec<_> = inputs.iter().map(|&id| Some(id)).collect();
    let mut changed = false;
    for &input in inputs {
        let producer = built.node(input);
        let Some(first) = producer.op_as::<Map>() else { continue };
        if producer.ty != node.ty || !before.read_once(input) {
            continue;
        }
        let Some(at) = operands.iter().position(|&operand| operand == Some(input)) else { continue };
        let own: Vec<_> = producer.inputs().iter().map(|&id| Some(id)).collect();
        let (joined, all) = inline(&first.program, &own, &program, &operands, at);
        if fits(&joined, all.len()) {
            (program, operands, changed) = (joined, all, true);
        }
    }
    let inputs = operands.into_iter().flatten().collect();
    let shape = Some(node.ty.shape.clone());
    Ok(changed.then(|| Replacement { op: Arc::new(Map { program, shape }), inputs }))
}

/// The program that computes `first` and then `next`, whose operand `at` is `first`'s result, with the operands of both,
/// each once. An operand is a node, or nothing for the value that an epilogue is applied to.
fn inline(
    first: &Program,
    first_operands: &[Option<NodeId>],
    next: &Program,
    next_operands: &[Option<NodeId>],
    at: usize,
) -> (Program, Vec<Option<NodeId>>) {
    let mut operands = first_operands.to_vec();
    let mut calls = first.calls.clone();
    let result = match calls.len() {
        0 => Argument::Operand(0),
        count => Argument::Call(count - 1),
    };
    let offset = calls.len();
    let mut place = |operand: Option<NodeId>| {
        let known = operands.iter().position(|&other| other == operand);
        Argument::Operand(known.unwrap_or_else(|| {
            operands.push(operand);
            operands.len() - 1
        }))
    };
    for call in &next.calls {
        let arguments = call.arguments.iter().map(|argument| match *argument {
            Argument::Operand(i) if i == at => result,
            Argument::Operand(i) => place(next_operands[i]),
            Argument::Call(i) => Argument::Call(offset + i),
        });
        calls.push(FunctionCall { function: call.function.clone(), arguments: arguments.collect() });
    }
    (Program { calls }, operands)
}
