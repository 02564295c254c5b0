//! Weights for and from other programs, with the tensor names of PyTorch.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::data::{Dataset, imagenet};
use crate::formats::tensors::{self, TensorFile, TensorValues};
use crate::nn::models::{self, ModelConfig};
use crate::nn::{Model, Parameter, ParameterLayout, Weights};
use crate::train::{Checkpoint, Recipe, Trainer, inputs};
use crate::{Error, Result};

use super::names::NamedTensors;

/// The version of the metadata in exported files.
pub(crate) const FORMAT: u32 = 1;
/// The only key of the metadata.
pub(crate) const KEY: &str = "gpunn.model";
/// PyTorch's name for the number of batches that a batch norm has seen. It is ignored on import.
const TRACKED: &str = "num_batches_tracked";
/// The maximum number of tensors in one list of an error message.
const NAMED: usize = 6;

/// The metadata of an exported file.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct ModelCard {
    /// [`FORMAT`].
    pub format: u32,
    /// The recipe, as TOML.
    pub recipe: String,
    /// Channels, height and width of an image.
    pub input: [usize; 3],
    /// The class names in index order.
    pub classes: Vec<String>,
}

impl Trainer {
    /// Loads pretrained weights from a file into all layers except the classifier. With the feature `formats`.
    ///
    /// # Errors
    /// When the file does not match the model, or the device is lost.
    pub async fn load_pretrained(&mut self, file: &TensorFile) -> Result<()> {
        let mut weights = self.weights().await?;
        load_pretrained(file, self.model(), &mut weights)?;
        self.set_weights(&weights)
    }
}

/// The initial weights of a run: drawn from the seed, or computed from training images. With `pretrained`, all except the classifier's come from that file.
///
/// # Errors
/// When the training images are missing or unsuitable, or the file does not match the model.
pub fn first_weights(
    model: &Model,
    recipe: &Recipe,
    dataset: Option<&Dataset>,
    pretrained: Option<&TensorFile>,
) -> Result<Weights> {
    let mut weights = inputs::first_weights(model, recipe, dataset)?;
    if let Some(file) = pretrained {
        load_pretrained(file, model, &mut weights)?;
    }
    Ok(weights)
}

/// Loads the parameters and statistics of all layers except the classifier from a file.
///
/// # Errors
/// As [`load_tensors`].
pub fn load_pretrained(file: &TensorFile, model: &Model, weights: &mut Weights) -> Result<()> {
    load_tensors(file, model, weights, |name| !model.is_classifiers(name))
}

/// Loads tensors of a file into a model's weights: the parameters and statistics for whose names `wanted` is true. Prefixes
/// that all names have (`module.`, `_orig_mod.`, `model.`) are taken off, unless the file has names of the model.
///
/// # Errors
/// [`Error::Data`] when tensors are missing, unexpected, or have another shape or dtype, and when a tensor has NaN or
/// infinity. The message lists all of them, and the model that the file belongs to, if that is known.
pub fn load_tensors(
    file: &TensorFile,
    model: &Model,
    weights: &mut Weights,
    wanted: impl Fn(&str) -> bool,
) -> Result<()> {
    let named = NamedTensors::for_model(file, model);
    check_fit(file, &named, model, &wanted)?;
    let parameters = model.parameters();
    let mut unsound = Vec::new();
    let mut take = |layout: &ParameterLayout, flat: &mut [f32]| {
        for parameter in layout.iter().filter(|parameter| wanted(&parameter.name)) {
            let values = named.values(&parameter.name)?;
            if !values.iter().all(|value| value.is_finite()) {
                unsound.push(format!("`{}`", parameter.name));
            }
            flat[parameter.range()].copy_from_slice(&values);
        }
        Ok::<_, Error>(())
    };
    take(parameters, &mut weights.learned)?;
    take(parameters.statistics(), &mut weights.statistics)?;
    // An activation on a GPU may turn NaN into 0, which would hide the error.
    match listed("NaN or infinity in ", &unsound) {
        Some(found) => Err(Error::data(format!(
            "{} holds {found}: its training diverged, or the file was damaged.",
            file.path().display()
        ))),
        None => Ok(()),
    }
}

/// Checks that the tensors of a file have the names, shapes and dtypes of a model.
fn check_fit(file: &TensorFile, named: &NamedTensors, model: &Model, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let parameters = model.parameters();
    let all = || parameters.iter().chain(parameters.statistics().iter());
    let found = |parameter: &Parameter| named.get(&parameter.name);
    let (mut missing, mut other) = (Vec::new(), Vec::new());
    for parameter in all().filter(|parameter| wanted(&parameter.name)) {
        let (name, shape) = (&parameter.name, &parameter.shape);
        match found(parameter) {
            None => missing.push(format!("`{name}` ({shape})")),
            Some(tensor) if tensor.shape != shape.dims() => {
                other.push(format!("`{name}` is {tensor} instead of {shape}"));
            }
            Some(tensor) if !tensor.is_float() => other.push(format!("`{name}` is {} instead of a float", tensor.kind)),
            Some(_) => {}
        }
    }
    let own: BTreeSet<&str> = all().map(|parameter| parameter.name.as_str()).collect();
    let extra = named.iter().filter(|(name, _)| !own.contains(name) && !name.ends_with(TRACKED));
    let extra: Vec<String> = extra.map(|(name, tensor)| format!("`{name}` ({tensor})")).collect();
    let complaints = [("missing ", missing), ("of another shape or dtype: ", other), ("unexpected ", extra)];
    let complaints: Vec<String> = complaints.into_iter().filter_map(|(what, list)| listed(what, &list)).collect();
    if complaints.is_empty() {
        return Ok(());
    }
    let hint = architecture_hint(file, Some(model.name()));
    Err(Error::data(format!(
        "{} does not match the model {}: {}.{hint}",
        file.path().display(),
        model.name(),
        complaints.join("; ")
    )))
}

/// Formats the first items of a list and the number of further ones. `None` for an empty list.
fn listed(what: &str, list: &[String]) -> Option<String> {
    let more = list.len().saturating_sub(NAMED);
    let named = list.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match (list.is_empty(), more) {
        (true, _) => None,
        (_, 0) => Some(format!("{what}{named}")),
        _ => Some(format!("{what}{named} and {more} more")),
    }
}

/// The sentence that names the torchvision model whose tensor names a file has; empty if that is the model `asked`.
pub(crate) fn architecture_hint(file: &TensorFile, asked: Option<&str>) -> String {
    let found = architecture_of(file).filter(|&name| Some(name) != asked);
    found.map_or_else(String::new, |name| format!(" Its tensors are those of the model {name}."))
}

/// The torchvision model whose tensor names a file has. Prefixes such as `module.`, and names of the libraries timm
/// and transformers, are understood.
pub fn architecture_of(file: &TensorFile) -> Option<&'static str> {
    let named = NamedTensors::of(file);
    let names: BTreeSet<&str> = named.names().filter(|name| !name.ends_with(TRACKED)).collect();
    let fits = |name: &&str| {
        let model = ModelConfig::named(*name).build([3, imagenet::SIDE, imagenet::SIDE], 10);
        model.is_ok_and(|model| {
            let parameters = model.parameters();
            let all = parameters.iter().chain(parameters.statistics().iter());
            all.map(|parameter| parameter.name.as_str()).collect::<BTreeSet<_>>() == names
        })
    };
    models::torchvision_models().into_iter().find(fits)
}

/// What a file says of the run whose weights it holds, under [`KEY`]: the recipe, the image shape and the class names.
pub(super) fn card_of(checkpoint: &Checkpoint) -> Result<String> {
    let mut recipe = checkpoint.recipe.clone();
    // Paths of this machine are private.
    (recipe.data.folder, recipe.model.pretrained_file) = (None, None);
    let name_of = |file: &String| Path::new(file).file_name().map(|name| name.to_string_lossy().into_owned());
    recipe.model.pretrained = recipe.model.pretrained.as_ref().and_then(name_of);
    let (recipe, classes) = (recipe.to_toml()?, checkpoint.classes.clone());
    let card = ModelCard { format: FORMAT, recipe, input: checkpoint.input, classes };
    serde_json::to_string(&card).map_err(|error| Error::data(format!("The metadata cannot be encoded: {error}.")))
}

/// Encodes the weights of a checkpoint that are used for inference as a safetensors file, with PyTorch's tensor names. With
/// `halves`, parameters are F16; statistics are always F32. The metadata have the recipe, the image shape and the class
/// names.
///
/// # Errors
/// When the checkpoint does not match its model, or a value is too large for F16.
pub fn export(checkpoint: &Checkpoint, halves: bool) -> Result<Vec<u8>> {
    let model = checkpoint.model()?;
    let parameters = model.parameters();
    let weights = checkpoint.weights_in_use(parameters)?;
    let mut written = BTreeMap::new();
    for parameter in parameters.iter() {
        let values = weights.learned[parameter.range()].to_vec();
        let numbers = if halves { TensorValues::F16(values) } else { TensorValues::F32(values) };
        written.insert(parameter.name.clone(), (parameter.shape.dims().to_vec(), numbers));
    }
    for parameter in parameters.statistics().iter() {
        let values = TensorValues::F32(weights.statistics[parameter.range()].to_vec());
        written.insert(parameter.name.clone(), (parameter.shape.dims().to_vec(), values));
        if let Some(layer) = parameter.name.strip_suffix("running_mean") {
            let steps = TensorValues::I64(vec![i64::from(checkpoint.counters.number)]);
            written.insert(format!("{layer}{TRACKED}"), (Vec::new(), steps));
        }
    }
    tensors::bytes(&written, Some((KEY, card_of(checkpoint)?)))
}
