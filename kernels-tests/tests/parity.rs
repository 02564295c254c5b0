//! Every op of the table on the GPU against its definition in double precision: values, states and gradients, with the
//! kernels as they ship and with all shader checks on; and the same on the CPU executor.

use std::collections::BTreeSet;

use gpunn::Engine;
use gpunn::check::check_case;
use gpunn::gpu::DeviceOptions;
use gpunn::graph::kernel::DeviceClass;
use gpunn::ops::case::Case;
use gpunn::ops::table::{OpEntry, TABLE, force};

fn all_cases(engine: &mut Engine, wanted: impl Fn(&str) -> bool) {
    cases(engine, wanted, |_| true);
}

fn cases(engine: &mut Engine, wanted: impl Fn(&str) -> bool, is_run: impl Fn(&Case) -> bool) {
    let mut failed = Vec::new();
    let mut cases = 0;
    for entry in TABLE.iter().filter(|entry| wanted(entry.name)) {
        for case in (entry.cases)().into_iter().filter(|case| is_run(case)) {
            match gpunn::blocking::block_on(check_case(engine, entry, &case)) {
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
}

#[test]
fn gpu_as_shipped() {
    if let Some(mut engine) = kernels_tests::gpu(DeviceOptions::default()) {
        all_cases(&mut engine, |_| true);
    }
}

#[test]
fn gpu_with_shader_checks() {
    if let Some(mut engine) = kernels_tests::gpu(DeviceOptions { checks: true, ..DeviceOptions::default() }) {
        all_cases(&mut engine, |_| true);
    }
}

/// The kernels that this adapter would not be given: those for hardware, and those for software without subgroups.
#[test]
fn gpu_with_other_kernels() {
    let software =
        DeviceOptions { class: Some(DeviceClass::Software), without_subgroups: true, ..DeviceOptions::default() };
    let discrete = DeviceOptions { class: Some(DeviceClass::Discrete), ..DeviceOptions::default() };
    for options in [software, discrete.clone(), DeviceOptions { checks: true, ..discrete.clone() }] {
        if let Some(mut engine) = kernels_tests::gpu(options) {
            all_cases(&mut engine, |name| name == "matmul");
        }
    }
}

/// Every kernel variant of every op that has some, whatever the op's table would choose for this adapter and shape. Where the
/// adapter cannot run one, the table's choice runs once more.
#[test]
fn gpu_with_every_variant() {
    let has = |entry: &OpEntry, variant: &str| (entry.variants)().contains(&variant);
    let variants: BTreeSet<&str> = TABLE.iter().flat_map(|entry| (entry.variants)()).collect();
    assert!(variants.len() >= 6, "only {variants:?}");
    for variant in variants {
        for checks in [false, true] {
            let forced = TABLE
                .iter()
                .filter(|entry| has(entry, variant))
                .map(|entry| force(entry.name, variant).expect("it has this variant"))
                .collect();
            let options = DeviceOptions { forced, checks, ..DeviceOptions::default() };
            if let Some(mut engine) = kernels_tests::gpu(options) {
                println!("{variant}, checks {checks}:");
                let chooses = |name: &str| TABLE.iter().any(|entry| entry.name == name && has(entry, variant));
                // The large cases, which serve benchmarks, take minutes with the checks.
                cases(&mut engine, chooses, |case| !(checks && case.timed));
            }
        }
    }
}

#[test]
fn cpu() {
    all_cases(&mut Engine::cpu(), |_| true);
}
