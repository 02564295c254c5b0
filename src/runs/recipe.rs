//! Loading the files of a recipe: the recipe itself, its dataset, and its pretrained weights.

use std::path::{Path, PathBuf};

use super::run_images::RunImages;
use crate::data::{self, Dataset, Fit, ImageOptions, Size, Split, split_fold, split_off_labelled};
use crate::datasets::{self, Labels, LoadOptions};
use crate::files::read_text;
use crate::formats::tensors::TensorFile;
use crate::images::Preprocessing;
use crate::nn::models;
use crate::train::recipe::{Data, names};
use crate::train::{Checkpoint, Recipe};
use crate::{Error, Result};

impl Recipe {
    /// Finds a built-in recipe by its name, or reads a recipe file. With the feature `files`.
    ///
    /// # Errors
    /// When there is neither, or the file is not a valid recipe. The message suggests the most similar name.
    pub fn find(name_or_file: &str) -> Result<Self> {
        if names().contains(&name_or_file) {
            return Self::built_in(name_or_file);
        }
        let path = Path::new(name_or_file);
        if path.exists() {
            return Self::read(path);
        }
        if path.extension().is_some_and(|extension| extension == "toml") {
            return Err(Error::usage(format!("There is no recipe file {}.", path.display())));
        }
        Err(crate::error::unknown("recipe", name_or_file, &names()))
    }

    /// Reads a recipe file. With the feature `files`.
    ///
    /// # Errors
    /// When the file cannot be read or is not a valid recipe.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_text(path, "recipe")?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Opens the file of pretrained weights, if the recipe has some: the named file, or the ImageNet weights in a data
    /// directory. Stores where the ImageNet weights were found in the recipe. With the feature `files`.
    ///
    /// # Errors
    /// When the file does not exist, and as [`open_weights`](super::onnx::open_weights).
    pub fn open_pretrained(&mut self, data_dir: Option<&Path>) -> Result<Option<TensorFile>> {
        let Some(named) = &self.model.pretrained else { return Ok(None) };
        let path = match models::published(&self.model.name) {
            Some(published) if named == models::IMAGENET => {
                let directory = data_dir.or(self.data.folder.as_deref());
                let known = self.model.pretrained_file.take().filter(|file| file.is_file());
                let found = datasets::weights_file(&self.model.name, published, directory);
                let path = found.or_else(|error| known.ok_or(error))?;
                let path = std::fs::canonicalize(&path).map_err(Error::file("cannot find", &path))?;
                self.model.pretrained_file.insert(path).clone()
            }
            _ => super::directory::weights_file(Path::new(named)),
        };
        super::onnx::open_weights(&path, &self.data.asked()).map(Some)
    }

    /// The file of the labels of the recipe's images, if there is one. With the feature `files`.
    pub fn labels(&self) -> Option<Labels> {
        let file = self.data.labels.clone()?;
        Some(Labels { file, multi_label: self.data.multi_label })
    }

    /// Sets the file of the labels of the recipe's images. With the feature `files`.
    pub fn set_labels(&mut self, labels: Option<Labels>) {
        let (file, multi_label) = labels.map(|labels| (labels.file, labels.multi_label)).unzip();
        (self.data.labels, self.data.multi_label) = (file, multi_label.flatten());
    }

    /// How the recipe's images are loaded.
    fn load_options(&self) -> LoadOptions {
        let Data { skip_bad, .. } = self.data;
        LoadOptions { image_options: self.data.asked(), labels: self.labels(), skip_bad, ..LoadOptions::default() }
    }

    /// Loads the recipe's dataset, limited and split as the recipe says. Stores the dataset's folder in the recipe. With the
    /// feature `files`.
    ///
    /// # Errors
    /// When the dataset is unknown, missing or damaged, or has no training images.
    pub fn load_data(&mut self, data_dir: Option<&Path>) -> Result<Dataset> {
        self.load_data_as(None, data_dir)
    }

    /// As [`Recipe::load_data`]. If the image files of a run are given, the same images are held out as there.
    pub(super) fn load_data_as(&mut self, images: Option<&RunImages>, data_dir: Option<&Path>) -> Result<Dataset> {
        let mut options = self.load_options();
        if self.data.stream {
            options.memory_limit = 0;
        }
        let directory = data_dir.or(self.data.folder.as_deref()).map(Path::to_owned);
        let gone = |error| self.moved().unwrap_or(error);
        if let Some(labels) = &mut options.labels {
            labels.file = datasets::labels_file(&self.data.name, directory.as_deref(), labels).map_err(gone)?;
        }
        let mut dataset = datasets::load_with(&self.data.name, directory.as_deref(), &options).map_err(gone)?;
        self.data.labels = options.labels.map(|labels| labels.file);
        if self.data.labels.is_some() {
            self.data.multi_label = Some(dataset.sets.is_some());
        }
        self.data.name.clone_from(&dataset.name);
        self.data.folder.clone_from(&dataset.folder);
        self.hold_out(&mut dataset, images)?;
        if let Some(limit) = self.data.limit_train {
            let train = std::mem::replace(&mut dataset.train, Split::empty());
            dataset.train = data::limit_labelled(train, dataset.sets.as_ref(), limit, self.seed);
        }
        Ok(dataset)
    }

    /// Holds images out for validation, as the recipe says: those that a run holds out if its images are given.
    fn hold_out(&self, dataset: &mut Dataset, images: Option<&RunImages>) -> Result<()> {
        let data = &self.data;
        if data.fold.is_none() && data.val_fraction.is_none() {
            return Ok(());
        }
        let mut all = std::mem::replace(&mut dataset.train, Split::empty());
        match (data.fold, dataset.val.take()) {
            (Some(_), Some(val)) => all = all.followed_by(val)?,
            (Some(_), None) | (None, None) => {}
            (None, Some(_)) => {
                return Err(Error::usage(format!(
                    "The dataset {} has a validation split of its own; leave --val-fraction out.",
                    dataset.name
                )));
            }
        }
        let (train, val) = match (images.filter(|_| !all.files.is_empty()), data.fold, data.val_fraction) {
            (Some(images), ..) => images.divide(all)?,
            (None, Some(fold), _) => split_fold(all, fold, self.seed)?,
            (None, None, fraction) => {
                split_off_labelled(all, dataset.sets.as_ref(), fraction.unwrap_or_default(), self.seed)?
            }
        };
        (dataset.train, dataset.val) = (train, Some(val));
        Ok(())
    }

    /// The error for a folder of images that was loaded once and does not exist any more. `None` if it does, or the data is
    /// not such a folder.
    fn moved(&self) -> Option<Error> {
        let name = &self.data.name;
        let path = self.data.folder.as_ref().map_or_else(|| PathBuf::from(name), |folder| folder.join(name));
        if !path.is_absolute() || path.exists() || datasets::find(name).is_ok() {
            return None;
        }
        let own = path.file_name().unwrap_or_default().to_string_lossy();
        Some(Error::usage(format!(
            "The images were in the folder {}, which does not exist any more. If it was moved, name its new place with \
             --dataset FOLDER, or with --data-dir the folder that now has {own} in it.",
            path.display()
        )))
    }
}

/// Loads another dataset or folder of images for the network of a checkpoint. Its images are prepared as the training images were,
/// and its classes are matched by name.
///
/// # Errors
/// As [`datasets::load_with`] and [`Checkpoint::align`].
pub fn load_other(
    checkpoint: &Checkpoint,
    name: &str,
    data_dir: Option<&Path>,
    labels: Option<&Path>,
) -> Result<Dataset> {
    let data = &checkpoint.recipe.data;
    let [channels, height, width] = checkpoint.input;
    // Datasets in formats of their own have no rule for images of other sizes.
    let rule = datasets::preprocessing(&data.name, &data.asked());
    let rule = rule.unwrap_or(Preprocessing { size: [height, width], fit: Fit::Resize, channels });
    let asked = ImageOptions { size: Some(Size::Sides(rule.size)), fit: Some(rule.fit), channels: Some(rule.channels) };
    let is_folder = datasets::preprocessing(name, &asked).is_some();
    let image_options = if is_folder { asked } else { ImageOptions::default() };
    let multi_label = Some(data.is_multi_label());
    let labels = labels.map(|file| Labels { file: file.to_owned(), multi_label });
    let options = LoadOptions { image_options, labels, skip_bad: data.skip_bad, ..LoadOptions::default() };
    checkpoint.align(datasets::load_with(name, data_dir, &options)?)
}
