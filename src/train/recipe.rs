//! Recipes: one TOML file says everything that an experiment is.

use std::path::PathBuf;

use super::tta::Tta;
use crate::data::{Fit, ImageOptions, Size};
use crate::nn::Model;
use crate::nn::models::{self, Task};
use crate::ops::augment::Augment;
use crate::ops::batch::Reduction;
use crate::optim::{Optimizer, Schedule};
use crate::{Error, Result};

/// The version of the format that this program writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// The recipe of `gpunn train` alone.
pub const DEFAULT: &str = "glyphs-mlp";

/// The recipes that are built in, by name.
const BUILT_IN: [(&str, &str); 14] = [
    ("glyphs-mlp", include_str!("../../recipes/glyphs-mlp.toml")),
    ("nist36-mlp", include_str!("../../recipes/nist36-mlp.toml")),
    ("nist36-mlp-momentum", include_str!("../../recipes/nist36-mlp-momentum.toml")),
    ("nist36-autoencoder", include_str!("../../recipes/nist36-autoencoder.toml")),
    ("nist36-autoencoder-conv", include_str!("../../recipes/nist36-autoencoder-conv.toml")),
    ("nist36-cnn", include_str!("../../recipes/nist36-cnn.toml")),
    ("cifar10-cnn", include_str!("../../recipes/cifar10-cnn.toml")),
    ("sun8-cnn", include_str!("../../recipes/sun8-cnn.toml")),
    ("flowers17-squeezenet", include_str!("../../recipes/flowers17-squeezenet.toml")),
    ("flowers17-best", include_str!("../../recipes/flowers17-best.toml")),
    ("cifar10-fast", include_str!("../../recipes/cifar10-fast.toml")),
    ("cifar10-best", include_str!("../../recipes/cifar10-best.toml")),
    ("nist36-best", include_str!("../../recipes/nist36-best.toml")),
    ("sun8-best", include_str!("../../recipes/sun8-best.toml")),
];

/// An experiment: model, data, training, optimizer and schedule.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The version of the format.
    pub format: u32,
    /// Its name, which run directories are named after.
    pub name: String,
    /// What every random number of the run depends on.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// The network.
    pub model: models::ModelConfig,
    /// The images.
    pub data: Data,
    /// What becomes of an image before the network sees it; without it images are as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augment: Option<Augment>,
    /// The loop.
    pub training: Training,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// How the learning rate changes.
    #[serde(default)]
    pub schedule: Schedule,
}

/// Which images.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// The data set's name, or the path of a folder of images.
    pub name: String,
    /// The data directory where it was found; a run writes it down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// Train on so many images only, as many of each class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_train: Option<usize>,
    /// The part of the training images that is held out for validation, between 0 and 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_fraction: Option<f64>,
    /// The size that images of a folder are brought to: `64`, or `[height, width]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// How: `centre-crop`, `resize` or `resize-crop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<Fit>,
    /// 3 for images in colour, 1 for grey ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// Go on without images that cannot be decoded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip_bad: bool,
    /// Keep the images off the device and send each batch when it is needed: from the disk for a folder of images, else from
    /// the host's memory. By itself where they are larger than what the device can bind.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
}

impl Data {
    /// How images of a folder are to be brought to one size.
    pub fn asked(&self) -> ImageOptions {
        ImageOptions { size: self.size, fit: self.fit, channels: self.channels }
    }
}

/// How the loop goes.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// How often every image is seen.
    pub epochs: u32,
    /// Images of a step.
    pub batch_size: usize,
    /// How the losses of a batch become one.
    #[serde(default = "default_reduction")]
    pub reduction: Reduction,
    /// Whether a last batch that is not full is left out.
    #[serde(default)]
    pub drop_last: bool,
    /// The share of the target that is spread over all classes.
    #[serde(default)]
    pub label_smoothing: f32,
    /// The decay of a moving average of the weights, from 0 to below 1, which is measured and used instead of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// What is averaged when measuring and using.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tta: Option<Tta>,
    /// Whether what frozen layers at the network's start make of each image is computed once, of the image as it is
    /// measured, and kept. Where it is left out: where that loses nothing, no image being changed at random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_features: Option<bool>,
    /// Ends the run after so many epochs without a better validation figure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<u32>,
}

fn default_seed() -> u64 {
    1
}
fn default_reduction() -> Reduction {
    Reduction::Mean
}

/// The names of the recipes that are built in, the default first.
pub fn names() -> Vec<&'static str> {
    BUILT_IN.iter().map(|&(name, _)| name).collect()
}

/// The error of a text that is no `what`, with the line.
pub(crate) fn not_right(what: &str, text: &str, error: &toml::de::Error) -> Error {
    let place = error.span().map_or_else(String::new, |span| {
        let before = &text[..span.start.min(text.len())];
        let number = before.matches('\n').count() + 1;
        let line = text.lines().nth(number - 1).unwrap_or_default().trim();
        format!(", line {number} (`{line}`)")
    });
    let reason = error.message().trim_end_matches('.').replace('\n', " ");
    Error::usage(format!("The {what}{place} is not right: {reason}."))
}

impl Recipe {
    /// A built-in recipe.
    ///
    /// # Errors
    /// For an unknown name, with the nearest known one.
    pub fn built_in(name: &str) -> Result<Self> {
        match BUILT_IN.iter().find(|(known, _)| *known == name) {
            Some((name, text)) => Self::parse(text, name),
            None => Err(crate::error::unknown("recipe", name, &names())),
        }
    }

    /// The built-in recipe for a model, a data set, or both; `None` where there is none.
    pub fn of_pair(model: Option<&str>, dataset: Option<&str>) -> Option<Self> {
        // emnist36 stands in for nist36 and has its layout.
        let same = |known: &str, asked: &str| known == asked || (known == "nist36" && asked == "emnist36");
        let fits = |recipe: &Self| {
            model.is_none_or(|model| recipe.model.name == model)
                && dataset.is_none_or(|dataset| same(&recipe.data.name, dataset))
        };
        BUILT_IN.iter().filter_map(|(name, text)| Self::parse(text, name).ok()).find(fits)
    }

    /// A recipe's text; `origin` is what errors call it.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the line and the field.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let says = |error: toml::de::Error| not_right(&format!("recipe {origin}"), text, &error);
        // The version first: a newer format may hold anything.
        let table: toml::Table = toml::from_str(text).map_err(says)?;
        match table.get("format").and_then(toml::Value::as_integer) {
            Some(format) if format == i64::from(FORMAT) => {}
            Some(format) => {
                return Err(Error::usage(format!(
                    "The recipe {origin} has format {format}, but this gpunn reads format {FORMAT}; use the gpunn that wrote it."
                )));
            }
            None => {
                return Err(Error::usage(format!(
                    "The recipe {origin} does not say its version; begin it with `format = {FORMAT}`."
                )));
            }
        }
        let recipe: Self = toml::from_str(text).map_err(says)?;
        recipe.validate()?;
        Ok(recipe)
    }

    /// Its text.
    ///
    /// # Errors
    /// When a number has no TOML form (a seed beyond 2^63).
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| Error::usage(format!("The recipe cannot be written: {error}.")))
    }

    /// Refuses what cannot train: numbers out of range and unknown names.
    ///
    /// # Errors
    /// [`Error::Usage`] that says what was asked and what it may be.
    pub fn validate(&self) -> Result<()> {
        let wrong = |sentence: String| Err(Error::Usage(sentence));
        self.model.validate()?;
        self.optimizer.validate()?;
        self.schedule.validate()?;
        if self.training.epochs == 0 {
            return wrong("0 epochs train nothing; ask for at least 1.".into());
        }
        if self.training.batch_size == 0 {
            return wrong("A batch of 0 images trains nothing; ask for a batch size of at least 1.".into());
        }
        if !(0.0..1.0).contains(&self.training.label_smoothing) {
            return wrong(format!(
                "The label smoothing is {}, but has to be from 0 to below 1.",
                self.training.label_smoothing
            ));
        }
        self.validate_measures()?;
        self.validate_task(self.model.task()?)?;
        self.data.asked().validate()?;
        if self.data.limit_train == Some(0) {
            return wrong("A limit of 0 training images (limit_train) leaves nothing to train on.".into());
        }
        if let Some(fraction) = self.data.val_fraction.filter(|fraction| !(*fraction > 0.0 && *fraction < 1.0)) {
            return wrong(format!("The part held out for validation is {fraction}, but has to be between 0 and 1."));
        }
        if i64::try_from(self.seed).is_err() {
            return wrong(format!("The seed {} is too large; it has to be below 2^63.", self.seed));
        }
        if self.name.is_empty() || self.name.contains(['/', '\\']) {
            return wrong(format!("A recipe cannot be named `{}`: run directories are named after it.", self.name));
        }
        Ok(())
    }

    /// Refuses augmentation, averaging and patience that cannot be.
    fn validate_measures(&self) -> Result<()> {
        let wrong = |sentence: String| Err(Error::Usage(sentence));
        if let Some(augment) = &self.augment {
            augment.validate()?;
        }
        if let Some(decay) = self.training.ema.filter(|decay| !(0.0..1.0).contains(&(*decay as f32))) {
            return wrong(format!(
                "The weights' moving average (ema) decays by {decay}, but has to from 0 to below 1."
            ));
        }
        if self.training.patience == Some(0) {
            return wrong("A patience of 0 epochs ends a run before it begins; ask for at least 1.".into());
        }
        Ok(())
    }

    /// Refuses what makes no sense for what the network learns.
    pub(super) fn validate_task(&self, task: Task) -> Result<()> {
        let wrong = |sentence: String| Err(Error::Usage(sentence));
        if task == Task::Reconstruct {
            if self.training.tta.is_some() {
                return wrong("Averaging over views (tta) is for classifiers; this model gives images back.".into());
            }
            if self.augment.as_ref().is_some_and(|augment| augment.mean.is_some()) {
                return wrong("This model gives images back as they are: leave mean and std out of [augment].".into());
            }
        }
        Ok(())
    }

    /// The network for images `[channels, height, width]` of a data set, which takes them as the augmentation makes them.
    ///
    /// # Errors
    /// When the augmentation does not fit the images, or the sizes make no network.
    pub fn build_model(&self, input: [usize; 3], classes: usize) -> Result<Model> {
        let input = self.augment.as_ref().map_or(Ok(input), |augment| augment.output(input))?;
        self.model.build(input, classes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_recipes_are_right_and_survive_being_written() {
        for name in names() {
            let recipe = Recipe::built_in(name).expect("a recipe");
            assert_eq!(recipe.name, name);
            let text = recipe.to_toml().expect("text");
            assert_eq!(Recipe::parse(&text, "again").expect("a recipe"), recipe);
        }
    }

    #[test]
    fn wrong_recipes_are_answered_with_the_field() {
        let good = Recipe::built_in(DEFAULT).expect("a recipe").to_toml().expect("text");
        let cases = [
            (good.replace("epochs =", "epoch ="), "`epoch`"),
            (good.replace("format = 1", "format = 2"), "format 2"),
            (good.replace("format = 1\n", ""), "format = 1"),
            (good.replace("\"mlp\"", "\"mpl\""), "`mlp`"),
            (good.replace("\"sgd\"", "\"sdg\""), "sgd"),
            (good.replace("kind = \"constant\"", "kind = \"cosin\""), "`cosine`"),
        ];
        for (text, part) in cases {
            assert_ne!(text, good);
            let sentence = Recipe::parse(&text, "it").expect_err("refused").to_string();
            assert!(sentence.contains(part), "{sentence}");
        }
    }

    #[test]
    fn sizes_are_read_in_both_forms_and_refused_in_others() {
        let good = Recipe::built_in(DEFAULT).expect("a recipe").to_toml().expect("text");
        let with =
            |line: &str| Recipe::parse(&good.replace("name = \"glyphs\"", &format!("name = \"x\"\n{line}")), "it");
        let data =
            with("size = [48, 64]\nfit = \"centre-crop\"\nchannels = 1\nskip_bad = true").expect("a recipe").data;
        assert_eq!(data.asked().size.map(Size::sides), Some([48, 64]));
        assert!(data.fit == Some(Fit::CentreCrop) && data.channels == Some(1) && data.skip_bad);
        assert_eq!(with("size = 32").expect("a recipe").data.size, Some(Size::Square(32)));
        let cases = [
            ("size = \"big\"", "size = [48, 64]"),
            ("size = [1, 2, 3]", "size = [48, 64]"),
            ("size = 0", "from 1 to 4096"),
            ("channels = 4", "4 channels"),
            ("fit = \"crop\"", "`centre-crop`"),
        ];
        for (line, part) in cases {
            let sentence = with(line).expect_err("refused").to_string();
            assert!(sentence.contains(part), "{sentence}");
        }
    }

    #[test]
    fn pairs_find_their_recipe() {
        assert_eq!(Recipe::of_pair(Some("mlp"), Some("emnist36")).expect("one").name, "nist36-mlp");
        assert_eq!(Recipe::of_pair(Some("autoencoder"), None).expect("one").name, "nist36-autoencoder");
        assert_eq!(Recipe::of_pair(Some("mlp"), Some("mnist")), None);
    }
}
