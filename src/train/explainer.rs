//! Grad-CAM: which places of an image speak for a class (R. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via
//! gradient-based localization", 2017).

use super::buffers::write_weights;
use super::graphs::{self, CLASS_WEIGHTS, FEATURES, GRADIENT, INPUT, INPUT_ORDER, SCORES};
use super::predictor::Prediction;
use super::{Checkpoint, memory};
use crate::graph::PlanOptions;
use crate::nn::Model;
use crate::nn::models::Task;
use crate::ops::Step;
use crate::{Engine, Error, Program, Result};

/// How much each place of an image speaks for a class, on the grid of the network's last convolution.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeatMap {
    /// The number of rows.
    pub height: usize,
    /// The number of columns.
    pub width: usize,
    /// The values in rows, 0 or larger. Their scale is that of the class's logit and means nothing by itself.
    pub values: Vec<f32>,
}

impl HeatMap {
    /// The largest value. It is 0 where nothing in the image speaks for the class.
    pub fn largest(&self) -> f32 {
        self.values.iter().copied().fold(0.0, f32::max)
    }
}

/// The prediction for an image, and the map of one class.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The prediction.
    pub prediction: Prediction,
    /// The index of the class that the map explains.
    pub class: usize,
    /// The map.
    pub map: HeatMap,
}

/// A convolutional classifier on an engine, which explains its answers one image at a time. It uses one view of an image, without
/// test-time augmentation.
#[derive(Debug)]
pub struct Explainer {
    engine: Engine,
    program: Program,
    classes: Vec<String>,
    input: [usize; 3],
    seen: [usize; 2],
    grid: [usize; 3],
}

impl Explainer {
    /// Whether the network of a checkpoint can be explained: it is a classifier with a convolution.
    ///
    /// # Errors
    /// When the recipe is invalid.
    pub fn can_explain(checkpoint: &Checkpoint) -> Result<bool> {
        let model = checkpoint.model()?;
        let classifies = model.task() != Task::Reconstruct;
        Ok(classifies && graphs::explaining(&model, &checkpoint.recipe, checkpoint.input)?.is_some())
    }

    /// Loads a checkpoint.
    ///
    /// # Errors
    /// When the checkpoint is not a classifier, has no convolution, or the device fails.
    pub fn new(engine: Engine, checkpoint: &Checkpoint) -> Result<Self> {
        let model = checkpoint.model()?;
        Self::with_model(engine, &model, checkpoint)
    }

    /// Loads a checkpoint of a model that the program has built. `model` is this model, built again.
    ///
    /// # Errors
    /// As [`Explainer::new`], and when the checkpoint belongs to another model.
    pub fn with_model(mut engine: Engine, model: &Model, checkpoint: &Checkpoint) -> Result<Self> {
        if model.task() == Task::Reconstruct {
            let name = model.name();
            return Err(Error::usage(format!("The run trained {name}, which is an autoencoder: it answers no class.")));
        }
        let weights = checkpoint.weights_in_use(model.parameters())?;
        let explaining = graphs::explaining(model, &checkpoint.recipe, checkpoint.input)?.ok_or_else(|| {
            Error::usage(format!(
                "The network {} has no convolution, so it has no map of the places of an image that decided. Only \
                 convolutional networks can be explained.",
                model.name()
            ))
        })?;
        let plan = memory::plan(&explaining.graph, &engine.target(), PlanOptions::default())?;
        let ordered = plan.buffers.iter().any(|buffer| buffer.name == INPUT_ORDER);
        let program = engine.load(plan)?;
        if ordered {
            engine.write(INPUT_ORDER, 0, &[0_u32])?;
        }
        engine.schedule(program, &[Step::new(0, 1, 0)])?;
        write_weights(&mut engine, model.parameters(), &weights)?;
        let (input, classes) = (checkpoint.input, checkpoint.classes.clone());
        Ok(Self { engine, program, classes, input, seen: explaining.seen, grid: explaining.grid })
    }

    /// The class names in index order.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The height and width of the middle of an image that the network sees, which is where a map belongs. Random crops in training
    /// make them smaller than the image.
    pub fn seen(&self) -> [usize; 2] {
        self.seen
    }

    /// The engine.
    pub fn into_engine(self) -> Engine {
        self.engine
    }

    /// Explains the answer for an image, or with `class` why that class would be the answer. The image is given as for
    /// [`Predictor::predict`](super::Predictor::predict).
    ///
    /// # Errors
    /// When the number of values differs from the network's input, there is no such class, or the device is lost.
    pub async fn explain(&mut self, image: &[f32], class: Option<usize>) -> Result<Explanation> {
        let wanted: usize = self.input.iter().product();
        if image.len() != wanted {
            let message = format!("the image has {} values, but the input of the network has {wanted}", image.len());
            return Err(Error::Shape(message));
        }
        let classes = self.classes.len();
        if let Some(class) = class.filter(|&class| class >= classes) {
            return Err(Error::usage(format!("There is no class {class}: the network has {classes} classes.")));
        }
        self.engine.write(INPUT, 0, image)?;
        // The answer is known only after a first pass.
        let class = match class {
            Some(class) => class,
            None => {
                self.engine.run(self.program, 0..1)?;
                self.prediction().await?.index
            }
        };
        let chosen: Vec<f32> = (0..classes).map(|index| f32::from(u8::from(index == class))).collect();
        self.engine.write(CLASS_WEIGHTS, 0, &chosen)?;
        self.engine.run(self.program, 0..1)?;
        let features = self.engine.read_output(self.program, FEATURES).await?;
        let gradient = self.engine.read_output(self.program, GRADIENT).await?;
        let map = heat_map(&features, &gradient, self.grid);
        Ok(Explanation { prediction: self.prediction().await?, class, map })
    }

    /// [`Explainer::explain`] for callers that are not async.
    ///
    /// # Errors
    /// As [`Explainer::explain`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn explain_blocking(&mut self, image: &[f32], class: Option<usize>) -> Result<Explanation> {
        crate::blocking::block_on(self.explain(image, class))
    }

    async fn prediction(&mut self) -> Result<Prediction> {
        Ok(Prediction::of(self.engine.read_output(self.program, SCORES).await?, &self.classes))
    }
}

/// The sum of all channels of a feature map, each weighted with the mean of its gradient, without negative values.
fn heat_map(features: &[f32], gradient: &[f32], [_, height, width]: [usize; 3]) -> HeatMap {
    let places = height * width;
    let mut values = vec![0.0_f32; places];
    for (channel, slopes) in features.chunks_exact(places).zip(gradient.chunks_exact(places)) {
        let weight = slopes.iter().sum::<f32>() / places as f32;
        values.iter_mut().zip(channel).for_each(|(value, feature)| *value += weight * feature);
    }
    values.iter_mut().for_each(|value| *value = value.max(0.0));
    HeatMap { height, width, values }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::models::ModelConfig;
    use crate::train::Recipe;

    #[test]
    fn channels_are_weighted_with_the_mean_of_their_gradients() {
        // By hand: the means are 2 and -1.
        let (features, gradient) = ([1.0, 2.0, 3.0, 1.0], [1.0, 3.0, -1.0, -1.0]);
        let map = heat_map(&features, &gradient, [2, 1, 2]);
        assert_eq!((map.values.as_slice(), map.largest()), (&[0.0, 3.0][..], 3.0));
    }

    /// A network with the weights 0.5 sin(0.7 k + 1.7 n) for value k of parameter n.
    fn checkpoint(mut model: ModelConfig, input: [usize; 3]) -> Checkpoint {
        model.hidden = Some(Vec::new());
        let recipe = Recipe::new(model);
        let model = recipe.build_model(input, 3).expect("a model");
        let mut weights = model.parameters().initial_weights(1);
        for (n, parameter) in model.parameters().iter().enumerate() {
            let values = &mut weights.learned[parameter.range()];
            (0..)
                .zip(values)
                .for_each(|(k, value)| *value = (0.5 * (0.7 * f64::from(k) + 1.7 * n as f64).sin()) as f32);
        }
        let classes = ["a", "b", "c"].map(str::to_owned).to_vec();
        Checkpoint::at_start(recipe, (input, classes), model.parameters(), &weights)
    }

    #[test]
    fn maps_are_those_of_pytorch() {
        let (channels, kernel, padding) = (Some(vec![3, 4]), Some(3), Some(1));
        let model = ModelConfig { channels, kernel, padding, ..ModelConfig::named("cnn") };
        let mut explainer = Explainer::new(Engine::cpu(), &checkpoint(model, [1, 8, 8])).expect("a convolution");
        let image: Vec<f32> = (0..64_u8).map(|at| f32::from(at * 37 % 64) / 64.0).collect();
        // PyTorch 2.15 in double precision: two convolutions 3x3 with ReLU and max-pool, and a linear layer; autograd with respect to
        // the second ReLU's output.
        let probabilities = [0.268_001, 0.659_868, 0.072_131];
        let maps = [
            (
                None,
                1,
                [
                    0.086_751, 0.166_743, 0.137_118, 0.052_519, 0.071_676, 0.032_632, 0.019_423, 0.044_346, 0.021_548,
                    0.082_402, 0.125_557, 0.065_614, 0.034_424, 0.0, 0.0, 0.0,
                ],
            ),
            (
                Some(0),
                0,
                [
                    0.014_741, 0.048_836, 0.026_744, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.014_235, 0.033_592, 0.0, 0.0, 0.0,
                    0.0, 0.0,
                ],
            ),
        ];
        for (asked, class, wanted) in maps {
            let found = explainer.explain_blocking(&image, asked).expect("explained");
            assert_eq!((found.class, found.map.height, found.map.width), (class, 4, 4));
            let near = |found: &[f32], wanted: &[f32]| found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 2e-6);
            assert!(near(&found.prediction.probabilities, &probabilities), "{found:?}");
            assert!(near(&found.map.values, &wanted), "{found:?}");
        }
        assert!(explainer.explain_blocking(&image, Some(3)).is_err());
    }

    #[test]
    fn a_network_without_a_convolution_gets_a_sentence() {
        let mlp = checkpoint(ModelConfig::named("mlp"), [1, 8, 8]);
        assert!(!Explainer::can_explain(&mlp).expect("a valid recipe"));
        let error = Explainer::new(Engine::cpu(), &mlp).expect_err("no convolution").to_string();
        assert!(error.contains("mlp has no convolution"), "{error}");
    }
}
