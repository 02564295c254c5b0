//! Batches in as few parts as the device needs.

use super::device_data::DeviceData;
use super::features::Cut;
use super::graphs;
use super::memory;
use super::recipe::Recipe;
use crate::data::{Dataset, Split, SplitName};
use crate::engine::Engine;
use crate::graph::{Graph, Plan, PlanOptions, Target};
use crate::nn::Model;
use crate::{Error, Result};

/// Divides the batch of a recipe into the fewest equal parts with which a step fits the device: sets the recipe's batch size and
/// [`accumulate`](super::Training::accumulate), whose product stays. Returns the number of parts.
///
/// # Errors
/// As [`Trainer::new`](super::Trainer::new). [`Error::Memory`] when not even the smallest parts fit.
pub fn fit_batch(engine: &Engine, recipe: &mut Recipe, dataset: &Dataset, options: PlanOptions) -> Result<usize> {
    let whole = recipe.training.batch_size.saturating_mul(recipe.training.accumulate);
    recipe.take_labels(dataset)?;
    let model = recipe.build_model(dataset.input, dataset.classes.len())?;
    // Parts are multiples of four images; a whole batch may have any number.
    let are_equal = |parts: &usize| whole.is_multiple_of(*parts) && (*parts == 1 || (whole / parts).is_multiple_of(4));
    for parts in (recipe.training.accumulate..=whole).filter(are_equal) {
        (recipe.training.batch_size, recipe.training.accumulate) = (whole / parts, parts);
        recipe.validate()?;
        let cut = Cut::of(recipe, &model, dataset)?;
        let planned =
            plan_step((recipe, &model), cut.as_ref(), (dataset, StepKind::Whole), engine, |batch, target, graph| {
                memory::plan(&graph(batch)?, target, options)
            });
        match planned {
            Err(Error::Memory(_)) => {}
            planned => return planned.map(|_| parts),
        }
    }
    // The sentence names what fits, if anything does.
    let cut = Cut::of(recipe, &model, dataset)?;
    let planned =
        plan_step((recipe, &model), cut.as_ref(), (dataset, StepKind::Whole), engine, |batch, target, graph| {
            memory::plan_training(batch, target, options, graph)
        });
    planned.map(|_| recipe.training.accumulate)
}

/// The images of a split on the device, or their features if the recipe's frozen layers are left out.
pub(super) fn resident(
    cut: Option<&Cut>,
    (name, split): (&'static str, &Split),
    (recipe, input): (&Recipe, [usize; 3]),
    target: &Target,
    batch: usize,
) -> DeviceData {
    let how = (batch, recipe.data.stream);
    match cut {
        Some(cut) => cut.resident(name, split.len(), target, how),
        None => DeviceData::of(name, split, input, target, how),
    }
}

/// Divides the batch of a recipe into at least as many parts as there are ranks, if it has fewer: equal ones, whose number is a multiple of
/// today's, so that a rank has as many as another. What the recipe trains stays, except for the rounding of sums, and for batch norm,
/// whose statistics are those of a part. With [`sync_batch_norm`](super::Training::sync_batch_norm) there are as many parts as ranks.
///
/// # Errors
/// [`Error::Usage`] if the batch has no such parts.
pub fn divide_batch(recipe: &mut Recipe, ranks: usize) -> Result<()> {
    let training = &mut recipe.training;
    let (parts, whole) = (training.accumulate, training.batch_size.saturating_mul(training.accumulate));
    let sync = training.sync_batch_norm;
    if parts == ranks || parts > ranks && !sync {
        return Ok(());
    }
    if ranks == 1 {
        (training.batch_size, training.accumulate) = (whole, 1);
        return Ok(());
    }
    if !sync && !ranks.is_multiple_of(parts) {
        return Err(Error::usage(format!(
            "A batch in {parts} parts (accumulate) cannot be divided among {ranks} devices, as {ranks} is no multiple of {parts}. \
             --accumulate 1 lets the batch be divided anew."
        )));
    }
    if !whole.is_multiple_of(ranks) || !(whole / ranks).is_multiple_of(4) {
        let [each, next] = [4, 4 * ranks];
        let nearest = [(whole / next * next).max(next), whole.div_ceil(next) * next];
        let nearest: Vec<String> = nearest.iter().map(usize::to_string).collect();
        return Err(Error::usage(format!(
            "A batch of {whole} images in {parts} parts cannot be divided among {ranks} devices: each needs the same number of images, a \
             multiple of {each}. Batches of {} can.",
            if nearest[0] == nearest[1] { nearest[0].clone() } else { nearest.join(" or ") }
        )));
    }
    (training.batch_size, training.accumulate) = (whole / ranks, ranks);
    Ok(())
}

/// What a training step of one device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepKind {
    /// All of it.
    Whole,
    /// What one of several ranks contributes.
    Contribution,
}

/// Plans a training step by `plan`, which gets the batch size, the device, and what builds the graph for a batch size. Returns the plan and
/// the layout of the training images.
///
/// # Errors
/// [`Error::Memory`] when the step does not fit the device.
pub(super) fn plan_step(
    (recipe, model): (&Recipe, &Model),
    cut: Option<&Cut>,
    (dataset, kind): (&Dataset, StepKind),
    engine: &Engine,
    plan: impl Fn(usize, &Target, &dyn Fn(usize) -> Result<Graph>) -> Result<Plan>,
) -> Result<(Plan, DeviceData)> {
    let (train, batch) = (dataset.split(SplitName::Train)?, recipe.training.batch_size);
    let single = engine.target().in_single_precision();
    let (learner, learned_by) = cut.map_or((model, recipe), |cut| (&cut.rest, &cut.recipe));
    let data = resident(cut, ("train", train), (recipe, dataset.input), &single, batch.min(train.len()));
    let target = if recipe.training.precision.is_single() { single } else { engine.target() };
    // A batch larger than the training split would only add masked rows.
    let graph = |batch: usize| match (kind, batch.min(train.len())) {
        (StepKind::Whole, batch) => graphs::training(learner, learned_by, data, batch),
        (StepKind::Contribution, batch) => Ok(graphs::contribution(learner, learned_by, data, batch)?.0),
    };
    Ok((plan(batch, &target, &graph)?, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_gets_as_few_equal_parts_as_fit() {
        let dataset = crate::data::glyphs::dataset();
        let fit = |bytes: usize, accumulate: usize| {
            let mut recipe = Recipe::find("glyphs-mlp").expect("a recipe");
            (recipe.training.batch_size, recipe.training.accumulate) = (1536 / accumulate, accumulate);
            let parts = fit_batch(&Engine::cpu_within(bytes), &mut recipe, &dataset, PlanOptions::default())?;
            let Recipe { training, .. } = recipe;
            assert_eq!((parts, training.batch_size * parts), (training.accumulate, 1536));
            Ok::<usize, Error>(parts)
        };
        let images = dataset.train.pixels.len();
        assert_eq!((fit(usize::MAX, 1).expect("fits"), fit(usize::MAX, 4).expect("fits")), (1, 4));
        // Besides the images there is room for the parameters, and for few rows of 1024 floats.
        let parts = fit(images + (2 << 20) + 400 * 4096, 1).expect("fits in parts");
        assert!((2..=12).contains(&parts), "{parts}");
        let sentence = fit(images / 2, 1).expect_err("the images do not fit").to_string();
        assert!(sentence.contains("even with a batch of 1"), "{sentence}");
    }
}
