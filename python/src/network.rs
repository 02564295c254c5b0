//! A trained network in use.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gpunn::blocking::block_on;
use gpunn::cli::calls::{checkpoints, open_device};
use gpunn::inference::{self, Embedder, IMAGES_AT_ONCE, Predictor, prepare_for};
use gpunn::train::Checkpoint;
use gpunn::{Error, Result};
use numpy::{PyArray1, ToPyArray};
use pyo3::prelude::*;
use rayon::prelude::*;

use super::errors::{raised, usage};
use super::given::{Image, Images};
use super::waiting::notes_to_python;

/// The answer for an image.
#[pyclass(frozen, module = "gpunn")]
#[derive(Debug)]
pub struct Prediction {
    found: inference::Prediction,
    /// The classes of the network, in index order.
    classes: Arc<Vec<String>>,
    /// The image's file, if it has one.
    #[pyo3(get)]
    image: Option<String>,
}

#[pymethods]
impl Prediction {
    /// The name of the most probable class.
    #[getter]
    fn class_name(&self) -> &str {
        &self.found.class
    }

    /// The index of that class.
    #[getter]
    fn index(&self) -> usize {
        self.found.index
    }

    /// Its probability.
    #[getter]
    fn confidence(&self) -> f64 {
        self.found.confidence
    }

    /// The probability of each class.
    #[getter]
    fn probabilities<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        self.found.probabilities.to_pyarray(py)
    }

    /// The classes with at least this probability.
    #[pyo3(signature = (threshold = 0.5))]
    fn labels(&self, threshold: f64) -> Vec<(String, f64)> {
        let labels = self.found.labels(threshold, &self.classes);
        labels.into_iter().map(|class| (class.class, class.confidence)).collect()
    }

    /// The most probable classes, with their probabilities.
    #[pyo3(signature = (count = 5))]
    fn top(&self, count: usize) -> Vec<(String, f64)> {
        let likeliest = self.found.likeliest(count, &self.classes);
        likeliest.into_iter().map(|class| (class.class, class.confidence)).collect()
    }

    fn __repr__(&self) -> String {
        let image = self.image.as_ref().map_or_else(String::new, |image| format!(", image={image:?}"));
        format!("Prediction({:?}, confidence={:.4}{image})", self.found.class, self.found.confidence)
    }
}

/// A network: its checkpoint, and what was loaded of it onto the device so far. Or several that answer together.
#[derive(Debug)]
pub struct Network {
    /// At least one.
    checkpoints: Vec<Checkpoint>,
    classes: Arc<Vec<String>>,
    device: String,
    quiet: bool,
    /// For one image, and for several at a time.
    predictors: Mutex<[Option<Predictor>; 2]>,
    embedders: Mutex<[Option<Embedder>; 2]>,
}

impl Network {
    /// The network of a run directory or a checkpoint file, and those that answer together with it.
    ///
    /// # Errors
    /// When there is none, or the classes or images of others differ.
    pub fn open(path: &Path, others: &[PathBuf], (last, device, quiet): (bool, &str, bool)) -> Result<Self> {
        let checkpoints = checkpoints(path, others, last)?;
        let classes = Arc::new(checkpoints[0].classes.clone());
        let (predictors, embedders) = Default::default();
        Ok(Self { checkpoints, classes, device: device.into(), quiet, predictors, embedders })
    }

    /// The checkpoint of the first network.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoints[0]
    }

    /// The answer for each image.
    pub fn predict(&self, py: Python<'_>, images: Images) -> PyResult<Vec<Prediction>> {
        let batch = batch_of(&images);
        let names: Vec<Option<String>> = images.all.iter().map(Image::name).collect();
        let found = self.each_batch(py, images, |images| {
            let mut loaded = locked(&self.predictors);
            let predictor =
                loaded_for(&mut loaded, batch, || Predictor::ensemble(self.engine()?, &self.checkpoints, batch))?;
            block_on(predictor.predict_all(images))
        })?;
        let answer = |(found, image)| Prediction { found, classes: self.classes.clone(), image };
        Ok(found.into_iter().zip(names).map(answer).collect())
    }

    /// The numbers of each image.
    pub fn embed(&self, py: Python<'_>, images: Images) -> PyResult<Vec<Vec<f32>>> {
        if self.checkpoints.len() > 1 {
            return Err(usage("An ensemble has no features of its own. Load one of its runs alone to embed images."));
        }
        let batch = batch_of(&images);
        self.each_batch(py, images, |images| {
            let mut loaded = locked(&self.embedders);
            let embedder = loaded_for(&mut loaded, batch, || Embedder::new(self.engine()?, self.checkpoint(), batch))?;
            block_on(embedder.embed(images))
        })
    }

    fn engine(&self) -> Result<gpunn::Engine> {
        open_device(&self.device, self.quiet)
    }

    /// Decodes and prepares images, some at a time, and computes something of them. Other threads of Python go on; Ctrl-C is seen
    /// between the batches.
    fn each_batch<T: Send>(
        &self,
        py: Python<'_>,
        images: Images,
        compute: impl Fn(&[Vec<f32>]) -> Result<Vec<T>> + Sync,
    ) -> PyResult<Vec<T>> {
        notes_to_python();
        let mut found = Vec::with_capacity(images.all.len());
        let mut images = images.all.into_iter();
        loop {
            let batch: Vec<Image> = images.by_ref().take(IMAGES_AT_ONCE).collect();
            if batch.is_empty() {
                return Ok(found);
            }
            let results = py.detach(|| compute(&self.prepared(batch)?));
            found.extend(results.map_err(raised)?);
            py.check_signals()?;
        }
    }

    /// The values of each image that the network takes. Of several errors the first image's is told.
    fn prepared(&self, images: Vec<Image>) -> Result<Vec<Vec<f32>>> {
        let prepare = |image: Image| image.open().map(|image| prepare_for(&image, self.checkpoint()));
        let all: Vec<Result<Vec<f32>>> = images.into_par_iter().map(prepare).collect();
        all.into_iter().collect()
    }
}

/// How many images a network computes at a time for these: the program takes as many, so both have the same answers.
fn batch_of(images: &Images) -> usize {
    if images.all.len() == 1 { 1 } else { IMAGES_AT_ONCE }
}

/// What is loaded for a batch of this size. The first use loads it.
fn loaded_for<T>(loaded: &mut [Option<T>; 2], batch: usize, load: impl FnOnce() -> Result<T>) -> Result<&mut T, Error> {
    let place = &mut loaded[usize::from(batch > 1)];
    Ok(match place {
        Some(there) => there,
        None => place.insert(load()?),
    })
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
