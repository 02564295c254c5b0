//! A training: its network, its images, and what the page shows of it.

use std::path::Path;

use gpunn::Engine;
use gpunn::data::{Dataset, Fit, Size, Split, SplitName, glyphs};
use gpunn::formats::tensors::TensorFile;
use gpunn::train::{EpochProgress, Trainer, TrainerOptions, evaluate_each};
use wasm_bindgen::prelude::*;

use crate::images::{Images, side_of};
use crate::network::onnx;
use crate::{Described, Opened, answer, clock, json, open, recipes, thrown};

/// A training in the browser.
#[wasm_bindgen]
pub struct Session {
    trainer: Trainer,
    dataset: Dataset,
    device: String,
    reason: String,
}

/// What the page shows before the first epoch.
#[derive(serde::Serialize)]
struct Description<'a> {
    #[serde(flatten)]
    network: Described<'a>,
    planned_bytes: usize,
    steps: u32,
    epochs: f64,
    images: usize,
    test_images: usize,
}

/// A file of pretrained weights.
#[wasm_bindgen]
pub struct Weights(TensorFile);

#[wasm_bindgen]
impl Weights {
    /// Reads the bytes of a file of `torch.save` or a safetensors file. Errors call it `name`.
    pub fn read(bytes: Vec<u8>, name: &str) -> Result<Weights, JsError> {
        TensorFile::parse(bytes, Path::new(name)).map(Self).map_err(thrown)
    }
}

#[wasm_bindgen]
impl Session {
    /// Begins a training. `recipe` is the name of a recipe or the text of one, `epochs` the number of epochs if it is above 0.
    /// Without `images` it trains on the glyphs. `weights` is the file of the recipe's pretrained weights. `cpu` leaves the GPU alone.
    pub async fn begin(
        recipe: String,
        seed: u32,
        epochs: f64,
        cpu: bool,
        images: Option<Images>,
        weights: Option<Weights>,
    ) -> Result<Session, JsError> {
        let mut recipe = recipes::with_name(&recipe).map_err(thrown)?;
        recipes::check(&recipe, images.is_some(), weights.is_some()).map_err(thrown)?;
        recipe.seed = seed.into();
        if epochs > 0.0 {
            recipe.training.epochs = epochs;
        }
        let dataset = match images {
            Some(images) => {
                // What the page did to the images, for whoever uses the saved network.
                (recipe.data.size, recipe.data.fit) = (Some(Size::Square(side_of(&recipe)?)), Some(Fit::ResizeCrop));
                images.dataset(recipe.seed, recipe.data.val_fraction).map_err(thrown)?
            }
            None => glyphs::dataset(),
        };
        recipe.data.name.clone_from(&dataset.name);
        let pretrained = recipe.model.pretrained.as_ref().and(weights).map(|Weights(file)| file);
        let Opened { engine, name, reason } = open(cpu).await;
        let options = TrainerOptions { clock: Some(clock), ..TrainerOptions::default() };
        let mut trainer = Trainer::new(engine, recipe, &dataset, options).map_err(thrown)?;
        if let Some(file) = pretrained {
            trainer.load_pretrained(&file).await.map_err(thrown)?;
        }
        Ok(Self { trainer, dataset, device: name, reason })
    }

    /// The device, the network, the images and the memory, as JSON.
    pub fn description(&self) -> Result<String, JsError> {
        let (trainer, recipe) = (&self.trainer, self.trainer.recipe());
        let parameters = trainer.model().parameters().count();
        let on = (&self.device[..], &self.reason[..]);
        json(&Description {
            network: Described::new(on, (recipe, parameters), (self.dataset.input, trainer.classes())),
            planned_bytes: trainer.planned_bytes(),
            steps: trainer.steps(),
            epochs: recipe.training.epochs,
            images: self.dataset.train.len(),
            test_images: self.dataset.test.as_ref().map_or(0, Split::len),
        })
    }

    /// Whether all epochs are done.
    pub fn is_over(&self) -> bool {
        self.trainer.is_over()
    }

    /// Trains an epoch, or the rest of one, and returns its line as JSON. After each submission `progress` gets the steps that are done, and
    /// while features of frozen layers are computed their batches and the number of all, else 0. It returns whether to go on; if it does
    /// not, the result is empty, and the next call goes on with the epoch.
    pub async fn epoch(&mut self, progress: js_sys::Function) -> Result<String, JsError> {
        let mut steps = 0;
        let mut watch = |at: EpochProgress| {
            let (batches, of) = match at {
                EpochProgress::Trained(done) => {
                    steps = done;
                    (0, 0)
                }
                EpochProgress::Features { batches, of, .. } => (batches, of),
                _ => (0, 0),
            };
            let going = progress.call3(&JsValue::NULL, &steps.into(), &batches.into(), &of.into());
            going.is_ok_and(|going| going.as_bool() != Some(false))
        };
        let line = self.trainer.epoch(&mut watch).await.map_err(thrown)?;
        line.map_or(Ok(String::new()), |line| json(&line))
    }

    /// Classifies an image of channels x height x width values from 0 to 1. As JSON.
    pub async fn predict(&mut self, image: Vec<f32>) -> Result<String, JsError> {
        answer(self.trainer.predict(&image).await)
    }

    /// The bytes of a checkpoint file of this moment, as `gpunn train` writes it.
    pub async fn save(&mut self) -> Result<Vec<u8>, JsError> {
        self.trainer.checkpoint().await.and_then(|checkpoint| checkpoint.to_bytes()).map_err(thrown)
    }

    /// The bytes of an ONNX file of this moment.
    pub async fn onnx(&mut self) -> Result<Vec<u8>, JsError> {
        onnx(&self.trainer.checkpoint().await.map_err(thrown)?)
    }

    /// Evaluates the test images, or where there are none those held out for validation: the split, the loss, the accuracy, and the confusion
    /// matrix, as JSON.
    pub async fn test(&mut self) -> Result<String, JsError> {
        let split = if self.dataset.test.is_some() { SplitName::Test } else { SplitName::Val };
        let checkpoint = self.trainer.checkpoint().await.map_err(thrown)?;
        // Few images: a second engine on the CPU would take longer to compile than to compute.
        let mut engine = Engine::cpu();
        let found = evaluate_each(&mut engine, &checkpoint, &self.dataset, split, &mut |_, _| {}).await;
        json(&found.map_err(thrown)?)
    }

    /// The weights of the first layer: a filter, or a row of a matrix, for each output. The shape comes first: outputs, channels, height,
    /// width.
    pub async fn first_weights(&mut self) -> Result<Vec<f32>, JsError> {
        let weights = self.trainer.weights().await.map_err(thrown)?;
        let parameters = self.trainer.model().parameters();
        let Some(first) = parameters.iter().find(|parameter| parameter.shape.rank() > 1) else { return Ok(Vec::new()) };
        let shape = match *first.shape.dims() {
            [outputs, inputs] if inputs == self.dataset.input.iter().product::<usize>() => {
                let [channels, height, width] = self.dataset.input;
                [outputs, channels, height, width]
            }
            [outputs, inputs] => [outputs, 1, 1, inputs],
            [outputs, channels, height, width] => [outputs, channels, height, width],
            _ => return Ok(Vec::new()),
        };
        let values = &weights.learned[first.range()];
        Ok(shape.map(|side| side as f32).into_iter().chain(values.iter().copied()).collect())
    }

    /// The hash of the weights, as `gpunn train` prints it.
    pub async fn weights_hash(&mut self) -> Result<String, JsError> {
        let weights = self.trainer.weights().await.map_err(thrown)?;
        Ok(self.trainer.model().parameters().hash(&weights))
    }

    /// An image of a split, `train`, `val` or `test`, as values from 0 to 1. Empty if there is none.
    pub fn image(&self, split: String, number: usize) -> Result<Vec<f32>, JsError> {
        let split: SplitName = split.parse().map_err(thrown)?;
        Ok(self.dataset.split(split).map_err(thrown)?.image(number).unwrap_or_default())
    }
}
