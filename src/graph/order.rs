//! The order in which nodes run. It is the order in which they were built, but an update runs after all nodes that
//! read the state which it changes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::network::{Graph, NodeId, NodeSource};
use crate::{Error, Result};

/// All nodes in the order in which they run. A node runs after its inputs. An update runs after all other readers of
/// its states, and after earlier updates of them. Otherwise nodes keep the order in which they were built.
///
/// # Errors
/// When two updates each read the state that the other changes.
pub(super) fn order(graph: &Graph) -> Result<Vec<NodeId>> {
    let count = graph.nodes().len();
    let mut after: Vec<Vec<NodeId>> = vec![Vec::new(); count];
    let mut waits_for = vec![0_usize; count];
    let mut precede = |first: NodeId, then: NodeId| {
        after[first.index()].push(then);
        waits_for[then.index()] += 1;
    };
    let leaves: Vec<Option<NodeId>> = graph.ids().map(|id| leaf_of(graph, id)).collect();
    for id in graph.ids() {
        graph.node(id).inputs().iter().for_each(|&input| precede(input, id));
    }
    for update in graph.ids().filter(|&id| !graph.node(id).states().is_empty()) {
        let touches = |ids: &[NodeId]| {
            let mut states = graph.node(update).states().iter();
            states.any(|&state| ids.iter().any(|id| leaves[id.index()].is_some_and(|id| overlap(graph, id, state))))
        };
        for other in graph.ids().filter(|&other| other != update) {
            let node = graph.node(other);
            if touches(node.inputs()) || other < update && touches(node.states()) {
                precede(other, update);
            }
        }
    }
    let mut ready: BinaryHeap<_> = graph.ids().filter(|id| waits_for[id.index()] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(count);
    while let Some(Reverse(id)) = ready.pop() {
        order.push(id);
        for &then in &after[id.index()] {
            waits_for[then.index()] -= 1;
            if waits_for[then.index()] == 0 {
                ready.push(Reverse(then));
            }
        }
    }
    if order.len() < count {
        let waits = |id: &NodeId| waits_for[id.index()] > 0 && !graph.node(*id).states().is_empty();
        let names: Vec<_> = graph.ids().filter(waits).map(|id| format!("'{}'", graph.node(id).name)).collect();
        return Err(Error::Shape(format!(
            "{} each read a state that the other updates, so no order is valid",
            names.join(" and ")
        )));
    }
    Ok(order)
}

/// The leaf that holds a value. The value is the leaf itself or a view of it.
fn leaf_of(graph: &Graph, mut id: NodeId) -> Option<NodeId> {
    loop {
        let node = graph.node(id);
        match &node.source {
            NodeSource::Leaf { .. } => return Some(id),
            NodeSource::Op { op, inputs, .. } => {
                op.view(&graph.types(id))?;
                id = inputs[0];
            }
            NodeSource::Constant(_) => return None,
        }
    }
}

/// Whether two leaves share elements.
fn overlap(graph: &Graph, a: NodeId, b: NodeId) -> bool {
    let span = |id: NodeId| match &graph.node(id).source {
        NodeSource::Leaf { buffer, offset } => Some((buffer, *offset, offset + graph.ty(id).elements())),
        _ => None,
    };
    match (span(a), span(b)) {
        (Some((name_a, first_a, end_a)), Some((name_b, first_b, end_b))) => {
            name_a == name_b && first_a < end_b && first_b < end_a
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::TensorType;
    use crate::ops::batch::Accumulate;

    /// Two lists and a state, of three elements each, as [`Accumulate`] takes them.
    fn leaves(graph: &mut Graph, state: &str) -> Result<(NodeId, NodeId)> {
        Ok((graph.leaf("rows", 0, TensorType::f32([3]))?, graph.leaf(state, 0, TensorType::f32([3]))?))
    }

    fn place(order: &[NodeId], id: NodeId) -> usize {
        order.iter().position(|&other| other == id).unwrap_or(usize::MAX)
    }

    #[test]
    fn without_updates_it_is_the_order_of_building() -> Result<()> {
        let mut graph = Graph::new();
        let (x, y) = leaves(&mut graph, "state")?;
        let sum = graph.add(x, y)?;
        graph.mul(sum, x)?;
        assert!(order(&graph)?.into_iter().eq(graph.ids()));
        Ok(())
    }

    #[test]
    fn an_update_waits_for_later_readers_and_through_views() -> Result<()> {
        let mut graph = Graph::new();
        let (rows, state) = leaves(&mut graph, "state")?;
        let view = graph.reshape(state, [3, 1])?;
        let update = graph.update(Accumulate, &[rows, rows], &[state])?;
        let through_view = graph.square(view)?;
        let later = graph.add(state, rows)?;
        let order = order(&graph)?;
        assert!(place(&order, update) > place(&order, through_view));
        assert!(place(&order, update) > place(&order, later));
        Ok(())
    }

    /// The first update waits for a late reader. The second update changes what the first reads, so it must run after
    /// it.
    #[test]
    fn an_update_waits_for_an_update_that_reads_its_state() -> Result<()> {
        let mut graph = Graph::new();
        let (rows, a) = leaves(&mut graph, "a")?;
        let b = graph.leaf("b", 0, TensorType::f32([3]))?;
        let reads_b = graph.update(Accumulate, &[b, rows], &[a])?;
        let updates_b = graph.update(Accumulate, &[rows, rows], &[b])?;
        let late = graph.square(a)?;
        let order = order(&graph)?;
        assert!(place(&order, late) < place(&order, reads_b));
        assert!(place(&order, reads_b) < place(&order, updates_b));
        Ok(())
    }

    #[test]
    fn updates_that_read_each_other_are_refused() -> Result<()> {
        let mut graph = Graph::new();
        let (_, a) = leaves(&mut graph, "a")?;
        let b = graph.leaf("b", 0, TensorType::f32([3]))?;
        graph.scoped("first", |graph| graph.update(Accumulate, &[b, b], &[a]))?;
        graph.scoped("second", |graph| graph.update(Accumulate, &[a, a], &[b]))?;
        let refusal = order(&graph).map(|_| ()).unwrap_err().to_string();
        assert_eq!(
            refusal,
            "'first/accumulate' and 'second/accumulate' each read a state that the other updates, so no order is valid"
        );
        Ok(())
    }
}
