//! Checkpoint files, and what is saved to and loaded from them.

use std::path::Path;

use crate::data::Dataset;
use crate::files::write_atomic;
use crate::images::FileKind;
use crate::train::{Checkpoint, Predictor, Trainer, TrainerOptions};
use crate::{Engine, Error, Result};

impl Checkpoint {
    /// Writes the checkpoint, as [`write_atomic`] does. With the feature `files`.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be written. An earlier file is then unchanged.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_atomic(path, &self.to_bytes()?)
    }

    /// Writes a smaller checkpoint for inference: [`Checkpoint::to_half_bytes`]. With the feature `files`.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be written. An earlier file is then unchanged.
    pub fn write_half(&self, path: &Path) -> Result<()> {
        write_atomic(path, &self.to_half_bytes()?)
    }

    /// Reads a checkpoint file. With the feature `files`.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be read, [`Error::Data`] when it is damaged or not a checkpoint.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::file("cannot read the checkpoint", path))?;
        if matches!(FileKind::of(&bytes), FileKind::Image(_)) {
            return Err(Error::usage(format!(
                "{} is an image, but a run comes first: name a run directory or a checkpoint file, then the images.",
                path.display()
            )));
        }
        Self::parse(&bytes, &path.display().to_string())
    }
}

/// The disk.
impl Trainer {
    /// Writes a checkpoint file, waiting for the device: with the weights in use, and all that it takes to go on.
    /// `gpunn predict`, `eval` and `export` read it too. In async code, call `trainer.checkpoint().await?.write(path)`. With
    /// the feature `files`.
    ///
    /// The file has the weights by name and the recipe, but not the layers of a network of your own. So the program builds
    /// these again:
    ///
    /// ```
    /// use gpunn::data::{SplitName, glyphs};
    /// use gpunn::nn::{Flatten, Linear, Model, Scheme, Sequence};
    /// use gpunn::train::{Checkpoint, Predictor, Recipe};
    /// use gpunn::{Engine, Result};
    ///
    /// fn network() -> Result<Model> {
    ///     let layers = Sequence::new().with("flatten", Flatten).with("fc", Linear::new(36, Scheme::Xavier));
    ///     Model::new("mine", &[1, 32, 32], layers)
    /// }
    ///
    /// let folder = tempfile::tempdir().unwrap();
    /// let path = folder.path().join("mine.safetensors");
    /// let dataset = glyphs::dataset();
    /// let model = network()?;
    /// let mut trainer = Recipe::new(&model).epochs(1).trainer_of(model, Engine::cpu(), &dataset)?;
    /// trainer.fit_blocking(|epoch| println!("{epoch}"))?;
    /// trainer.save(&path)?;
    ///
    /// // Later, to predict. The last argument is the number of images that are classified at once.
    /// let checkpoint = Checkpoint::read(&path)?;
    /// let mut predictor = Predictor::with_model(Engine::cpu(), &network()?, &checkpoint, 1)?;
    /// let image = dataset.split(SplitName::Test)?.image(0).unwrap();
    /// let prediction = gpunn::blocking::block_on(predictor.predict(&image))?;
    /// assert_eq!(prediction, trainer.predict_blocking(&image)?);
    ///
    /// // Or to continue training.
    /// let mut trainer = checkpoint.recipe.clone().epochs(2).trainer_of(network()?, Engine::cpu(), &dataset)?;
    /// trainer.restore(&checkpoint)?;
    /// trainer.fit_blocking(|epoch| println!("{epoch}"))?;
    /// # Ok::<(), gpunn::Error>(())
    /// ```
    ///
    /// A network with a built-in model is restored by [`Trainer::load`] and [`Predictor::load`].
    ///
    /// # Errors
    /// When the device is lost or the system refuses; then the file is as it was before.
    pub fn save(&mut self, path: impl AsRef<Path>) -> Result<()> {
        crate::blocking::block_on(self.checkpoint())?.write(path.as_ref())
    }

    /// A trainer in the state of the trainer that wrote the file, with the same recipe. With the feature `files`.
    ///
    /// For a network of your own, use [`Recipe::trainer_of`](crate::train::Recipe::trainer_of), [`Checkpoint::read`] and [`Trainer::restore`]: [`Trainer::save`]
    /// has an example.
    ///
    /// # Errors
    /// When the file cannot be read or is no checkpoint, or the dataset has other images or classes than it.
    pub fn load(engine: Engine, path: impl AsRef<Path>, dataset: &Dataset) -> Result<Self> {
        let checkpoint = Checkpoint::read(path.as_ref())?;
        checkpoint.check_data(dataset)?;
        let mut trainer = Self::new(engine, checkpoint.recipe.clone(), dataset, TrainerOptions::default())?;
        trainer.restore(&checkpoint)?;
        Ok(trainer)
    }
}

impl Predictor {
    /// Loads a checkpoint file, with a batch size of 1. With the feature `files`.
    ///
    /// For a network of your own, use [`Checkpoint::read`] and [`Predictor::with_model`]: [`Trainer::save`] has an example.
    ///
    /// # Errors
    /// When it cannot be read or is no checkpoint of a classifier, or the device refuses.
    pub fn load(engine: Engine, path: impl AsRef<Path>) -> Result<Self> {
        Self::new(engine, &Checkpoint::read(path.as_ref())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Recipe;
    use crate::train::checkpoint::Counters;

    #[test]
    fn a_checkpoint_is_read_back_from_a_file_of_its_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("last.safetensors");
        let recipe = Recipe::built_in("glyphs-mlp").expect("a recipe");
        let tensors = [("fc1.weight".to_owned(), (vec![2], vec![1.0, -0.5]))].into();
        let (counters, classes) = (Counters::default(), vec!["A".into(), "B".into()]);
        let checkpoint = Checkpoint { recipe, counters, input: [1, 32, 32], classes, tensors };
        checkpoint.write(&path).expect("written");
        assert_eq!(Checkpoint::read(&path).expect("read"), checkpoint);
        assert_eq!(std::fs::read(&path).expect("bytes"), checkpoint.to_bytes().expect("bytes"));
        assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 1);
    }
}
