//! `--device auto` for training: times a step on the GPU and on the CPU, and takes the faster one. The times are remembered for
//! each device and recipe.

use std::path::Path;

use crate::blocking::block_on;
use crate::data::Dataset;
use crate::gpu::Adapter;
use crate::graph::PlanOptions;
use crate::train::{Recipe, Trial, fit_batch, time_step};
use crate::{Engine, Error, Result};
use serde::{Deserialize, Serialize};

use super::kept;
use super::verdict::Verdict;

/// The time for the steps on each device, in seconds.
pub(super) const SECONDS: f64 = 0.25;
/// A slow CPU's floating-point operations per second. They decide how many images are enough to time it.
pub(super) const SLOW_CPU: f64 = 4e10;
/// The least number of images to time the CPU with: with fewer, most cores of a large machine are idle.
pub(super) const LEAST_IMAGES: usize = 8;

/// The times of a training step, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Times {
    gpu: f64,
    cpu: f64,
}

/// Opens the faster of the adapter, by `open`, and the CPU, for a recipe. Returns also why it was chosen. A GPU that fails leaves the
/// CPU. `in_parts` says that a batch is divided into parts that fit. `cache` is the folder of the remembered times, if there is one.
pub fn faster(
    adapter: &Adapter,
    (recipe, dataset, in_parts): (&Recipe, &Dataset, bool),
    cache: Option<&Path>,
    open: impl Fn() -> Result<Engine>,
) -> Result<(Engine, String)> {
    let name = adapter.info().name;
    let file = cache.map(|cache| kept::file(cache, "steps", key(adapter, recipe, dataset)));
    let remembered = file.as_ref().and_then(|file| serde_json::from_slice(&super::kept::read(file)?).ok());
    let (times, engine): (Times, Option<Engine>) = match remembered {
        Some(times) => (times, None),
        None => match open().and_then(|engine| measure(engine, recipe, dataset, in_parts)) {
            Ok((times, engine)) => (times, Some(engine)),
            Err(error) => return on_cpu(&name, error),
        },
    };
    if let (Some(file), Some(_)) = (&file, &engine)
        && let Ok(text) = serde_json::to_vec(&times)
    {
        // Without the file, the times are measured again.
        let _ = file.write(&text);
    }
    let when = if engine.is_some() { "" } else { ", as measured earlier" };
    let [gpu, cpu] = [times.gpu, times.cpu].map(|seconds| format!("{:.3} ms", 1e3 * seconds));
    Ok(match times.gpu <= times.cpu {
        true => match engine.map_or_else(open, Ok) {
            Ok(engine) => (engine, format!("a training step takes {gpu} here and {cpu} on the CPU{when}")),
            Err(error) => return on_cpu(&name, error),
        },
        false => (super::engine::cpu(), format!("a training step takes {cpu} here and {gpu} on {name}{when}")),
    })
}

/// The CPU in place of a GPU that fails or has too little memory. Other errors are not the GPU's.
fn on_cpu(name: &str, error: Error) -> Result<(Engine, String)> {
    match error {
        Error::Device(_) | Error::Memory(_) => Ok((super::engine::cpu(), format!("a step on {name} failed: {error}"))),
        other => Err(other),
    }
}

/// Times a step on the engine of a GPU and on the CPU.
fn measure(engine: Engine, recipe: &Recipe, dataset: &Dataset, in_parts: bool) -> Result<(Times, Engine)> {
    let trial = Trial { clock: crate::runs::clock, seconds: SECONDS, images: usize::MAX };
    let mut fitted = recipe.clone();
    let parts = if in_parts { fit_batch(&engine, &mut fitted, dataset, PlanOptions::default())? } else { 1 };
    let (gpu, engine) = block_on(time_step(engine, &fitted, dataset, trial))?;
    let images = (SECONDS * SLOW_CPU / gpu.flops.max(1) as f64) as usize;
    let trial = Trial { images: images.max(LEAST_IMAGES), ..trial };
    let (cpu, _) = block_on(time_step(Engine::cpu(), recipe, dataset, trial))?;
    Ok((Times { gpu: gpu.seconds * parts as f64, cpu: cpu.seconds }, engine))
}

/// What the times depend on.
fn key(adapter: &Adapter, recipe: &Recipe, dataset: &Dataset) -> String {
    let mut recipe = recipe.clone();
    (recipe.name, recipe.seed, recipe.data.folder) = (String::new(), 1, None);
    (recipe.training.epochs, recipe.training.patience) = (1.0, None);
    let images = recipe.training.batch_size.min(dataset.train.len());
    let of_data = (dataset.input, dataset.classes.len(), images);
    let machine = (adapter.description(), rayon::current_num_threads(), env!("CARGO_PKG_VERSION"));
    let avoided = Verdict::of(adapter).avoided();
    format!("{machine:?} {avoided:?} {of_data:?} {recipe:?}")
}

#[cfg(test)]
mod tests {
    use crate::graph::kernel::DeviceClass;

    use crate::gpu;

    use super::*;

    /// Which device is faster depends on what else the machine does, so the choice is held against the times that were kept. `auto`
    /// itself never takes a software adapter.
    #[test]
    fn the_faster_device_is_taken_and_its_times_are_remembered() {
        let adapters = block_on(gpu::adapters());
        let Some(adapter) = adapters.iter().find(|adapter| adapter.class() == DeviceClass::Software) else { return };
        let cache = tempfile::tempdir().expect("a folder");
        let recipe = Recipe::built_in("glyphs-mlp").expect("a recipe");
        let dataset = crate::data::glyphs::dataset();
        let open = || Ok(Engine::gpu(block_on(gpu::Device::open(adapter, gpu::DeviceOptions::default()))?));
        let again = |recipe: &Recipe| {
            faster(adapter, (recipe, &dataset, false), Some(cache.path()), open).expect("it is timed")
        };
        let (engine, why) = again(&recipe);
        let file = kept::file(cache.path(), "steps", key(adapter, &recipe, &dataset));
        let times: Times = serde_json::from_slice(&kept::read(&file).expect("kept")).expect("times");
        assert_eq!(engine.kind(), if times.gpu <= times.cpu { "gpu" } else { "cpu" }, "{why}");
        assert!(why.contains("ms here and ") && !why.contains("earlier"), "{why}");
        // Another seed has the same times; another batch size has others.
        let (_, why_of_other_seed) = again(&Recipe { seed: 9, ..recipe.clone() });
        assert_eq!(why_of_other_seed, format!("{why}, as measured earlier"));
        let mut larger = recipe.clone();
        larger.training.batch_size *= 2;
        assert!(!again(&larger).1.contains("earlier"));
        // What is remembered decides.
        file.write(br#"{"gpu":0.001,"cpu":0.002}"#).expect("written");
        let (engine, why) = again(&recipe);
        assert_eq!(
            (engine.kind(), why.as_str()),
            ("gpu", "a training step takes 1.000 ms here and 2.000 ms on the CPU, as measured earlier")
        );
        file.write(br#"{"gpu":0.002,"cpu":0.001}"#).expect("written");
        assert_eq!(again(&recipe).0.kind(), "cpu");
        // A file that is no such times is measured again.
        file.write(b"{").expect("written");
        assert!(!again(&recipe).1.contains("earlier"));
    }

    #[test]
    fn a_gpu_that_fails_leaves_the_cpu() {
        let adapters = block_on(gpu::adapters());
        let Some(adapter) = adapters.first() else { return };
        let recipe = Recipe::built_in("glyphs-mlp").expect("a recipe");
        let dataset = crate::data::glyphs::dataset();
        let timeout = Some(std::time::Duration::ZERO);
        let options = gpu::DeviceOptions { timeout, ..gpu::DeviceOptions::default() };
        let open = || Ok(Engine::gpu(block_on(gpu::Device::open(adapter, options.clone()))?));
        let (engine, why) = faster(adapter, (&recipe, &dataset, false), None, open).expect("the CPU is there");
        assert_eq!(engine.kind(), "cpu");
        assert!(why.contains("failed: ") && why.contains("did not finish its work"), "{why}");
    }
}
