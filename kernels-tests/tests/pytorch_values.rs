//! Every op, loss, optimizer and schedule against numbers from outside: PyTorch's, which `scripts/freeze_pytorch_values.py` has
//! written down in double precision. The definitions are what all other tests hold executors against; this one holds the
//! definitions. The executors are compared with the same numbers, within each op's tolerance.

use std::collections::BTreeSet;

use gpunn::Engine;
use gpunn::gpu::DeviceOptions;
use gpunn::ops::table::TABLE;
use gpunn::ops::tolerance::{GRADIENT, Tolerance, tolerance};
use gpunn::optim::{Schedule, TrainingProgress};
use kernels_tests::described::{Case, Setup, Tensors, read};

const FILE: &[u8] = include_bytes!("../values/pytorch.safetensors");

/// Lines of the op table that PyTorch has no value of, and why. Their definitions have tests of their own.
const WITHOUT: [(&str, &str); 3] = [
    ("roughen", "strokes and noise are drawn from counted random numbers, and PyTorch has no such op"),
    ("across_ranks", "a copy; tests/ranks.rs holds batch norm of several ranks against that of one"),
    ("accumulate_gradient", "a sum; tests/practice.rs holds batches in parts against whole ones"),
];

/// How far a definition may be from PyTorch, as a part of the tensor's largest number: both are in double precision, but
/// add up in other orders.
const DEFINITION: f64 = 1e-12;

fn numbers(tensors: &Tensors, name: &str) -> Option<Vec<f64>> {
    tensors.get(name).map(|(_, value)| value.numbers())
}

/// Compares the results of a case with the frozen ones, by `excess` of found, wanted and a tensor's name.
fn compare(
    number: usize,
    case: &Case,
    found: &Tensors,
    frozen: &Tensors,
    excess: impl Fn(&[f64], &[f64], &str) -> f64,
) -> Vec<String> {
    let mut failed = Vec::new();
    for (name, (shape, value)) in found {
        let Some((_, wanted)) = frozen.get(&format!("{number}.{name}")) else {
            failed.push(format!("case {number}, {case:?}: {name} {shape:?} is not in the file"));
            continue;
        };
        let (found, mut wanted) = (value.numbers(), wanted.numbers());
        if matches!(case, Case::Dropout { .. } | Case::StochasticDepth { .. }) {
            // The file has what each element becomes where it is kept.
            let zeros = found.iter().filter(|&&value| value == 0.0).count();
            let expected = 0.25 * found.len() as f64;
            // Four standard deviations of a binomial distribution.
            if (zeros as f64 - expected).abs() > 4.0 * (0.75 * expected).sqrt() {
                failed.push(format!("case {number}, {case:?}: {zeros} of {} are zero", found.len()));
            }
            wanted.iter_mut().zip(&found).filter(|(_, found)| **found == 0.0).for_each(|(wanted, _)| *wanted = 0.0);
        }
        let excess = if found.len() == wanted.len() { excess(&found, &wanted, name) } else { f64::INFINITY };
        // Not a number is not at most 1.
        if excess.is_nan() || excess > 1.0 {
            failed.push(format!("case {number}, {case:?}: {name} is off by {excess:.3} times the allowed error"));
        }
    }
    failed
}

fn setups() -> (Vec<(Case, Setup)>, Tensors) {
    let (cases, frozen) = read(FILE).expect("the file is whole");
    let setup = |(number, case): (usize, Case)| {
        let setup =
            Setup::of(number, &case, &frozen).unwrap_or_else(|error| panic!("case {number}, {case:?}: {error}"));
        (case, setup)
    };
    (cases.into_iter().enumerate().map(setup).collect(), frozen)
}

fn report(failed: &[String]) {
    assert!(failed.is_empty(), "{} tensors differ from PyTorch's:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn definitions_are_pytorchs() {
    let (setups, frozen) = setups();
    let mut failed = Vec::new();
    for (number, (case, setup)) in setups.iter().enumerate() {
        let excess = |found: &[f64], wanted: &[f64], _: &str| {
            let largest = wanted.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
            let errors = found.iter().zip(wanted).map(|(found, wanted)| (found - wanted).abs());
            // `max` of a float ignores what is no number.
            let worst = errors.fold(0.0, |most, error| if error <= most { most } else { error });
            if worst == 0.0 { 0.0 } else { worst / (DEFINITION * largest) }
        };
        for rewritten in [false, true] {
            let found = setup.by_definition(rewritten).expect("the graph runs");
            failed.extend(compare(number, case, &found, &frozen, excess));
        }
    }
    report(&failed);
}

fn on_an_executor(engine: &mut Engine) {
    let (setups, frozen) = setups();
    let mut failed = Vec::new();
    for (number, (case, setup)) in setups.iter().enumerate() {
        let of_value = tolerance(&case.row());
        let excess = |found: &[f64], wanted: &[f64], name: &str| {
            let allowed: Tolerance = if name.starts_with('d') { GRADIENT } else { of_value };
            found.iter().zip(wanted).fold(0.0, |most, (&found, &wanted)| allowed.excess(found, wanted).max(most))
        };
        let found = setup.on(engine).unwrap_or_else(|error| panic!("case {number}, {case:?}: {error}"));
        failed.extend(compare(number, case, &found, &frozen, excess));
    }
    report(&failed);
}

#[test]
fn cpu() {
    on_an_executor(&mut Engine::cpu());
}

#[test]
fn gpu() {
    if let Some(mut engine) = kernels_tests::gpu(DeviceOptions::default()) {
        on_an_executor(&mut engine);
    }
}

/// A new op needs a value from outside, or a reason why it has none.
#[test]
fn every_op_of_the_table_has_a_value() {
    let (setups, _) = setups();
    let mut covered = BTreeSet::new();
    for (case, setup) in &setups {
        covered.insert(case.row());
        covered.extend(setup.ops().expect("the graph is rewritten").into_iter().map(str::to_owned));
    }
    let without: BTreeSet<&str> = WITHOUT.iter().map(|&(name, _)| name).collect();
    let missing: Vec<&str> = TABLE
        .iter()
        .map(|entry| entry.name)
        .filter(|name| !covered.contains(*name) && !without.contains(name))
        .collect();
    assert!(missing.is_empty(), "no value of PyTorch is frozen for {missing:?} (scripts/freeze_pytorch_values.py)");
    let idle: Vec<&&str> = without.iter().filter(|name| covered.contains(**name)).collect();
    assert!(idle.is_empty(), "{idle:?} have values and need no reason");
}

/// No value in the file lies unread: each tensor of a case is an input or is compared.
#[test]
fn every_value_is_used() {
    let (setups, frozen) = setups();
    let mut unused: BTreeSet<&str> =
        frozen.keys().map(String::as_str).filter(|name| !name.starts_with("schedule.")).collect();
    for (number, (_, setup)) in setups.iter().enumerate() {
        let results = setup.by_definition(false).expect("the graph runs");
        for name in results.keys().chain(setup.read_from()) {
            unused.remove(format!("{number}.{name}").as_str());
        }
    }
    assert!(unused.is_empty(), "{unused:?}");
}

/// Of 6 epochs of 5 steps, the rate 1 and the momentum 0.9: what PyTorch's schedulers set for each step, those of epochs (StepLR,
/// ExponentialLR) stepped once an epoch, the others every step, and LinearLR from 1/10 over 9 steps as the warm-up. Ours
/// ends its cosine where the run ends, as theirs does with as many steps as the run has.
#[test]
fn schedules_are_pytorchs() {
    let (_, frozen) = read(FILE).expect("the file is whole");
    let names: BTreeSet<&str> = frozen
        .keys()
        .filter_map(|name| name.strip_prefix("schedule."))
        .filter_map(|name| name.rsplit_once('.').map(|(name, _)| name))
        .collect();
    assert_eq!(names.len(), 7, "{names:?}");
    for name in names {
        let (text, warmup) = name.split_once(" warmup ").expect("a schedule and its warm-up");
        let form: Schedule = text.parse().expect("a schedule");
        let schedule = Schedule { warmup: warmup.parse().expect("epochs"), ..form };
        let at =
            |step: usize| TrainingProgress { epoch: step as u32 / 5, step: step as u32 % 5, steps: 5, epochs: 6.0 };
        let agree = |what: &str, ours: &dyn Fn(TrainingProgress) -> f64| {
            let theirs = numbers(&frozen, &format!("schedule.{name}.{what}"));
            for (step, theirs) in theirs.into_iter().flatten().enumerate() {
                let ours = ours(at(step));
                assert!((ours - theirs).abs() < 1e-12, "{what} of {name}, step {step}: {ours} and {theirs}");
            }
        };
        agree("factor", &|at| schedule.factor(at));
        agree("momentum", &|at| schedule.momentum(at, 0.9));
        let steps = numbers(&frozen, &format!("schedule.{name}.factor")).map(|factors| factors.len());
        assert_eq!(steps, Some(30), "{name}");
    }
}
