//! A saved network, opened to be used.

use gpunn::saved::onnx::{OnnxOptions, export};
use gpunn::train::{Checkpoint, Predictor};
use wasm_bindgen::prelude::*;

use crate::{Described, Opened, answer, json, open, thrown};

/// A network that reads.
#[wasm_bindgen]
pub struct Network {
    predictor: Predictor,
    checkpoint: Checkpoint,
    device: String,
    reason: String,
}

/// What the page shows of an opened network.
#[derive(serde::Serialize)]
struct Description<'a> {
    #[serde(flatten)]
    network: Described<'a>,
    /// The number of epochs that it was trained.
    epoch: u32,
}

#[wasm_bindgen]
impl Network {
    /// Opens the bytes of a checkpoint file. Errors call it `name`. `cpu` leaves the GPU alone.
    pub async fn open(bytes: Vec<u8>, name: String, cpu: bool) -> Result<Network, JsError> {
        let checkpoint = Checkpoint::parse(&bytes, &name).map_err(thrown)?;
        if checkpoint.recipe.data.is_multi_label() {
            return Err(JsError::new(&format!(
                "The network in {name} gives an image any number of labels; the page reads with classifiers. Use `gpunn predict`."
            )));
        }
        let Opened { engine, name: device, reason } = open(cpu).await;
        let predictor = Predictor::new(engine, &checkpoint).map_err(thrown)?;
        Ok(Self { predictor, checkpoint, device, reason })
    }

    /// The device, the network and its images, as JSON.
    pub fn description(&self) -> Result<String, JsError> {
        let Checkpoint { recipe, counters, input, classes, .. } = &self.checkpoint;
        let parameters = self.checkpoint.model().map_err(thrown)?.parameters().count();
        let on = (&self.device[..], &self.reason[..]);
        let network = Described::new(on, (recipe, parameters), (*input, classes));
        json(&Description { network, epoch: counters.epoch })
    }

    /// Classifies an image of channels x height x width values from 0 to 1. As JSON.
    pub async fn predict(&mut self, image: Vec<f32>) -> Result<String, JsError> {
        answer(self.predictor.predict(&image).await)
    }

    /// The bytes of its checkpoint file.
    pub fn save(&self) -> Result<Vec<u8>, JsError> {
        self.checkpoint.to_bytes().map_err(thrown)
    }

    /// The bytes of its ONNX file.
    pub fn onnx(&self) -> Result<Vec<u8>, JsError> {
        onnx(&self.checkpoint)
    }
}

/// A checkpoint's network as `gpunn export --format onnx` writes it.
pub(crate) fn onnx(checkpoint: &Checkpoint) -> Result<Vec<u8>, JsError> {
    Ok(export(checkpoint, OnnxOptions::default()).map_err(thrown)?.bytes)
}
