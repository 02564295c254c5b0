//! `gpunn check`: every kernel and gradient against the CPU, on this machine.

use std::process::ExitCode;

use gpunn::check::{CheckResult, central_difference, check_case};
use gpunn::ops::table::{OpEntry, TABLE};
use gpunn::{Engine, Error, Result, gpu};
use serde::Serialize;

use super::engine::DeviceArgs;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpunn check --device gpu --op matmul\n\n\
    Each case's value and gradients are compared with plain loops in double precision; on a GPU once with the kernels as\n\
    they ship and once with all shader checks on. Gradient rules are also held against central differences. `auto` takes\n\
    a software adapter where there is nothing better.")]
pub struct Args {
    /// Only this op
    #[arg(long, value_name = "NAME")]
    op: Option<String>,
    /// List the supported ops and stop
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one line of JSON last
    #[arg(long)]
    json: bool,
    /// Print only what fails
    #[arg(long, short)]
    quiet: bool,
}

/// One comparison.
#[derive(Serialize)]
struct Case {
    op: &'static str,
    case: String,
    kind: &'static str,
    passed: bool,
    /// The worst element's error as a part of what is allowed; none where it is not finite.
    error_share: Option<f64>,
    tensor: String,
    index: usize,
    value: f64,
    reference: f64,
}

#[derive(Serialize)]
struct Report {
    device: String,
    passed: usize,
    failed: usize,
    skipped: usize,
    cases: Vec<Case>,
}

/// Elements up to which central differences are taken: each costs two evaluations of the graph for some elements.
const SMALL: usize = 3000;

pub fn run(args: Args) -> Result<ExitCode> {
    args.device.set_threads()?;
    let entries = entries(args.op.as_deref())?;
    if args.list {
        entries.iter().for_each(|entry| super::print_line(&format!("{:<14} {}", entry.name, entry.summary)));
        return Ok(ExitCode::SUCCESS);
    }
    let mut engine = args.device.open_any(gpu::DeviceOptions::default(), args.quiet)?;
    let mut checked = match engine {
        Engine::Gpu(_) => {
            Some(args.device.open_any(gpu::DeviceOptions { checks: true, ..gpu::DeviceOptions::default() }, true)?)
        }
        Engine::Cpu(_) => None,
    };
    let mut report = Report { device: engine.device_name(), passed: 0, failed: 0, skipped: 0, cases: Vec::new() };
    for entry in entries {
        let mut outcomes = differences(entry)?;
        for case in (entry.cases)() {
            for (engine, what) in [(Some(&mut engine), ""), (checked.as_mut(), " (checked)")] {
                let Some(engine) = engine else { continue };
                for mut outcome in gpunn::blocking::block_on(check_case(engine, entry, &case))? {
                    outcome.case.push_str(what);
                    outcomes.push(outcome);
                }
            }
        }
        if !args.quiet {
            print(entry, &outcomes, args.json);
        }
        for outcome in outcomes {
            if !outcome.passed() {
                eprintln!("FAILED {}", outcome.sentence());
            }
            report.add(outcome);
        }
    }
    if report.failed > 0 || !args.quiet {
        eprintln!(
            "{} passed, {} failed, {} skipped on {}",
            report.passed, report.failed, report.skipped, report.device
        );
    }
    let code = if report.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if args.json {
        super::print_json(&report)?;
    }
    Ok(code)
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

/// The gradient rules against central differences: in double precision, so that no device is needed.
fn differences(entry: &OpEntry) -> Result<Vec<CheckResult>, Error> {
    let mut outcomes = Vec::new();
    for case in (entry.cases)() {
        let small = case.inputs.iter().all(|input| input.ty.elements() <= SMALL);
        if small && !case.differentiable.is_empty() {
            let mut outcome = central_difference(entry.name, &case)?;
            outcome.case.push_str(" (difference)");
            outcomes.push(outcome);
        }
    }
    Ok(outcomes)
}

fn print(entry: &OpEntry, outcomes: &[CheckResult], to_error: bool) {
    let worst = outcomes.iter().max_by(|a, b| a.worst.excess.total_cmp(&b.worst.excess));
    let Some(worst) = worst else { return };
    let line = format!(
        "{:<14} {:>4} cases  {}  worst {:>6.2} % of what is allowed: element {} of {} ({}) is {:.7e} for {:.7e}",
        entry.name,
        outcomes.len(),
        if outcomes.iter().all(CheckResult::passed) { "ok    " } else { "FAILED" },
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

impl Report {
    fn add(&mut self, outcome: CheckResult) {
        let passed = outcome.passed();
        *(if passed { &mut self.passed } else { &mut self.failed }) += 1;
        let excess = outcome.worst.excess;
        self.cases.push(Case {
            op: outcome.op,
            kind: match outcome.kind {
                gpunn::check::CheckKind::Value => "value",
                gpunn::check::CheckKind::Gradient => "gradient",
            },
            passed,
            error_share: excess.is_finite().then_some(excess),
            index: outcome.worst.index,
            value: outcome.worst.value,
            reference: outcome.worst.reference,
            case: outcome.case,
            tensor: outcome.tensor,
        });
    }
}
