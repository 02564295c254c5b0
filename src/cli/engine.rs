//! `--device` and `--threads`: the engine that a command runs on.

use gpunn::gpu::{self, Adapter};
use gpunn::graph::kernel::DeviceClass;
use gpunn::{Engine, Error, Result};

/// What every command that computes takes.
#[derive(Debug, clap::Args)]
pub struct DeviceArgs {
    /// What computes: `auto` (a hardware GPU, else the CPU), `gpu` (any adapter, a software one too), `cpu`, or an adapter
    /// by its number or part of its name
    #[arg(long, default_value = "auto", value_name = "auto|gpu|cpu|INDEX|NAME")]
    pub device: String,
    /// Threads of the CPU; results do not depend on it [default: one a core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

impl DeviceArgs {
    /// Sets the number of threads. Called first: reading data may start the threads already.
    pub fn set_threads(&self) -> Result<()> {
        let Some(threads) = self.threads else { return Ok(()) };
        if threads == 0 {
            return Err(Error::usage("0 threads compute nothing; ask for at least 1."));
        }
        let built = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
        built.map_err(|error| Error::Device(format!("cannot start {threads} threads: {error}")))
    }

    /// Opens what `--device` names and says which it is, unless `quiet`.
    pub fn open(&self, options: gpu::DeviceOptions, quiet: bool) -> Result<Engine> {
        self.open_named(&self.device, options, quiet)
    }

    /// As [`DeviceArgs::open`], but `auto` takes a software adapter before the CPU: for what is about adapters.
    pub fn open_any(&self, options: gpu::DeviceOptions, quiet: bool) -> Result<Engine> {
        let auto = self.device.eq_ignore_ascii_case("auto");
        let adapter = auto && !gpunn::blocking::block_on(gpu::adapters()).is_empty();
        self.open_named(if adapter { "gpu" } else { &self.device }, options, quiet)
    }

    fn open_named(&self, name: &str, options: gpu::DeviceOptions, quiet: bool) -> Result<Engine> {
        let (engine, why) = gpunn::blocking::block_on(open(name, options))?;
        if !quiet {
            let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
            eprintln!("device: {}{why}", engine.device_name());
        }
        Ok(engine)
    }
}

/// The engine of a name, and why it was taken.
async fn open(name: &str, options: gpu::DeviceOptions) -> Result<(Engine, &'static str)> {
    let lower = name.to_lowercase();
    if lower == "cpu" {
        return Ok((Engine::cpu(), ""));
    }
    let adapters = gpu::adapters().await;
    let (adapter, why) = match lower.as_str() {
        "auto" => match adapters.iter().find(|adapter| adapter.class() != DeviceClass::Software) {
            Some(adapter) => (adapter, "the first hardware GPU"),
            None => return Ok((Engine::cpu(), "no hardware GPU was found")),
        },
        "gpu" => match adapters.first() {
            Some(adapter) => (adapter, ""),
            None => {
                return Err(Error::Device(
                    "A GPU was asked for, but no adapter was found. Install a driver (on Linux mesa-vulkan-drivers brings a \
                     software one), or use --device cpu."
                        .into(),
                ));
            }
        },
        _ => (find(name, &lower, &adapters)?, ""),
    };
    let device = gpu::Device::open(adapter, options).await?;
    Ok(match kept_kernels(adapter) {
        Some(kept) => (Engine::gpu_with_kernels(device, kept), why),
        None => (Engine::gpu(device), why),
    })
}

/// Compiled kernels in the user's cache folder. Whatever is wrong with it costs only time.
fn kept_kernels(adapter: &Adapter) -> Option<gpu::KeptKernels> {
    let file = gpunn::datasets::cache_dir()?.join("kernels").join(adapter.kernels_key()?);
    let bytes = std::fs::read(&file).ok();
    let keep = move |bytes: &[u8]| {
        let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
        if folder.is_ok() {
            let _ = gpunn::files::write_atomic(&file, bytes);
        }
    };
    Some(gpu::KeptKernels { bytes, keep: Box::new(keep) })
}

/// The adapter of a number or of a part of a name.
fn find<'a>(name: &str, lower: &str, adapters: &'a [Adapter]) -> Result<&'a Adapter> {
    let list = || {
        let lines: Vec<String> = adapters.iter().map(|a| format!("{} = {}", a.index, a.description())).collect();
        if lines.is_empty() { "this machine has no adapter, only `cpu`".into() } else { lines.join("; ") }
    };
    if let Ok(index) = lower.parse::<usize>() {
        let found = adapters.iter().find(|adapter| adapter.index == index);
        return found.ok_or_else(|| Error::usage(format!("There is no device number {index}: {}.", list())));
    }
    if let Some(found) = adapters.iter().find(|adapter| adapter.description().to_lowercase().contains(lower)) {
        return Ok(found);
    }
    let names: Vec<String> = adapters.iter().map(|adapter| adapter.info().name).collect();
    let known: Vec<&str> = ["auto", "gpu", "cpu"].into_iter().chain(names.iter().map(String::as_str)).collect();
    Err(gpunn::error::unknown("device", name, &known))
}
