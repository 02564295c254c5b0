//! `--device` and `--threads`: the engine of a command.

use gpunn::data::Dataset;
use gpunn::files::KeptFile;
use gpunn::gpu::{self, Adapter, Failure};
use gpunn::graph::kernel::DeviceClass;
use gpunn::train::Recipe;
use gpunn::{Engine, Error, Result};

use super::auto_device;

/// The device flags of every command that computes.
#[derive(Debug, clap::Args)]
pub struct DeviceArgs {
    /// The device: `auto` (a hardware GPU, else the CPU; `gpunn train` takes the faster one), `gpu` (the first adapter, even a
    /// software one), `cpu`, or an adapter
    /// by index or part of its name, see `gpunn devices`
    #[arg(long, default_value = "auto", value_name = "auto|gpu|cpu|INDEX|NAME")]
    pub device: String,
    /// Number of CPU threads; results do not depend on it [default: one per core]
    #[arg(long, value_name = "N", value_parser = super::numbers::threads)]
    pub threads: Option<usize>,
}

impl DeviceArgs {
    /// Sets the number of threads. Must be called first, because reading data may start the threads.
    pub fn set_threads(&self) -> Result<()> {
        let Some(threads) = self.threads else { return Ok(()) };
        let built = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
        built.map_err(|error| Error::Device(format!("cannot start {threads} threads: {error}")))
    }

    /// Opens the device that `--device` names, and prints its name unless `quiet`.
    pub fn open(&self, options: gpu::DeviceOptions, quiet: bool) -> Result<Engine> {
        self.open_named(&self.device, options, quiet)
    }

    /// As [`DeviceArgs::open`], but `auto` prefers a software adapter to the CPU: for commands that test or time kernels.
    pub fn open_any(&self, options: gpu::DeviceOptions, quiet: bool) -> Result<Engine> {
        let auto = self.device.eq_ignore_ascii_case("auto");
        let adapter = auto && !gpunn::blocking::block_on(gpu::adapters()).is_empty();
        self.open_named(if adapter { "gpu" } else { &self.device }, options, quiet)
    }

    /// Opens the device to train a recipe on. `auto` times a step on the GPU and on the CPU.
    pub fn open_to_train(
        &self,
        recipe: &Recipe,
        dataset: &Dataset,
        options: gpu::DeviceOptions,
        quiet: bool,
    ) -> Result<Engine> {
        let adapters = gpunn::blocking::block_on(gpu::adapters());
        let adapter = hardware(&adapters).next().filter(|_| self.device.eq_ignore_ascii_case("auto"));
        let Some(adapter) = adapter else { return self.open(options, quiet) };
        let cache = gpunn::datasets::cache_dir();
        let open = || gpunn::blocking::block_on(open_adapter(adapter, options.clone()));
        let (engine, why) = auto_device::faster(adapter, (recipe, dataset), cache.as_deref(), open)?;
        Ok(announced(engine, &why, quiet))
    }

    /// Opens a device again that failed so many times. After the third time, and after a hang, `auto` takes the CPU; else the run
    /// ends.
    pub fn reopen(&self, failure: Failure, times: u32, options: gpu::DeviceOptions) -> Option<Result<Engine>> {
        let auto = self.device.eq_ignore_ascii_case("auto");
        match (failure, times) {
            (Failure::Lost | Failure::OutOfMemory, 1..=3) => match self.open(options, true) {
                Err(_) if auto => Some(Ok(cpu())),
                opened => Some(opened),
            },
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

    fn open_named(&self, name: &str, options: gpu::DeviceOptions, quiet: bool) -> Result<Engine> {
        let (engine, why) = gpunn::blocking::block_on(open(name, options))?;
        Ok(announced(engine, why, quiet))
    }
}

/// The options of a device that trains these recipes: with matrix units if one of them asks for half precision.
pub fn options_to_train<'a>(recipes: impl IntoIterator<Item = &'a Recipe>) -> gpu::DeviceOptions {
    let half = recipes.into_iter().any(|recipe| !recipe.training.precision.is_single());
    gpu::DeviceOptions { half, ..gpu::DeviceOptions::default() }
}

/// Prints the engine's name and why it was chosen, unless `quiet`.
fn announced(engine: Engine, why: &str, quiet: bool) -> Engine {
    if !quiet {
        let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
        eprintln!("device: {}{why}", engine.device_name());
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
async fn open(name: &str, options: gpu::DeviceOptions) -> Result<(Engine, &'static str)> {
    let lower = name.trim().to_lowercase();
    if lower.is_empty() {
        return Err(Error::usage("--device has no value: it takes auto, gpu, cpu, or an adapter's number or name."));
    }
    if lower == "cpu" {
        return Ok((cpu(), ""));
    }
    let adapters = gpu::adapters().await;
    let (adapter, why) = match lower.as_str() {
        "auto" => match hardware(&adapters).next() {
            Some(_) => return first_that_opens(&adapters, options).await,
            None => return Ok((cpu(), "no hardware GPU was found")),
        },
        "gpu" => match adapters.first() {
            Some(adapter) => (adapter, ""),
            None => {
                return Err(Error::Device(
                    "--device gpu was given, but no adapter was found. Install a GPU driver (on Linux, mesa-vulkan-drivers has a \
                     software adapter), or use --device cpu."
                        .into(),
                ));
            }
        },
        _ => (find(name, &lower, &adapters)?, ""),
    };
    Ok((open_adapter(adapter, options).await?, why))
}

/// The first hardware GPU that can be opened, else the CPU. A warning says why an adapter was passed over.
async fn first_that_opens(adapters: &[Adapter], options: gpu::DeviceOptions) -> Result<(Engine, &'static str)> {
    for adapter in hardware(adapters) {
        match open_adapter(adapter, options.clone()).await {
            Ok(engine) => return Ok((engine, "the first hardware GPU")),
            Err(error) => eprintln!("warning: {} cannot be opened: {error}", adapter.description()),
        }
    }
    Ok((cpu(), "no hardware GPU can be opened"))
}

/// Opens an adapter. Matrix units that compute a wrong product are not used.
async fn open_adapter(adapter: &Adapter, options: gpu::DeviceOptions) -> Result<Engine> {
    let half = options.half;
    let mut engine = open_unchecked(adapter, options.clone()).await?;
    if half && let Err(error) = gpunn::check::half_precision(&mut engine).await {
        eprintln!("warning: {error}; all is computed in f32");
        return open_unchecked(adapter, gpu::DeviceOptions { half: false, ..options }).await;
    }
    Ok(engine)
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
    let file = KeptFile::new(gpunn::datasets::cache_dir()?.join("kernels").join(name), key);
    let bytes = super::kept::read(&file);
    let keep = move |bytes: &[u8]| drop(file.write(bytes));
    Some(gpu::KeptKernels { bytes, keep: Box::new(keep) })
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
    if let Some(found) = adapters.iter().find(|adapter| adapter.description().to_lowercase().contains(lower)) {
        return Ok(found);
    }
    let names: Vec<String> = adapters.iter().map(|adapter| adapter.info().name).collect();
    let known: Vec<&str> = ["auto", "gpu", "cpu"].into_iter().chain(names.iter().map(String::as_str)).collect();
    Err(gpunn::error::unknown("device", name, &known))
}
