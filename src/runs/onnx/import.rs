//! A network from an ONNX file.

use std::collections::BTreeSet;
use std::path::Path;

use crate::Result;
use crate::data::{Fit, ImageOptions, Size, imagenet};
use crate::formats::tensors::TensorFile;
use crate::nn::models::{self, IMAGENET, ModelConfig};
use crate::onnx::read::{Layered, Program, layered};
use crate::ops::augment::Augment;
use crate::runs::weights;
use crate::train::{Checkpoint, Recipe};

/// The names under which files store what they know of classes.
const CLASSES: &str = "classes";

/// Whether a file is called as ONNX files are.
pub fn is_onnx(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("onnx"))
}

/// Opens a file of weights: also an ONNX file, for these images, whose weights have the names of the layers that are made of it.
///
/// # Errors
/// As [`TensorFile::open`] and [`OnnxFile::open`].
pub fn open_weights(path: &Path, asked: &ImageOptions) -> Result<TensorFile> {
    if is_onnx(path) { OnnxFile::open(path, asked).map(|file| file.weights) } else { TensorFile::open(path) }
}

/// A classifier of images from an ONNX file.
#[derive(Debug)]
pub struct OnnxFile {
    /// Its layers. Its weights are the pretrained ones of a training.
    pub model: ModelConfig,
    /// Its weights.
    pub weights: TensorFile,
    /// Channels, height and width of its images.
    pub image: [usize; 3],
    /// The names of its classes; numbers, if the file does not say them.
    pub classes: Vec<String>,
    /// How images are normalised before they go into it. `None` if they are not, or if it does that itself.
    pub normalisation: Option<Augment>,
    /// How images are brought to their size.
    pub images: ImageOptions,
    /// The recipe of the run that it was exported from.
    recipe: Option<Recipe>,
    /// What the reader should know: sentences.
    pub notes: Vec<String>,
}

impl OnnxFile {
    /// Opens a file. The size and the channels that are asked for are used where the file leaves them open, the fit in any case.
    ///
    /// # Errors
    /// [`Error::Data`](crate::Error::Data) when the file is not an ONNX file, is damaged, or holds what gpunn cannot do. The message lists all of it.
    pub fn open(path: &Path, asked: &ImageOptions) -> Result<Self> {
        let origin = path.display().to_string();
        let program = Program::open(path)?;
        let metadata = program.metadata.clone();
        let normalises = normalises_itself(&program);
        let own = weights::recipe_in(&metadata, path)?;
        let is_multi_label = own.as_ref().is_some_and(|recipe| recipe.data.is_multi_label());
        let read = layered(program, &origin, size_of(asked), is_multi_label)?;
        let Layered { layers, image, classes, tensors, mut notes } = read;
        let name = model_name(path);
        let model = ModelConfig { pretrained: Some(origin), ..ModelConfig::of_layers(name, layers) };
        model.validate()?;
        let named = metadata.get(CLASSES).and_then(|text| serde_json::from_str::<Vec<String>>(text).ok());
        let names = named.filter(|names| names.len() == classes).unwrap_or_else(|| match is_imagenet(classes, image) {
            true => imagenet::classes(),
            false => (0..classes).map(|number| number.to_string()).collect(),
        });
        // Networks of photos that do not say otherwise are trained on images that are normalised as ImageNet's are.
        let normalisation = (own.is_none() && !normalises && image[0] == 3).then(|| {
            notes.push(
                "It does not say how images are normalised; ImageNet's mean and standard deviation are used.".into(),
            );
            Augment { mean: Some(imagenet::MEAN.to_vec()), std: Some(imagenet::STD.to_vec()), ..Augment::default() }
        });
        let [channels, height, width] = image;
        let size = if height == width { Size::Square(height) } else { Size::Sides([height, width]) };
        let fit = if image[0] == 3 { Fit::ResizeMiddle } else { Fit::Resize };
        let images = ImageOptions { size: Some(size), fit: asked.fit.or(Some(fit)), channels: Some(channels) };
        let weights = TensorFile::of_floats(path, tensors, metadata);
        Ok(Self { model, weights, image, classes: names, normalisation, images, recipe: own, notes })
    }

    /// The recipe with which its images are prepared: the one of the run that it was exported from, else one of ImageNet's networks.
    ///
    /// # Errors
    /// When the recipe in the file does not fit its network.
    pub fn recipe(&self) -> Result<Recipe> {
        let mut recipe = match &self.recipe {
            Some(recipe) => {
                let mut recipe = recipe.clone();
                // The network normalises images itself.
                if let Some(augment) = &mut recipe.augment {
                    (augment.mean, augment.std) = (None, None);
                }
                recipe.model = self.model.clone();
                recipe
            }
            None => {
                let mut recipe = crate::runs::choose(None, Some(self.model.clone()), None)?;
                recipe.data.name = match is_imagenet(self.classes.len(), self.image) {
                    true => IMAGENET.into(),
                    false => self.model.name.clone(),
                };
                recipe.set_images(self.images);
                recipe.augment.clone_from(&self.normalisation);
                recipe
            }
        };
        recipe.name.clone_from(&self.model.name);
        // All weights are those of the file.
        (recipe.model.pretrained, recipe.model.unfreeze) = (None, None);
        recipe.training.tta = None;
        recipe.validate()?;
        Ok(recipe)
    }

    /// Its network and weights as a checkpoint before the first epoch.
    ///
    /// # Errors
    /// When its weights are not finite, or do not fit its layers.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        let recipe = self.recipe()?;
        let stored = match &self.recipe {
            Some(_) => weights::input_in(self.weights.metadata()).unwrap_or(self.image),
            None => self.image,
        };
        weights::with_weights(&self.weights, recipe, stored, self.classes.clone())
    }

    /// Changes a recipe for a folder of images so that it trains this network, from its weights.
    pub fn put_into(&self, recipe: &mut Recipe) {
        let ModelConfig { unfreeze, pretrained_rate, layer_decay, .. } = recipe.model;
        recipe.model = ModelConfig { unfreeze, pretrained_rate, layer_decay, ..self.model.clone() };
        recipe.set_images(self.images);
        let normalisation = self.normalisation.clone().unwrap_or_default();
        let augment = recipe.augment.get_or_insert_default();
        (augment.mean, augment.std) = (normalisation.mean, normalisation.std);
        augment.crop = None;
    }
}

/// Whether a network with so many classes, for these images, is taken for one of ImageNet's.
fn is_imagenet(classes: usize, image: [usize; 3]) -> bool {
    classes == imagenet::classes().len() && image[0] == 3
}

/// Channels, height and width, if at least one of them is asked for.
fn size_of(asked: &ImageOptions) -> Option<[usize; 3]> {
    let [height, width] = asked.size.map_or([imagenet::SIDE; 2], Size::sides);
    (asked.size.is_some() || asked.channels.is_some()).then_some([asked.channels.unwrap_or(3), height, width])
}

/// The name of the model: the file's, as far as the names of models allow.
fn model_name(path: &Path) -> String {
    let stem = path.file_stem().map_or_else(|| "network".into(), |stem| stem.to_string_lossy().into_owned());
    if models::names().contains(&stem.as_str()) { format!("{stem}-onnx") } else { stem }
}

/// Whether the first operators that compute change the images by constants: then the network normalises them itself.
fn normalises_itself(program: &Program) -> bool {
    const MOVE: [&str; 10] =
        ["Cast", "Concat", "Gather", "Identity", "Pad", "Reshape", "Slice", "Split", "Transpose", "Unsqueeze"];
    let mut images: BTreeSet<&str> = program.inputs.iter().map(|input| input.name.as_str()).collect();
    for node in program.nodes.iter().filter(|node| node.op != "Shape") {
        if !node.inputs.iter().any(|name| images.contains(name.as_str())) {
            continue;
        }
        if !MOVE.contains(&node.op.as_str()) {
            return matches!(node.op.as_str(), "Sub" | "Div" | "Mul" | "Add" | "BatchNormalization");
        }
        images.extend(node.outputs.iter().map(String::as_str));
    }
    false
}
