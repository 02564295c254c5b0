//! Every op of the table on the GPU against its definition in double precision: values, states and gradients, with the
//! kernels as they ship and with all shader checks on; and the same on the CPU executor.

use gpunn::Engine;
use gpunn::check::check_case;
use gpunn::gpu::Options;
use gpunn::ops::table::TABLE;

fn all_cases(engine: &mut Engine) {
    let mut failed = Vec::new();
    let mut cases = 0;
    for entry in TABLE {
        for case in (entry.cases)() {
            match pollster::block_on(check_case(engine, entry, &case)) {
                Ok(outcomes) => {
                    failed
                        .extend(outcomes.iter().filter(|outcome| !outcome.passed()).map(|outcome| outcome.sentence()));
                    cases += outcomes.len();
                }
                Err(error) => failed.push(format!("{} [{}]: {error}", entry.name, case.label)),
            }
        }
    }
    println!("{cases} cases");
    assert!(failed.is_empty(), "{} of {cases} cases failed:\n{}", failed.len(), failed.join("\n"));
    assert!(cases >= 150, "only {cases} cases");
}

#[test]
fn gpu_as_shipped() {
    if let Some(mut engine) = kernels_tests::gpu(Options::default()) {
        all_cases(&mut engine);
    }
}

#[test]
fn gpu_with_shader_checks() {
    if let Some(mut engine) = kernels_tests::gpu(Options { checks: true, ..Options::default() }) {
        all_cases(&mut engine);
    }
}

#[test]
fn cpu() {
    all_cases(&mut Engine::cpu());
}
