//! `gpunn check`: compares every kernel and gradient with the CPU, on this machine.

use std::process::ExitCode;

use gpunn::check::{CheckResult, central_difference, check_case};
use gpunn::ops::table::{OpEntry, TABLE, force};
use gpunn::{Engine, Error, Result, gpu};
use serde::Serialize;

use super::engine::DeviceArgs;
use super::flags::ComputeArgs;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpunn check --device gpu --op matmul\n\n\
    The output and gradients of each case are compared with plain loops in double precision. On a GPU every case runs\n\
    twice: with the normal kernels, and with all shader checks on. Gradients are also compared with central differences.\n\
    `auto` takes a software adapter if there is no hardware GPU.",
    mut_arg("quiet", |quiet| quiet.help("Print only failures")))]
pub struct Args {
    /// Check only this op [default: all ops]
    #[arg(long, value_name = "NAME")]
    op: Option<String>,
    /// Check every kernel variant of the ops that have several, too (on a GPU), not only the one that is chosen for this device
    #[arg(long)]
    variants: bool,
    /// List the ops and exit
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// One comparison.
#[derive(Serialize)]
struct CheckOutputCase {
    op: &'static str,
    case: String,
    kind: &'static str,
    passed: bool,
    /// The worst element's error divided by the tolerance; none if it is not finite.
    error_share: Option<f64>,
    tensor: String,
    index: usize,
    value: f64,
    reference: f64,
}

#[derive(Serialize)]
struct CheckOutput {
    device: String,
    passed: usize,
    failed: usize,
    skipped: usize,
    cases: Vec<CheckOutputCase>,
}

/// Central differences are computed only for inputs with at most this many elements, because they evaluate the graph many
/// times.
const MAX_DIFFERENCE_ELEMENTS: usize = 3000;

pub fn run(args: Args) -> Result<ExitCode> {
    let ComputeArgs { device, output, quiet } = &args.compute;
    device.set_threads()?;
    let entries = entries(args.op.as_deref())?;
    if args.list {
        entries.iter().for_each(|entry| super::print_line(&format!("{:<14} {}", entry.name, entry.summary)));
        return Ok(ExitCode::SUCCESS);
    }
    let mut engine = device.open_any(gpu::DeviceOptions::default(), *quiet)?;
    let mut checked = match engine {
        Engine::Gpu(_) => {
            Some(device.open_any(gpu::DeviceOptions { checks: true, ..gpu::DeviceOptions::default() }, true)?)
        }
        Engine::Cpu(_) => None,
    };
    let mut report = CheckOutput { device: engine.device_name(), passed: 0, failed: 0, skipped: 0, cases: Vec::new() };
    for entry in entries {
        let mut checks = differences(entry)?;
        for case in (entry.cases)() {
            for (engine, what) in [(Some(&mut engine), ""), (checked.as_mut(), " (checked)")] {
                let Some(engine) = engine else { continue };
                for mut check in gpunn::blocking::block_on(check_case(engine, entry, &case))? {
                    check.case.push_str(what);
                    checks.push(check);
                }
            }
        }
        if args.variants && checked.is_some() {
            checks.extend(by_every_variant(device, entry)?);
        }
        if !quiet {
            print(entry, &checks, output.json);
        }
        for check in checks {
            if !check.passed() {
                eprintln!("FAILED {}", check.sentence());
            }
            report.add(check);
        }
    }
    if report.failed > 0 || !quiet {
        eprintln!(
            "{} passed, {} failed, {} skipped on {}",
            report.passed, report.failed, report.skipped, report.device
        );
    }
    let code = if report.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if output.json {
        super::print_json(&report)?;
    }
    Ok(code)
}

/// Checks the small cases of an op with each of its kernel variants. Where the device cannot run a variant, its own choice runs once
/// more.
fn by_every_variant(device: &DeviceArgs, entry: &OpEntry) -> Result<Vec<CheckResult>> {
    let mut checks = Vec::new();
    for variant in (entry.variants)() {
        let options = gpu::DeviceOptions { forced: vec![force(entry.name, variant)?], ..gpu::DeviceOptions::default() };
        let mut engine = device.open_any(options, true)?;
        for case in (entry.cases)().into_iter().filter(|case| !case.timed) {
            for mut check in gpunn::blocking::block_on(check_case(&mut engine, entry, &case))? {
                check.case.push_str(&format!(" ({variant})"));
                checks.push(check);
            }
        }
    }
    Ok(checks)
}

fn entries(op: Option<&str>) -> Result<Vec<&'static OpEntry>> {
    let Some(op) = op else { return Ok(TABLE.iter().collect()) };
    match TABLE.iter().find(|entry| entry.name == op) {
        Some(entry) => Ok(vec![entry]),
        None => {
            let names: Vec<&str> = TABLE.iter().map(|entry| entry.name).collect();
            Err(gpunn::error::unknown("op", op, &names))
        }
    }
}

/// Compares the gradients with central differences, in double precision on the CPU.
fn differences(entry: &OpEntry) -> Result<Vec<CheckResult>, Error> {
    let mut checks = Vec::new();
    for case in (entry.cases)() {
        let small = case.inputs.iter().all(|input| input.ty.elements() <= MAX_DIFFERENCE_ELEMENTS);
        if small && !case.differentiable.is_empty() {
            let mut check = central_difference(entry.name, &case)?;
            check.case.push_str(" (difference)");
            checks.push(check);
        }
    }
    Ok(checks)
}

fn print(entry: &OpEntry, checks: &[CheckResult], to_error: bool) {
    let worst = checks.iter().max_by(|a, b| a.worst.excess.total_cmp(&b.worst.excess));
    let Some(worst) = worst else { return };
    let line = format!(
        "{:<14} {:>4} cases  {}  worst error {:>6.2} % of the tolerance: element {} of {} ({}) is {:.7e}, expected {:.7e}",
        entry.name,
        checks.len(),
        if checks.iter().all(CheckResult::passed) { "ok    " } else { "FAILED" },
        100.0 * worst.worst.excess,
        worst.worst.index,
        worst.tensor,
        worst.shape,
        worst.worst.value,
        worst.worst.reference,
    );
    if to_error {
        eprintln!("{line}");
    } else {
        super::print_line(&line);
    }
}

impl CheckOutput {
    fn add(&mut self, check: CheckResult) {
        let passed = check.passed();
        *(if passed { &mut self.passed } else { &mut self.failed }) += 1;
        let excess = check.worst.excess;
        self.cases.push(CheckOutputCase {
            op: check.op,
            kind: check.kind.name(),
            passed,
            error_share: excess.is_finite().then_some(excess),
            index: check.worst.index,
            value: check.worst.value,
            reference: check.worst.reference,
            case: check.case,
            tensor: check.tensor,
        });
    }
}
