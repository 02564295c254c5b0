//! What a trained network knows of an image, as a list of numbers.

use crate::graph::PlanOptions;
use crate::train::graphs::{self, CODES, INPUT, INPUT_ORDER};
use crate::train::{Batched, Checkpoint, plan, write_weights};
use crate::{Engine, Result};

/// A trained network on an engine, without its last part. Of a classifier it gives what reaches the last layer, as the mean over the
/// places of an image; of an autoencoder the code. Similar images have similar numbers. It uses one view of an image, without
/// test-time augmentation.
#[derive(Debug)]
pub struct Embedder {
    engine: Engine,
    program: Batched,
    width: usize,
}

impl Embedder {
    /// Loads a checkpoint, for so many images at a time.
    ///
    /// # Errors
    /// When the plan does not fit the device, or the device fails.
    pub fn new(mut engine: Engine, checkpoint: &Checkpoint, batch: usize) -> Result<Self> {
        let (recipe, input) = (&checkpoint.recipe, checkpoint.input);
        let model = checkpoint.model()?;
        let weights = checkpoint.weights_in_use(model.parameters())?;
        let graph = graphs::embedding(&model, recipe, input, batch)?;
        let codes = graph.outputs().iter().find(|(name, _)| name == CODES);
        let width = codes.map_or(0, |&(_, id)| graph.ty(id).elements() / batch.max(1));
        let plan = plan(&graph, &engine.target(), PlanOptions::default())?;
        let program = Batched::load(&mut engine, plan, (INPUT.into(), INPUT_ORDER), (input, batch), CODES)?;
        write_weights(&mut engine, model.parameters(), &weights)?;
        Ok(Self { engine, program, width })
    }

    /// The number of features of an image.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Takes the engine out.
    pub fn into_engine(self) -> Engine {
        self.engine
    }

    /// The numbers of each image, prepared as for a [`Predictor`](super::Predictor).
    ///
    /// # Errors
    /// When the number of values of an image differs from the network's input, or the device is lost.
    pub async fn embed(&mut self, images: &[impl AsRef<[f32]>]) -> Result<Vec<Vec<f32>>> {
        self.program.run(&mut self.engine, images).await
    }
}

/// Divides features by their Euclidean length, so that the dot product of two of them is their cosine similarity. Features that are all
/// 0 stay so.
pub fn normalize(features: &mut [f32]) {
    let length = features.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    if length > 0.0 {
        features.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocking::block_on;
    use crate::data::{SplitName, glyphs};
    use crate::inference::Reconstructor;
    use crate::train::Recipe;

    /// A new checkpoint of this model on the embedded dataset, and images of that dataset.
    fn fresh(model: &str) -> (Checkpoint, Vec<Vec<f32>>) {
        let dataset = glyphs::dataset();
        let mut trainer = Recipe::new(model).trainer(&dataset).expect("a trainer");
        let split = dataset.split(SplitName::Test).expect("a split");
        let images = (0..3).map(|number| split.image(number).expect("an image")).collect();
        (block_on(trainer.checkpoint()).expect("a checkpoint"), images)
    }

    #[test]
    fn a_classifier_gives_what_reaches_its_last_layer() {
        // 20 channels of the last convolution, 64 features of the layer before the last.
        for (model, width) in [("mlp", 64), ("cnn", 64), ("resnet18-small", 512)] {
            let (checkpoint, images) = fresh(model);
            let mut embedder = Embedder::new(Engine::cpu(), &checkpoint, 2).expect("loaded");
            let codes = block_on(embedder.embed(&images)).expect("numbers");
            assert_eq!(codes.iter().map(Vec::len).collect::<Vec<_>>(), [width; 3], "{model}");
            assert_eq!(embedder.width(), width);
            assert_ne!(codes[0], codes[1]);
            let alone = block_on(embedder.embed(&images[2..])).expect("numbers");
            assert_eq!(alone[0], codes[2], "{model}");
            assert!(block_on(embedder.embed(&[[0.0; 5]])).is_err());
        }
    }

    #[test]
    fn normalized_features_have_length_1() {
        let mut features = [3.0, 0.0, -4.0];
        normalize(&mut features);
        assert_eq!(features, [0.6, 0.0, -0.8]);
        // Their squares are beyond the range of f32.
        let mut large = [1e30, 1e30];
        normalize(&mut large);
        assert!((large[0] - 0.5_f32.sqrt()).abs() < 1e-6, "{large:?}");
        let mut none = [0.0; 2];
        normalize(&mut none);
        assert_eq!(none, [0.0; 2]);
    }

    #[test]
    fn an_autoencoder_gives_its_code() {
        let (checkpoint, images) = fresh("autoencoder");
        let mut embedder = Embedder::new(Engine::cpu(), &checkpoint, 3).expect("loaded");
        let codes = block_on(embedder.embed(&images)).expect("numbers").concat();
        let mut reconstructor = Reconstructor::new(Engine::cpu(), checkpoint, 3).expect("loaded");
        assert_eq!(codes, block_on(reconstructor.encode(&images.concat())).expect("codes"));
    }
}
