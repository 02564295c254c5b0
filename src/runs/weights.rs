//! Importing weights, with the tensor names of PyTorch: the recipe, the images and the classes that they are for.

use std::collections::BTreeMap;
use std::path::Path;

use crate::data::{Dataset, Fit, Size, imagenet};
use crate::formats::tensors::TensorFile;
use crate::nn::Model;
use crate::nn::models::{self, IMAGENET, ModelConfig};
use crate::ops::augment::Augment;
use crate::saved::names::NamedTensors;
use crate::saved::weights::{FORMAT, KEY, ModelCard, architecture_hint};
pub use crate::saved::weights::{architecture_of, export, first_weights, load_pretrained, load_tensors};
use crate::train::{Checkpoint, Recipe};
use crate::{Error, Result};

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
