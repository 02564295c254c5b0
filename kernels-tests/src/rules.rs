//! Checks the rules of every plan from the plan alone, without the planner's own lifetimes and roots.

use gpunn::graph::kernel::{Access, Slot};
use gpunn::graph::{Graph, NodeId, NodeSource, Place, Plan, Target};
use gpunn::ops::Types;
use gpunn::ops::pack::Pack;

/// A place in memory that is in use from one node of the work list to another.
#[derive(Clone, Copy, Debug)]
struct Held {
    node: NodeId,
    place: Place,
    from: usize,
    to: usize,
}

/// The node that a view shows; for any other node, the node itself.
fn viewed(plan: &Plan, mut id: NodeId) -> NodeId {
    while plan.graph.node(id).op().is_some() && !plan.work.iter().any(|work| work.node == id) {
        id = plan.graph.node(id).inputs()[0];
    }
    id
}

fn share(a: Place, b: Place) -> bool {
    a.buffer == b.buffer && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes
}

/// Checks a plan:
/// - each node runs once, after the nodes that it reads; updates run after the nodes that read their states
/// - places are aligned and within their buffers
/// - tensors that are in use at the same time do not overlap
/// - views are in the memory of their input
/// - no dispatch reads a buffer that it writes
///
/// # Errors
/// A sentence about the first rule that is broken.
pub fn check(plan: &Plan, target: &Target) -> Result<(), String> {
    order(plan)?;
    bounds(plan, target)?;
    views(plan)?;
    overlaps(plan)?;
    dispatches(plan, target)
}

fn name(plan: &Plan, id: NodeId) -> String {
    format!("'{}' (node {})", plan.graph.node(id).name, id.index())
}

fn order(plan: &Plan) -> Result<(), String> {
    let turn = |id: NodeId| plan.work.iter().position(|work| work.node == id);
    for id in plan.graph.ids() {
        let node = plan.graph.node(id);
        let runs = plan.work.iter().filter(|work| work.node == id).count();
        let is_view = node.op().is_some_and(|op| op.view(&types(&plan.graph, id)).is_some());
        if runs > 1 || runs == 0 && node.op().is_some() && !is_view {
            return Err(format!("{} runs {runs} times", name(plan, id)));
        }
        let Some(own) = turn(id) else { continue };
        for &input in node.inputs() {
            if turn(viewed(plan, input)).is_some_and(|before| before >= own) {
                return Err(format!("{} runs before {}", name(plan, id), name(plan, input)));
            }
        }
        for state in node.states().iter().filter_map(|&state| plan.place(state)) {
            let reads = |work: &gpunn::graph::PlannedNode| {
                let places = plan.graph.node(work.node).inputs().iter().filter_map(|&input| plan.place(input));
                work.node != id && places.into_iter().any(|place| share(place, state))
            };
            if plan.work[own..].iter().any(reads) {
                return Err(format!("{} updates what is read later", name(plan, id)));
            }
        }
    }
    Ok(())
}

fn types(graph: &Graph, id: NodeId) -> Types {
    let of = |ids: &[NodeId]| ids.iter().map(|&id| graph.ty(id).clone()).collect();
    let node = graph.node(id);
    Types { inputs: of(node.inputs()), states: of(node.states()), output: node.ty.clone() }
}

fn bounds(plan: &Plan, target: &Target) -> Result<(), String> {
    let own = plan.graph.ids().filter_map(|id| plan.place(id).map(|place| (id, place)));
    let scratch = plan.work.iter().flat_map(|work| work.scratch.iter().map(|&place| (work.node, place)));
    for (id, place) in own.chain(scratch) {
        let buffer = &plan.buffers[place.buffer];
        if place.offset % target.alignment != 0 {
            return Err(format!("{} stands at {}, which is not aligned", name(plan, id), place.offset));
        }
        if place.offset + place.bytes > buffer.bytes {
            return Err(format!("{} ends beyond '{}'", name(plan, id), buffer.name));
        }
    }
    for id in plan.graph.ids() {
        let ty = plan.graph.ty(id);
        let place = plan.place(id);
        if ty.bytes() > 0 && place.is_none_or(|place| place.bytes != ty.bytes()) {
            return Err(format!("{} has no place of its size", name(plan, id)));
        }
        if place.is_some_and(|place| plan.buffers[place.buffer].dtype != ty.dtype) {
            return Err(format!("{} stands in a buffer of another element type", name(plan, id)));
        }
    }
    Ok(())
}

/// Checks that views are in the memory of their input, and that tensors that a pack has placed are in the pack.
fn views(plan: &Plan) -> Result<(), String> {
    for id in plan.graph.ids() {
        let node = plan.graph.node(id);
        let Some(work) = plan.work.iter().find(|work| work.node == id) else {
            let offset = node.op().and_then(|op| op.view(&types(&plan.graph, id)));
            if let (Some(offset), Some(own), Some(&input)) = (offset, plan.place(id), node.inputs().first()) {
                let of = plan.place(input).ok_or_else(|| format!("{} views nothing", name(plan, id)))?;
                let at = of.offset + offset * node.ty.dtype.bytes();
                if own.buffer != of.buffer || own.offset != at || own.offset + own.bytes > of.offset + of.bytes {
                    return Err(format!("{} does not stand in what it views", name(plan, id)));
                }
            }
            continue;
        };
        let offsets = node.op_as::<Pack>().map_or(&[][..], |pack| &pack.offsets);
        for ((&input, &offset), _) in node.inputs().iter().zip(offsets).zip(&work.placed).filter(|(_, placed)| **placed)
        {
            let (Some(own), Some(part)) = (plan.place(id), plan.place(input)) else { continue };
            if part.buffer != own.buffer || part.offset != own.offset + 4 * offset {
                return Err(format!("{} does not stand in its pack", name(plan, input)));
            }
        }
    }
    Ok(())
}

/// The time for which each place is in use: a value until its last read, a value in a pack as long as the pack.
fn held(plan: &Plan) -> Vec<Held> {
    let last_read = |id: NodeId| {
        let outputs = plan.graph.outputs().iter().any(|(_, output)| viewed(plan, *output) == id);
        let reads = |work: &gpunn::graph::PlannedNode| {
            plan.graph.node(work.node).inputs().iter().any(|&input| viewed(plan, input) == id)
        };
        if outputs { Some(plan.work.len()) } else { plan.work.iter().rposition(reads) }
    };
    let mut held = Vec::new();
    for (turn, work) in plan.work.iter().enumerate() {
        let pack = pack_of(plan, work.node);
        let to = [Some(work.node), pack].into_iter().flatten().filter_map(last_read).max().unwrap_or(turn);
        if let Some(place) = plan.place(work.node) {
            held.push(Held { node: work.node, place, from: turn, to });
        }
        held.extend(work.scratch.iter().map(|&place| Held { node: work.node, place, from: turn, to: turn }));
    }
    held
}

/// The pack that a value has been computed into.
fn pack_of(plan: &Plan, id: NodeId) -> Option<NodeId> {
    let into = |work: &&gpunn::graph::PlannedNode| {
        let inputs = plan.graph.node(work.node).inputs();
        inputs.iter().zip(&work.placed).any(|(&input, &placed)| placed && viewed(plan, input) == id)
    };
    plan.work.iter().find(into).map(|work| work.node)
}

fn overlaps(plan: &Plan) -> Result<(), String> {
    let all = held(plan);
    for (index, first) in all.iter().enumerate() {
        for second in &all[index + 1..] {
            let apart = second.from > first.to || first.from > second.to || !share(first.place, second.place);
            if apart || pack_of(plan, first.node) == Some(second.node) || in_place(plan, first, second) {
                continue;
            }
            return Err(format!(
                "{} and {} share bytes while both are needed",
                name(plan, first.node),
                name(plan, second.node)
            ));
        }
    }
    // No computed value may be placed in persistent buffers or constants.
    let fixed = plan.graph.ids().filter(|&id| !matches!(plan.graph.node(id).source, NodeSource::Op { .. }));
    for place in fixed.filter_map(|id| plan.place(id)) {
        if let Some(held) = all.iter().find(|held| held.place.buffer == place.buffer) {
            return Err(format!("{} stands in '{}'", name(plan, held.node), plan.buffers[place.buffer].name));
        }
    }
    Ok(())
}

/// Whether the second value is computed in the place of the first by the last node that reads the first. Its kernel must
/// read the first only through the binding of the output.
fn in_place(plan: &Plan, first: &Held, second: &Held) -> bool {
    let work = &plan.work[second.from];
    let node = plan.graph.node(work.node);
    let offered = node.op().map_or(Vec::new(), |op| op.in_place(&work.types));
    let taken = |input: &usize| viewed(plan, node.inputs()[*input]) == first.node;
    let bound = |slot: &Slot| matches!(slot, Slot::Input(input) if taken(input));
    let slots = || work.lowering.dispatches.iter().flat_map(|dispatch| &dispatch.slots);
    first.to == second.from
        && first.place == second.place
        && second.node == work.node
        && offered.iter().any(taken)
        && !slots().any(bound)
}

fn dispatches(plan: &Plan, target: &Target) -> Result<(), String> {
    for work in &plan.work {
        let node = plan.graph.node(work.node);
        let written = || std::iter::once(work.node).chain(node.states().iter().copied());
        if target.device.is_none() {
            let unplaced = node.inputs().iter().enumerate().filter(|(i, _)| !work.placed.get(*i).unwrap_or(&false));
            let read: Vec<usize> = unplaced.filter_map(|(_, &id)| plan.place(id)).map(|place| place.buffer).collect();
            if written().filter_map(|id| plan.place(id)).any(|place| read.contains(&place.buffer)) {
                return Err(format!("{} reads a buffer that it writes", name(plan, work.node)));
            }
        }
        for dispatch in &work.lowering.dispatches {
            let place = |slot: &Slot| match *slot {
                Slot::Input(i) => plan.place(node.inputs()[i]),
                Slot::State(i) => plan.place(node.states()[i]),
                Slot::Output => plan.place(work.node),
                Slot::Scratch(i) => work.scratch.get(i).copied(),
            };
            let bound: Vec<_> = dispatch.slots.iter().map(place).zip(&dispatch.kernel.bindings).collect();
            for (index, (first, access)) in bound.iter().enumerate() {
                let Some(first) = first else { return Err(format!("{} binds nothing", name(plan, work.node))) };
                let conflict = |(second, other): &(Option<Place>, &Access)| {
                    second.is_some_and(|second| second.buffer == first.buffer)
                        && (**access == Access::Write || **other == Access::Write)
                };
                if bound[index + 1..].iter().any(conflict) {
                    return Err(format!("{} binds a buffer that it writes a second time", name(plan, work.node)));
                }
            }
        }
    }
    Ok(())
}
