//! A training: its network, its images, and what the page shows of it.

use gpunn::Engine;
use gpunn::data::{Dataset, Split, SplitName, glyphs};
use gpunn::nn::models::Task;
use gpunn::train::{EpochProgress, Recipe, Trainer, TrainerOptions, evaluate_each};
use wasm_bindgen::prelude::*;

use crate::{Opened, clock, json, open, thrown};

/// A training in the browser.
#[wasm_bindgen]
pub struct Session {
    trainer: Trainer,
    dataset: Dataset,
    device: String,
    reason: String,
}

/// The share of a user's images that is held out for validation, as in `gpunn train`.
const HELD_OUT: f64 = 0.15;

/// A user's images, of one size.
#[wasm_bindgen]
pub struct Images {
    side: usize,
    pixels: Vec<u8>,
    labels: Vec<u32>,
    classes: Vec<String>,
}

#[wasm_bindgen]
impl Images {
    /// No images yet, of `side` x `side` pixels in colour, for these classes.
    #[wasm_bindgen(constructor)]
    pub fn new(side: usize, classes: Vec<String>) -> Images {
        Self { side, pixels: Vec::new(), labels: Vec::new(), classes }
    }

    /// Adds an image of a class: red, green, blue and alpha of each pixel, as a canvas gives them.
    pub fn add(&mut self, rgba: &[u8], class: u32) {
        for channel in 0..3 {
            self.pixels.extend(rgba.chunks_exact(4).map(|pixel| pixel[channel]));
        }
        self.labels.push(class);
    }
}

impl Images {
    fn dataset(self, seed: u64) -> gpunn::Result<Dataset> {
        let mut dataset = Dataset::from_images(self.pixels, [3, self.side, self.side], self.labels, self.classes)?;
        dataset.name = "your images".into();
        dataset.hold_out(SplitName::Val, HELD_OUT, seed)
    }
}

/// Refuses what a recipe may say and the page does not do.
fn check(recipe: &Recipe) -> Result<(), JsError> {
    let data = &recipe.data;
    let given = [
        ("data.limit_train", data.limit_train.is_some()),
        ("data.val_fraction", data.val_fraction.is_some()),
        ("data.fold", data.fold.is_some()),
        ("data.labels", data.labels.is_some()),
        ("model.pretrained", recipe.model.pretrained.is_some()),
    ];
    if let Some((key, _)) = given.iter().find(|(_, given)| *given) {
        return Err(JsError::new(&format!("The page does not have the setting `{key}` of recipes; leave it out.")));
    }
    match recipe.model.task().map_err(thrown)? {
        Task::Classify => Ok(()),
        _ => Err(JsError::new("The page trains classifiers, but this recipe is of another task.")),
    }
}

/// What the page shows before the first epoch.
#[derive(serde::Serialize)]
struct Description<'a> {
    device: &'a str,
    /// Why it is the CPU; empty on a GPU.
    reason: &'a str,
    recipe: &'a str,
    model: &'a str,
    dataset: &'a str,
    parameters: usize,
    planned_bytes: usize,
    steps: u32,
    epochs: f64,
    images: usize,
    test_images: usize,
    classes: &'a [String],
    /// Channels, height and width of an image.
    input: [usize; 3],
}

/// An image with its label and the answer.
#[derive(serde::Serialize)]
struct Answer {
    class: String,
    confidence: f64,
    /// The probabilities of all classes.
    probabilities: Vec<f32>,
}

#[wasm_bindgen]
impl Session {
    /// Begins a training. `recipe` is the name of a built-in recipe or the text of one, `epochs` the number of epochs if it is above 0.
    /// Without `images` it trains on the glyphs. `cpu` leaves the GPU alone.
    pub async fn begin(
        recipe: String,
        seed: u32,
        epochs: f64,
        cpu: bool,
        images: Option<Images>,
    ) -> Result<Session, JsError> {
        let mut recipe = match recipe.contains('\n') {
            true => toml::from_str::<Recipe>(&recipe).map_err(JsError::from)?,
            false => Recipe::built_in(&recipe).map_err(thrown)?,
        };
        check(&recipe)?;
        recipe.seed = seed.into();
        if epochs > 0.0 {
            recipe.training.epochs = epochs;
        }
        let dataset = match images {
            Some(images) => images.dataset(recipe.seed).map_err(thrown)?,
            None => glyphs::dataset(),
        };
        recipe.data.name.clone_from(&dataset.name);
        let Opened { engine, name, reason } = open(cpu).await;
        let options = TrainerOptions { clock: Some(clock), ..TrainerOptions::default() };
        let trainer = Trainer::new(engine, recipe, &dataset, options).map_err(thrown)?;
        Ok(Self { trainer, dataset, device: name, reason })
    }

    /// The device, the network, the images and the memory, as JSON.
    pub fn description(&self) -> Result<String, JsError> {
        let (trainer, recipe) = (&self.trainer, self.trainer.recipe());
        json(&Description {
            device: &self.device,
            reason: &self.reason,
            recipe: &recipe.name,
            model: trainer.model().name(),
            dataset: &self.dataset.name,
            parameters: trainer.model().parameters().count(),
            planned_bytes: trainer.planned_bytes(),
            steps: trainer.steps(),
            epochs: recipe.training.epochs,
            images: self.dataset.train.len(),
            test_images: self.dataset.test.as_ref().map_or(0, Split::len),
            classes: trainer.classes(),
            input: self.dataset.input,
        })
    }

    /// Whether all epochs are done.
    pub fn is_over(&self) -> bool {
        self.trainer.is_over()
    }

    /// Trains an epoch, or the rest of one, and returns its line as JSON. After each submission `progress` gets the steps that are done and
    /// returns whether to go on; if it does not, the result is empty, and the next call goes on with the epoch.
    pub async fn epoch(&mut self, progress: js_sys::Function) -> Result<String, JsError> {
        let mut steps = 0;
        let mut watch = |at: EpochProgress| {
            if let EpochProgress::Trained(done) = at {
                steps = done;
            }
            let going = progress.call1(&JsValue::NULL, &steps.into());
            going.is_ok_and(|going| going.as_bool() != Some(false))
        };
        let line = self.trainer.epoch(&mut watch).await.map_err(thrown)?;
        line.map_or(Ok(String::new()), |line| json(&line))
    }

    /// Classifies an image of channels x height x width values from 0 to 1. As JSON.
    pub async fn predict(&mut self, image: Vec<f32>) -> Result<String, JsError> {
        let found = self.trainer.predict(&image).await.map_err(thrown)?;
        json(&Answer { class: found.class, confidence: found.confidence, probabilities: found.probabilities })
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
