//! Every op of the table on the GPU against its definition in double precision: values, states and gradients, with the
//! kernels as they ship and with all shader checks on; and the same on the CPU executor.

use gpunn::Engine;
use gpunn::check::{CheckResult, check_case, known_failures};
use gpunn::gpu::DeviceOptions;
use gpunn::ops::case::Case;
use gpunn::ops::table::TABLE;

fn all_cases(engine: &mut Engine) {
    println!("{} cases", cases(engine, |_| true, |_| true));
}

/// Checks the cases of the wanted ops and returns their number.
fn cases(engine: &mut Engine, wanted: impl Fn(&str) -> bool, is_run: impl Fn(&Case) -> bool) -> usize {
    let mut failed = Vec::new();
    let mut cases = 0;
    let name = engine.device_name();
    let known: Vec<_> = known_failures().iter().filter(|failure| failure.is_of(&name)).collect();
    let is_known = |outcome: &CheckResult| known.iter().any(|failure| failure.covers(outcome.op, &outcome.case));
    for entry in TABLE.iter().filter(|entry| wanted(entry.name)) {
        for case in (entry.cases)().into_iter().filter(|case| is_run(case)) {
            match gpunn::blocking::block_on(check_case(engine, entry, &case)) {
                Ok(outcomes) => {
                    cases += outcomes.len();
                    for outcome in outcomes {
                        match (outcome.passed(), is_known(&outcome)) {
                            (false, false) => failed.push(outcome.sentence()),
                            (false, true) => println!("expected to fail: {}", outcome.sentence()),
                            (true, true) => {
                                println!("passes, though it is in known-failures.toml: {}", outcome.sentence())
                            }
                            (true, false) => {}
                        }
                    }
                }
                Err(error) => failed.push(format!("{} [{}]: {error}", entry.name, case.label)),
            }
        }
    }
    assert!(failed.is_empty(), "{} of {cases} cases failed:\n{}", failed.len(), failed.join("\n"));
    cases
}

#[test]
fn gpu_as_shipped() {
    if let Some(mut engine) = kernels_tests::gpu(DeviceOptions::default()) {
        all_cases(&mut engine);
    }
}

#[test]
fn gpu_with_shader_checks() {
    if let Some(mut engine) = kernels_tests::gpu(DeviceOptions { checks: true, ..DeviceOptions::default() }) {
        all_cases(&mut engine);
    }
}

/// Runs the cases with a choice of kernels that the adapter's own table does not make. Where the adapter cannot run a variant, the
/// table's choice runs once more; but not for matrix units, which most software adapters lack.
fn with_choice(name: &str) {
    if name == "half" && kernels_tests::adapter().is_some_and(|adapter| adapter.matrix_units().is_none()) {
        return kernels_tests::skip::note("the adapter has no matrix units");
    }
    for choice in kernels_tests::every_choice().into_iter().filter(|choice| choice.name == name) {
        if let Some(mut engine) = kernels_tests::gpu(choice.options.clone()) {
            // The large cases, which serve benchmarks, take minutes.
            let is_run = |case: &Case| !case.timed || (kernels_tests::slow() && !choice.options.checks);
            let count = cases(&mut engine, |op| choice.ops.contains(op), is_run);
            println!("{name}, checks {}: {count} cases", choice.options.checks);
        }
    }
}

/// A test for each choice, so that they run at the same time.
macro_rules! choices {
    ($($name:ident)*) => {
        mod choice {
            $(#[test] fn $name() { super::with_choice(stringify!($name)); })*
        }
        #[test]
        fn every_choice_has_a_test() {
            let names = [$(stringify!($name)),*];
            for choice in kernels_tests::every_choice() {
                assert!(names.contains(&choice.name.as_str()), "{}", choice.name);
            }
        }
    };
}
choices! {
    discrete software
    plain tiled registers prefetched prefetched_tiny prefetched_narrow prefetched_wide prefetched_large depthwise split half
    strip strip_scalar subgroup subgroup_scalar
    pairs patches windows gather
}

#[test]
fn cpu() {
    all_cases(&mut Engine::cpu());
}
