//! `--device` and `--threads`: the engine of a command.

use std::time::Duration;

use crate::data::Dataset;
use crate::files::KeptFile;
use crate::gpu::{self, Adapter, Failure};
use crate::graph::kernel::DeviceClass;
use crate::train::Recipe;
use crate::{Engine, Error, Result};

use super::auto_device;
use super::drivers::{Usable, usable};
use super::verdict::{Verdict, avoided_sentence};
use super::working::Working;

/// The device flags of every command that computes.
#[derive(Clone, Debug, clap::Args)]
pub struct DeviceArgs {
    /// The device: `auto` (a hardware GPU, else the CPU; `gpunn train` takes the faster one), `gpu` (the first adapter, even a
    /// software one), `cpu`, or an adapter
    /// by index or part of its name, see `gpunn devices`
    #[arg(long, default_value = "auto", value_name = "auto|gpu|cpu|INDEX|NAME")]
    pub device: String,
    /// Number of CPU threads; results do not depend on it [default: one per core]
    #[arg(long, value_name = "N", value_parser = super::numbers::threads)]
    pub threads: Option<usize>,
    /// Use a GPU even where `gpunn check` found that it computes an op wrongly
    #[arg(long)]
    pub despite_check: bool,
}

/// What counts of the things that `gpunn check` found on an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heed {
    /// All: wrong kernel variants are avoided, and an adapter with a wrong op is not used.
    All,
    /// Only wrong kernel variants.
    Variants,
    /// Nothing.
    Nothing,
}

impl DeviceArgs {
    /// Sets the number of threads. Must be called first, because reading data may start the threads.
    pub fn set_threads(&self) -> Result<()> {
        let Some(threads) = self.threads else { return Ok(()) };
        let built = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
        built.or_else(|error| match rayon::current_num_threads() {
            // An earlier call in this process started them.
            there if there == threads => Ok(()),
            there => Err(Error::Device(format!(
                "cannot start {threads} threads ({error}): this process already has {there}"
            ))),
        })
    }

    /// Opens the device that `--device` names, and prints its name unless `quiet`.
    pub fn open(&self, options: gpu::DeviceOptions, quiet: bool) -> Result<Engine> {
        self.open_named(&self.device, (options, self.heed()), quiet)
    }

    /// As [`DeviceArgs::open`], but `auto` prefers a software adapter to the CPU, and what `gpunn check` found does not count: for
    /// commands that test or time kernels.
    pub fn open_any(&self, options: gpu::DeviceOptions, quiet: bool) -> Result<Engine> {
        let auto = self.device.eq_ignore_ascii_case("auto");
        let adapter = auto && !tried(quiet).adapters.is_empty();
        self.open_named(if adapter { "gpu" } else { &self.device }, (options, Heed::Nothing), quiet)
    }

    fn heed(&self) -> Heed {
        if self.despite_check { Heed::Variants } else { Heed::All }
    }

    /// Opens the device to train a recipe on. `auto` times a step on the GPU and on the CPU; `in_parts` says that a batch is divided into
    /// parts that fit.
    pub fn open_to_train(
        &self,
        (recipe, dataset, in_parts): (&Recipe, &Dataset, bool),
        options: gpu::DeviceOptions,
        quiet: bool,
    ) -> Result<Engine> {
        if !self.device.eq_ignore_ascii_case("auto") {
            return self.open(options, quiet);
        }
        let found = tried(quiet);
        let Some(adapter) = hardware(&found.adapters).next() else { return self.open(options, quiet) };
        found.warn();
        let cache = crate::datasets::cache_dir();
        let open = || crate::blocking::block_on(open_adapter(adapter, (options.clone(), self.heed())));
        let work = Working::new("timing a step on the GPU and on the CPU", quiet);
        let (engine, why) = auto_device::faster(adapter, (recipe, dataset, in_parts), cache.as_deref(), open)?;
        drop(work);
        Ok(announced(engine, &why, quiet))
    }

    /// Opens a device again that failed so many times. After the third time, and after a hang, `auto` takes the CPU; else the run
    /// ends.
    pub fn reopen(&self, failure: Failure, times: u32, options: gpu::DeviceOptions) -> Option<Result<Engine>> {
        let auto = self.device.eq_ignore_ascii_case("auto");
        match (failure, times) {
            (Failure::Lost | Failure::OutOfMemory, 1..=3) => {
                // A driver that resets needs a while.
                std::thread::sleep(Duration::from_secs(2) * (times - 1));
                Some(self.open(options, true))
            }
            _ => auto.then(|| Ok(cpu())),
        }
    }

    /// The CPU in place of an engine of this kind that failed with this error, if `auto` chose a GPU. Else the error.
    pub fn fall_back(&self, kind: &str, error: Error) -> Result<Engine> {
        let of_gpu = kind == "gpu" && matches!(error, Error::Device(_) | Error::Memory(_));
        if !(of_gpu && self.device.eq_ignore_ascii_case("auto")) {
            return Err(error);
        }
        eprintln!("warning: {error}. The CPU is used instead");
        Ok(cpu())
    }

    fn open_named(&self, name: &str, wanted: (gpu::DeviceOptions, Heed), quiet: bool) -> Result<Engine> {
        let work = Working::new("opening the device", quiet);
        let (engine, why) = crate::blocking::block_on(open(name, wanted))?;
        drop(work);
        Ok(announced(engine, why, quiet))
    }
}

/// The usable adapters. The first call in a process may try drivers, with a word unless `quiet`.
fn tried(quiet: bool) -> Usable {
    let _work = Working::new("trying the GPU drivers", quiet);
    usable()
}

/// The options of a device that trains these recipes: with matrix units if one of them asks for half precision.
pub fn options_to_train<'a>(recipes: impl IntoIterator<Item = &'a Recipe>) -> gpu::DeviceOptions {
    let half = recipes.into_iter().any(|recipe| !recipe.training.precision.is_single());
    gpu::DeviceOptions { half, ..gpu::DeviceOptions::default() }
}

/// Prints the engine's name, why it was chosen, and which kernels it does not use, unless `quiet`.
fn announced(engine: Engine, why: &str, quiet: bool) -> Engine {
    if !quiet {
        let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
        eprintln!("device: {}{why}", engine.device_name());
        let avoided = engine.target().device.map(|device| device.avoided).unwrap_or_default();
        if !avoided.is_empty() {
            eprintln!("{}", avoided_sentence(&avoided));
        }
    }
    engine
}

/// The adapters that are hardware GPUs.
fn hardware(adapters: &[Adapter]) -> impl Iterator<Item = &Adapter> {
    adapters.iter().filter(|adapter| adapter.class() != DeviceClass::Software)
}

/// The CPU's engine, for plans that fit the memory that is free.
pub fn cpu() -> Engine {
    Engine::cpu_within(super::memory::free())
}

/// Opens the engine of this name; returns also why `auto` chose it.
async fn open(name: &str, wanted: (gpu::DeviceOptions, Heed)) -> Result<(Engine, &'static str)> {
    let lower = name.trim().to_lowercase();
    if lower.is_empty() {
        return Err(Error::usage("--device has no value: it takes auto, gpu, cpu, or an adapter's number or name."));
    }
    if lower == "cpu" {
        return Ok((cpu(), ""));
    }
    let found = usable();
    let Usable { adapters, left_out } = &found;
    let (adapter, why) = match lower.as_str() {
        "auto" => {
            found.warn();
            return match hardware(adapters).next() {
                Some(_) => first_that_opens(adapters, wanted).await,
                None => Ok((cpu(), "no hardware GPU was found")),
            };
        }
        "gpu" => match adapters.first() {
            Some(adapter) => (adapter, ""),
            None => return Err(no_adapter(left_out)),
        },
        _ => match find(name, &lower, adapters) {
            Ok(adapter) => (adapter, ""),
            Err(error) if left_out.is_empty() => return Err(error),
            Err(error) => return Err(Error::usage(format!("{error} {}", left_out.join(" ")))),
        },
    };
    found.warn();
    Ok((open_adapter(adapter, wanted).await?, why))
}

/// `--device gpu` without an adapter.
fn no_adapter(left_out: &[String]) -> Error {
    let but = "--device gpu was given, but no adapter";
    Error::Device(match left_out {
        [] => format!(
            "{but} was found. Install a GPU driver (on Linux, mesa-vulkan-drivers has a software adapter), or use --device cpu."
        ),
        _ => format!(
            "{but} can be used. {} Install another version of it, or use --device cpu. `gpunn devices` tries it again.",
            left_out.join(" ")
        ),
    })
}

/// The first hardware GPU that can be opened, else the CPU. A warning says why an adapter was passed over.
async fn first_that_opens(
    adapters: &[Adapter],
    (options, heed): (gpu::DeviceOptions, Heed),
) -> Result<(Engine, &'static str)> {
    for adapter in hardware(adapters) {
        match open_adapter(adapter, (options.clone(), heed)).await {
            Ok(engine) => return Ok((engine, "the first hardware GPU")),
            Err(error) => eprintln!("warning: {} is passed over: {error}", adapter.description()),
        }
    }
    Ok((cpu(), "no hardware GPU can be opened"))
}

/// Opens an adapter. Kernels that `gpunn check` found wrong and matrix units that compute a wrong product are not used.
async fn open_adapter(adapter: &Adapter, (options, heed): (gpu::DeviceOptions, Heed)) -> Result<Engine> {
    let options = heeding(&Verdict::of(adapter), heed, &adapter.description(), options)?;
    let half = options.half;
    let mut engine = open_unchecked(adapter, options.clone()).await?;
    if half && let Err(error) = crate::check::half_precision(&mut engine).await {
        eprintln!("warning: {error}; all is computed in f32");
        return open_unchecked(adapter, gpu::DeviceOptions { half: false, ..options }).await;
    }
    Ok(engine)
}

/// The options with which an adapter of this description is opened after a verdict. An error if it is not to be used.
fn heeding(verdict: &Verdict, heed: Heed, adapter: &str, options: gpu::DeviceOptions) -> Result<gpu::DeviceOptions> {
    if let (Heed::All, Some((op, sentence))) = (heed, verdict.wrong_op()) {
        return Err(Error::Device(format!(
            "{adapter} computes the op '{op}' wrongly, as `gpunn check` found: {sentence}. Use --device cpu, or --despite-check to \
             use it all the same. A `gpunn check` that passes lifts this."
        )));
    }
    let avoided = if heed == Heed::Nothing { Vec::new() } else { verdict.avoided() };
    Ok(gpu::DeviceOptions { avoided, ..options })
}

async fn open_unchecked(adapter: &Adapter, options: gpu::DeviceOptions) -> Result<Engine> {
    let device = gpu::Device::open(adapter, options).await?;
    Ok(match kept_kernels(adapter) {
        Some(kept) => Engine::gpu_with_kernels(device, kept),
        None => Engine::gpu(device),
    })
}

/// The cache of compiled kernels in the user's cache folder. If it cannot be written, that costs only compile time.
fn kept_kernels(adapter: &Adapter) -> Option<gpu::KeptKernels> {
    let name = adapter.kernels_key()?;
    let key = format!("kernels of {name}, {}", env!("CARGO_PKG_VERSION"));
    let file = KeptFile::new(crate::datasets::cache_dir()?.join("kernels").join(name), key);
    let bytes = super::kept::read(&file);
    let keep = move |bytes: &[u8]| drop(file.write(bytes));
    Some(gpu::KeptKernels { bytes, keep: Box::new(keep) })
}

/// The first adapter with this name, else with this text in its description. Says so if there are several.
fn named<'a>(name: &str, lower: &str, adapters: &'a [Adapter]) -> Option<&'a Adapter> {
    let all = |has: &dyn Fn(&Adapter) -> bool| adapters.iter().filter(|&adapter| has(adapter)).collect::<Vec<_>>();
    let exact = all(&|adapter| adapter.info().name.to_lowercase() == lower);
    let found = match exact.is_empty() {
        true => all(&|adapter| adapter.description().to_lowercase().contains(lower)),
        false => exact,
    };
    if let [first, _, ..] = &found[..] {
        let numbers: Vec<String> = found.iter().map(|adapter| adapter.index.to_string()).collect();
        eprintln!(
            "'{name}' names the devices {}; {} is taken. --device takes a number, too",
            numbers.join(", "),
            first.index
        );
    }
    found.first().copied()
}

/// The adapter with this index, or with this text in its name.
fn find<'a>(name: &str, lower: &str, adapters: &'a [Adapter]) -> Result<&'a Adapter> {
    let list = || {
        let lines: Vec<String> = adapters.iter().map(|a| format!("{} = {}", a.index, a.description())).collect();
        if lines.is_empty() {
            "this machine has no adapter, so that only `cpu` is possible".into()
        } else {
            lines.join("; ")
        }
    };
    if let Ok(index) = lower.parse::<usize>() {
        let found = adapters.iter().find(|adapter| adapter.index == index);
        return found
            .ok_or_else(|| Error::usage(format!("There is no device with index {index}. Devices: {}.", list())));
    }
    if let Some(found) = named(name, lower, adapters) {
        return Ok(found);
    }
    let names: Vec<String> = adapters.iter().map(|adapter| adapter.info().name).collect();
    let known: Vec<&str> = ["auto", "gpu", "cpu"].into_iter().chain(names.iter().map(String::as_str)).collect();
    Err(crate::error::unknown("device", name, &known))
}

#[cfg(test)]
mod tests {
    use crate::ops::table::force;

    use super::*;

    #[test]
    fn a_verdict_decides_which_kernels_and_whether_a_device_is_used() {
        let variant = force("matmul", "strip").expect("a variant");
        let mut verdict = Verdict::default();
        verdict.add_variant(variant);
        let open = |verdict: &Verdict, heed| heeding(verdict, heed, "An adapter", gpu::DeviceOptions::default());
        assert_eq!(open(&verdict, Heed::All).expect("used").avoided, [variant]);
        assert!(open(&verdict, Heed::Nothing).expect("used").avoided.is_empty());
        verdict.add_op("exp", "exp [a case] is wrong".into());
        let sentence = open(&verdict, Heed::All).expect_err("refused").to_string();
        for part in
            ["An adapter computes the op 'exp' wrongly", "exp [a case] is wrong", "--device cpu", "--despite-check"]
        {
            assert!(sentence.contains(part), "{part}: {sentence}");
        }
        assert_eq!(open(&verdict, Heed::Variants).expect("used").avoided, [variant]);
        assert!(open(&verdict, Heed::Nothing).is_ok());
    }
}
