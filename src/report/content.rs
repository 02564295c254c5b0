//! What a run's page shows: gathered by `run.rs`, drawn by `sections.rs`.

use super::confusion::ConfusionMatrix;
use super::curves::{self, CurvePlot};
use super::examples::CaptionedImages;
use super::heat::HeatMaps;
use super::loaded_run::LoadedRun;
use super::nearest::NearestImages;
use super::predictions::Predictions;
use super::step::{StepMemory, StepTimings};
use super::weights::WeightSheets;
use crate::inference::Reconstruction;
use crate::nn::Model;
use crate::train::{Measures, TagMeasures};

/// The example reconstructions of an autoencoder's page: image numbers, and the reconstructions.
#[derive(Clone, Debug)]
pub struct ReconstructionExamples {
    /// Two images of each of some classes.
    pub chosen: (Vec<usize>, Reconstruction),
    /// The images with the lowest PSNR.
    pub worst: (Vec<usize>, Reconstruction),
    /// The images with the highest PSNR.
    pub best: (Vec<usize>, Reconstruction),
}

/// The content of a run's page.
#[derive(Debug)]
pub struct PageContent {
    /// The run's files.
    pub loaded: LoadedRun,
    /// The network, if the run has a checkpoint.
    pub model: Option<Model>,
    /// The plots of the metrics, each with its file name.
    pub curves: Vec<(&'static str, CurvePlot)>,
    /// The predictions for a split, if the dataset was found.
    pub predictions: Option<Predictions>,
    /// The measures of a classifier.
    pub measures: Option<Measures>,
    /// The measures of a network that gives images any number of labels.
    pub tags: Option<TagMeasures>,
    /// Its worst answers.
    pub worst_tags: CaptionedImages,
    /// The number of training images of each class of a classifier, if the dataset was found.
    pub training_images: Vec<usize>,
    /// The confusion matrix of a classifier.
    pub matrix: Option<ConfusionMatrix>,
    /// The numbers of the images with the worst and the best predictions of a classifier.
    pub worst_and_best: [Vec<usize>; 2],
    /// The Grad-CAM maps of the mistakes that a convolutional classifier's page shows.
    pub heat_maps: HeatMaps,
    /// The training images that are nearest to the worst mistakes of a classifier.
    pub nearest: NearestImages,
    /// The examples of an autoencoder.
    pub reconstructed: Option<ReconstructionExamples>,
    /// The first layer's weights.
    pub sheets: Option<WeightSheets>,
    /// The memory of a training step.
    pub memory: Option<StepMemory>,
    /// The kernel times of training steps; else the reason why there are none.
    pub timings: Result<StepTimings, String>,
    /// The device that evaluated and timed for this page.
    pub device: String,
    /// What is missing, each as a sentence.
    pub left_out: Vec<String>,
    /// What changed in the files of the run's images since the run began.
    pub changed: Option<String>,
}

impl PageContent {
    /// The content that needs neither a device nor the dataset.
    pub fn new(mut loaded: LoadedRun, device: String) -> Self {
        Self {
            left_out: std::mem::take(&mut loaded.left_out),
            changed: None,
            curves: curves::of_run(&loaded.metrics, loaded.best_epoch()),
            loaded,
            model: None,
            predictions: None,
            measures: None,
            tags: None,
            worst_tags: CaptionedImages::default(),
            training_images: Vec::new(),
            matrix: None,
            worst_and_best: Default::default(),
            heat_maps: HeatMaps::default(),
            nearest: NearestImages::default(),
            reconstructed: None,
            sheets: None,
            memory: None,
            timings: Err("the run has no checkpoint".into()),
            device,
        }
    }

    /// The hash of the last epoch's weights.
    pub fn hash(&self) -> Option<String> {
        if let Some(summary) = &self.loaded.summary {
            return Some(summary.weights_hash.clone());
        }
        let (model, checkpoint) = (self.model.as_ref()?, self.loaded.run.last().ok()?);
        let weights = checkpoint.weights("", model.parameters()).ok()?;
        Some(model.parameters().hash(&weights))
    }

    /// If `result` is an error, records that `what` is missing.
    pub fn note_error(&mut self, what: &str, result: crate::Result<()>) {
        if let Err(error) = result {
            self.left_out.push(format!("{what}: left out, because {error}"));
        }
    }
}
