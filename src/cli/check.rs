//! `gpunn check`: compares every kernel and gradient with the CPU, on this machine.

use std::process::ExitCode;

use crate::check::{CheckResult, KnownFailure, known_failures};
use crate::ops::table::{OpEntry, TABLE};
use crate::{Engine, Result, gpu};
use serde::Serialize;

use super::checking::Checking;
use super::flags::ComputeArgs;
use super::verdict::{Verdict, avoided_sentence};
use super::working::Working;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpunn check --device gpu --op matmul\n\n\
    The output and gradients of each case are compared with plain loops in double precision. On a GPU every case runs\n\
    twice: with the normal kernels, and with all shader checks on. Gradients are also compared with central differences.\n\
    `auto` takes a software adapter if there is no hardware GPU. A kernel that is found wrong is remembered: other commands use a plain\n\
    kernel in its place, until a check passes.",
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
    /// Why it is known to fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
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
    /// Failures that are known for this adapter and driver.
    expected: usize,
    /// Known failures that did not fail.
    unexpected_passes: Vec<String>,
    /// Kernel variants that other commands do not use on this device from now on, as OP/VARIANT.
    avoided: Vec<String>,
    /// An op whose plain kernel is wrong: other commands do not use this device.
    wrong_op: Option<String>,
    cases: Vec<CheckOutputCase>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let ComputeArgs { device, output, quiet } = &args.compute;
    device.set_threads()?;
    let entries = entries(args.op.as_deref())?;
    if args.list {
        entries.iter().for_each(|entry| super::print_line(&format!("{:<14} {}", entry.name, entry.summary)));
        return Ok(ExitCode::SUCCESS);
    }
    let adapter = adapter_of(&device.open_any(gpu::DeviceOptions::default(), *quiet)?);
    let open = |options| device.open_any(options, true);
    let before = adapter.as_ref().map(Verdict::of).unwrap_or_default();
    let mut checking =
        Checking::new(&open, gpu::DeviceOptions::default(), (args.variants, before.clone()), known_failures())?;
    let mut report = CheckOutput::of(checking.engine().device_name());
    let work = Working::new("checking", *quiet);
    for (number, entry) in entries.iter().enumerate() {
        work.at(&format!("checking {}", entry.name), number, entries.len());
        let results = checking.op(entry)?;
        if !quiet {
            work.above(|| print(entry, &results, output.json));
        }
        for failure in checking.unexpected_passes(entry.name, &results) {
            let KnownFailure { op, case, reason, .. } = failure;
            report.unexpected_passes.push(format!("{op} [{case}] ({reason})"));
        }
        for result in results {
            let known = checking.expected(&result);
            work.above(|| match known {
                Some(known) => eprintln!("expected to fail, because {}: {}", known.reason, result.sentence()),
                None if !result.passed() => eprintln!("FAILED {}", result.sentence()),
                None => {}
            });
            report.add(result, known);
        }
    }
    drop(work);
    let verdict = checking.verdict();
    if let Some(adapter) = &adapter {
        remember(adapter, (&before, &verdict))?;
    }
    report.conclude(&verdict, *quiet);
    let code = if report.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if output.json {
        super::print_json(&report)?;
    }
    Ok(code)
}

fn adapter_of(engine: &Engine) -> Option<gpu::Adapter> {
    match engine {
        Engine::Gpu(executor) => Some(executor.device().adapter().clone()),
        Engine::Cpu(_) => None,
    }
}

/// Remembers what is wrong on an adapter, and says what changes by that.
fn remember(adapter: &gpu::Adapter, (before, now): (&Verdict, &Verdict)) -> Result<()> {
    if before == now {
        return Ok(());
    }
    now.keep(adapter)?;
    let right: Vec<String> = before.names().difference(&now.names()).cloned().collect();
    if !right.is_empty() {
        eprintln!("found wrong by an earlier check, right now and used again: {}", right.join(", "));
    }
    Ok(())
}

fn entries(op: Option<&str>) -> Result<Vec<&'static OpEntry>> {
    let Some(op) = op else { return Ok(TABLE.iter().collect()) };
    match TABLE.iter().find(|entry| entry.name == op) {
        Some(entry) => Ok(vec![entry]),
        None => {
            let names: Vec<&str> = TABLE.iter().map(|entry| entry.name).collect();
            Err(crate::error::unknown("op", op, &names))
        }
    }
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
    fn of(device: String) -> Self {
        Self {
            device,
            passed: 0,
            failed: 0,
            skipped: 0,
            expected: 0,
            unexpected_passes: Vec::new(),
            avoided: Vec::new(),
            wrong_op: None,
            cases: Vec::new(),
        }
    }

    fn add(&mut self, check: CheckResult, known: Option<&KnownFailure>) {
        let passed = check.passed();
        *match (passed, known) {
            (true, _) => &mut self.passed,
            (false, Some(_)) => &mut self.expected,
            (false, None) => &mut self.failed,
        } += 1;
        let excess = check.worst.excess;
        self.cases.push(CheckOutputCase {
            op: check.op,
            kind: check.kind.name(),
            passed,
            expected: known.map(|known| known.reason.clone()),
            error_share: excess.is_finite().then_some(excess),
            index: check.worst.index,
            value: check.worst.value,
            reference: check.worst.reference,
            case: check.case,
            tensor: check.tensor,
        });
    }

    /// Prints the sums, and what follows from them.
    fn conclude(&mut self, verdict: &Verdict, quiet: bool) {
        self.avoided = verdict.avoided().iter().map(|variant| variant.names().join("/")).collect();
        self.wrong_op = verdict.wrong_op().map(|(op, _)| op.to_owned());
        for known in &self.unexpected_passes {
            eprintln!("{known} was expected to fail, and passes: remove it from src/check/known-failures.toml");
        }
        if !self.avoided.is_empty() {
            eprintln!("{}", avoided_sentence(&verdict.avoided()));
        }
        if let Some(op) = &self.wrong_op {
            eprintln!(
                "{} computes the op '{op}' wrongly by its plain kernel, so that no other command uses this device from now on; \
                 --despite-check uses it all the same",
                self.device
            );
        }
        if self.failed > 0 || !quiet {
            let expected = match self.expected {
                0 => String::new(),
                expected => format!("{expected} failed as expected, "),
            };
            eprintln!(
                "{} passed, {} failed, {expected}{} skipped on {}",
                self.passed, self.failed, self.skipped, self.device
            );
        }
    }
}
