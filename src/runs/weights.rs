//! Weights from files of others, and for them: what fits a model, what a file is of, and a model's own file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::data::{Dataset, Fit, Size, imagenet};
use crate::formats::tensors::{self, Numbers, TensorFile};
use crate::nn::models::{self, IMAGENET, ModelConfig};
use crate::nn::{Model, Parameter, ParameterLayout, Weights};
use crate::ops::augment::Augment;
use crate::train::{Checkpoint, Recipe, Trainer, inputs};
use crate::{Error, Result};

/// The version of what a weight file's metadata hold.
const FORMAT: u32 = 1;
/// The metadata's one key.
const KEY: &str = "gpunn.model";
/// How PyTorch calls a batch norm's count of batches, which nothing here depends on.
const TRACKED: &str = "num_batches_tracked";
/// How many tensors of a kind an error names.
const NAMED: usize = 6;

/// What a weight file that this program wrote says of itself.
#[derive(serde::Serialize, serde::Deserialize)]
struct Card {
    format: u32,
    recipe: String,
    input: [usize; 3],
    classes: Vec<String>,
}

impl Trainer {
    /// Begins with the weights of a file, but for the classifier, which begins anew.
    ///
    /// # Errors
    /// When the file does not fit the model, or the device is lost.
    pub async fn begin_from(&mut self, file: &TensorFile) -> Result<()> {
        let mut weights = self.weights().await?;
        begin(file, self.model(), &mut weights)?;
        self.set_weights(&weights)
    }
}

/// The weights that a run begins with: [`inputs::first_weights`], and all but the classifier's from a file where it begins with
/// pretrained ones.
///
/// # Errors
/// When there are no training images, or they or the file do not serve.
pub fn first_weights(
    model: &Model,
    recipe: &Recipe,
    dataset: Option<&Dataset>,
    pretrained: Option<&TensorFile>,
) -> Result<Weights> {
    let mut weights = inputs::first_weights(model, recipe, dataset)?;
    if let Some(file) = pretrained {
        begin(file, model, &mut weights)?;
    }
    Ok(weights)
}

/// Begins with the numbers of a file in all parameters and statistics but the classifier's.
///
/// # Errors
/// As [`fill`].
pub fn begin(file: &TensorFile, model: &Model, weights: &mut Weights) -> Result<()> {
    fill(file, model, weights, |name| !model.is_classifiers(name))
}

/// Puts the numbers of a file into a model's weights: those of the parameters and statistics that `wanted` names.
///
/// # Errors
/// [`Error::Data`] that names every tensor that is missing, has another shape or type, or is one too many, and the model that
/// the file is of where that is known; or every tensor that holds NaN or infinity.
pub fn fill(file: &TensorFile, model: &Model, weights: &mut Weights, wanted: impl Fn(&str) -> bool) -> Result<()> {
    check_fit(file, model, &wanted)?;
    let parameters = model.parameters();
    let mut unsound = Vec::new();
    let mut take = |layout: &ParameterLayout, flat: &mut [f32]| {
        for parameter in layout.iter().filter(|parameter| wanted(&parameter.name)) {
            let values = file.values(&parameter.name)?;
            if !values.iter().all(|value| value.is_finite()) {
                unsound.push(format!("`{}`", parameter.name));
            }
            flat[parameter.range()].copy_from_slice(&values);
        }
        Ok::<_, Error>(())
    };
    take(parameters, &mut weights.learned)?;
    take(parameters.statistics(), &mut weights.statistics)?;
    // An activation may turn NaN into 0, on a GPU as its maker likes: nothing downstream would tell of it.
    match listed("NaN or infinity instead of weights in ", &unsound) {
        Some(found) => Err(Error::data(format!(
            "{} holds {found}: its training diverged, or the file was damaged.",
            file.path().display()
        ))),
        None => Ok(()),
    }
}

/// Refuses a file whose tensors are not a model's, by their names, shapes and types.
fn check_fit(file: &TensorFile, model: &Model, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let parameters = model.parameters();
    let all = || parameters.iter().chain(parameters.statistics().iter());
    let found = |parameter: &Parameter| file.tensors().get(&parameter.name);
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
    let extra = file.tensors().iter().filter(|(name, _)| !own.contains(name.as_str()) && !name.ends_with(TRACKED));
    let extra: Vec<String> = extra.map(|(name, tensor)| format!("`{name}` ({tensor})")).collect();
    let complaints = [("it lacks ", missing), ("of another shape or type: ", other), ("it has in excess ", extra)];
    let complaints: Vec<String> = complaints.into_iter().filter_map(|(what, list)| listed(what, &list)).collect();
    if complaints.is_empty() {
        return Ok(());
    }
    let hint = twin_of(file)
        .filter(|&twin| twin != model.name())
        .map_or_else(String::new, |twin| format!(" Its tensors are those of the model {twin}."));
    Err(Error::data(format!(
        "{} does not fit the model {}: {}.{hint}",
        file.path().display(),
        model.name(),
        complaints.join("; ")
    )))
}

/// The first of a list, and how many more there are; nothing for an empty one.
fn listed(what: &str, list: &[String]) -> Option<String> {
    let more = list.len().saturating_sub(NAMED);
    let named = list.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match (list.is_empty(), more) {
        (true, _) => None,
        (_, 0) => Some(format!("{what}{named}")),
        _ => Some(format!("{what}{named} and {more} more")),
    }
}

/// Which of the models that have a twin in torchvision a file's tensors are named after.
pub fn twin_of(file: &TensorFile) -> Option<&'static str> {
    let names: BTreeSet<&str> = file.tensors().keys().map(String::as_str).filter(|n| !n.ends_with(TRACKED)).collect();
    let fits = |twin: &&str| {
        let model = ModelConfig::named(*twin).build([3, imagenet::SIDE, imagenet::SIDE], 10);
        model.is_ok_and(|model| {
            let parameters = model.parameters();
            let all = parameters.iter().chain(parameters.statistics().iter());
            all.map(|parameter| parameter.name.as_str()).collect::<BTreeSet<_>>() == names
        })
    };
    models::torchvision_models().into_iter().find(fits)
}

/// A checkpoint that stands before its first epoch with the weights of a file: of a model, for a data set's images and classes.
/// What is not given is taken from what the file says of itself, where this program wrote it, else from the names of its
/// tensors: twins of torchvision's models take ImageNet's images.
///
/// # Errors
/// [`Error::Usage`] when model or data set have to be named; else as [`fill`].
pub fn import(file: &TensorFile, model: Option<ModelConfig>, dataset: Option<&Dataset>) -> Result<Checkpoint> {
    let own = card(file)?;
    let (recipe, input, classes) = match (own, dataset) {
        (Some((recipe, card)), None) if model.as_ref().is_none_or(|model| model.name == recipe.model.name) => {
            (recipe, card.input, card.classes)
        }
        (_, dataset) => {
            let named = model.or_else(|| twin_of(file).map(ModelConfig::named));
            let config = named.ok_or_else(|| {
                Error::usage(format!(
                    "Of which model the weights in {} are cannot be told from their names; say it with --model.",
                    file.path().display()
                ))
            })?;
            described(file, config, dataset)?
        }
    };
    let model = recipe.build_model(input, classes.len())?;
    let mut weights = model.parameters().initial_weights(recipe.seed);
    fill(file, &model, &mut weights, |_| true)?;
    Ok(Checkpoint::at_start(recipe, (input, classes), model.parameters(), &weights))
}

/// What a file that this program wrote says of itself.
fn card(file: &TensorFile) -> Result<Option<(Recipe, Card)>> {
    let Some(text) = file.metadata().get(KEY) else { return Ok(None) };
    let wrong = |reason: &dyn std::fmt::Display| {
        Error::data(format!("{} says of itself what cannot be understood: {reason}.", file.path().display()))
    };
    let card: Card = serde_json::from_str(text).map_err(|error| wrong(&error))?;
    if card.format != FORMAT {
        return Err(wrong(&format!("its format is {}, but this gpunn reads {FORMAT}", card.format)));
    }
    Ok(Some((Recipe::parse(&card.recipe, "in it")?, card)))
}

/// The recipe, the images and the classes of a model for a data set, or of a twin of torchvision's for ImageNet.
fn described(
    file: &TensorFile,
    config: ModelConfig,
    dataset: Option<&Dataset>,
) -> Result<(Recipe, [usize; 3], Vec<String>)> {
    let name = config.name.clone();
    if let Some(dataset) = dataset {
        let mut recipe = super::choose(None, Some(config), Some(&dataset.name))?;
        recipe.data.folder.clone_from(&dataset.folder);
        (recipe.model.pretrained, recipe.model.unfreeze) = (None, None);
        return Ok((recipe, dataset.input, dataset.classes.clone()));
    }
    if models::published(&name).is_none() {
        return Err(Error::usage(format!(
            "For which images and classes the weights in {} are is not written in it; name the data set with --dataset.",
            file.path().display()
        )));
    }
    let side = imagenet::SIDE;
    let last = classifier(file, &config.build([3, side, side], 10)?)?;
    // The one size of SqueezeNet's that differs between recipes.
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

/// The shape of a file's last weight, by the name that a model has for it: as many outputs as there are classes, and so on.
fn classifier(file: &TensorFile, model: &Model) -> Result<Vec<usize>> {
    let mut weights = model.parameters().iter().filter(|parameter| parameter.name.ends_with(".weight"));
    let name = weights.next_back().map_or("", |parameter| parameter.name.as_str());
    let shape = file.tensors().get(name).map(|tensor| tensor.shape.clone());
    shape.filter(|shape| shape.len() > 1 && shape.iter().all(|size| (1..=65_536).contains(size))).ok_or_else(|| {
        let hint =
            twin_of(file).map_or_else(String::new, |twin| format!(" Its tensors are those of the model {twin}."));
        Error::data(format!(
            "{} does not fit the model {}: it has no classifier's weight `{name}`.{hint}",
            file.path().display(),
            model.name()
        ))
    })
}

/// The bytes of a safetensors file with a checkpoint's weights, as it measures and uses them, under PyTorch's names; as
/// halves where `halves` says so, but for what is measured. Its metadata hold the recipe, the images' shape and the
/// classes' names.
///
/// # Errors
/// When the checkpoint is of another model, or a number is beyond what a half holds.
pub fn export(checkpoint: &Checkpoint, halves: bool) -> Result<Vec<u8>> {
    let model = checkpoint.recipe.build_model(checkpoint.input, checkpoint.classes.len())?;
    let parameters = model.parameters();
    let weights = checkpoint.weights_in_use(parameters)?;
    let mut written = BTreeMap::new();
    for parameter in parameters.iter() {
        let values = weights.learned[parameter.range()].to_vec();
        let numbers = if halves { Numbers::F16(values) } else { Numbers::F32(values) };
        written.insert(parameter.name.clone(), (parameter.shape.dims().to_vec(), numbers));
    }
    for parameter in parameters.statistics().iter() {
        let values = Numbers::F32(weights.statistics[parameter.range()].to_vec());
        written.insert(parameter.name.clone(), (parameter.shape.dims().to_vec(), values));
        if let Some(layer) = parameter.name.strip_suffix("running_mean") {
            let steps = Numbers::I64(vec![i64::from(checkpoint.counters.number)]);
            written.insert(format!("{layer}{TRACKED}"), (Vec::new(), steps));
        }
    }
    let mut recipe = checkpoint.recipe.clone();
    // Where the data and what it began with lay is nobody else's business.
    recipe.data.folder = None;
    let name_of = |file: &String| Path::new(file).file_name().map(|name| name.to_string_lossy().into_owned());
    recipe.model.pretrained = recipe.model.pretrained.as_ref().and_then(name_of);
    let (recipe, classes) = (recipe.to_toml()?, checkpoint.classes.clone());
    let card = Card { format: FORMAT, recipe, input: checkpoint.input, classes };
    let card = serde_json::to_string(&card).map_err(|error| Error::data(format!("The metadata: {error}.")))?;
    tensors::bytes(&written, Some((KEY, card)))
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
        assert_eq!(import(&file, None, None).expect("imported"), whole);
        let halves = opened(&export(&whole, true).expect("bytes"));
        assert_eq!(
            (halves.tensors()["fc.weight"].kind.as_str(), halves.tensors()["bn1.running_var"].kind.as_str()),
            ("F16", "F32")
        );
        let back = import(&halves, None, None).expect("imported");
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
    fn a_twin_is_known_by_its_names_and_misfits_are_reported_together() {
        let file = opened(&export(&checkpoint(ModelConfig::named("resnet18"), [3, 64, 64], 4), false).expect("bytes"));
        assert_eq!(twin_of(&file), Some("resnet18"));
        let model = ModelConfig::named("squeezenet").build([3, 64, 64], 4).expect("a model");
        let mut weights = model.parameters().initial_weights(1);
        let sentence = fill(&file, &model, &mut weights, |_| true).expect_err("refused").to_string();
        for part in
            ["it lacks `features.0.weight` (64x3x3x3)", "and 46 more", "in excess `bn1.bias` (64)", "model resnet18"]
        {
            assert!(sentence.contains(part), "{part}: {sentence}");
        }
        let model = ModelConfig::named("resnet18").build([3, 64, 64], 5).expect("a model");
        let mut weights = model.parameters().initial_weights(1);
        let sentence = fill(&file, &model, &mut weights, |_| true).expect_err("refused").to_string();
        assert!(sentence.contains("`fc.weight` is 4x512 instead of 5x512, `fc.bias` is 4 instead of 5"), "{sentence}");
        fill(&file, &model, &mut weights, |name| !model.is_classifiers(name)).expect("all but the classifier fit");
    }
}
