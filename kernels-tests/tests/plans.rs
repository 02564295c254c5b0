//! Plans and passes on random graphs: reused memory and fused nodes never change a result, and every plan keeps
//! the rules. The rules are checked without the planner's own data.

use std::collections::BTreeMap;

use gpunn::check::Inputs;
use gpunn::check::compare;
use gpunn::graph::{Graph, NodeId, Passes, Place, Plan, PlanOptions, Target, TensorType, optimize};
use gpunn::ops::pack::Pack;
use gpunn::ops::tolerance::Tolerance;
use gpunn::ops::update::Sgd;
use gpunn::{Engine, Result};
use kernels_tests::mlp::Mlp;
use kernels_tests::random_graph::random_graph;
use kernels_tests::{results, rules};

const GRAPHS: u64 = 200;

/// Allowance for rounding through up to forty nodes with values near 1.
const ROUNDING: Tolerance = Tolerance { absolute: 1e-4, relative: 1e-4, reason: "forty nodes one after another" };

/// The random graph of a seed, with 5 to 40 nodes.
fn graph_of(seed: u64) -> (Graph, Inputs) {
    random_graph(seed, 5 + (seed as usize * 7) % 36).expect("it builds")
}

fn plan(graph: &Graph, target: &Target, reuse: bool) -> Plan {
    Plan::new(graph.clone(), target, PlanOptions { reuse, guard: 0 }).expect("it fits")
}

fn targets() -> [Target; 3] {
    [Target::cpu(), Target::portable(), Target { alignment: 64, ..Target::portable() }]
}

/// All passes, no pass, and all passes except one, for each pass.
fn passes() -> [(&'static str, Passes); 6] {
    let all = Passes::default();
    [
        ("all passes", all),
        ("no passes", Passes::NONE),
        ("all but common subexpressions", Passes { common_subexpressions: false, ..all }),
        ("all but merging", Passes { merge: false, ..all }),
        ("all but epilogues", Passes { epilogues: false, ..all }),
        ("all but chains", Passes { chains: false, ..all }),
    ]
}

#[test]
fn every_plan_keeps_the_rules() {
    let mut ops = BTreeMap::new();
    let mut placed_in_packs = 0;
    for seed in 0..GRAPHS {
        let (graph, _) = graph_of(seed);
        graph.nodes().iter().filter_map(|node| node.op()).for_each(|op| *ops.entry(op.name()).or_insert(0) += 1);
        for (_, passes) in passes() {
            let graph = optimize(&graph, passes).expect("it builds");
            for target in targets() {
                for reuse in [true, false] {
                    let plan = plan(&graph, &target, reuse);
                    placed_in_packs += plan.work.iter().flat_map(|work| &work.placed).filter(|placed| **placed).count();
                    if let Err(broken) = rules::check(&plan, &target) {
                        panic!("graph {seed}, reuse {reuse}: {broken}");
                    }
                }
            }
        }
    }
    println!("{ops:?}; {placed_in_packs} tensors computed in their packs");
    assert!(ops.len() >= 15 && placed_in_packs > 100, "the graphs are too much alike");
}

/// Broken plans are found: two needed tensors in one place, a wrong order, a shifted place.
#[test]
fn the_rules_find_broken_plans() {
    let mut broken = [0; 3];
    for seed in 0..GRAPHS {
        let (graph, _) = graph_of(seed);
        for target in [Target::cpu(), Target::portable()] {
            let whole = plan(&graph, &target, true);
            let computed: Vec<NodeId> = whole.work.iter().map(|work| work.node).collect();
            for (turn, &id) in computed.iter().enumerate().skip(1) {
                // A tensor that is read after this one is computed.
                let needed = |&&other: &&NodeId| {
                    let reads = |later: &NodeId| whole.graph.node(*later).inputs().contains(&other);
                    computed[turn + 1..].iter().any(reads) && whole.place(other).is_some()
                };
                let Some(&other) = computed[..turn].iter().find(needed) else { continue };
                let mut worse = whole.clone();
                let (own, at) = (worse.places[id.index()], whole.place(other).expect("it has a place"));
                let moved = own.map(|place| Place { bytes: place.bytes, ..at });
                if moved == own {
                    continue; // The other is at the beginning of this pack, so they share a place.
                }
                worse.places[id.index()] = moved;
                assert!(rules::check(&worse, &target).is_err(), "graph {seed}: shared bytes are not found");
                broken[0] += 1;
            }
            for turn in 1..whole.work.len() {
                if whole.graph.node(computed[turn]).inputs().contains(&computed[turn - 1]) {
                    let mut worse = whole.clone();
                    worse.work.swap(turn - 1, turn);
                    assert!(rules::check(&worse, &target).is_err(), "graph {seed}: a wrong order is not found");
                    broken[1] += 1;
                }
            }
            let mut worse = whole.clone();
            if let Some(place) = computed.first().and_then(|first| worse.places[first.index()].as_mut()) {
                place.offset += 4;
                assert!(rules::check(&worse, &target).is_err(), "graph {seed}: a shifted place is not found");
                broken[2] += 1;
            }
        }
    }
    println!("{broken:?} plans broken");
    assert!(broken.iter().all(|&count| count >= 100), "only {broken:?} plans were broken");
}

/// Checks that the bits are the same as without reused memory.
fn reuse_changes_nothing(engine: &mut Engine, seeds: impl Iterator<Item = u64>, passes: Passes) {
    let mut saved = 0;
    for seed in seeds {
        let (graph, inputs) = graph_of(seed);
        let graph = optimize(&graph, passes).expect("it builds");
        let [with, without] = [true, false].map(|reuse| plan(&graph, &engine.target(), reuse));
        assert!(with.peak_bytes() <= without.peak_bytes(), "graph {seed}: reuse takes more memory");
        saved += without.peak_bytes() - with.peak_bytes();
        let [with, without] = [with, without].map(|plan| results(engine, plan, &inputs).expect("it runs"));
        assert!(with == without, "{}: graph {seed} gives other bits", engine.device_name());
    }
    assert!(saved > 0, "nothing was used again");
}

#[test]
fn reuse_changes_no_bit_on_the_cpu() {
    reuse_changes_nothing(&mut Engine::cpu(), 0..GRAPHS, Passes::default());
    reuse_changes_nothing(&mut Engine::cpu(), 0..GRAPHS, Passes::NONE);
}

/// A software adapter takes long to compile each fused chain, so only some graphs run fused there.
#[test]
fn reuse_changes_no_bit_on_the_gpu() {
    let unfused = Passes { chains: false, epilogues: false, ..Passes::default() };
    kernels_tests::for_every_variant(|choice, device| {
        let mut engine = Engine::gpu(device);
        let step = if choice.name == "the adapter's own" { 1 } else { 10 };
        reuse_changes_nothing(&mut engine, (0..GRAPHS).step_by(step), unfused);
        reuse_changes_nothing(&mut engine, (0..GRAPHS).step_by(10 * step), Passes::default());
    });
}

fn close(found: &BTreeMap<String, Vec<u32>>, wanted: &BTreeMap<String, Vec<u32>>) -> Result<(), String> {
    let numbers = |bits: &[u32]| bits.iter().map(|&bits| f64::from(f32::from_bits(bits))).collect::<Vec<_>>();
    for (name, wanted) in wanted {
        let worst = compare(&numbers(&found[name]), &numbers(wanted), ROUNDING);
        if worst.excess > 1.0 {
            return Err(format!("'{name}': {worst:?}"));
        }
    }
    Ok(())
}

fn passes_change_nothing(engine: &mut Engine, seeds: impl Iterator<Item = u64>) {
    let mut run = |graph: &Graph, inputs: &Inputs, passes: Passes| {
        let graph = optimize(graph, passes).expect("it builds");
        let plan = plan(&graph, &engine.target(), true);
        (plan.work.len(), results(engine, plan, inputs).expect("it runs"))
    };
    let mut fewer = 0;
    for seed in seeds {
        let (graph, inputs) = graph_of(seed);
        let (count, plain) = run(&graph, &inputs, Passes::NONE);
        for (what, passes) in passes() {
            let (fused, found) = run(&graph, &inputs, passes);
            close(&found, &plain).unwrap_or_else(|worst| panic!("graph {seed}, {what}: {worst}"));
            fewer += count - fused;
        }
        let merged = Passes { common_subexpressions: true, ..Passes::NONE };
        assert!(run(&graph, &inputs, merged).1 == plain, "graph {seed}: merging equal nodes changed bits");
    }
    assert!(fewer > 0, "nothing was fused");
}

#[test]
fn passes_change_no_result_on_the_cpu() {
    passes_change_nothing(&mut Engine::cpu(), 0..GRAPHS);
}

#[test]
fn passes_change_no_result_on_the_gpu() {
    kernels_tests::for_every_variant(|choice, device| {
        let step = if choice.name == "the adapter's own" { 20 } else { 40 };
        passes_change_nothing(&mut Engine::gpu(device), (0..GRAPHS).step_by(step));
    });
}

/// The nodes in the order of the plan. Each view is just before the first node that needs it; views that are outputs are
/// last.
fn replay_order(plan: &Plan) -> Vec<NodeId> {
    fn push(plan: &Plan, id: NodeId, order: &mut Vec<NodeId>) {
        if plan.graph.node(id).op().is_some() && !order.contains(&id) {
            plan.graph.node(id).inputs().iter().for_each(|&input| push(plan, input, order));
            order.push(id);
        }
    }
    let mut order = Vec::new();
    plan.work.iter().for_each(|work| push(plan, work.node, &mut order));
    plan.graph.outputs().iter().for_each(|(_, id)| push(plan, *id, &mut order));
    order
}

#[test]
fn the_oracle_agrees_with_itself_on_optimized_plans() {
    const EXACT: Tolerance = Tolerance { absolute: 1e-12, relative: 1e-12, reason: "double precision" };
    for seed in 0..GRAPHS {
        let (graph, inputs) = graph_of(seed);
        let plain = inputs.oracle().run(&graph, graph.ids(), &inputs.step);
        for (what, passes) in passes() {
            let plan = plan(&optimize(&graph, passes).expect("it builds"), &Target::portable(), true);
            let replayed = inputs.oracle().run(&plan.graph, replay_order(&plan), &inputs.step);
            for (name, id) in graph.outputs() {
                let new = plan.output(name).expect("outputs keep their names");
                let values = [&replayed[new.index()], &plain[id.index()]];
                let [found, wanted] = values.map(|value| value.as_ref().expect("it was computed").numbers());
                let worst = compare(&found, &wanted, EXACT);
                assert!(worst.excess <= 1.0, "graph {seed}, {what}, '{name}': {worst:?}");
            }
        }
    }
}

/// The engines agree with the oracle on random graphs.
#[test]
fn the_engines_agree_with_the_oracle() {
    for mut engine in kernels_tests::engines() {
        let step = if engine.kind() == "cpu" { 1 } else { 10 };
        for seed in (0..GRAPHS).step_by(step) {
            let (graph, inputs) = graph_of(seed);
            let values = inputs.oracle().run(&graph, graph.ids(), &inputs.step);
            let optimized = optimize(&graph, Passes::default()).expect("it builds");
            let plan = plan(&optimized, &engine.target(), true);
            let found = results(&mut engine, plan, &inputs).expect("it runs");
            for (name, id) in graph.outputs() {
                let wanted = values[id.index()].as_ref().expect("it was computed").numbers();
                let found: Vec<f64> = found[name].iter().map(|&bits| f64::from(f32::from_bits(bits))).collect();
                let worst = compare(&found, &wanted, ROUNDING);
                assert!(worst.excess <= 1.0, "{}: graph {seed}, '{name}': {worst:?}", engine.device_name());
            }
        }
    }
}

/// A training step keeps the rules. Its gradients are computed directly into the pack that the update reads, without a
/// copy.
#[test]
fn gradients_are_computed_in_their_pack() -> Result<()> {
    for target in targets() {
        for (_, passes) in passes() {
            let plan = plan(&optimize(&Mlp::default().training()?, passes)?, &target, true);
            rules::check(&plan, &target).expect("it keeps the rules");
            let pack = plan.work.iter().find(|work| plan.graph.node(work.node).op_as::<Pack>().is_some());
            let pack = pack.expect("there is a pack");
            assert_eq!(pack.placed, [true; 4]);
            assert!(pack.lowering.dispatches.is_empty());
        }
    }
    Ok(())
}

/// A chain of eighty functions has more parameters than a kernel's `Dims` has words, so it must be split.
#[test]
fn a_long_chain_is_cut_where_its_parameters_do_not_fit() -> Result<()> {
    let mut graph = Graph::new();
    let mut y = graph.leaf("x", 0, TensorType::f32([9]))?;
    for number in 0..80 {
        y = graph.scale(y, if number % 2 == 0 { 2.0 } else { 0.5 })?;
        y = graph.leaky_relu(y, 0.5)?;
    }
    graph.output("y", y);
    let graph = optimize(&graph, Passes::default())?;
    let portable = plan(&graph, &Target::portable(), true);
    let most =
        portable.work.iter().flat_map(|work| &work.lowering.dispatches).map(|dispatch| dispatch.dims.len()).max();
    assert!(most.is_some_and(|words| words <= 64) && portable.work.len() < 10, "{most:?} words");
    let values = gpunn::cpu::Value::Real((1..10).map(f64::from).collect());
    let inputs = Inputs { buffers: vec![("x".into(), values)], step: gpunn::ops::Step::new(0, 1, 0) };
    for mut engine in kernels_tests::engines() {
        let plan = plan(&graph, &engine.target(), true);
        let found = results(&mut engine, plan, &inputs)?;
        let wanted: Vec<u32> = (1..10).map(|x| (x as f32).to_bits()).collect();
        assert_eq!(found["y"], wanted, "powers of two come back exactly");
    }
    Ok(())
}

#[test]
fn an_update_that_cannot_be_bound_is_refused_in_a_sentence() -> Result<()> {
    let refusal = |rows: [&str; 2], states: [(&str, usize); 2]| -> Result<String> {
        let mut graph = Graph::new();
        let list = |graph: &mut Graph, name: &str| graph.leaf(name, 0, TensorType::f32([64]));
        let inputs = [list(&mut graph, rows[0])?, list(&mut graph, rows[1])?];
        let mut leaves = Vec::new();
        for (name, offset) in states {
            leaves.push(graph.leaf(name, offset, TensorType::f32([64]))?);
        }
        let blocks = graph.leaf("blocks", 0, TensorType::u32([1]))?;
        let sgd = Sgd { momentum: true, nesterov: false, clip: None };
        graph.scoped("step", |graph| graph.update(sgd, &[inputs[0], blocks, inputs[1]], &leaves))?;
        let planned = Plan::new(graph, &Target::portable(), PlanOptions::default());
        Ok(planned.map_or_else(|error| error.to_string(), |_| "planned".into()))
    };
    assert_eq!(refusal(["gradients", "groups"], [("parameters", 0), ("velocity", 0)])?, "planned");
    assert_eq!(
        refusal(["parameters", "groups"], [("parameters", 64), ("velocity", 0)])?,
        "node 'step/sgd' reads the buffer 'parameters' that it updates"
    );
    assert_eq!(
        refusal(["gradients", "groups"], [("state", 0), ("state", 64)])?,
        "node 'step/sgd' updates two parts of the buffer 'state'"
    );
    Ok(())
}
