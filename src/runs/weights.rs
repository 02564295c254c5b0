//! Importing and exporting weights, with the tensor names of PyTorch.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::data::{Dataset, Fit, Size, imagenet};
use crate::formats::tensors::{self, TensorFile, TensorValues};
use crate::nn::models::{self, IMAGENET, ModelConfig};
use crate::nn::{Model, Parameter, ParameterLayout, Weights};
use crate::ops::augment::Augment;
use crate::train::{Checkpoint, Recipe, Trainer, inputs};
use crate::{Error, Result};

use super::names::NamedTensors;

/// The version of the metadata in exported files.
const FORMAT: u32 = 1;
/// The only key of the metadata.
pub(super) const KEY: &str = "gpunn.model";
/// PyTorch's name for the number of batches that a batch norm has seen. It is ignored on import.
const TRACKED: &str = "num_batches_tracked";
/// The maximum number of tensors in one list of an error message.
const NAMED: usize = 6;

/// The metadata of an exported file.
#[derive(serde::Serialize, serde::Deserialize)]
struct ModelCard {
    format: u32,
    recipe: String,
    input: [usize; 3],
    classes: Vec<String>,
}

impl Trainer {
    /// Loads pretrained weights from a file into all layers except the classifier. With the feature `files`.
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
fn architecture_hint(file: &TensorFile, asked: Option<&str>) -> String {
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

/// Imported weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The weights in a checkpoint before its first epoch.
    pub checkpoint: Checkpoint,
    /// Whether gpunn trained the weights, with this checkpoint's recipe, which was in the file.
    pub has_recipe: bool,
}

/// Makes a checkpoint before its first epoch from the weights in a file.
///
/// A missing `model` is taken from the metadata of a file that this program exported, with the whole recipe. Otherwise the model is
/// recognised by its tensor names, and it has to be one of torchvision's, with the classes of ImageNet.
///
/// # Errors
/// [`Error::Usage`] when the model or dataset is unknown and must be given; else as [`load_tensors`].
pub fn import(file: &TensorFile, model: Option<ModelConfig>) -> Result<Imported> {
    let own = own_card(file, model.as_ref())?;
    let has_recipe = own.is_some();
    let (recipe, input, classes) = match own {
        Some((recipe, card)) => (recipe, card.input, card.classes),
        None => of_imagenet(file, known_model(file, model)?)?,
    };
    Ok(Imported { checkpoint: with_weights(file, recipe, input, classes)?, has_recipe })
}

/// The recipe with which a file's network is trained on a dataset: the one in a file that this program exported, else the one for the
/// network. It starts from random weights.
///
/// # Errors
/// [`Error::Usage`] when the model is unknown and must be given.
pub fn recipe_for(file: &TensorFile, model: Option<ModelConfig>, dataset: &str) -> Result<Recipe> {
    let own = own_card(file, model.as_ref())?;
    let mut recipe = match own {
        Some((recipe, _)) => recipe,
        None => super::choose(None, Some(known_model(file, model)?), Some(dataset))?,
    };
    recipe.data.name = dataset.into();
    (recipe.model.pretrained, recipe.model.unfreeze) = (None, None);
    Ok(recipe)
}

/// Makes a checkpoint before its first epoch from the weights in a file, for the images and classes of a dataset, which the recipe has
/// loaded.
///
/// # Errors
/// As [`load_tensors`].
pub fn import_for(file: &TensorFile, recipe: Recipe, dataset: &Dataset) -> Result<Checkpoint> {
    with_weights(file, recipe, dataset.input, dataset.classes.clone())
}

/// The metadata of a file that this program exported, if they are of the named model.
fn own_card(file: &TensorFile, named: Option<&ModelConfig>) -> Result<Option<(Recipe, ModelCard)>> {
    Ok(card(file)?.filter(|(recipe, _)| named.is_none_or(|model| model.name == recipe.model.name)))
}

/// Makes a checkpoint before its first epoch from all weights in a file.
pub(super) fn with_weights(
    file: &TensorFile,
    recipe: Recipe,
    input: [usize; 3],
    classes: Vec<String>,
) -> Result<Checkpoint> {
    let model = recipe.build_model(input, classes.len())?;
    let mut weights = model.parameters().initial_weights(recipe.seed);
    load_tensors(file, &model, &mut weights, |_| true)?;
    Ok(Checkpoint::at_start(recipe, (input, classes), model.parameters(), &weights))
}

/// The named model, else the one whose tensor names the file has.
fn known_model(file: &TensorFile, named: Option<ModelConfig>) -> Result<ModelConfig> {
    named.or_else(|| architecture_of(file).map(ModelConfig::named)).ok_or_else(|| {
        Error::usage(format!(
            "The tensor names in {} are not those of a known model; name the model with --model.",
            file.path().display()
        ))
    })
}

/// Reads the metadata of a file that this program exported. `None` for other files.
fn card(file: &TensorFile) -> Result<Option<(Recipe, ModelCard)>> {
    card_in(file.metadata(), file.path())
}

/// The recipe in the metadata of a file that this program exported.
pub(super) fn recipe_in(metadata: &BTreeMap<String, String>, path: &Path) -> Result<Option<Recipe>> {
    Ok(card_in(metadata, path)?.map(|(recipe, _)| recipe))
}

/// The shape of the images of the run, in the metadata of a file that this program exported.
pub(super) fn input_in(metadata: &BTreeMap<String, String>) -> Option<[usize; 3]> {
    metadata.get(KEY).and_then(|text| serde_json::from_str::<ModelCard>(text).ok()).map(|card| card.input)
}

fn card_in(metadata: &BTreeMap<String, String>, path: &Path) -> Result<Option<(Recipe, ModelCard)>> {
    let Some(text) = metadata.get(KEY) else { return Ok(None) };
    let wrong =
        |reason: &dyn std::fmt::Display| Error::data(format!("{} has invalid metadata: {reason}.", path.display()));
    let card: ModelCard = serde_json::from_str(text).map_err(|error| wrong(&error))?;
    if card.format != FORMAT {
        return Err(wrong(&format!("its format is {}, but this gpunn reads {FORMAT}", card.format)));
    }
    Ok(Some((Recipe::parse(&card.recipe, "in it")?, card)))
}

/// The recipe, image shape and class names of a torchvision model for ImageNet.
fn of_imagenet(file: &TensorFile, config: ModelConfig) -> Result<(Recipe, [usize; 3], Vec<String>)> {
    let name = config.name.clone();
    if models::published(&name).is_none() {
        return Err(Error::usage(format!(
            "{} does not say for which images and classes its weights are; name the dataset with --dataset.",
            file.path().display()
        )));
    }
    let side = imagenet::SIDE;
    let last = classifier(file, &config.build([3, side, side], 10)?)?;
    // The kernel size of SqueezeNet's classifier, which differs between recipes.
    let kernel = last.get(2).copied().filter(|&kernel| kernel != 1);
    let mut recipe = super::choose(None, Some(config), None)?;
    recipe.name.clone_from(&name);
    recipe.model = ModelConfig { kernel, ..ModelConfig::named(&name) };
    recipe.data.name = IMAGENET.into();
    (recipe.data.size, recipe.data.fit) = (Some(Size::Square(side)), Some(Fit::ResizeMiddle));
    let (mean, std) = (Some(imagenet::MEAN.to_vec()), Some(imagenet::STD.to_vec()));
    recipe.augment = Some(Augment { mean, std, ..Augment::default() });
    recipe.validate()?;
    let known = imagenet::classes();
    let classes = if last[0] == known.len() { known } else { (0..last[0]).map(|number| number.to_string()).collect() };
    Ok((recipe, [3, side, side], classes))
}

/// The shape of the classifier's weight in a file: the number of classes first. The model gives its name.
fn classifier(file: &TensorFile, model: &Model) -> Result<Vec<usize>> {
    let mut weights = model.parameters().iter().filter(|parameter| parameter.name.ends_with(".weight"));
    let name = weights.next_back().map_or("", |parameter| parameter.name.as_str());
    let shape = NamedTensors::for_model(file, model).get(name).map(|tensor| tensor.shape.clone());
    shape.filter(|shape| shape.len() > 1 && shape.iter().all(|size| (1..=65_536).contains(size))).ok_or_else(|| {
        let hint = architecture_hint(file, None);
        Error::data(format!(
            "{} does not match the model {}: it has no classifier weight `{name}`.{hint}",
            file.path().display(),
            model.name()
        ))
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(bytes: &[u8]) -> TensorFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("written");
        TensorFile::open(file.path()).expect("opened")
    }

    fn checkpoint(config: ModelConfig, input: [usize; 3], classes: usize) -> Checkpoint {
        let mut recipe = Recipe::find("cifar10-cnn").expect("a recipe");
        (recipe.model, recipe.augment) = (config, None);
        let model = recipe.build_model(input, classes).expect("a model");
        let weights = model.parameters().initial_weights(5);
        let classes = (0..classes).map(|class| format!("class {class}")).collect();
        Checkpoint::at_start(recipe, (input, classes), model.parameters(), &weights)
    }

    #[test]
    fn what_is_exported_is_imported_and_has_the_same_bytes() {
        let whole = checkpoint(ModelConfig::named("resnet18-small"), [3, 32, 32], 7);
        let bytes = export(&whole, false).expect("bytes");
        assert_eq!(bytes, export(&whole, false).expect("bytes"));
        let file = opened(&bytes);
        assert_eq!(file.tensors()["layer1.0.bn1.num_batches_tracked"].kind, "I64");
        let imported = import(&file, None).expect("imported");
        assert_eq!((&imported.checkpoint, imported.has_recipe), (&whole, true));
        let halves = opened(&export(&whole, true).expect("bytes"));
        assert_eq!(
            (halves.tensors()["fc.weight"].kind.as_str(), halves.tensors()["bn1.running_var"].kind.as_str()),
            ("F16", "F32")
        );
        let back = import(&halves, None).expect("imported").checkpoint;
        let (_, fine) = &whole.tensors["fc.weight"];
        for (coarse, fine) in back.tensors["fc.weight"].1.iter().zip(fine) {
            assert!((coarse - fine).abs() <= fine.abs() / 2048.0 + 6e-8, "{coarse} {fine}");
        }
    }

    #[test]
    fn an_export_names_no_folder_of_its_makers() {
        let mut begun = checkpoint(ModelConfig::named("resnet18-small"), [3, 32, 32], 7);
        begun.recipe.model.pretrained = Some("/home/of/mine.safetensors".into());
        begun.recipe.data.folder = Some("/home/of/data".into());
        let told = opened(&export(&begun, false).expect("bytes")).metadata()[KEY].clone();
        assert!(told.contains("mine.safetensors") && !told.contains("home"), "{told}");
    }

    #[test]
    fn a_torchvision_model_is_known_by_its_names_and_misfits_are_reported_together() {
        let file = opened(&export(&checkpoint(ModelConfig::named("resnet18"), [3, 64, 64], 4), false).expect("bytes"));
        assert_eq!(architecture_of(&file), Some("resnet18"));
        for name in ["mobilenet_v3_small", "regnet_y_400mf", "convnext_atto"] {
            let bytes = export(&checkpoint(ModelConfig::named(name), [3, 64, 64], 4), false).expect("bytes");
            assert_eq!(architecture_of(&opened(&bytes)), Some(name));
        }
        let model = ModelConfig::named("squeezenet").build([3, 64, 64], 4).expect("a model");
        let mut weights = model.parameters().initial_weights(1);
        let sentence = load_tensors(&file, &model, &mut weights, |_| true).expect_err("refused").to_string();
        for part in
            ["missing `features.0.weight` (64x3x3x3)", "and 46 more", "unexpected `bn1.bias` (64)", "model resnet18"]
        {
            assert!(sentence.contains(part), "{part}: {sentence}");
        }
        let model = ModelConfig::named("resnet18").build([3, 64, 64], 5).expect("a model");
        let mut weights = model.parameters().initial_weights(1);
        let sentence = load_tensors(&file, &model, &mut weights, |_| true).expect_err("refused").to_string();
        assert!(sentence.contains("`fc.weight` is 4x512 instead of 5x512, `fc.bias` is 4 instead of 5"), "{sentence}");
        load_tensors(&file, &model, &mut weights, |name| !model.is_classifiers(name))
            .expect("all but the classifier fit");
    }
}
