//! Using a trained model on images from outside.

use crate::graph::PlanOptions;
use crate::nn::models::Task;
use crate::ops::Step;
use crate::train::graphs::{self, INPUT, INPUT_ORDER, SCORES};
use crate::train::{Checkpoint, largest, plan, write_weights};
use crate::{Engine, Error, Program, Result};

/// What an image was taken for.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Prediction {
    /// The class's name.
    pub class: String,
    /// Its number.
    pub index: usize,
    /// Its probability as the network has it.
    pub confidence: f64,
    /// The probabilities of all classes, in their order.
    #[serde(skip)]
    pub probabilities: Vec<f32>,
}

impl Prediction {
    /// The likeliest `count` classes, the likeliest first, by the classes' names.
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

/// A classifier that is ready for images, some at a time.
#[derive(Debug)]
pub struct Predictor {
    engine: Engine,
    program: Program,
    input: [usize; 3],
    batch: usize,
    classes: Vec<String>,
}

impl Predictor {
    /// From a checkpoint, for images that come one by one.
    ///
    /// # Errors
    /// When it is no classifier's, or the device refuses.
    pub fn new(engine: Engine, checkpoint: &Checkpoint) -> Result<Self> {
        Self::with_batch(engine, checkpoint, 1)
    }

    /// From a checkpoint, for images of which `batch` go through the network together.
    ///
    /// # Errors
    /// As [`Predictor::new`].
    pub fn with_batch(mut engine: Engine, checkpoint: &Checkpoint, batch: usize) -> Result<Self> {
        let task = checkpoint.recipe.model.task()?;
        if task != Task::Classify {
            let name = &checkpoint.recipe.model.name;
            return Err(Error::usage(format!("The run trained {name}, which gives images back and names no class.")));
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

    /// The classes' names, in the order of their numbers.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// What an image, as [`prepare`] makes it, is taken for.
    ///
    /// # Errors
    /// When it has another number of values than the network's input, or the device is lost.
    pub async fn predict(&mut self, image: &[f32]) -> Result<Prediction> {
        let probabilities = self.probabilities(&[image]).await?.pop().unwrap_or_default();
        let index = largest(&probabilities);
        let confidence = probabilities.get(index).copied().map_or(0.0, f64::from);
        Ok(Prediction { class: self.classes[index].clone(), index, confidence, probabilities })
    }

    /// The probabilities of all classes for each of several images, of the network's input's values each.
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
                        format!("an image of {} values was given, but the network takes {wanted}", image.len());
                    return Err(Error::Shape(message));
                }
                self.engine.write(INPUT, place * wanted, image)?;
            }
            // Rows that hold no image keep an earlier one; what becomes of it is not looked at.
            self.engine.run(self.program, 0..1)?;
            let scores = self.engine.read_output(self.program, SCORES).await?;
            all.extend(scores.chunks_exact(self.classes.len()).take(chunk.len()).map(<[f32]>::to_vec));
        }
        Ok(all)
    }
}
