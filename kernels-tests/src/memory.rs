//! Checks memory accesses while a graph runs. Every tensor has guards around it, and all unwritten memory holds a poison
//! value. Bindings include the guards, so that a driver's own bounds checks do not hide an access outside a tensor.

use std::collections::BTreeMap;
use std::ops::Range;

use gpunn::Result;
use gpunn::check::Inputs;
use gpunn::gpu::Executor;
use gpunn::graph::{Buffer, BufferKind, Graph, NodeId, Passes, Place, Plan, PlanOptions, TensorType, optimize};
use gpunn::ops::pack::Pack;

/// Size of a guard in bytes.
pub const GUARD: usize = 256;
/// A quiet NaN with a recognizable bit pattern. Arithmetic with it gives NaN, and mostly keeps the pattern.
pub const POISON: u32 = 0x7fc0_dead;

/// The results of a checked run.
struct Left {
    /// Outputs and updated leaves by name, as bits.
    results: BTreeMap<String, Vec<u32>>,
    faults: Vec<String>,
}

/// Runs one step without checks, and twice with checks: with separate memory for each tensor, and with reused memory.
/// Returns one sentence for each written byte range outside all tensors, each unwritten element, each changed input, and
/// each result with different bits.
///
/// # Errors
/// When the graph cannot be planned or the device fails.
pub fn faults(executor: &mut Executor, graph: &Graph, inputs: &Inputs) -> Result<Vec<String>> {
    let graph = optimize(graph, Passes::default())?;
    let plain = run(executor, &graph, inputs, PlanOptions::default())?;
    let mut faults = plain.faults;
    for reuse in [false, true] {
        let watched = run(executor, &with_tails(&graph)?, inputs, PlanOptions { reuse, guard: GUARD })?;
        let way = if reuse { "places used again" } else { "a place each" };
        faults.extend(watched.faults.iter().map(|fault| format!("{way}: {fault}")));
        for (name, bits) in &plain.results {
            let differs = |(a, b): &(&u32, &u32)| a != b;
            if let Some(at) = bits.iter().zip(&watched.results[name]).position(|pair| differs(&pair)) {
                let (plain, watched) = (f32::from_bits(bits[at]), f32::from_bits(watched.results[name][at]));
                faults.push(format!("{way}: element {at} of '{name}' is {plain} plainly, but {watched} when watched"));
            }
        }
    }
    executor.bind_beyond(0);
    Ok(faults)
}

/// The graph with every persistent buffer extended by a guard that no node reads.
fn with_tails(graph: &Graph) -> Result<Graph> {
    let mut longer = graph.clone();
    for (name, buffer) in graph.buffers() {
        let size = buffer.dtype.bytes();
        let end = (buffer.len * size).next_multiple_of(4) / size;
        longer.leaf(name, end, TensorType { shape: [GUARD / size].into(), dtype: buffer.dtype })?;
    }
    Ok(longer)
}

fn run(executor: &mut Executor, graph: &Graph, inputs: &Inputs, options: PlanOptions) -> Result<Left> {
    let watched = options.guard > 0;
    executor.forget();
    executor.bind_beyond(options.guard);
    let program = executor.load(Plan::new(graph.clone(), &executor.target(), options)?)?;
    let plan = executor.plan(program).clone();
    for (index, buffer) in plan.buffers.iter().enumerate() {
        if watched && buffer.kind != BufferKind::Constants {
            executor.poison(program, index, POISON);
        }
    }
    for (name, value) in &inputs.buffers {
        executor.write(name, 0, &value.to_bytes())?;
    }
    executor.schedule(program, &[inputs.step])?;
    executor.run(program, 0..1)?;
    let mut memory = Vec::new();
    for (buffer, known) in plan.buffers.iter().enumerate() {
        let whole = Place { buffer, offset: 0, bytes: known.bytes };
        memory.push(words(&gpunn::blocking::block_on(executor.read_place(program, whole))?));
    }
    let mut left = Left { results: results(&plan, &memory), faults: Vec::new() };
    left.faults.extend(changed_inputs(&plan, &memory, inputs));
    if watched {
        left.faults.extend(touched_guards(&plan, &memory, inputs));
        left.faults.extend(unwritten(&plan, &memory, options.reuse));
    }
    Ok(left)
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect()
}

fn at(memory: &[Vec<u32>], place: Place) -> &[u32] {
    &memory[place.buffer][place.offset / 4..][..place.bytes / 4]
}

fn results(plan: &Plan, memory: &[Vec<u32>]) -> BTreeMap<String, Vec<u32>> {
    let mut results = BTreeMap::new();
    let mut keep = |name: String, id: NodeId| {
        if let Some(place) = plan.place(id) {
            let values = at(memory, place);
            results.insert(name, defined(plan, id).into_iter().flat_map(|range| values[range].to_vec()).collect());
        }
    };
    for (name, id) in plan.graph.outputs() {
        keep(format!("output {name}"), *id);
    }
    for state in plan.work.iter().flat_map(|work| plan.graph.node(work.node).states()) {
        keep(format!("state {}", plan.graph.node(*state).name), *state);
    }
    results
}

/// The words of a value that are defined, without the padding between the tensors of a pack.
fn defined(plan: &Plan, id: NodeId) -> Vec<Range<usize>> {
    let node = plan.graph.node(id);
    let Some(pack) = node.op_as::<Pack>() else { return std::iter::once(0..node.ty.bytes() / 4).collect() };
    let of = |(&offset, &input): (&usize, &NodeId)| offset..offset + plan.graph.ty(input).elements();
    pack.offsets.iter().zip(node.inputs()).map(of).collect()
}

/// The persistent buffers by name.
fn persistent<'a>(plan: &'a Plan, inputs: &'a Inputs) -> impl Iterator<Item = (usize, &'a str, Vec<u32>)> {
    inputs.buffers.iter().filter_map(|(name, value)| {
        let known = |buffer: &Buffer| buffer.kind == BufferKind::Persistent && buffer.name == *name;
        Some((plan.buffers.iter().position(known)?, name.as_str(), words(&value.to_bytes())))
    })
}

fn changed_inputs(plan: &Plan, memory: &[Vec<u32>], inputs: &Inputs) -> Vec<String> {
    let states = plan.work.iter().flat_map(|work| plan.graph.node(work.node).states());
    let updated: Vec<usize> = states.filter_map(|&state| plan.place(state)).map(|place| place.buffer).collect();
    persistent(plan, inputs)
        .filter(|(buffer, _, given)| !updated.contains(buffer) && memory[*buffer][..given.len()] != *given)
        .map(|(_, name, _)| format!("the input '{name}' changed"))
        .collect()
}

/// Words that no node defines and the host did not write, but that no longer hold the poison value.
fn touched_guards(plan: &Plan, memory: &[Vec<u32>], inputs: &Inputs) -> Vec<String> {
    let mut owned: Vec<Vec<bool>> = memory.iter().map(|words| vec![false; words.len()]).collect();
    for work in &plan.work {
        for place in &work.scratch {
            owned[place.buffer][place.offset / 4..][..place.bytes / 4].fill(true);
        }
        if let Some(place) = plan.place(work.node) {
            let own = &mut owned[place.buffer][place.offset / 4..];
            defined(plan, work.node).into_iter().for_each(|range| own[range].fill(true));
        }
    }
    persistent(plan, inputs).for_each(|(buffer, _, given)| owned[buffer][..given.len()].fill(true));
    let mut faults = Vec::new();
    for (buffer, (words, owned)) in plan.buffers.iter().zip(memory.iter().zip(owned)) {
        let touched = |i: &usize| !owned[*i] && words[*i] != POISON;
        let first = (0..words.len()).find(touched).filter(|_| buffer.kind != BufferKind::Constants);
        faults.extend(first.map(|at| format!("word {at} of '{}' is nobody's, but was written", buffer.name)));
    }
    faults
}

/// Elements that still hold the poison value, of every computed tensor and scratch buffer. With reused memory only those
/// that were not overwritten.
fn unwritten(plan: &Plan, memory: &[Vec<u32>], reuse: bool) -> Vec<String> {
    let mut faults = Vec::new();
    let mut look = |name: &str, words: &[u32], first: usize| {
        if let Some(at) = words.iter().position(|&word| word == POISON) {
            faults.push(format!("element {} of '{name}' holds the poison", first + at));
        }
    };
    for work in &plan.work {
        let node = plan.graph.node(work.node);
        let kept = plan.graph.outputs().iter().any(|(_, id)| *id == work.node);
        if reuse && !kept {
            continue;
        }
        if let Some(place) = plan.place(work.node) {
            let values = at(memory, place);
            defined(plan, work.node)
                .into_iter()
                .for_each(|range| look(&node.name, &values[range.clone()], range.start));
        }
        for place in work.scratch.iter().filter(|_| !reuse) {
            look(&format!("{} scratch", node.name), at(memory, *place), 0);
        }
    }
    faults
}
