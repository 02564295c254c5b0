//! The recipes that the page has beside the built-in ones, and what it refuses in others.

use gpunn::nn::models::Task;
use gpunn::train::Recipe;
use gpunn::{Error, Result};

/// Fine-tuning of SqueezeNet, whose weights the user brings.
const SQUEEZENET: &str = include_str!("../recipes/squeezenet.toml");

/// The recipe with this name, or the one of a text of several lines.
pub fn with_name(recipe: &str) -> Result<Recipe> {
    match recipe {
        "squeezenet" => Recipe::parse(SQUEEZENET, recipe),
        text if text.contains('\n') => Recipe::parse(text, "here"),
        name => Recipe::built_in(name),
    }
}

/// Refuses what a recipe may say and the page does not do. `has_images` says whether there are images of the user's, `has_weights`
/// whether there are pretrained weights.
pub fn check(recipe: &Recipe, has_images: bool, has_weights: bool) -> Result<()> {
    let data = &recipe.data;
    let given = [
        ("data.limit_train", data.limit_train.is_some()),
        ("data.val_fraction", data.val_fraction.is_some() && !has_images),
        ("data.fold", data.fold.is_some()),
        ("data.labels", data.labels.is_some()),
    ];
    if let Some((key, _)) = given.iter().find(|(_, given)| *given) {
        return Err(Error::usage(format!("The page does not have the setting `{key}` of recipes; leave it out.")));
    }
    if recipe.model.pretrained.is_some() && !has_weights {
        return Err(Error::usage(format!(
            "The recipe begins with pretrained weights of {}: choose their file first.",
            recipe.model.name
        )));
    }
    match recipe.model.task()? {
        Task::Classify => Ok(()),
        _ => Err(Error::usage("The page trains classifiers, but this recipe is of another task.")),
    }
}
