//! Cached features: the output of the frozen layers at a network's start, computed once per image and kept instead of the
//! images.

use std::sync::Arc;

use super::device_data::DeviceData;
use super::graphs::{self, FEATURES};
use super::memory;
use super::progress::{EpochProgress, Watch};
use super::recipe::Recipe;
use super::steps::evaluation_steps;
use crate::data::{Dataset, Pixels, Split, SplitName};
use crate::graph::{Plan, PlanOptions, Target};
use crate::nn::Model;
use crate::nn::models::Task;
use crate::{Engine, Error, Program, Result};

/// The maximum size of the features of all splits that are kept if the recipe does not say so, in bytes.
const MOST_UNASKED: usize = 1 << 30;
/// The batch size for computing features.
const AT_ONCE: usize = 32;

/// A run that trains on features: its model without the frozen layers, its recipe, and the shape of the features.
#[derive(Debug)]
pub(super) struct Cut {
    /// The number of frozen layers that are left out.
    layers: usize,
    /// The model without these layers.
    pub rest: Model,
    /// The recipe without augmentation.
    pub recipe: Recipe,
    /// The shape of an image's features, as channels, height and width.
    pub input: [usize; 3],
}

impl Cut {
    /// The cut of a run at its last frozen layer, if the recipe asks for cached features. If the recipe does not say, features
    /// are cached when they are the same in every step, images are not streamed, and all features take at most 1 GiB. `None` if
    /// features are not cached.
    ///
    /// # Errors
    /// When the recipe asks for cached features, but the model is an autoencoder, no layer at its start is frozen, or there is
    /// test-time augmentation.
    pub fn of(recipe: &Recipe, model: &Model, dataset: &Dataset) -> Result<Option<Self>> {
        let layers = model.frozen_layers();
        let asked = recipe.training.cache_features;
        if asked == Some(false) || (asked.is_none() && layers == 0) {
            return Ok(None);
        }
        let refused =
            |reason: &str| Err(Error::usage(format!("Features cannot be cached (--cache-features): {reason}.")));
        let views = recipe.training.tta.is_some();
        match asked {
            Some(_) if model.task() == Task::Reconstruct => return refused("this model is an autoencoder"),
            Some(_) if layers == 0 => {
                return refused(
                    "no layer at the network's start is frozen; --unfreeze classifier freezes all but the last",
                );
            }
            Some(_) if views => {
                return refused("the recipe averages several views of an image (tta), which need the image itself");
            }
            _ => {}
        }
        let augment = recipe.augment.as_ref();
        let drawn = augment.is_some_and(|augment| augment.is_random(dataset.input));
        if asked.is_none() && (drawn || views || recipe.data.stream || model.task() == Task::Reconstruct) {
            return Ok(None);
        }
        let rest = rest_of(recipe, dataset, layers)?;
        let input = match *rest.input() {
            [channels, height, width] => [channels, height, width],
            ref dims => [dims.iter().product(), 1, 1],
        };
        let images: usize = [Some(&dataset.train), dataset.val.as_ref(), dataset.test.as_ref()]
            .into_iter()
            .flatten()
            .map(Split::len)
            .sum();
        let bytes = images * input.iter().product::<usize>() * size_of::<f32>();
        if asked.is_none() && bytes > MOST_UNASKED {
            return Ok(None);
        }
        let recipe = Recipe { augment: None, ..recipe.clone() };
        Ok(Some(Self { layers, rest, recipe, input }))
    }

    /// The model without the frozen layers, built again. `recipe` is the run's.
    ///
    /// # Errors
    /// As [`Recipe::build_model`].
    pub fn build_rest(&self, recipe: &Recipe, dataset: &Dataset) -> Result<Model> {
        rest_of(recipe, dataset, self.layers)
    }

    /// The layout of the features of `rows` images on the device: as [`DeviceData::of`].
    pub fn resident(&self, name: &'static str, rows: usize, target: &Target, at: (usize, bool)) -> DeviceData {
        DeviceData::of_rows(name, (rows, false), self.input, target, at)
    }

    /// The computation of the features of all splits, and its plans.
    ///
    /// # Errors
    /// [`Error::Memory`] when a plan does not fit the device.
    pub fn features(
        &self,
        (recipe, model): (&Recipe, &Model),
        dataset: &Dataset,
        target: &Target,
    ) -> Result<(Vec<Plan>, Features)> {
        let (mut plans, mut makers) = (Vec::new(), Vec::new());
        for (name, part) in
            [("features.train", SplitName::Train), ("features.val", SplitName::Val), ("features.test", SplitName::Test)]
        {
            let Ok(split) = dataset.split(part) else { continue };
            let batch = AT_ONCE.min(split.len());
            // The images are streamed, because each is needed only once.
            let data = DeviceData::of(name, split, dataset.input, target, (batch, true));
            let graph = graphs::features(model, recipe, data, batch, self.layers)?;
            plans.push(memory::plan(&graph, target, PlanOptions::default())?);
            makers.push(Maker { part, program: None, data, batch, split: split.clone(), made: false });
        }
        Ok((plans, Features { input: self.input, makers }))
    }
}

/// The model of a recipe without its first `layers` layers.
fn rest_of(recipe: &Recipe, dataset: &Dataset, layers: usize) -> Result<Model> {
    recipe.build_model(dataset.input, dataset.classes.len())?.without_first(layers)
}

/// Computes the features of each split.
#[derive(Debug)]
pub(super) struct Features {
    /// The shape of an image's features, as channels, height and width.
    pub input: [usize; 3],
    makers: Vec<Maker>,
}

impl Features {
    /// Loads the plans that compute the features.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn load(&mut self, engine: &mut Engine, plans: Vec<Plan>) -> Result<()> {
        for (maker, plan) in self.makers.iter_mut().zip(plans) {
            maker.program = Some(engine.load(plan)?);
        }
        Ok(())
    }

    /// Marks all features as out of date, after the weights were replaced.
    pub fn forget(&mut self) {
        self.makers.iter_mut().for_each(|maker| maker.made = false);
    }

    /// Computes the features of a split with the current weights.
    ///
    /// # Errors
    /// When the device is lost, or the images cannot be read.
    pub async fn make(&mut self, engine: &mut Engine, part: SplitName, progress: &mut Watch<'_>) -> Result<Made> {
        match self.makers.iter_mut().find(|maker| maker.part == part && !maker.made) {
            Some(maker) => {
                let Some(split) = maker.make(engine, progress).await? else { return Ok(Made::Stopped) };
                maker.made = true;
                Ok(Made::Now(split))
            }
            None => Ok(Made::Before),
        }
    }
}

/// Whether the features of a split were computed.
#[derive(Debug)]
pub(super) enum Made {
    /// Now: the split with features instead of images.
    Now(Split),
    /// They are up to date, or the split does not exist.
    Before,
    /// No: the progress function returned false before the end.
    Stopped,
}

/// Computes the features of a split.
#[derive(Debug)]
struct Maker {
    part: SplitName,
    /// `None` until its plan is loaded.
    program: Option<Program>,
    data: DeviceData,
    batch: usize,
    split: Split,
    made: bool,
}

impl Maker {
    /// The features of all images of the split, with their labels. `None` if `progress` returned false before the end.
    ///
    /// # Errors
    /// When the device is lost, or the images cannot be read.
    async fn make(&self, engine: &mut Engine, progress: &mut Watch<'_>) -> Result<Option<Split>> {
        let (Some(program), Self { data, batch, split, .. }) = (self.program, self) else {
            return Ok(Some(Split::empty()));
        };
        let order: Vec<u32> = (0..split.len() as u32).collect();
        engine.write(&data.buffer("order"), 0, &order)?;
        let steps = evaluation_steps(split.len(), *batch);
        engine.schedule(program, &steps)?;
        let loader = data.loader(&Arc::new(split.pixels.clone()), order, *batch, 0..steps.len())?;
        let mut all = Vec::new();
        let keep = |number: usize, features: Option<&[f32]>| {
            let Some(features) = features else { return progress(EpochProgress::Computing) };
            let each = features.len() / batch;
            all.extend_from_slice(&features[..steps[number].valid as usize * each]);
            let (batches, of) = (number as u32 + 1, steps.len() as u32);
            progress(EpochProgress::Features { split: self.part, batches, of }) || batches == of
        };
        let whole = data.run_each(engine, program, loader, steps.len(), Some(FEATURES), keep).await?;
        Ok(whole.then(|| Split { pixels: Pixels::F32(all), labels: split.labels.clone(), files: split.files.clone() }))
    }
}
