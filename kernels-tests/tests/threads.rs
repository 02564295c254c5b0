//! The CPU executor's results do not depend on the number of threads: every case of the op table, bit for bit.

use gpunn::Engine;
use gpunn::graph::{Passes, Plan, PlanOptions, optimise};
use gpunn::ops::table::TABLE;

/// The bits of a case's output and states, run by so many threads.
fn bits(threads: usize, case: &gpunn::ops::case::Case) -> Vec<u32> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads start");
    pool.install(|| {
        let mut engine = Engine::cpu();
        let (graph, _, y) = case.graph().expect("the case builds");
        let empty = graph.ty(y).elements() == 0;
        let graph = optimise(&graph, Passes::default()).expect("the passes fit");
        let plan = Plan::new(graph, &engine.target(), PlanOptions::default()).expect("the plan fits");
        let program = engine.load(plan).expect("it loads");
        let inputs = gpunn::check::Inputs::of(case);
        inputs.write(&mut engine).expect("the inputs fit");
        engine.schedule(program, &[inputs.step]).expect("one step");
        engine.run(program, 0..1).expect("it runs");
        let mut values = Vec::new();
        if !empty {
            values = pollster::block_on(engine.read_output(program, "y")).expect("y is there");
        }
        for index in 0..case.states.len() {
            values.extend(pollster::block_on(engine.read(&format!("state{index}"))).expect("the state is there"));
        }
        values.into_iter().map(f32::to_bits).collect()
    })
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for entry in TABLE {
        for case in (entry.cases)() {
            let one = bits(1, &case);
            for threads in [2, 3, 7] {
                assert!(one == bits(threads, &case), "{} [{}] with {threads} threads", entry.name, case.label);
            }
        }
    }
}
