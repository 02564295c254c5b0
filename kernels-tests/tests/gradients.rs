//! Every gradient rule against central differences in double precision, with the op in the middle of a graph.

use std::collections::BTreeSet;

use gpunn::check::{central_difference, gradient_graph};
use gpunn::graph::{Passes, optimize};
use gpunn::ops::table::{INTERNAL_OPS, TABLE};
use gpunn::ops::tolerance::tolerance;

#[test]
fn central_differences() {
    let mut failed = Vec::new();
    for entry in TABLE {
        // Large cases test the same rules as small ones, and their central differences take long.
        let small = |case: &gpunn::ops::case::Case| case.inputs.iter().all(|input| input.ty.elements() <= 3000);
        for case in (entry.cases)().iter().filter(|case| !case.differentiable.is_empty() && small(case)) {
            match central_difference(entry.name, case) {
                Ok(outcome) if outcome.passed() => {}
                Ok(outcome) => failed.push(outcome.sentence()),
                Err(error) => failed.push(format!("{} [{}]: {error}", entry.name, case.label)),
            }
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

/// Whatever the cases, their gradients and the rewrite make nodes of is compared by a tolerance of its own, and the list of parts
/// names nothing else.
#[test]
fn every_node_has_a_tolerance() {
    let mut names = BTreeSet::new();
    for entry in TABLE {
        for case in (entry.cases)() {
            let graph = match case.differentiable.is_empty() {
                true => case.graph().map(|(graph, ..)| graph),
                false => gradient_graph(&case).map(|(graph, _)| graph),
            };
            let graph = graph.expect("it builds");
            let rewritten = optimize(&graph, Passes::default()).expect("it is rewritten");
            for node in graph.nodes().iter().chain(rewritten.nodes()) {
                names.extend(node.op().map(|op| op.name()));
            }
        }
    }
    // It panics where there is none.
    names.iter().for_each(|name| assert!(tolerance(name).relative < 1e-3, "{name}"));
    let idle: Vec<_> = INTERNAL_OPS.iter().map(|(name, _)| name).filter(|name| !names.contains(**name)).collect();
    assert!(idle.is_empty(), "{idle:?} are no ops");
    let twice: Vec<_> = INTERNAL_OPS.iter().filter(|(name, _)| TABLE.iter().any(|entry| entry.name == *name)).collect();
    assert!(twice.is_empty(), "{twice:?} have lines of their own");
}
