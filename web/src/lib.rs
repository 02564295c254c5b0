//! gpunn in the browser: a worker of the page trains and uses networks through these functions. Values that are not plain come as JSON.
#![cfg(target_arch = "wasm32")]

mod checking;
mod images;
mod network;
mod recipes;
mod session;

use gpunn::data::Fit;
use gpunn::gpu::{self, Device, DeviceOptions};
use gpunn::train::{Prediction, Recipe};
use gpunn::{Engine, Error};
use wasm_bindgen::prelude::*;

pub use checking::Checking;
pub use images::{Images, image_side};
pub use network::Network;
pub use session::{Session, Weights};

/// Shows panics in the browser's console.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
}

/// An error as JavaScript throws it.
fn thrown(error: Error) -> JsError {
    JsError::new(&error.to_string())
}

/// A value as JSON.
fn json(value: &impl serde::Serialize) -> Result<String, JsError> {
    serde_json::to_string(value).map_err(JsError::from)
}

/// What the page shows of any network.
#[derive(serde::Serialize)]
struct Described<'a> {
    device: &'a str,
    /// Why it is the CPU; empty on a GPU.
    reason: &'a str,
    recipe: &'a str,
    model: &'a str,
    /// The images that it is trained on.
    dataset: &'a str,
    parameters: usize,
    classes: &'a [String],
    /// Channels, height and width of an image.
    input: [usize; 3],
    /// How an image is brought to that size.
    fit: String,
}

impl<'a> Described<'a> {
    /// A network of a recipe, with its parameters, on a device for a reason.
    fn new(
        (device, reason): (&'a str, &'a str),
        (recipe, parameters): (&'a Recipe, usize),
        (input, classes): ([usize; 3], &'a [String]),
    ) -> Self {
        let (model, dataset) = (&recipe.model.name, &recipe.data.name);
        let fit = recipe.data.fit.unwrap_or(Fit::ResizeCrop).to_string();
        Self { device, reason, recipe: &recipe.name, model, dataset, parameters, classes, input, fit }
    }
}

/// A network's answer for an image.
#[derive(serde::Serialize)]
struct Answer {
    class: String,
    confidence: f64,
    /// The probabilities of all classes.
    probabilities: Vec<f32>,
}

/// A prediction as JSON.
fn answer(found: gpunn::Result<Prediction>) -> Result<String, JsError> {
    let Prediction { class, confidence, probabilities, .. } = found.map_err(thrown)?;
    json(&Answer { class, confidence, probabilities })
}

/// The seconds since some time, for the speed of training.
fn clock() -> f64 {
    js_sys::Date::now() / 1000.0
}

/// The device that computes, and why.
struct Opened {
    engine: Engine,
    /// The adapter's name, or that of the CPU.
    name: String,
    /// Why it is the CPU, if it is.
    reason: String,
}

/// Opens the browser's GPU, or the CPU if it has none or `cpu` is set.
async fn open(cpu: bool) -> Opened {
    let on_cpu = |reason: String| Opened { engine: Engine::cpu(), name: "CPU (WebAssembly)".into(), reason };
    if cpu {
        return on_cpu("it was chosen".into());
    }
    let adapters = gpu::adapters().await;
    let Some(adapter) = adapters.first() else {
        return on_cpu("this browser offers no WebGPU adapter".into());
    };
    match Device::open(adapter, DeviceOptions::default()).await {
        Ok(device) => Opened { name: device.description(), engine: Engine::gpu(device), reason: String::new() },
        Err(error) => on_cpu(error.to_string()),
    }
}
