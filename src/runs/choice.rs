//! Choosing a recipe from the name of a recipe, a model, a dataset, or any subset of these.

use std::path::Path;

use super::onnx::{OnnxFile, is_onnx};
use crate::data::ImageOptions;
use crate::datasets::preprocessing;
use crate::files::read_text;
use crate::nn::Scheme;
use crate::nn::models::{self, IMAGENET, ModelConfig};
use crate::nn::network::LayerConfig;
use crate::train::Recipe;
use crate::train::recipe::{self, not_right};
use crate::{Error, Result};

/// The model whose recipes are used for convolutional networks without recipes of their own.
const SIMILAR: &str = "cnn";
/// The model whose recipes are used for other torchvision models.
const TORCHVISION: &str = "squeezenet";

/// The content of a network file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkFile {
    name: Option<String>,
    #[serde(default)]
    init: Scheme,
    #[serde(deserialize_with = "crate::nn::network::layer_configs")]
    layer: Vec<LayerConfig>,
}

/// Finds a model by its name, or reads the network in a TOML or ONNX file. A network without a name is named after its file.
///
/// # Errors
/// When there is neither, or the file is not a valid network. The message suggests the most similar name.
pub fn model(name_or_file: &str) -> Result<ModelConfig> {
    let path = Path::new(name_or_file);
    if models::names().contains(&name_or_file) {
        return Ok(ModelConfig::named(name_or_file));
    }
    if !path.exists() {
        return Err(match is_onnx(path) || path.extension().is_some_and(|extension| extension == "toml") {
            true => Error::usage(format!("There is no network file {}.", path.display())),
            false => crate::error::unknown("model", name_or_file, &models::names()),
        });
    }
    if is_onnx(path) {
        return OnnxFile::open(path, &ImageOptions::default()).map(|file| file.model);
    }
    let text = read_text(path, "network")?;
    let stem = path.file_stem().map_or_else(|| "network".into(), |stem| stem.to_string_lossy().into_owned());
    network(&text, &path.display().to_string(), stem)
}

/// Parses the text of a network file. Error messages call it `origin`. `own` is the name of a network that has none.
fn network(text: &str, origin: &str, own: String) -> Result<ModelConfig> {
    if toml::from_str::<toml::Table>(text).is_ok_and(|table| table.contains_key("training")) {
        return Err(Error::usage(format!("{origin} is a recipe, not a network; name it with --recipe.")));
    }
    let written: NetworkFile =
        toml::from_str(text).map_err(|error| not_right(&format!("network {origin}"), text, &error))?;
    if written.layer.is_empty() {
        return Err(Error::usage(format!("The network {origin} has no layers; begin each with [[layer]].")));
    }
    let name = written.name.unwrap_or(own);
    let config = ModelConfig { init: written.init, layer: written.layer, ..ModelConfig::named(name) };
    config.validate()?;
    Ok(config)
}

/// Chooses a recipe and sets its model and dataset. Without the name of a recipe, the first one that exists is used: of the
/// model and dataset, of the model on another dataset, of a similar model.
///
/// # Errors
/// For unknown names.
pub fn choose(recipe: Option<&str>, model: Option<ModelConfig>, dataset: Option<&str>) -> Result<Recipe> {
    let mut chosen = match (recipe, &model) {
        (Some(name), _) => Recipe::find(name)?,
        (None, None) => Recipe::of_pair(None, dataset).map_or_else(|| Recipe::find(recipe::DEFAULT), Ok)?,
        (None, Some(model)) => for_model(model, dataset)?,
    };
    if let Some(model) = model.filter(|model| model.name != chosen.model.name || !model.layer.is_empty()) {
        // The options of another model do not apply to this one.
        let init = if model.layer.is_empty() { chosen.model.init } else { model.init };
        let published =
            chosen.model.pretrained.as_deref() == Some(IMAGENET) && models::published(&model.name).is_some();
        chosen.model = match published {
            true => ModelConfig { init, ..with_pretrained(&chosen.model, model) },
            false => ModelConfig { init, ..model },
        };
    }
    match dataset {
        Some(dataset) => chosen.data.name = dataset.into(),
        None if chosen.data.name == recipe::FOLDER => {
            let name = &chosen.name;
            return Err(Error::usage(format!(
                "The recipe {name} is for a folder of images; name the folder with --dataset."
            )));
        }
        None => {}
    }
    Ok(chosen)
}

/// A model with the pretrained weights and the fine-tuning options of another one.
fn with_pretrained(other: &ModelConfig, model: ModelConfig) -> ModelConfig {
    let ModelConfig { pretrained, unfreeze, pretrained_rate, layer_decay, .. } = other.clone();
    ModelConfig { pretrained, unfreeze, pretrained_rate, layer_decay, ..model }
}

fn for_model(model: &ModelConfig, dataset: Option<&str>) -> Result<Recipe> {
    model.validate()?;
    let name = model.name.as_str();
    let own = Recipe::of_pair(Some(name), dataset);
    // ImageNet weights are for images of 224 pixels. Images of another size that are not resized get random weights.
    let resized = dataset.is_none_or(|dataset| preprocessing(dataset, &ImageOptions::default()).is_some());
    if own.is_none() && !resized && models::published(name).is_some() {
        let similar = Recipe::of_pair(Some(SIMILAR), dataset).or_else(|| Recipe::of_pair(Some(SIMILAR), None));
        return similar.map_or_else(|| Recipe::find(recipe::DEFAULT), Ok);
    }
    // On another dataset than its recipe's, a model keeps only its initialisation and dropout.
    let elsewhere = || {
        let mut recipe = Recipe::of_pair(Some(name), None)?;
        let ModelConfig { init, dropout, .. } = recipe.model;
        recipe.model = ModelConfig { init, dropout, ..with_pretrained(&recipe.model, ModelConfig::named(name)) };
        Some(recipe)
    };
    let found = own.or_else(elsewhere);
    let similar = if models::published(name).is_some() { TORCHVISION } else { SIMILAR };
    let found =
        found.or_else(|| Recipe::of_pair(Some(similar), dataset)).or_else(|| Recipe::of_pair(Some(similar), None));
    found.map_or_else(|| Recipe::find(recipe::DEFAULT), Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: &str = "
[[layer]]
kind = \"conv2d\"
outputs = 8
kernel = 3
[[layer]]
kind = \"global-average-pool\"
[[layer]]
kind = \"classes\"
";

    fn chosen(model: &str, dataset: Option<&str>) -> Recipe {
        choose(None, Some(ModelConfig::named(model)), dataset).expect("a recipe")
    }

    #[test]
    fn a_model_and_a_data_set_find_their_recipe() {
        assert_eq!(chosen("cnn", Some("cifar10")).name, "cifar10-cnn");
        assert_eq!(chosen("cnn", Some("emnist36")).name, "nist36-cnn");
        assert_eq!(chosen("cnn", Some("sun8")).name, "sun8-cnn");
        assert_eq!(choose(None, None, None).expect("a recipe").name, recipe::DEFAULT);
        let on_another = chosen("cnn", Some("mnist"));
        assert_eq!((on_another.model.channels, on_another.data.name.as_str()), (None, "mnist"));
        let alike = chosen("resnet9", Some("cifar10"));
        assert_eq!((alike.model.name.as_str(), alike.training.epochs), ("resnet9", 25.0));
    }

    #[test]
    fn torchvision_models_begin_with_pretrained_weights() {
        for name in models::torchvision_models() {
            let recipe = chosen(name, Some("my-images"));
            assert_eq!((recipe.model.name.as_str(), recipe.data.name.as_str()), (name, "my-images"));
            assert_eq!(recipe.model.pretrained.as_deref(), Some(IMAGENET));
            recipe.validate().expect("sound");
            recipe.build_model([3, 256, 256], 3).expect("a model");
        }
        assert_eq!(chosen("resnet9", Some("flowers17")).model.pretrained, None);
    }

    #[test]
    fn torchvision_models_learn_from_images_of_a_fixed_size_without_pretrained_weights() {
        for (name, dataset, input, recipe) in [
            ("resnet18", "cifar10", [3, 32, 32], "cifar10-cnn"),
            ("squeezenet", "cifar10", [3, 32, 32], "cifar10-cnn"),
            ("mobilenet_v2", "mnist", [1, 28, 28], "nist36-cnn"),
        ] {
            let chosen = chosen(name, Some(dataset));
            assert_eq!((chosen.name.as_str(), chosen.model.name.as_str()), (recipe, name));
            assert_eq!((&chosen.model.pretrained, chosen.data.asked()), (&None, ImageOptions::default()));
            chosen.validate().expect("sound");
            chosen.build_model(input, 10).expect("a model");
        }
    }

    #[test]
    fn a_network_is_embedded_in_its_recipe_and_survives_being_written() {
        let network = network(NETWORK, "it", "small".into()).expect("a network");
        let recipe = choose(None, Some(network.clone()), Some("cifar10")).expect("a recipe");
        assert_eq!(recipe.model, network);
        let text = recipe.to_toml().expect("text");
        assert!(text.contains("[[model.layer]]\nkind = \"conv2d\""), "{text}");
        assert_eq!(Recipe::parse(&text, "again").expect("a recipe"), recipe);
    }

    #[test]
    fn errors_in_networks_name_the_layer() {
        let cases = [
            ("\"conv2d\"", "\"conv3d\"", "did you mean `conv2d`"),
            ("outputs = 8", "output = 8", "layer 1: `conv2d`: unknown field `output`"),
            ("outputs = 8\n", "", "missing field `outputs`"),
            ("kernel = 3", "kernel = \"3\"", "[3, 5]"),
            ("kind = \"classes\"", "name = \"x\"", "its kind"),
            ("[[layer]]\nkind = \"conv2d\"", "name = \"cnn\"\n[[layer]]\nkind = \"conv2d\"", "another name"),
        ];
        for (from, to, part) in cases {
            assert!(NETWORK.contains(from), "{from}");
            let sentence = network(&NETWORK.replace(from, to), "it", "small".into()).expect_err("refused").to_string();
            assert!(sentence.contains(part), "{sentence}");
        }
    }
}
