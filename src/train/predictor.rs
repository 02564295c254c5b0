//! Classifying images with a trained network.

use super::batched::Batched;
use super::buffers::write_weights;
use super::evaluation::largest;
use super::graphs::{self, AVERAGES, INPUT, INPUT_ORDER, SCORES};
use super::{Checkpoint, Recipe, memory};
#[cfg(feature = "cli")]
use crate::Program;
use crate::graph::PlanOptions;
use crate::nn::Model;
use crate::nn::models::Task;
use crate::{Engine, Error, Result};

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
    /// The prediction from the probabilities of all classes.
    pub(super) fn of(probabilities: Vec<f32>, classes: &[String]) -> Self {
        let index = largest(&probabilities);
        let confidence = probabilities.get(index).copied().map_or(0.0, f64::from);
        Self { class: classes[index].clone(), index, confidence, probabilities }
    }

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

/// The program of a classifier, loaded into an engine that holds its weights.
#[derive(Clone, Debug)]
pub(super) struct Classifier(Batched);

impl Classifier {
    /// Plans and loads the program. `prefix` is the prefix of the names of its input buffers. If `averaged` is true, it uses
    /// the moving averages of the weights, which the engine must have.
    pub fn load(
        engine: &mut Engine,
        (model, recipe): (&Model, &Recipe),
        (input, batch): ([usize; 3], usize),
        prefix: &str,
        averaged: bool,
    ) -> Result<Self> {
        if model.task() != Task::Classify {
            let name = model.name();
            return Err(Error::usage(format!("The run trained {name}, which is an autoencoder, not a classifier.")));
        }
        let (images, order) = (format!("{prefix}{INPUT}"), format!("{prefix}{INPUT_ORDER}"));
        let mut graph = graphs::using(model, recipe, input, batch)?;
        graph = graph.on_buffers(&[(INPUT, &images), (INPUT_ORDER, &order)]);
        if averaged {
            graph = graph.on_buffers(&AVERAGES);
        }
        let plan = memory::plan(&graph, &engine.target(), PlanOptions::default())?;
        Ok(Self(Batched::load(engine, plan, (images, &order), (input, batch), SCORES)?))
    }

    /// The probabilities of all classes for each image.
    pub async fn probabilities(&self, engine: &mut Engine, images: &[impl AsRef<[f32]>]) -> Result<Vec<Vec<f32>>> {
        self.0.run(engine, images).await
    }

    /// The prediction for each image.
    pub async fn predict(
        &self,
        engine: &mut Engine,
        images: &[impl AsRef<[f32]>],
        classes: &[String],
    ) -> Result<Vec<Prediction>> {
        let all = self.probabilities(engine, images).await?;
        Ok(all.into_iter().map(|probabilities| Prediction::of(probabilities, classes)).collect())
    }
}

/// A classifier on an engine.
#[derive(Debug)]
pub struct Predictor {
    engine: Engine,
    classifier: Classifier,
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
    pub fn with_batch(engine: Engine, checkpoint: &Checkpoint, batch: usize) -> Result<Self> {
        let model = checkpoint.model()?;
        Self::with_model(engine, &model, checkpoint, batch)
    }

    /// Loads a checkpoint of a model that the program has built. `model` is this model, built again. With the
    /// feature `files`, `Checkpoint::read` reads the checkpoint of a file.
    ///
    /// # Errors
    /// As [`Predictor::new`], and when the checkpoint belongs to another model.
    pub fn with_model(mut engine: Engine, model: &Model, checkpoint: &Checkpoint, batch: usize) -> Result<Self> {
        let weights = checkpoint.weights_in_use(model.parameters())?;
        let at = (checkpoint.input, batch);
        let classifier = Classifier::load(&mut engine, (model, &checkpoint.recipe), at, "", false)?;
        write_weights(&mut engine, model.parameters(), &weights)?;
        Ok(Self { engine, classifier, classes: checkpoint.classes.clone() })
    }

    /// An image's channels, height and width.
    pub fn input(&self) -> [usize; 3] {
        self.classifier.0.input()
    }

    /// The class names in index order.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The engine, and the program that classifies a batch. For benchmarks.
    #[cfg(feature = "cli")]
    pub(crate) fn parts(&mut self) -> (&mut Engine, Program) {
        (&mut self.engine, self.classifier.0.program())
    }

    /// Takes the engine out.
    pub fn into_engine(self) -> Engine {
        self.engine
    }

    /// Classifies an image, given as values in the order channels, rows, columns, in the same range as the training images.
    ///
    /// # Errors
    /// When the number of values differs from the network's input, or the device is lost.
    pub async fn predict(&mut self, image: &[f32]) -> Result<Prediction> {
        Ok(Prediction::of(self.probabilities(&[image]).await?.pop().unwrap_or_default(), &self.classes))
    }

    /// [`Predictor::predict`] for callers that are not async.
    ///
    /// # Errors
    /// As [`Predictor::predict`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn predict_blocking(&mut self, image: &[f32]) -> Result<Prediction> {
        crate::blocking::block_on(self.predict(image))
    }

    /// Classifies several images, as [`Predictor::predict`] does, in batches.
    ///
    /// # Errors
    /// As [`Predictor::predict`].
    pub async fn predict_all(&mut self, images: &[impl AsRef<[f32]>]) -> Result<Vec<Prediction>> {
        self.classifier.predict(&mut self.engine, images, &self.classes).await
    }

    /// The probabilities of all classes for each image.
    ///
    /// # Errors
    /// As [`Predictor::predict`].
    pub async fn probabilities(&mut self, images: &[impl AsRef<[f32]>]) -> Result<Vec<Vec<f32>>> {
        self.classifier.probabilities(&mut self.engine, images).await
    }
}
