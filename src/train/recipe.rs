//! Recipes. One TOML file describes a complete experiment.

use std::path::PathBuf;

use super::imbalance::ClassWeights;
use super::training::Training;
use crate::data::{Dataset, Fit, Fold, ImageOptions, Size};
use crate::nn::Model;
use crate::nn::models::{self, Task};
use crate::ops::Step;
use crate::ops::augment::Augment;
use crate::optim::{Optimizer, Schedule};
use crate::{Error, Result};

/// The version of the recipe format. Recipes of other versions are not read.
pub const FORMAT: u32 = 1;

/// The recipe that `gpunn train` uses if nothing else is chosen.
pub const DEFAULT: &str = "glyphs-mlp";

/// The dataset of built-in recipes for any folder of images: a placeholder.
pub const FOLDER: &str = "FOLDER";

/// The name and the text of each built-in recipe.
const BUILT_IN: [(&str, &str); 19] = [
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
    ("cifar10-94", include_str!("../../recipes/cifar10-94.toml")),
    ("cifar10-96", include_str!("../../recipes/cifar10-96.toml")),
    ("nist36-best", include_str!("../../recipes/nist36-best.toml")),
    ("sun8-best", include_str!("../../recipes/sun8-best.toml")),
    ("photos", include_str!("../../recipes/photos.toml")),
    ("photos-scratch", include_str!("../../recipes/photos-scratch.toml")),
    ("small-images", include_str!("../../recipes/small-images.toml")),
];

/// An experiment: model, data, training, optimizer and schedule.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The version of the recipe format: [`FORMAT`].
    pub format: u32,
    /// The name of the recipe. Run directories are named after it.
    pub name: String,
    /// The seed of all random numbers of the run, below 2^63. The default is 1.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// The network.
    pub model: models::ModelConfig,
    /// The dataset and the loading of its images.
    pub data: Data,
    /// Augmentation and normalisation of the images. Without it, the network gets the images unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augment: Option<Augment>,
    /// The settings of the training loop.
    pub training: Training,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// How the learning rate changes.
    #[serde(default)]
    pub schedule: Schedule,
}

/// The dataset of a recipe and the loading of its images.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// The name of the dataset, or the path of a folder of images.
    pub name: String,
    /// The data directory that contains the dataset. It is set when the dataset is loaded, and stored with the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// A CSV file with the labels of a folder of images, which then needs no class folders: the columns `file` and `label`, and optionally
    /// `split`. It is named as it is, or lies in the folder or beside it. The path that was found is stored with the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
    /// Whether an image has any number of labels, with `;` between them in the file. Without a value, the file decides: it does if a
    /// label has a `;`. The decision is stored with the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multi_label: Option<bool>,
    /// The number of training images to use, at least 1, the same number from each class. The default is all images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_train: Option<usize>,
    /// The fraction of the training images to hold out for validation, above 0 and below 1, the same from each class.
    /// Only for datasets without a validation split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_fraction: Option<f64>,
    /// The part of the images that is held out for validation, such as `"2/5"`: the second of five equal parts of the training
    /// images and, if there are some, the validation images. The seed decides the parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fold: Option<Fold>,
    /// The size in pixels that images of a folder are brought to, from 1 to 4096: `64` for a square, or `[height, width]`.
    /// The default depends on the dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// How images are brought to this size: `centre-crop`, `resize`, `resize-crop` or `resize-middle`. The default depends
    /// on the dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<Fit>,
    /// The number of channels of the images of a folder: 3 for colour, 1 for grey. The default depends on the dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// Whether images that cannot be decoded are skipped. Otherwise they are an error.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip_bad: bool,
    /// Whether batches are sent to the device one by one: from the disk for a folder of images, else from the host's
    /// memory. Otherwise the images are kept on the device, except for a split that is too large for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
}

impl Data {
    /// The size, the fit and the channels of images of a folder.
    pub fn asked(&self) -> ImageOptions {
        ImageOptions { size: self.size, fit: self.fit, channels: self.channels }
    }

    /// Whether an image has any number of labels.
    pub fn is_multi_label(&self) -> bool {
        self.multi_label == Some(true)
    }
}

fn default_seed() -> u64 {
    1
}

/// The names of the built-in recipes. The first one is the default.
pub fn names() -> Vec<&'static str> {
    BUILT_IN.iter().map(|&(name, _)| name).collect()
}

/// The error for a text that cannot be read as `what`, with the line.
pub(crate) fn not_right(what: &str, text: &str, error: &toml::de::Error) -> Error {
    // An error in layers has the place of the whole list.
    let in_layers = error.message().starts_with("layer ").then(|| crate::nn::fault::place(text)).flatten();
    let place = in_layers.or_else(|| error.span()).map_or_else(String::new, |span| {
        let before = &text[..span.start.min(text.len())];
        let number = before.matches('\n').count() + 1;
        let line = text.lines().nth(number - 1).unwrap_or_default().trim();
        format!(", line {number} (`{line}`)")
    });
    let reason = error.message().trim_end_matches('.').replace('\n', " ");
    Error::usage(format!("The {what}{place} is wrong: {reason}."))
}

impl Recipe {
    /// A built-in recipe.
    ///
    /// # Errors
    /// [`Error::Usage`] when the name is unknown, with the nearest known name.
    pub fn built_in(name: &str) -> Result<Self> {
        match BUILT_IN.iter().find(|(known, _)| *known == name) {
            Some((name, text)) => Self::parse(text, name),
            None => Err(crate::error::unknown("recipe", name, &names())),
        }
    }

    /// Sets how images are brought to a size. If the size changes, a crop keeps its share of it.
    pub fn set_images(&mut self, asked: ImageOptions) {
        let crop = self.augment.as_mut().and_then(|augment| augment.crop.as_mut());
        if let (Some(crop), Some(before), Some(after)) = (crop, self.data.size, asked.size) {
            let sides = before.sides().into_iter().zip(after.sides());
            for (side, (before, after)) in crop.iter_mut().zip(sides) {
                *side = ((*side * after + before / 2) / before.max(1)).max(1);
            }
        }
        (self.data.size, self.data.fit, self.data.channels) = (asked.size, asked.fit, asked.channels);
    }

    /// The first built-in recipe for a model, a dataset, or both. `None` if there is none.
    pub fn of_pair(model: Option<&str>, dataset: Option<&str>) -> Option<Self> {
        // emnist36 is a substitute for nist36, with the same layout.
        let same = |known: &str, asked: &str| known == asked || (known == "nist36" && asked == "emnist36");
        let fits = |recipe: &Self| {
            model.is_none_or(|model| recipe.model.name == model)
                && dataset.is_none_or(|dataset| same(&recipe.data.name, dataset))
        };
        BUILT_IN.iter().filter_map(|(name, text)| Self::parse(text, name).ok()).find(fits)
    }

    /// Reads the text of a recipe. Errors call it `origin`.
    ///
    /// # Errors
    /// [`Error::Usage`] when the text is not a valid recipe. The message names the field, and the line if the TOML is wrong.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let says = |error: toml::de::Error| not_right(&format!("recipe {origin}"), text, &error);
        // The version is read first, because another version may have other fields.
        let table: toml::Table = toml::from_str(text).map_err(says)?;
        match table.get("format").and_then(toml::Value::as_integer) {
            Some(format) if format == i64::from(FORMAT) => {}
            Some(format) => {
                return Err(Error::usage(format!(
                    "The recipe {origin} has format {format}, but this gpunn reads format {FORMAT}; use the gpunn that wrote it."
                )));
            }
            None if table.contains_key("layer") => {
                return Err(Error::usage(format!(
                    "{origin} is a network, not a recipe: it has layers. Name it with --model."
                )));
            }
            None => {
                return Err(Error::usage(format!(
                    "The recipe {origin} has no version; start it with `format = {FORMAT}`."
                )));
            }
        }
        let recipe: Self = toml::from_str(text).map_err(says)?;
        recipe.validate()?;
        Ok(recipe)
    }

    /// The recipe's text.
    ///
    /// # Errors
    /// When TOML cannot represent a number, such as a seed of 2^63 or more.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| Error::usage(format!("The recipe cannot be written: {error}.")))
    }

    /// Checks that all names are known and all numbers are in range.
    ///
    /// # Errors
    /// [`Error::Usage`] when a field cannot be used. The message names its value and its range.
    pub fn validate(&self) -> Result<()> {
        let wrong = |sentence: String| Err(Error::Usage(sentence));
        self.model.validate()?;
        self.optimizer.validate()?;
        self.schedule.validate()?;
        self.training.validate()?;
        if let Some(augment) = &self.augment {
            augment.validate()?;
        }
        if self.training.focal > 0.0 && self.is_mixed() {
            return wrong("Focal loss is for one label an image; leave either focal or mixup and cutmix out.".into());
        }
        self.validate_task(self.task()?)?;
        self.data.asked().validate()?;
        if self.data.limit_train == Some(0) {
            return wrong("A limit of 0 training images (limit_train) leaves nothing to train on.".into());
        }
        if let Some(fraction) = self.data.val_fraction.filter(|fraction| !(*fraction > 0.0 && *fraction < 1.0)) {
            return Err(Error::out_of_range("The fraction held out for validation", fraction, "between 0 and 1"));
        }
        if let (Some(fold), Some(fraction)) = (self.data.fold, self.data.val_fraction) {
            return wrong(format!(
                "The fold {fold} and the fraction {fraction} (val_fraction) both say what is held out for validation; leave one out."
            ));
        }
        if i64::try_from(self.seed).is_err() {
            return wrong(format!("The seed {} is too large; it has to be below 2^63.", self.seed));
        }
        if self.name.is_empty() || self.name.contains(['/', '\\']) {
            return wrong(format!("A recipe cannot be named `{}`: run directories are named after it.", self.name));
        }
        Ok(())
    }

    /// The task of the recipe's network.
    ///
    /// # Errors
    /// For an unknown model, with the nearest known one.
    pub fn task(&self) -> Result<Task> {
        Ok(self.labelled(self.model.task()?))
    }

    /// The task of a network that the recipe trains.
    pub fn task_of(&self, model: &Model) -> Task {
        self.labelled(model.task())
    }

    fn labelled(&self, task: Task) -> Task {
        if task == Task::Classify && self.data.is_multi_label() { Task::Tag } else { task }
    }

    /// Takes over from a dataset whether its images have several labels, if the recipe does not say so.
    pub(super) fn take_labels(&mut self, dataset: &Dataset) -> Result<()> {
        let several = dataset.sets.is_some();
        match (self.data.multi_label, several) {
            (None, true) => self.data.multi_label = Some(true),
            (Some(true), false) => {
                return Err(Error::usage(format!(
                    "The recipe says that an image has any number of labels (multi_label), but the images of {} have one each: \
                     name a file of labels (`labels`, --labels), or leave multi_label out.",
                    dataset.name
                )));
            }
            (Some(false), true) => {
                return Err(Error::usage(format!(
                    "The recipe says that an image has one label (multi_label), but the images of {} have any number: \
                     leave multi_label out.",
                    dataset.name
                )));
            }
            _ => {}
        }
        Ok(())
    }

    /// Checks that the recipe is possible for the network's task.
    pub(super) fn validate_task(&self, task: Task) -> Result<()> {
        let wrong = |sentence: String| Err(Error::Usage(sentence));
        if task == Task::Tag && (self.training.focal > 0.0 || !self.training.sampler.is_shuffled()) {
            return wrong(
                "Focal loss (focal) and the balanced sampler (sampler) are for one label an image, but these images have any number of \
                 labels: leave them out. `class_weights` weighs rare labels."
                    .into(),
            );
        }
        if task == Task::Reconstruct {
            if self.data.is_multi_label() {
                return wrong(
                    "An autoencoder does not look at labels: leave several labels an image (multi_label) out, or read a file of labels with --multi-label=false."
                        .into(),
                );
            }
            if self.training.tta.is_some() {
                return wrong(
                    "Test-time augmentation (tta) is for classifiers, but this model is an autoencoder.".into(),
                );
            }
            let Training { focal, class_weights, sampler, .. } = &self.training;
            if *focal > 0.0 || class_weights.is_some() || !sampler.is_shuffled() {
                return wrong(
                    "An autoencoder does not look at classes: leave focal, class_weights and sampler out of [training].".into(),
                );
            }
            if self.augment.as_ref().is_some_and(|augment| augment.mean.is_some()) {
                return wrong(
                    "An autoencoder takes images without normalisation: leave mean and std out of [augment].".into(),
                );
            }
        }
        Ok(())
    }

    /// Whether the images of a training step are mixed.
    pub(super) fn is_mixed(&self) -> bool {
        self.augment.as_ref().is_some_and(Augment::is_mixed)
    }

    /// Draws how the images `[channels, height, width]` of a training step are mixed.
    pub(super) fn mix(&self, step: &mut Step, input: [usize; 3]) {
        let Some(augment) = &self.augment else { return };
        if let Ok([_, height, width]) = augment.output(input) {
            augment.mix(step, [height, width]);
        }
    }

    /// The weight of each class, if the recipe has weights.
    ///
    /// # Errors
    /// When a class is named that the dataset does not have.
    pub(super) fn class_weights(&self, dataset: &Dataset) -> Result<Option<Vec<f32>>> {
        let weights = self.training.class_weights.as_ref();
        let labels = &dataset.train.labels;
        let of = |weights: &ClassWeights| match &dataset.sets {
            Some(sets) => {
                weights.of_positives(&dataset.classes, (&sets.counts(labels, dataset.classes.len()), labels.len()))
            }
            None => weights.of(&dataset.classes, labels),
        };
        weights.map(of).transpose()
    }

    /// The network for images `[channels, height, width]` of a dataset. Its input has the shape of the augmented images.
    ///
    /// # Errors
    /// When the augmentation does not fit the images, or the model cannot be built for their size.
    pub fn build_model(&self, input: [usize; 3], classes: usize) -> Result<Model> {
        let input = self.augment.as_ref().map_or(Ok(input), |augment| augment.output(input))?;
        let model = self.model.build(input, classes)?;
        Ok(if self.data.is_multi_label() { model.with_signed_logits() } else { model })
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

    #[test]
    fn a_crop_keeps_its_share_of_another_size() {
        let mut recipe = Recipe::built_in("photos-scratch").expect("it is built in");
        let crop = |recipe: &Recipe| recipe.augment.as_ref().and_then(|augment| augment.crop);
        assert_eq!((recipe.data.size, crop(&recipe)), (Some(Size::Square(144)), Some([128, 128])));
        recipe.set_images(recipe.data.asked());
        assert_eq!(crop(&recipe), Some([128, 128]));
        recipe.set_images(ImageOptions { size: Some(Size::Sides([32, 72])), ..ImageOptions::default() });
        assert_eq!((recipe.data.size.map(Size::sides), crop(&recipe)), (Some([32, 72]), Some([28, 64])));
    }
}
