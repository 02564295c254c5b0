//! Compares every op of the table with its definition in double precision: values, states and gradients, on the GPU with
//! and without shader checks, and on the CPU executor.

use gpunn::Engine;
use gpunn::check::check_case;
use gpunn::gpu::DeviceOptions;
use gpunn::graph::kernel::DeviceClass;
use gpunn::ops::conv2d::variants::Algorithm;
use gpunn::ops::table::TABLE;

fn all_cases(engine: &mut Engine, wanted: impl Fn(&str) -> bool) {
    let mut failed = Vec::new();
    let mut cases = 0;
    for entry in TABLE.iter().filter(|entry| wanted(entry.name)) {
        for case in (entry.cases)() {
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

/// The kernels that are not selected for this adapter: those for hardware, and those for software without subgroups.
#[test]
fn gpu_with_other_kernels() {
    let software =
        DeviceOptions { class: Some(DeviceClass::Software), without_subgroups: true, ..DeviceOptions::default() };
    let discrete = DeviceOptions { class: Some(DeviceClass::Discrete), ..DeviceOptions::default() };
    for options in [software, discrete, DeviceOptions { checks: true, ..discrete }] {
        if let Some(mut engine) = kernels_tests::gpu(options) {
            all_cases(&mut engine, |name| name == "matmul");
        }
    }
}

/// Every variant of convolution, also those that are not selected for this adapter and shape.
#[test]
fn gpu_with_every_way_of_convolution() {
    for way in Algorithm::ALL {
        for checks in [false, true] {
            let options = DeviceOptions { conv2d: Some(way), checks, ..DeviceOptions::default() };
            if let Some(mut engine) = kernels_tests::gpu(options) {
                if !engine.target().device.is_some_and(|device| way.runs_on(&device)) {
                    kernels_tests::skip::unsupported(&format!("the adapter cannot run {way:?}"));
                    continue;
                }
                all_cases(&mut engine, |name| name.starts_with("conv2d"));
            }
        }
    }
}

#[test]
fn cpu() {
    all_cases(&mut Engine::cpu(), |_| true);
}
