//! Classifying images with a trained network.

use crate::graph::PlanOptions;
use crate::nn::models::Task;
use crate::ops::Step;
use crate::train::graphs::{self, INPUT, INPUT_ORDER, SCORES};
use crate::train::{Checkpoint, largest, plan, write_weights};
use crate::{Engine, Error, Program, Result};

/// The predicted class of an image.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Prediction {
    /// The name of the class.
    pub class: String,
    /// The index of the class.
    pub index: usize,
    /// The network's probability of the class.
    pub confidence: f64,
    /// The probabilities of all classes, in index order.
    #[serde(skip)]
    pub probabilities: Vec<f32>,
}

impl Prediction {
    /// The `count` most likely classes, sorted by decreasing probability. `classes` are the class names.
    #[must_use]
    pub fn likeliest(&self, count: usize, classes: &[String]) -> Vec<Self> {
        let mut order: Vec<usize> = (0..self.probabilities.len().min(classes.len())).collect();
        order.sort_by(|&a, &b| self.probabilities[b].total_cmp(&self.probabilities[a]));
        let of = |&index: &usize| Self {
            class: classes[index].clone(),
            index,
            confidence: f64::from(self.probabilities[index]),
            probabilities: Vec::new(),
        };
        order.iter().take(count).map(of).collect()
    }
}

/// A classifier on an engine.
#[derive(Debug)]
pub struct Predictor {
    engine: Engine,
    program: Program,
    input: [usize; 3],
    batch: usize,
    classes: Vec<String>,
}

impl Predictor {
    /// Loads a checkpoint, with a batch size of 1.
    ///
    /// # Errors
    /// When the checkpoint is not a classifier, or the device fails.
    pub fn new(engine: Engine, checkpoint: &Checkpoint) -> Result<Self> {
        Self::with_batch(engine, checkpoint, 1)
    }

    /// Loads a checkpoint, with a batch size of `batch`.
    ///
    /// # Errors
    /// As [`Predictor::new`].
    pub fn with_batch(mut engine: Engine, checkpoint: &Checkpoint, batch: usize) -> Result<Self> {
        let task = checkpoint.recipe.model.task()?;
        if task != Task::Classify {
            let name = &checkpoint.recipe.model.name;
            return Err(Error::usage(format!("The run trained {name}, which is an autoencoder, not a classifier.")));
        }
        let model = checkpoint.recipe.build_model(checkpoint.input, checkpoint.classes.len())?;
        let weights = checkpoint.weights_in_use(model.parameters())?;
        let graph = graphs::using(&model, &checkpoint.recipe, checkpoint.input, batch)?;
        let plan = plan(&graph, &engine.target(), PlanOptions::default())?;
        let ordered = plan.buffers.iter().any(|buffer| buffer.name == INPUT_ORDER);
        let program = engine.load(plan)?;
        write_weights(&mut engine, model.parameters(), &weights)?;
        if ordered {
            let order: Vec<u32> = (0..batch as u32).collect();
            engine.write(INPUT_ORDER, 0, &order)?;
        }
        engine.schedule(program, &[Step::new(0, batch as u32, 0)])?;
        Ok(Self { engine, program, input: checkpoint.input, batch, classes: checkpoint.classes.clone() })
    }

    /// An image's channels, height and width.
    pub fn input(&self) -> [usize; 3] {
        self.input
    }

    /// The class names in index order.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Classifies an image. [`crate::images::prepare`] makes its values.
    ///
    /// # Errors
    /// When the number of values differs from the network's input, or the device is lost.
    pub async fn predict(&mut self, image: &[f32]) -> Result<Prediction> {
        let probabilities = self.probabilities(&[image]).await?.pop().unwrap_or_default();
        let index = largest(&probabilities);
        let confidence = probabilities.get(index).copied().map_or(0.0, f64::from);
        Ok(Prediction { class: self.classes[index].clone(), index, confidence, probabilities })
    }

    /// The probabilities of all classes for each image.
    ///
    /// # Errors
    /// As [`Predictor::predict`].
    pub async fn probabilities(&mut self, images: &[impl AsRef<[f32]>]) -> Result<Vec<Vec<f32>>> {
        let wanted: usize = self.input.iter().product();
        let mut all = Vec::with_capacity(images.len());
        for chunk in images.chunks(self.batch) {
            for (place, image) in chunk.iter().map(AsRef::as_ref).enumerate() {
                if image.len() != wanted {
                    let message =
                        format!("the image has {} values, but the input of the network has {wanted}", image.len());
                    return Err(Error::Shape(message));
                }
                self.engine.write(INPUT, place * wanted, image)?;
            }
            // Unused rows of the batch keep earlier images. Their results are ignored.
            self.engine.run(self.program, 0..1)?;
            let scores = self.engine.read_output(self.program, SCORES).await?;
            all.extend(scores.chunks_exact(self.classes.len()).take(chunk.len()).map(<[f32]>::to_vec));
        }
        Ok(all)
    }
}
