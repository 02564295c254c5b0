//! The memory of several plans together, and the largest batch that fits the device.

use std::collections::BTreeMap;

use super::device_data::DeviceData;
use super::steps::EVALUATION_BATCH;
use crate::graph::{BufferKind, Graph, Passes, Plan, PlanOptions, Target, optimize};
use crate::{Error, Result};

/// Optimizes and plans a graph.
pub(crate) fn plan(graph: &Graph, target: &Target, options: PlanOptions) -> Result<Plan> {
    Plan::new(optimize(graph, Passes::default())?, target, options)
}

/// The bytes of all buffers of several plans on one engine. A persistent buffer that several plans use counts once.
pub(super) fn planned_bytes<'a>(plans: impl IntoIterator<Item = &'a Plan>) -> usize {
    let mut persistent: BTreeMap<&str, usize> = BTreeMap::new();
    let mut own = 0;
    for plan in plans {
        for buffer in &plan.buffers {
            if buffer.kind == BufferKind::Persistent {
                persistent.insert(&buffer.name, buffer.bytes);
            } else {
                own += buffer.bytes;
            }
        }
    }
    own + persistent.values().sum::<usize>()
}

/// Plans a training step for a batch size. If it does not fit the device, the error names the largest batch that fits.
pub(super) fn plan_training(
    batch: usize,
    target: &Target,
    options: PlanOptions,
    graph: impl Fn(usize) -> Result<Graph>,
) -> Result<Plan> {
    let planned = |batch: usize| plan(&graph(batch)?, target, options);
    let reason = match planned(batch) {
        Err(Error::Memory(reason)) => reason,
        other => return other,
    };
    // A binary search between a batch that fits and one that does not. 0 means that no batch fits.
    let (mut fits, mut fails) = (0, batch);
    while fails - fits > 1 {
        let middle = fits + (fails - fits) / 2;
        match planned(middle) {
            Ok(_) => fits = middle,
            Err(Error::Memory(_)) => fails = middle,
            Err(other) => return Err(other),
        }
    }
    let other_device = if target.device.is_some() { "--device cpu or " } else { "" };
    Err(Error::Memory(match fits {
        0 => format!(
            "A step does not fit the device even with a batch of 1: {reason}. Try {other_device}a smaller model."
        ),
        _ => format!(
            "A step with a batch of {batch} does not fit the device: {reason}. The largest batch that fits is {fits}: \
             --batch-size {fits}."
        ),
    }))
}

/// Plans an evaluation step for a split of `images` images. The batch is halved until it fits the device, because the result
/// of an evaluation does not depend on the batch size. Returns the plan, the layout of the images, and the batch size.
pub(super) fn plan_evaluation(
    images: usize,
    target: &Target,
    options: PlanOptions,
    graph: impl Fn(usize) -> Result<(Graph, DeviceData)>,
) -> Result<(Plan, DeviceData, usize)> {
    let mut batch = EVALUATION_BATCH.min(images);
    loop {
        let (built, data) = graph(batch)?;
        match plan(&built, target, options) {
            Err(Error::Memory(_)) if batch > 1 => batch /= 2,
            planned => return Ok((planned?, data, batch)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::graphs::{DeviceData, training};
    use crate::train::recipe::Recipe;

    #[test]
    fn an_evaluation_that_does_not_fit_takes_smaller_batches() {
        let recipe = Recipe::built_in("glyphs-mlp").expect("a recipe");
        let model = recipe.model.build([1, 32, 32], 36).expect("a model");
        // A gathered image has 4096 bytes, so 80 images fit: batches of 200 and 100 do not, 50 does.
        let target = Target { max_binding: 80 * 4096, ..Target::cpu() };
        let planned = plan_evaluation(200, &target, PlanOptions::default(), |batch| {
            let data = DeviceData::whole("val", 200, true, [1, 32, 32]);
            Ok((crate::train::graphs::evaluation(&model, &recipe, data, batch)?, data))
        });
        assert_eq!(planned.expect("it fits").2, 50);
    }

    #[test]
    fn the_largest_batch_that_fits_is_found_and_named() {
        let recipe = Recipe::find("glyphs-mlp").expect("a recipe");
        let model = recipe.model.build([1, 32, 32], 36).expect("a model");
        // The largest tensor is the gathered batch, with 1024 floats per image: 300 images fit.
        let target = Target { max_binding: 300 * 1024 * 4, ..Target::cpu() };
        let data = DeviceData::whole("train", 400, true, [1, 32, 32]);
        let try_with = |batch| {
            plan_training(batch, &target, PlanOptions::default(), |batch| training(&model, &recipe, data, batch))
        };
        let sentence = try_with(5000).expect_err("too large").to_string();
        assert!(sentence.contains("--batch-size 300"), "{sentence}");
        assert!(try_with(300).is_ok());
        assert!(try_with(301).is_err());
    }
}
