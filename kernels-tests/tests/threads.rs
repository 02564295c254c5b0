//! The CPU executor's results have the same bits for any number of threads: every case of the op table, and steps of
//! convolutional networks.

use gpunn::Engine;
use gpunn::graph::{Passes, Plan, PlanOptions, optimize};
use gpunn::nn::models::ModelConfig;
use gpunn::ops::table::TABLE;
use gpunn::train::{Recipe, Trainer, TrainerOptions};

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads start")
}

/// The bits of a case's output and states, computed by this number of threads.
fn bits(threads: usize, case: &gpunn::ops::case::Case) -> Vec<u32> {
    pool(threads).install(|| {
        let mut engine = Engine::cpu();
        let (graph, _, y) = case.graph().expect("the case builds");
        let empty = graph.ty(y).elements() == 0;
        let graph = optimize(&graph, Passes::default()).expect("the passes fit");
        let plan = Plan::new(graph, &engine.target(), PlanOptions::default()).expect("the plan fits");
        let program = engine.load(plan).expect("it loads");
        let inputs = gpunn::check::Inputs::of(case);
        inputs.write(&mut engine).expect("the inputs fit");
        engine.schedule(program, &[inputs.step]).expect("one step");
        engine.run(program, 0..1).expect("it runs");
        let mut values = Vec::new();
        if !empty {
            values = gpunn::blocking::block_on(engine.read_output(program, "y")).expect("y is there");
        }
        for index in 0..case.states.len() {
            values
                .extend(gpunn::blocking::block_on(engine.read(&format!("state{index}"))).expect("the state is there"));
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

#[test]
fn any_number_of_threads_trains_the_same_network() {
    let mut recipe = Recipe::find("glyphs-mlp").expect("built in");
    recipe.data.limit_train = Some(180);
    recipe.training.batch_size = 36;
    let dataset = recipe.load_data(None).expect("embedded");
    let channels =
        |name: &str, channels: &[usize]| ModelConfig { channels: Some(channels.to_vec()), ..ModelConfig::named(name) };
    for model in [channels("cnn", &[8, 16]), channels("resnet9", &[8, 16, 16, 32])] {
        let name = model.name.clone();
        let recipe = Recipe { model, ..recipe.clone() };
        let weights = |threads: usize| {
            pool(threads).install(|| {
                let trainer = Trainer::new(gpunn::Engine::cpu(), recipe.clone(), &dataset, TrainerOptions::default());
                let mut trainer = trainer.expect("the recipe trains");
                gpunn::blocking::block_on(trainer.repeat_steps(4)).expect("it runs");
                let weights = gpunn::blocking::block_on(trainer.weights()).expect("weights");
                trainer.model().parameters().hash(&weights)
            })
        };
        let one = weights(1);
        for threads in [2, 3, 7] {
            assert_eq!(one, weights(threads), "{name} with {threads} threads");
        }
    }
}
