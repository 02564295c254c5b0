//! What the frozen layers at a network's start make of every image, computed once and kept instead of the images.

use std::sync::Arc;

use super::device_data::DeviceData;
use super::graphs::{self, FEATURES};
use super::memory;
use super::recipe::Recipe;
use super::steps::evaluation_steps;
use crate::data::{Dataset, Pixels, Split, SplitName};
use crate::graph::{Plan, PlanOptions, Target};
use crate::nn::Model;
use crate::nn::models::Task;
use crate::{Engine, Error, Program, Result};

/// The most bytes of features of all splits that are kept unasked.
const MOST_UNASKED: usize = 1 << 30;
/// Images whose features are made at a time.
const AT_ONCE: usize = 32;

/// How a run learns from features: what takes the place of its model, its recipe and its images.
#[derive(Debug)]
pub(super) struct Cut {
    /// The layers that are left out.
    layers: usize,
    /// The model without them.
    pub rest: Model,
    /// The recipe, for features: nothing becomes of them.
    pub recipe: Recipe,
    /// An image's features, as an image of theirs.
    pub input: [usize; 3],
}

impl Cut {
    /// Where the recipe asks for features to be kept; or where it says nothing, they are what the frozen layers would give at
    /// every step, and they do not take much memory.
    ///
    /// # Errors
    /// When it asks for them, but nothing is frozen, or the network is to see more than one view of an image.
    pub fn of(recipe: &Recipe, model: &Model, dataset: &Dataset) -> Result<Option<Self>> {
        let layers = model.frozen_layers();
        let asked = recipe.training.cache_features;
        if asked == Some(false) || (asked.is_none() && layers == 0) {
            return Ok(None);
        }
        let refused =
            |reason: &str| Err(Error::usage(format!("Features cannot be kept (--cache-features): {reason}.")));
        let views = recipe.training.tta.is_some();
        match asked {
            Some(_) if model.task() != Task::Classify => return refused("this model gives images back"),
            Some(_) if layers == 0 => {
                return refused(
                    "no layer at the network's start is frozen; --unfreeze classifier freezes all but the last",
                );
            }
            Some(_) if views => {
                return refused("the recipe averages over views of an image (tta), which are made of the image itself");
            }
            _ => {}
        }
        let augment = recipe.augment.as_ref();
        let drawn = augment.is_some_and(|augment| augment.is_random(dataset.input));
        if asked.is_none() && (drawn || views || recipe.data.stream || model.task() != Task::Classify) {
            return Ok(None);
        }
        let rest = recipe.build_model(dataset.input, dataset.classes.len())?.without_first(layers)?;
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

    /// How features of so many images lie on a device: as [`DeviceData::of`].
    pub fn resident(&self, name: &'static str, rows: usize, target: &Target, at: (usize, bool)) -> DeviceData {
        DeviceData::of_rows(name, (rows, false), self.input, target, at)
    }

    /// What makes the features of all splits, with the plans for it.
    ///
    /// # Errors
    /// [`Error::Memory`] when one does not fit the device.
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
            // From the host, a batch after another: the images are needed once.
            let data = DeviceData::of(name, split, dataset.input, target, (batch, true));
            let graph = graphs::features(model, recipe, data, batch, self.layers)?;
            plans.push(memory::plan(&graph, target, PlanOptions::default())?);
            makers.push(Maker { part, program: None, data, batch, split: split.clone(), made: false });
        }
        Ok((plans, Features { input: self.input, makers }))
    }
}

/// What makes the features of each split, and which of them are made.
#[derive(Debug)]
pub(super) struct Features {
    /// The features of an image, as an image of theirs.
    pub input: [usize; 3],
    makers: Vec<Maker>,
}

impl Features {
    /// Loads the plans for it.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn load(&mut self, engine: &mut Engine, plans: Vec<Plan>) -> Result<()> {
        for (maker, plan) in self.makers.iter_mut().zip(plans) {
            maker.program = Some(engine.load(plan)?);
        }
        Ok(())
    }

    /// Other weights have come: what was made is so no more.
    pub fn forget(&mut self) {
        self.makers.iter_mut().for_each(|maker| maker.made = false);
    }

    /// A split's features, which have not been made with the present weights; nothing where they have.
    ///
    /// # Errors
    /// When the device is lost, or the images cannot be read.
    pub async fn make(&mut self, engine: &mut Engine, part: SplitName) -> Result<Option<Split>> {
        match self.makers.iter_mut().find(|maker| maker.part == part && !maker.made) {
            Some(maker) => {
                let split = maker.make(engine).await?;
                maker.made = true;
                Ok(Some(split))
            }
            None => Ok(None),
        }
    }
}

/// What makes a split's features.
#[derive(Debug)]
struct Maker {
    part: SplitName,
    /// Once its plan is loaded.
    program: Option<Program>,
    data: DeviceData,
    batch: usize,
    split: Split,
    made: bool,
}

impl Maker {
    /// The features of all its images, one after another, with their labels.
    ///
    /// # Errors
    /// When the device is lost, or the images cannot be read.
    async fn make(&self, engine: &mut Engine) -> Result<Split> {
        let (Some(program), Self { data, batch, split, .. }) = (self.program, self) else {
            return Ok(Split::empty());
        };
        let order: Vec<u32> = (0..split.len() as u32).collect();
        engine.write(&data.buffer("order"), 0, &order)?;
        let steps = evaluation_steps(split.len(), *batch);
        engine.schedule(program, &steps)?;
        let loader = data.loader(&Arc::new(split.pixels.clone()), order, *batch, 0..steps.len())?;
        let mut all = Vec::new();
        let keep = |number: usize, features: &[f32]| {
            let each = features.len() / batch;
            all.extend_from_slice(&features[..steps[number].valid as usize * each]);
        };
        data.run_each(engine, program, loader, steps.len(), Some(FEATURES), keep).await?;
        Ok(Split { pixels: Pixels::F32(all), labels: split.labels.clone() })
    }
}
