//! Checks ops on a device, and finds what is to blame for a failure: a kernel variant, or the device.

use crate::blocking::block_on;
use crate::check::{Blame, CheckResult, KnownFailure, blame, central_difference, check_case};
use crate::gpu::DeviceOptions;
use crate::ops::case::Case;
use crate::ops::table::{OpEntry, TABLE, force};
use crate::{Engine, Result};

use super::verdict::Verdict;

/// Central differences are computed only for inputs with at most this many elements, because they evaluate the graph many
/// times.
const MAX_DIFFERENCE_ELEMENTS: usize = 3000;

/// Opens the device that is checked.
pub type Open<'a> = &'a dyn Fn(DeviceOptions) -> Result<Engine>;

/// A device with its options, and what is said of it beside a case.
struct Opened {
    engine: Engine,
    options: DeviceOptions,
    label: String,
}

/// The check of a device.
pub struct Checking<'a> {
    open: Open<'a>,
    base: DeviceOptions,
    /// The normal kernels, and on a GPU the same with all shader checks.
    devices: Vec<Opened>,
    /// Whether every variant is checked. Else only those that were wrong before.
    every_variant: bool,
    before: Verdict,
    /// The failures that are known of this device.
    known: Vec<&'a KnownFailure>,
    checked: Vec<&'static OpEntry>,
    /// What is wrong now.
    found: Verdict,
}

impl<'a> Checking<'a> {
    /// A check of the device that `open` opens with options like `base`, given what was found wrong `before`.
    pub fn new(
        open: Open<'a>,
        base: DeviceOptions,
        (every_variant, before): (bool, Verdict),
        known: &'a [KnownFailure],
    ) -> Result<Self> {
        let engine = open(base.clone())?;
        let name = engine.device_name();
        let mut devices = vec![Opened { engine, options: base.clone(), label: String::new() }];
        if devices[0].engine.kind() == "gpu" {
            let options = DeviceOptions { checks: true, ..base.clone() };
            devices.push(Opened { engine: open(options.clone())?, options, label: " (checked)".into() });
        }
        let known = known.iter().filter(|failure| failure.is_of(&name)).collect();
        Ok(Self { open, base, devices, every_variant, before, known, checked: Vec::new(), found: Verdict::default() })
    }

    /// The engine with the normal kernels.
    pub fn engine(&self) -> &Engine {
        &self.devices[0].engine
    }

    /// The known failure that a result is.
    pub fn expected(&self, result: &CheckResult) -> Option<&'a KnownFailure> {
        let covers = |failure: &&&KnownFailure| failure.covers(result.op, &result.case);
        self.known.iter().find(covers).copied().filter(|_| !result.passed())
    }

    /// The known failures of an op that did not fail.
    pub fn unexpected_passes(&self, op: &str, results: &[CheckResult]) -> Vec<&'a KnownFailure> {
        let failed = |known: &&&KnownFailure| {
            results.iter().any(|result| !result.passed() && known.covers(result.op, &result.case))
        };
        self.known.iter().filter(|known| known.op == op && !failed(known)).copied().collect()
    }

    /// Checks an op.
    pub fn op(&mut self, entry: &'static OpEntry) -> Result<Vec<CheckResult>> {
        self.checked.push(entry);
        let mut results = differences(entry)?;
        for case in (entry.cases)() {
            for number in 0..self.devices.len() {
                let device = &mut self.devices[number];
                let checks = labelled(block_on(check_case(&mut device.engine, entry, &case))?, &device.label);
                let options = device.options.clone();
                self.judge((entry, &case), options, &checks)?;
                results.extend(checks);
            }
        }
        if self.engine().kind() == "gpu" {
            results.extend(self.variants(entry)?);
        }
        Ok(results)
    }

    /// Checks the small cases of an op with its kernel variants. Where the device cannot run a variant, its own choice runs once more.
    fn variants(&mut self, entry: &'static OpEntry) -> Result<Vec<CheckResult>> {
        let suspects = self.before.avoided();
        let mut results = Vec::new();
        let named =
            with_variants(entry).flat_map(|entry| (entry.variants)().into_iter().map(|name| (entry.name, name)));
        for (op, variant) in named {
            let forced = force(op, variant)?;
            if !self.every_variant && !suspects.contains(&forced) {
                continue;
            }
            let options = DeviceOptions { forced: vec![forced], ..self.base.clone() };
            let mut engine = (self.open)(options.clone())?;
            for case in (entry.cases)().into_iter().filter(|case| !case.timed) {
                let checks = labelled(block_on(check_case(&mut engine, entry, &case))?, &format!(" ({variant})"));
                self.judge((entry, &case), options.clone(), &checks)?;
                results.extend(checks);
            }
        }
        Ok(results)
    }

    /// Finds and notes what is to blame if a check failed.
    fn judge(
        &mut self,
        (entry, case): (&'static OpEntry, &Case),
        mut options: DeviceOptions,
        checks: &[CheckResult],
    ) -> Result<()> {
        let Some(failed) = checks.iter().find(|check| !check.passed()) else { return Ok(()) };
        // No other command compiles the kernels with checks, so a fault of such kernels alone changes nothing.
        if options.checks || self.engine().kind() == "cpu" || self.found.is_wrong(entry.name) {
            return Ok(());
        }
        let found = self.found.avoided();
        options.forced.retain(|forced| !found.contains(forced));
        options.avoided.extend(found);
        match block_on(blame(async |options| (self.open)(options), &options, (entry, case)))? {
            Blame::Variants(variants) => variants.into_iter().for_each(|variant| self.found.add_variant(variant)),
            // What is known is accepted.
            Blame::Device if self.expected(failed).is_some() => {}
            Blame::Device => self.found.add_op(entry.name, failed.sentence()),
        }
        Ok(())
    }

    /// What is wrong on the device: of the checked ops as found now, of the others as before.
    pub fn verdict(&self) -> Verdict {
        let mut verdict = self.before.clone();
        for entry in &self.checked {
            verdict.forget_op(entry.name);
            with_variants(entry).for_each(|entry| verdict.forget_variants(entry.name));
        }
        verdict.extend(&self.found);
        verdict
    }
}

fn labelled(mut checks: Vec<CheckResult>, label: &str) -> Vec<CheckResult> {
    checks.iter_mut().for_each(|check| check.case.push_str(label));
    checks
}

/// The ops whose variants the small cases of an op check: itself, and its gradient if that has only large cases of its own.
fn with_variants(entry: &'static OpEntry) -> impl Iterator<Item = &'static OpEntry> {
    let has_small = |entry: &OpEntry| (entry.cases)().iter().any(|case| !case.timed);
    TABLE.iter().filter(move |other| {
        let is_gradient = other.name.strip_suffix("_backward") == Some(entry.name);
        (other.name == entry.name || is_gradient) && has_small(other) != is_gradient
    })
}

/// Compares the gradients with central differences, in double precision on the CPU.
fn differences(entry: &OpEntry) -> Result<Vec<CheckResult>> {
    let mut checks = Vec::new();
    for case in (entry.cases)() {
        let small = case.inputs.iter().all(|input| input.ty.elements() <= MAX_DIFFERENCE_ELEMENTS);
        if small && !case.differentiable.is_empty() {
            checks.push(central_difference(entry.name, &case)?);
        }
    }
    Ok(labelled(checks, " (difference)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{Device, Planted, adapters};

    fn entry(op: &str) -> &'static OpEntry {
        TABLE.iter().find(|entry| entry.name == op).expect("an op")
    }

    fn planted(kernel: &str, text: &str, instead: &str) -> DeviceOptions {
        let planted = Planted { kernel: kernel.into(), text: text.into(), instead: instead.into() };
        DeviceOptions { planted: vec![planted], ..DeviceOptions::default() }
    }

    /// Checks an op on the first adapter with a mistake in a kernel; the results and the verdict. None without an adapter.
    fn checked(
        op: &str,
        base: DeviceOptions,
        before: Verdict,
        known: &[KnownFailure],
    ) -> Option<(Vec<bool>, usize, Verdict)> {
        let adapter = block_on(adapters()).into_iter().next()?;
        let open = |options: DeviceOptions| Ok(Engine::gpu(block_on(Device::open(&adapter, options))?));
        let mut checking = Checking::new(&open, base, (false, before), known).expect("it opens");
        let results = checking.op(entry(op)).expect("it runs");
        let expected: Vec<bool> = results
            .iter()
            .filter(|result| !result.passed())
            .map(|result| checking.expected(result).is_some())
            .collect();
        let passes = checking.unexpected_passes(op, &results).len();
        Some((expected, passes, checking.verdict()))
    }

    /// A mistake in the kernel for two neighbouring windows.
    fn wrong_pairs() -> DeviceOptions {
        planted("max_pool2d_pairs", "max(", "min(")
    }

    #[test]
    fn a_wrong_variant_is_avoided_until_a_check_passes() {
        let Some((failed, _, verdict)) = checked("max_pool2d", wrong_pairs(), Verdict::default(), &[]) else { return };
        assert!(!failed.is_empty());
        let pairs = force("max_pool2d", "pairs").expect("a variant");
        assert_eq!((verdict.avoided(), verdict.wrong_op()), (vec![pairs], None));
        // With it avoided, the op is right.
        let avoiding = DeviceOptions { avoided: vec![pairs], ..wrong_pairs() };
        let (failed, ..) = checked("max_pool2d", avoiding, Verdict::default(), &[]).expect("an adapter");
        assert!(failed.is_empty());
        // A check of another op says nothing of it; a check of this op on a right device forgets it.
        let (_, _, other) = checked("exp", DeviceOptions::default(), verdict.clone(), &[]).expect("an adapter");
        assert_eq!(other, verdict);
        let (_, _, right) = checked("max_pool2d", DeviceOptions::default(), verdict, &[]).expect("an adapter");
        assert_eq!(right, Verdict::default());
    }

    #[test]
    fn a_variant_that_is_not_chosen_stays_avoided_while_it_is_wrong() {
        let patches = force("max_pool2d_backward", "patches").expect("a variant");
        let mut before = Verdict::default();
        before.add_variant(patches);
        let wrong = planted("max_pool2d_backward_patches", "place == winner", "place != winner");
        // The gradient itself has only large cases.
        let op = "max_pool2d";
        let Some((failed, _, verdict)) = checked(op, wrong, before.clone(), &[]) else { return };
        assert!(!failed.is_empty());
        assert_eq!(verdict.avoided(), [patches]);
        let own = checked("max_pool2d_backward", DeviceOptions::default(), before.clone(), &[]).expect("an adapter");
        assert_eq!(own.2, before);
        let (failed, _, verdict) = checked(op, DeviceOptions::default(), before, &[]).expect("an adapter");
        assert_eq!((failed, verdict), (Vec::new(), Verdict::default()));
    }

    #[test]
    fn a_wrong_plain_kernel_is_the_devices_fault() {
        let Some((failed, _, verdict)) =
            checked("softmax", planted("softmax", "exp(", "exp2("), Verdict::default(), &[])
        else {
            return;
        };
        assert!(!failed.is_empty());
        let (op, sentence) = verdict.wrong_op().expect("it is wrong");
        assert!(op == "softmax" && sentence.contains("softmax [") && sentence.contains("element "), "{sentence}");
        assert!(verdict.avoided().is_empty());
    }

    #[test]
    fn a_known_failure_is_expected_and_a_pass_of_one_is_told() {
        let list = "[[failure]]\nadapter = \"\"\ndriver = \"\"\nop = \"softmax\"\nreason = \"a double\"\n";
        let known = crate::check::parse_known_failures(list).expect("a list");
        let wrong = planted("softmax", "exp(", "exp2(");
        let Some((failed, passes, verdict)) = checked("softmax", wrong, Verdict::default(), &known) else { return };
        assert!(!failed.is_empty() && failed.iter().all(|&expected| expected) && passes == 0);
        assert_eq!(verdict, Verdict::default());
        let right = checked("softmax", DeviceOptions::default(), Verdict::default(), &known);
        let (failed, passes, _) = right.expect("an adapter");
        assert_eq!((failed, passes), (Vec::new(), 1));
    }
}
