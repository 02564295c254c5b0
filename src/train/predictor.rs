//! Classifying images with a trained network.

use super::batched::Batched;
use super::buffers::write_copy;
use super::evaluation::largest;
use super::graphs::{self, INPUT, INPUT_ORDER, SCORES};
use super::{Checkpoint, Recipe, memory};
#[cfg(feature = "cli")]
use crate::Program;
use crate::graph::PlanOptions;
use crate::nn::models::Task;
use crate::nn::{Model, PARAMS, STATISTICS};
use crate::{Engine, Error, Result};

/// The predicted class of an image.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Prediction {
    /// The name of the class.
    pub class: String,
    /// The index of the class.
    pub index: usize,
    /// The network's probability of the class.
    pub confidence: f64,
    /// The probabilities of all classes, in index order.
    #[serde(skip)]
    pub probabilities: Vec<f32>,
}

impl Prediction {
    /// The prediction from the probabilities of all classes.
    pub(super) fn of(probabilities: Vec<f32>, classes: &[String]) -> Self {
        let index = largest(&probabilities);
        let confidence = probabilities.get(index).copied().map_or(0.0, f64::from);
        Self { class: classes[index].clone(), index, confidence, probabilities }
    }

    /// The `count` most likely classes, sorted by decreasing probability. `classes` are the class names.
    #[must_use]
    pub fn likeliest(&self, count: usize, classes: &[String]) -> Vec<Self> {
        let mut order: Vec<usize> = (0..self.probabilities.len().min(classes.len())).collect();
        order.sort_by(|&a, &b| self.probabilities[b].total_cmp(&self.probabilities[a]));
        let of = |&index: &usize| Self {
            class: classes[index].clone(),
            index,
            confidence: f64::from(self.probabilities[index]),
            probabilities: Vec::new(),
        };
        order.iter().take(count).map(of).collect()
    }

    /// The classes with at least this probability, sorted by decreasing probability: the labels of an image that has any number of them.
    /// `classes` are the class names.
    #[must_use]
    pub fn labels(&self, threshold: f64, classes: &[String]) -> Vec<Self> {
        let all = self.likeliest(classes.len(), classes);
        all.into_iter().take_while(|class| class.confidence >= threshold).collect()
    }
}

/// The program of a classifier, loaded into an engine that holds its weights.
#[derive(Clone, Debug)]
pub(super) struct Classifier(Batched);

impl Classifier {
    /// Plans and loads the program. `prefix` is the prefix of the names of its input buffers. `weights` are the buffers of the weights
    /// that it uses instead of the usual ones, such as [`AVERAGES`](graphs::AVERAGES).
    pub fn load(
        engine: &mut Engine,
        (model, recipe): (&Model, &Recipe),
        (input, batch): ([usize; 3], usize),
        prefix: &str,
        weights: &[(&str, &str)],
    ) -> Result<Self> {
        if model.task() == Task::Reconstruct {
            let name = model.name();
            return Err(Error::usage(format!("The run trained {name}, which is an autoencoder, not a classifier.")));
        }
        let (images, order) = (format!("{prefix}{INPUT}"), format!("{prefix}{INPUT_ORDER}"));
        let mut graph = graphs::using(model, recipe, input, batch)?;
        graph = graph.on_buffers(&[(INPUT, &images), (INPUT_ORDER, &order)]).on_buffers(weights);
        let plan = memory::plan(&graph, &engine.target(), PlanOptions::default())?;
        Ok(Self(Batched::load(engine, plan, (images, &order), (input, batch), SCORES)?))
    }

    /// The probabilities of all classes for each image.
    pub async fn probabilities(&self, engine: &mut Engine, images: &[impl AsRef<[f32]>]) -> Result<Vec<Vec<f32>>> {
        self.0.run(engine, images).await
    }

    /// The prediction for each image.
    pub async fn predict(
        &self,
        engine: &mut Engine,
        images: &[impl AsRef<[f32]>],
        classes: &[String],
    ) -> Result<Vec<Prediction>> {
        let all = self.probabilities(engine, images).await?;
        Ok(all.into_iter().map(|probabilities| Prediction::of(probabilities, classes)).collect())
    }
}

/// A classifier on an engine, or several whose probabilities are averaged.
#[derive(Debug)]
pub struct Predictor {
    engine: Engine,
    /// Each network's programs, of the same sizes of a batch.
    members: Vec<Vec<Classifier>>,
    /// The sizes, from the smallest.
    batches: Vec<usize>,
    input: [usize; 3],
    classes: Vec<String>,
}

impl Predictor {
    /// Loads a checkpoint, with a batch size of 1.
    ///
    /// # Errors
    /// When the checkpoint is not a classifier, or the device fails.
    pub fn new(engine: Engine, checkpoint: &Checkpoint) -> Result<Self> {
        Self::with_batch(engine, checkpoint, 1)
    }

    /// Loads a checkpoint, with a batch size of `batch`.
    ///
    /// # Errors
    /// As [`Predictor::new`].
    pub fn with_batch(engine: Engine, checkpoint: &Checkpoint, batch: usize) -> Result<Self> {
        let model = checkpoint.model()?;
        Self::with_model(engine, &model, checkpoint, batch)
    }

    /// Loads a checkpoint of a model that the program has built. `model` is this model, built again. With the
    /// feature `files`, `Checkpoint::read` reads the checkpoint of a file.
    ///
    /// # Errors
    /// As [`Predictor::new`], and when the checkpoint belongs to another model.
    pub fn with_model(engine: Engine, model: &Model, checkpoint: &Checkpoint, batch: usize) -> Result<Self> {
        Self::empty(engine, checkpoint, &[batch]).with((model, checkpoint))
    }

    /// Loads several checkpoints with the same images and classes. The answers are the means of their probabilities.
    ///
    /// # Errors
    /// As [`Predictor::new`], and [`Error::Usage`] for no checkpoint, or when the images or classes differ.
    pub fn ensemble(engine: Engine, checkpoints: &[Checkpoint], batch: usize) -> Result<Self> {
        Self::for_batches(engine, checkpoints, &[batch])
    }

    /// As [`Predictor::ensemble`], with programs for batches of several sizes, which grow. Images are computed by the smallest that
    /// takes them all at once: those of a server come alone or together.
    ///
    /// # Errors
    /// As [`Predictor::ensemble`], and [`Error::Usage`] for no size, or sizes that do not grow.
    pub fn for_batches(engine: Engine, checkpoints: &[Checkpoint], batches: &[usize]) -> Result<Self> {
        if batches.is_empty() || !batches.is_sorted_by(|smaller, larger| smaller < larger) {
            return Err(Error::usage("The sizes of batches have to grow, as in 1, 16."));
        }
        let [first, others @ ..] = checkpoints else { return Err(Error::usage("An ensemble needs a network.")) };
        if let Some(difference) = others.iter().find_map(|other| first.difference(other)) {
            return Err(Error::usage(format!("A network cannot be averaged with the first one: {difference}.")));
        }
        checkpoints.iter().try_fold(Self::empty(engine, first, batches), |predictor, checkpoint| {
            predictor.with((&checkpoint.model()?, checkpoint))
        })
    }

    /// No network yet.
    fn empty(engine: Engine, checkpoint: &Checkpoint, batches: &[usize]) -> Self {
        let (input, classes) = (checkpoint.input, checkpoint.classes.clone());
        Self { engine, members: Vec::new(), batches: batches.to_vec(), input, classes }
    }

    /// With one more network. All but the first have buffers of their own.
    fn with(mut self, (model, checkpoint): (&Model, &Checkpoint)) -> Result<Self> {
        let weights = checkpoint.weights_in_use(model.parameters())?;
        let prefix = match self.members.len() {
            0 => String::new(),
            members => format!("member.{}.", members + 1),
        };
        let [learned, statistics] = [PARAMS, STATISTICS].map(|buffer| format!("{prefix}{buffer}"));
        let own = [(PARAMS, &learned[..]), (STATISTICS, &statistics[..])];
        let own = if prefix.is_empty() { &[][..] } else { &own };
        let mut member = Vec::new();
        for (number, &batch) in self.batches.iter().enumerate() {
            let of_batch = if number == 0 { prefix.clone() } else { format!("{prefix}batch.{batch}.") };
            let at = (checkpoint.input, batch);
            member.push(Classifier::load(&mut self.engine, (model, &checkpoint.recipe), at, &of_batch, own)?);
        }
        self.members.push(member);
        write_copy(&mut self.engine, [&learned, &statistics], model.parameters(), &weights)?;
        Ok(self)
    }

    /// An image's channels, height and width.
    pub fn input(&self) -> [usize; 3] {
        self.input
    }

    /// The class names in index order.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The engine, and the program that classifies a batch. For benchmarks.
    #[cfg(feature = "cli")]
    pub(crate) fn parts(&mut self) -> (&mut Engine, Program) {
        (&mut self.engine, self.members[0][0].0.program())
    }

    /// Takes the engine out.
    pub fn into_engine(self) -> Engine {
        self.engine
    }

    /// Classifies an image, given as values in the order channels, rows, columns, in the same range as the training images.
    ///
    /// # Errors
    /// When the number of values differs from the network's input, or the device is lost.
    pub async fn predict(&mut self, image: &[f32]) -> Result<Prediction> {
        Ok(Prediction::of(self.probabilities(&[image]).await?.pop().unwrap_or_default(), &self.classes))
    }

    /// [`Predictor::predict`] for callers that are not async.
    ///
    /// # Errors
    /// As [`Predictor::predict`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn predict_blocking(&mut self, image: &[f32]) -> Result<Prediction> {
        crate::blocking::block_on(self.predict(image))
    }

    /// Classifies several images, as [`Predictor::predict`] does, in batches.
    ///
    /// # Errors
    /// As [`Predictor::predict`].
    pub async fn predict_all(&mut self, images: &[impl AsRef<[f32]>]) -> Result<Vec<Prediction>> {
        let all = self.probabilities(images).await?;
        Ok(all.into_iter().map(|probabilities| Prediction::of(probabilities, &self.classes)).collect())
    }

    /// The probabilities of all classes for each image.
    ///
    /// # Errors
    /// As [`Predictor::predict`].
    pub async fn probabilities(&mut self, images: &[impl AsRef<[f32]>]) -> Result<Vec<Vec<f32>>> {
        let size = self.batches.iter().position(|&batch| batch >= images.len()).unwrap_or(self.batches.len() - 1);
        let mut mean: Vec<Vec<f32>> = Vec::new();
        for member in &self.members {
            let found = member[size].probabilities(&mut self.engine, images).await?;
            match mean.is_empty() {
                true => mean = found,
                false => mean.iter_mut().flatten().zip(found.iter().flatten()).for_each(|(sum, value)| *sum += value),
            }
        }
        let members = self.members.len() as f32;
        if members > 1.0 {
            mean.iter_mut().flatten().for_each(|sum| *sum /= members);
        }
        Ok(mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocking::block_on;
    use crate::data::{SplitName, glyphs};

    /// New networks of different sizes for the embedded dataset, with test-time augmentation or without.
    fn fresh(model: &str, seed: u64) -> Checkpoint {
        let recipe = Recipe { seed, ..Recipe::new(model) };
        block_on(recipe.trainer(&glyphs::dataset()).expect("a trainer").checkpoint()).expect("a checkpoint")
    }

    #[test]
    fn an_ensemble_answers_with_the_mean_of_its_members() {
        let members = [fresh("mlp", 1), fresh("resnet18-small", 2), fresh("cnn", 3)];
        let dataset = glyphs::dataset();
        let split = dataset.split(SplitName::Test).expect("a split");
        let images: Vec<_> = (0..3).map(|number| split.image(number * 40).expect("an image")).collect();
        let alone = members.each_ref().map(|member| {
            let mut predictor = Predictor::with_batch(Engine::cpu(), member, 2).expect("loaded");
            block_on(predictor.probabilities(&images)).expect("probabilities").concat()
        });
        let mut together = Predictor::ensemble(Engine::cpu(), &members, 2).expect("loaded");
        let found = block_on(together.probabilities(&images)).expect("probabilities").concat();
        for (at, &mean) in found.iter().enumerate() {
            let wanted = alone.iter().map(|member| member[at]).sum::<f32>() / 3.0;
            assert!((mean - wanted).abs() < 1e-7, "{mean} {wanted}");
        }
        assert_ne!(found, alone[0]);
        let one = Predictor::ensemble(Engine::cpu(), &members[..1], 2);
        assert_eq!(block_on(one.expect("loaded").probabilities(&images)).expect("probabilities").concat(), alone[0]);
    }

    #[test]
    fn each_size_of_a_batch_gives_the_same_answers() {
        let members = [fresh("cnn", 1), fresh("mlp", 2)];
        let dataset = glyphs::dataset();
        let split = dataset.split(SplitName::Test).expect("a split");
        let images: Vec<_> = (0..17).map(|number| split.image(number * 20).expect("an image")).collect();
        let mut alone = Predictor::ensemble(Engine::cpu(), &members, 1).expect("loaded");
        let wanted = block_on(alone.probabilities(&images)).expect("probabilities");
        let mut sized = Predictor::for_batches(Engine::cpu(), &members, &[1, 16]).expect("loaded");
        for count in [1, 2, 16, 17, 1] {
            let found = block_on(sized.probabilities(&images[..count])).expect("probabilities");
            assert_eq!(found.len(), count);
            for (found, wanted) in found.iter().flatten().zip(wanted.iter().flatten()) {
                assert!((found - wanted).abs() < 1e-6, "{count}: {found} {wanted}");
            }
        }
        for sizes in [&[][..], &[16, 1], &[4, 4]] {
            assert!(Predictor::for_batches(Engine::cpu(), &members, sizes).is_err(), "{sizes:?}");
        }
    }

    #[test]
    fn networks_for_other_images_or_classes_are_not_averaged() {
        let first = fresh("mlp", 1);
        let mut other = first.clone();
        other.classes.swap(0, 1);
        let says = |other: Checkpoint| {
            Predictor::ensemble(Engine::cpu(), &[first.clone(), other], 1).expect_err("refused").to_string()
        };
        assert!(says(other.clone()).contains("its classes differ: their order differs"));
        other.classes[0] = "new".into();
        assert!(says(other.clone()).contains("its classes differ: new: new; missing: "));
        other.input = [3, 32, 32];
        assert!(says(other).contains("its images are [3, 32, 32] instead of [1, 32, 32]"));
        assert!(Predictor::ensemble(Engine::cpu(), &[], 1).is_err());
    }
}
