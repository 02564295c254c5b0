//! What `auto` means: the learning rate and the parts of a batch, found before the training.

use super::lr_find;
use super::recipe::{GridPoint, OrAuto};
use crate::data::Dataset;
use crate::formats::tensors::TensorFile;
use crate::graph::PlanOptions;
use crate::train::{RateRange, Recipe};
use crate::{Engine, Error, Result};

impl GridPoint {
    /// Sets what the flags leave to be found.
    pub fn find(
        &self,
        (mut engine, pretrained): (Engine, Option<&TensorFile>),
        (recipe, dataset): (&mut Recipe, &Dataset),
        (options, quiet): (PlanOptions, bool),
    ) -> Result<Engine> {
        self.divide(&engine, (recipe, dataset), options, quiet)?;
        if self.lr == Some(OrAuto::Auto) {
            engine = take_found_rate((engine, pretrained), (recipe, dataset), quiet)?;
        }
        Ok(engine)
    }

    /// Whether a batch is divided into parts that fit the device.
    pub fn is_divided(&self) -> bool {
        self.batch_size == Some(OrAuto::Auto)
    }

    /// Divides the batch into parts that fit the device, if the flag asks for it.
    pub fn divide(
        &self,
        engine: &Engine,
        (recipe, dataset): (&mut Recipe, &Dataset),
        options: PlanOptions,
        quiet: bool,
    ) -> Result<()> {
        if !self.is_divided() {
            return Ok(());
        }
        let parts = crate::train::fit_batch(engine, recipe, dataset, options)?;
        let (part, whole) = (recipe.training.batch_size, recipe.training.batch_size * parts);
        if !quiet {
            match parts {
                1 => eprintln!("--batch-size auto: a batch of {whole} fits the device"),
                _ => eprintln!(
                    "--batch-size auto: a batch of {whole} is computed in {parts} parts of {part}, which fit the device"
                ),
            }
        }
        Ok(())
    }
}

/// Sets the learning rate that a range test suggests.
fn take_found_rate(
    (engine, pretrained): (Engine, Option<&TensorFile>),
    (recipe, dataset): (&mut Recipe, &Dataset),
    quiet: bool,
) -> Result<Engine> {
    // There is no run yet that a signal could leave behind, so it ends the program.
    let going = || true;
    let found = lr_find::find((engine, pretrained), (recipe, dataset), RateRange::default(), (&going, quiet))?;
    let Some((found, engine)) = found else { return Err(Error::usage("The search for a learning rate was stopped.")) };
    recipe.optimizer.learning_rate = found.learning_rate;
    if !quiet {
        eprintln!("--lr auto: the learning rate is {}", found.learning_rate);
    }
    Ok(engine)
}
