//! Helpers of the kernel tests: the adapter to test on.

pub mod described;
pub mod hardware;
pub mod memory;
pub mod mlp;
#[path = "../../tests/common/numbers.rs"]
pub mod numbers;
pub mod random_graph;
pub mod rules;
#[path = "../../tests/common/skip.rs"]
pub mod skip;
#[path = "../../tests/common/training.rs"]
pub mod training;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use gpunn::check::Inputs;
use gpunn::gpu::{Adapter, Device, DeviceOptions, adapters};
use gpunn::graph::kernel::{Capabilities, DeviceClass, Kernel};
use gpunn::graph::{Plan, PlanOptions, Target};
use gpunn::ops::case::Case;
use gpunn::ops::table::{OpEntry, TABLE, force};
use gpunn::{Engine, Result};

/// The adapter for tests: the first, or the one that `GPUNN_ADAPTER` names by its number or a part of its name.
/// Without an adapter the test is skipped.
pub fn adapter() -> Option<Adapter> {
    let wanted = std::env::var("GPUNN_ADAPTER").unwrap_or_default();
    let found = gpunn::blocking::block_on(adapters()).into_iter().find(|adapter| {
        wanted.is_empty() || adapter.index.to_string() == wanted || adapter.description().contains(&wanted)
    });
    if found.is_none() {
        skip::skipped("there is no adapter to test on");
    }
    found
}

/// Reports that this test or a part of it is skipped because the backend or the adapter lacks a feature. The report goes to
/// the same file as that of [`skip::skipped`].
///
/// # Panics
/// If `GPUNN_REQUIRE_ALL` is set on Linux, whose software adapter has all features that the tests need.
pub fn unsupported(reason: &str) {
    if cfg!(target_os = "linux") { skip::skipped(reason) } else { skip::note(reason) }
}

/// An engine on the adapter for tests.
pub fn gpu(options: DeviceOptions) -> Option<Engine> {
    let device = gpunn::blocking::block_on(Device::open(&adapter()?, options)).expect("the adapter opens");
    Some(Engine::gpu(device))
}

/// An executor on the adapter for tests, for functions that [`Engine`] does not have.
pub fn executor(options: DeviceOptions) -> Option<gpunn::gpu::Executor> {
    let device = gpunn::blocking::block_on(Device::open(&adapter()?, options)).expect("the adapter opens");
    Some(gpunn::gpu::Executor::new(device))
}

/// Whether the slow parts of tests run, as with `scripts/test.sh --slow`.
pub fn slow() -> bool {
    std::env::var_os("GPUNN_SLOW").is_some()
}

/// A way to choose kernels that the adapter's own table would not choose.
#[derive(Clone, Debug)]
pub struct KernelChoice {
    /// The class or the variant.
    pub name: String,
    /// Opens a device that chooses so.
    pub options: DeviceOptions,
    /// The ops whose kernels differ from those of the adapter's own table.
    pub ops: BTreeSet<&'static str>,
}

/// Whether a device of this class has other kernels for an op without variants than the adapter for tests.
fn differs(entry: &OpEntry, class: Option<DeviceClass>) -> bool {
    let Some((adapter, class)) = adapter().zip(class) else { return false };
    let kernels = |case: &Case, class| -> Vec<Kernel> {
        let device = Some(Capabilities { class, ..Capabilities::portable() });
        let graph = case.graph().expect("it builds").0;
        let plan = Plan::new(graph, &Target { device, ..Target::portable() }, PlanOptions::default());
        let work = plan.expect("it plans").work;
        work.into_iter().flat_map(|work| work.lowering.dispatches).map(|dispatch| dispatch.kernel).collect()
    };
    let cases = (entry.cases)().into_iter().filter(|case| !case.timed);
    cases.into_iter().any(|case| kernels(&case, class) != kernels(&case, adapter.class()))
}

/// Every class of device that the adapter is not, and every kernel variant of every op. The classes have shader checks off and on.
/// The variants have them off, in slow tests also on.
pub fn every_choice() -> Vec<KernelChoice> {
    static CHOICES: LazyLock<Vec<KernelChoice>> = LazyLock::new(choices);
    CHOICES.clone()
}

fn choices() -> Vec<KernelChoice> {
    let class = |name: &str, options: DeviceOptions| KernelChoice {
        name: name.into(),
        ops: TABLE
            .iter()
            .filter(|entry| !(entry.variants)().is_empty() || differs(entry, options.class))
            .map(|entry| entry.name)
            .collect(),
        options,
    };
    let of = |class| DeviceOptions { class: Some(class), ..DeviceOptions::default() };
    let mut choices = vec![
        class("discrete", of(DeviceClass::Discrete)),
        class("software", DeviceOptions { without_subgroups: true, ..of(DeviceClass::Software) }),
    ];
    let classes = choices.len();
    let variants: BTreeSet<&str> = TABLE.iter().flat_map(|entry| (entry.variants)()).collect();
    for variant in variants {
        let having = || TABLE.iter().filter(|entry| (entry.variants)().contains(&variant));
        let forced = having().map(|entry| force(entry.name, variant).expect("it has this variant")).collect();
        let options = DeviceOptions { forced, ..DeviceOptions::default() };
        // The gradient of max-pool is part of the cases of max-pool.
        let ops =
            having().flat_map(|entry| [Some(entry.name), entry.name.strip_suffix("_backward")]).flatten().collect();
        choices.push(KernelChoice { name: variant.into(), options, ops });
    }
    let checked = |choice: &KernelChoice| KernelChoice {
        options: DeviceOptions { checks: true, ..choice.options.clone() },
        ..choice.clone()
    };
    let count = if slow() { choices.len() } else { classes };
    let more: Vec<_> = choices.iter().take(count).map(checked).collect();
    choices.extend(more);
    choices
}

/// Runs a check on the adapter's own choice of kernels and on the kernels of a discrete GPU and of matrix units; in slow tests on
/// every choice of [`every_choice`].
///
/// # Panics
/// If a device cannot be opened.
pub fn for_every_variant(mut check: impl FnMut(&KernelChoice, Device)) {
    let Some(adapter) = adapter() else { return };
    let ops = TABLE.iter().map(|entry| entry.name).collect();
    let own = KernelChoice { name: "the adapter's own".into(), options: DeviceOptions::default(), ops };
    let always = |name: &str| name == "discrete" || name == "half";
    let wanted = |choice: &KernelChoice| slow() || (always(&choice.name) && !choice.options.checks);
    let runs = |choice: &KernelChoice| choice.name != "half" || adapter.matrix_units().is_some();
    for choice in std::iter::once(own).chain(every_choice().into_iter().filter(wanted)).filter(runs) {
        let start = std::time::Instant::now();
        check(&choice, gpunn::blocking::block_on(Device::open(&adapter, choice.options.clone())).expect("it opens"));
        println!("{}, checks {}: {:.1} s", choice.name, choice.options.checks, start.elapsed().as_secs_f32());
    }
}

/// The CPU's engine and, if there is an adapter, the GPU's.
pub fn engines() -> Vec<Engine> {
    std::iter::once(Engine::cpu()).chain(gpu(DeviceOptions::default())).collect()
}

/// Runs one step of a plan with these inputs and returns the bits of every output and of every updated leaf, by name.
///
/// # Errors
/// When the device fails.
pub fn results(engine: &mut Engine, plan: Plan, inputs: &Inputs) -> Result<BTreeMap<String, Vec<u32>>> {
    engine.forget();
    let program = engine.load(plan)?;
    inputs.write(engine)?;
    engine.schedule(program, &[inputs.step])?;
    engine.run(program, 0..1)?;
    let graph = engine.plan(program).graph.clone();
    let mut results = BTreeMap::new();
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    for (name, id) in graph.outputs() {
        if graph.ty(*id).elements() > 0 {
            results.insert(name.clone(), bits(gpunn::blocking::block_on(engine.read_output(program, name))?));
        }
    }
    for state in graph.nodes().iter().flat_map(gpunn::graph::Node::states) {
        let name = graph.node(*state).name.clone();
        let values = bits(gpunn::blocking::block_on(engine.read(&name))?);
        results.insert(name, values);
    }
    Ok(results)
}
